//! A disk that takes its time: who saves waits for it, and nobody else who is in the same process.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::chown;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sys::signal::Signal;
use tests::process::Process;
use tests::server::process;
use tests::{Imap, SHARED, Server, Site, User, installed, root, skipped, until};

const APPEND: &str = "APPEND INBOX {12+}\r\nSubject: x\r\n";

/// The process in which the clients are, and the one that waits for the disk in its place.
fn processes(server: &Server) -> (Process, Process) {
    let worker = process(&server.who()[0]["worker"]);
    let mut waiting = worker.descendants();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    (worker, waiting.remove(0))
}

/// Has each sync of that process last for a third of a second, until it is dropped.
struct Slow(Child);

impl Slow {
    fn new(process: &Process) -> Self {
        let delay = "inject=fsync,fdatasync:delay_enter=300000";
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-e", "trace=fsync,fdatasync", "-e", delay, "-p", &process.pid.to_string()]);
        let strace = Self(strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let status = format!("/proc/{}/status", process.pid);
        until("strace", || (!fs::read_to_string(&status).ok()?.contains("TracerPid:\t0\n")).then_some(()));
        strace
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn who_saves_waits_for_the_disk_and_nobody_else() {
    let name = "who_saves_waits_for_the_disk_and_nobody_else";
    if !root(name) || !installed(name, "strace") {
        return;
    }
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    let mut saver = server.login("alice");
    let mut others = [server.login("alice"), server.login("bob")];
    others.iter_mut().for_each(|other| drop(other.ask("SELECT INBOX").ok()));
    saver.ask(APPEND).ok();
    let slow = Slow::new(&processes(&server).1);
    let answers = meanwhile(|| drop(saver.ask(APPEND).ok()), &mut others);
    assert!(answers > 100, "while one was saved, each of the others had {answers} answers");
    // New mail that comes in by other ways has its UID on the disk before anybody is told.
    server.site.deliver("alice", "", "Subject: new\n\n");
    let [her, his] = others;
    let tell =
        || assert_eq!(saver.ask("STATUS INBOX (MESSAGES)").ok().untagged, ["STATUS INBOX (MESSAGES 3)"]);
    let mut others = [his];
    let answers = meanwhile(tell, &mut others);
    assert!(answers > 100, "while one was told of new mail, the other had {answers} answers");
    saver.ask("SELECT INBOX").ok();
    saver.ask("STORE 1 +FLAGS (\\Deleted)").ok();
    let answers = meanwhile(|| drop(saver.ask("EXPUNGE").ok()), &mut others);
    assert!(answers > 100, "while one expunged, the other had {answers} answers");
    drop((slow, her));
}

#[test]
fn a_fast_disk_is_waited_for_where_one_is_until_it_is_slow() {
    let name = "a_fast_disk_is_waited_for_where_one_is_until_it_is_slow";
    let memory = tempfile::tempdir_in("/dev/shm");
    if !root(name) || !installed(name, "strace") || memory.is_err() && !skipped(name, "no /dev/shm") {
        return;
    }
    let memory = memory.unwrap();
    chown(memory.path(), Some(20001), Some(20001)).unwrap();
    let mail = format!("userdb_mail=maildir:{}", memory.path().display());
    let users = [User::new("alice", 20001).with_extra(&mail), User::new("bob", 20002)];
    let server = Site::with_users(users).start(&format!("{SHARED}protocols = imap\n"));
    let mut saver = server.login("alice");
    let mut others = [server.login("bob")];
    others.iter_mut().for_each(|other| drop(other.ask("SELECT INBOX").ok()));
    let (worker, waiting) = processes(&server);
    let wakings = || waiting.status("voluntary_ctxt_switches");
    until("a save that the other process has no part in", || {
        let before = wakings();
        saver.ask(APPEND).ok();
        (wakings() == before).then_some(())
    });
    let slow = [&worker, &waiting].map(Slow::new);
    saver.ask(APPEND).ok();
    let before = wakings();
    let answers = meanwhile(|| drop(saver.ask(APPEND).ok()), &mut others);
    assert!(answers > 100, "while a second one was saved, the other had {answers} answers");
    assert_ne!(wakings(), before);
    drop(slow);
}

/// How many answers each of `others` has while that work is done.
fn meanwhile(work: impl FnOnce() + Send, others: &mut [Imap]) -> usize {
    thread::scope(|scope| {
        let work = scope.spawn(work);
        let mut answers = 0;
        while !work.is_finished() {
            others.iter_mut().for_each(|other| drop(other.ask("NOOP").ok()));
            answers += 1;
        }
        answers
    })
}

#[test]
fn where_nobody_waits_in_its_place_a_process_waits_itself() {
    let name = "where_nobody_waits_in_its_place_a_process_waits_itself";
    if !root(name) || !installed(name, "strace") {
        return;
    }
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    let mut client = server.login("alice");
    let (worker, waiting) = processes(&server);
    let slow = Slow::new(&waiting);
    let append = client.begin(APPEND);
    let in_cur_or_new = || fs::read_dir(server.site.maildir("alice", "").join("new")).unwrap().count();
    until("the message in its place", || (in_cur_or_new() == 1).then_some(()));
    waiting.signal(Signal::SIGKILL);
    client.reply(&append).ok();
    drop(slow);
    server.wait_for_log("lost the process that waits for the disk");
    client.ask(APPEND).ok();
    assert!(client.ask("SELECT INBOX").ok().untagged.contains(&"2 EXISTS".to_owned()));
    assert_eq!(processes_of(&worker), 0);
}

fn processes_of(worker: &Process) -> usize {
    worker.descendants().iter().filter(|process| process.is_alive()).count()
}

#[test]
fn who_waits_for_the_disk_has_nothing_and_ends_with_its_worker() {
    if !root("who_waits_for_the_disk_has_nothing_and_ends_with_its_worker") {
        return;
    }
    // Born with its first client, as no spare is.
    let server = Server::start(&format!("{SHARED}mail_process_share = user\nprotocols = imap\n"));
    let mut client = server.login("alice");
    client.ask(APPEND).ok();
    let (worker, waiting) = processes(&server);
    // Its socket, and what whoever started the server left open.
    let before = server.master().descriptors();
    let own = waiting.descriptors().into_iter().map(|(_, what)| what);
    let own: BTreeSet<String> =
        own.filter(|what| what != "/dev/null" && before.iter().all(|(_, known)| known != what)).collect();
    assert_eq!(own.len(), 1, "{own:?}");
    let status = fs::read_to_string(format!("/proc/{}/status", waiting.pid)).unwrap();
    for capabilities in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(status.contains(&format!("{capabilities}:\t0000000000000000\n")), "{status}");
    }
    // What tells its worker to stop is not for it.
    waiting.signal(Signal::SIGTERM);
    client.ask(APPEND).ok();
    // Whoever stops it stops those who save.
    waiting.signal(Signal::SIGSTOP);
    let mut other = server.login("alice");
    let append = client.begin(APPEND);
    other.ask("SELECT INBOX").ok();
    waiting.signal(Signal::SIGCONT);
    client.reply(&append).ok();
    waiting.signal(Signal::SIGSTOP);
    worker.signal(Signal::SIGKILL);
    until("its end", || (!waiting.is_alive()).then_some(()));
}
