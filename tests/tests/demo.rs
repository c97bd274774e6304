//! What `make demo` promises: its script, started as make starts it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tests::process::Process;
use tests::{Imap, Pop3, root, until};

/// A demo that runs. Its folder is below one that only its owner may enter, as one in a home directory is.
struct Demo {
    folder: TempDir,
    users: u32,
    imap: u16,
    pop3: u16,
    script: Child,
    /// What it said until it was ready.
    said: Vec<String>,
}

impl Demo {
    /// With two users who have nothing beside alice and bob.
    fn start() -> Self {
        Self::start_with(2)
    }

    fn start_with(users: u32) -> Self {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        // Both at once, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let [imap, pop3] = free.each_ref().map(|socket| socket.local_addr().unwrap().port());
        drop(free);
        let (script, said) = launch(&folder.path().join("demo"), users, [imap, pop3]);
        Self { folder, users, imap, pop3, script, said }
    }

    fn start_again(&mut self) {
        (self.script, self.said) = launch(&self.path("."), self.users, [self.imap, self.pop3]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("demo").join(name)
    }

    fn login(&self, user: &str) -> Imap {
        let mut imap = Imap::connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.imap), None);
        imap.login(user);
        imap
    }

    fn rows(&self, verb: &str) -> Vec<Value> {
        let mut mailctl = Command::new(self.path("bin/mailctl"));
        let output = mailctl.arg("--base-dir").arg(self.path("run")).args([verb, "--json"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Ends it, and sees that nothing is left.
    fn stop(&mut self, signal: Signal) {
        let script = Process::find(self.script.id()).unwrap();
        let all = script.descendants();
        script.signal(signal);
        let status = until("the demo to end", || self.script.try_wait().unwrap());
        assert!(status.success(), "{status}");
        // What waits for the disk is ended by the kernel, when its worker has.
        until("nothing to be left behind", || (!all.iter().any(Process::is_alive)).then_some(()));
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if thread::panicking() {
            // The test has failed; nothing of it may stay, whatever of this fails too.
            let script = Process::find(self.script.id());
            script.iter().flat_map(Process::descendants).for_each(|child| child.signal(Signal::SIGKILL));
            let _ = self.script.kill();
            let _ = self.script.wait();
            eprintln!(
                "--- the server's log:\n{}---",
                fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
        } else if self.script.try_wait().unwrap().is_none() {
            self.stop(Signal::SIGTERM);
        }
        // The place below /tmp that the demo chose, if it did.
        if let Ok(place) = fs::read_link(self.path("place")) {
            fs::remove_dir_all(place).unwrap();
        }
    }
}

fn launch(folder: &Path, users: u32, [imap, pop3]: [u16; 2]) -> (Child, Vec<String>) {
    let mut script = script(folder)
        .env("DEMO_IMAP_PORT", imap.to_string())
        .env("DEMO_POP3_PORT", pop3.to_string())
        .env("DEMO_USERS", users.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::options().create(true).append(true).open(log(folder)).unwrap())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(script.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line == "demo: ready" {
            return (script, said);
        }
        said.push(line);
    }
    let why = fs::read_to_string(log(folder)).unwrap();
    panic!("{}, and said:\n{}\n{why}", script.wait().unwrap(), said.join("\n"));
}

/// Where the server's log goes: beside the demo's folder.
fn log(folder: &Path) -> PathBuf {
    folder.with_file_name("log")
}

fn script(folder: &Path) -> Command {
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/demo.sh"));
    script.env("DEMO_PROGRAMS", std::env::current_exe().unwrap().ancestors().nth(2).unwrap());
    script.env("DEMO_DIR", folder);
    script
}

#[test]
fn users_share_a_worker_and_read_their_own_mail() {
    let demo = Demo::start();
    let mut readers: Vec<Imap> = ["alice", "bob", "u1", "u2"].iter().map(|user| demo.login(user)).collect();
    for (imap, exists) in readers.iter_mut().zip(["12 EXISTS", "6 EXISTS", "0 EXISTS", "0 EXISTS"]) {
        assert_eq!(imap.ask("SELECT INBOX").ok().named("EXISTS"), [exists]);
    }
    for (imap, name) in readers.iter_mut().zip(["Alice", "Bob"]) {
        let fetched = imap.ask("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]").ok().untagged.concat();
        assert!(fetched.contains(&format!("Subject: Welcome, {name}\r\n")), "{fetched}");
        let list = imap.ask("LIST \"\" *").ok().untagged;
        for folder in ["INBOX", "Sent", "Archive.2025"] {
            assert!(
                list.iter().any(|line| line.replace('"', "").ends_with(&format!(" {folder}"))),
                "{list:?}"
            );
        }
        assert_eq!(imap.ask("LSUB \"\" *").ok().untagged.len(), 2);
    }
    let sessions = demo.rows("who");
    assert_eq!(sessions.len(), 4);
    assert!(sessions.iter().all(|session| session["worker"] == sessions[0]["worker"]), "{sessions:?}");
    let mut pop3 = Pop3::connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, demo.pop3), None);
    pop3.login("bob");
    assert!(pop3.ask("STAT").starts_with("+OK 6 "));
}

#[test]
fn alice_finds_mailboxes_for_what_clients_do() {
    let demo = Demo::start_with(0);
    let mut alice = demo.login("alice");
    let list = alice.ask("LIST \"\" %").ok().untagged;
    for name in ["Sent", "Drafts", "Trash", "Junk"] {
        assert!(list.iter().any(|line| line.ends_with(&format!("\\{name}) \".\" {name}"))), "{list:?}");
    }
    assert_eq!(alice.ask("LSUB \"\" *").ok().untagged.len(), 5);
    assert_eq!(alice.ask("SELECT Drafts").ok().named("EXISTS"), ["0 EXISTS"]);
}

#[test]
fn as_root_each_user_has_an_identity_of_his_own() {
    if !root("as_root_each_user_has_an_identity_of_his_own") {
        return;
    }
    let demo = Demo::start();
    for (user, uid) in [("alice", 20001), ("bob", 20002), ("u1", 20003), ("u2", 20004)] {
        let home = fs::metadata(demo.path("home").join(user)).unwrap();
        assert_eq!((home.uid(), home.gid(), home.mode() & 0o7777), (uid, uid, 0o700));
    }
}

#[test]
fn it_says_what_to_try() {
    let demo = Demo::start();
    let said = demo.said.join("\n");
    let port = format!("imap://127.0.0.1:{}/", demo.imap);
    for word in ["secret", "curl ", "mutt ", "mailctl ", " who", &port] {
        assert!(said.contains(word), "{word} in {said}");
    }
}

#[test]
fn a_signal_ends_all_that_was_started() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut demo = Demo::start();
        let mut alice = demo.login("alice");
        demo.stop(signal);
        assert!(alice.rest().last().is_some_and(|line| line.starts_with("* BYE")));
    }
}

#[test]
fn a_second_start_keeps_the_mail_and_a_second_server_does_not_start() {
    let mut demo = Demo::start();
    let new = demo.path("home/alice/Maildir/new/1900000000.M1P1.test");
    fs::write(&new, "Subject: new\n\nnew\n").unwrap();
    let second = script(&demo.path(".")).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&second.stderr).contains("runs here already"));
    demo.stop(Signal::SIGTERM);
    demo.start_again();
    assert_eq!(demo.login("alice").ask("EXAMINE INBOX").ok().named("EXISTS"), ["13 EXISTS"]);
}
