//! What somebody can do who has taken a process over: nothing but what the process is there for. Each attack of
//! [`attacks`] is made in a worker of each form, in a login, and in a program in mail-jail that is not ours, and once
//! where nothing holds it, to see that it is one. (Debug builds have a command for it.)
#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod attacks;
mod scene;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use tests::nobody::as_uid;
use tests::process::Process;
use tests::{Imap, PRIVATE, SHARED, Site, root, skipped};

use attacks::{ATTACKS, Attack};
use scene::{Scene, Who};

/// Where an attacker may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A worker that all share, in a user namespace.
    Shared,
    /// The same, where its changes of identity are filtered.
    SharedByFilter,
    /// A worker of one uid.
    Uid,
    /// A worker of one client.
    Connection,
    /// A worker of a server that nobody started as root.
    NoRoot,
    /// A login.
    Login,
    /// A login of a server that nobody started as root.
    LoginNoRoot,
    /// A program that is not ours in mail-jail, in a user namespace.
    Jail,
    /// The same, where its changes of identity are filtered.
    JailByFilter,
}

/// What came of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Done,
    Refused(Errno),
    /// The process is no more.
    Killed,
}

/// Of the answers to a script's calls.
fn outcome(answers: &str) -> Outcome {
    if answers == "killed" {
        return Outcome::Killed;
    }
    let answers = answers.split(' ').map(|word| word.parse::<i64>().unwrap());
    let failed = answers.filter(|answer| (-4095..0).contains(answer)).min_by_key(|_| 0);
    failed.map_or(Outcome::Done, |number| Outcome::Refused(Errno::from_raw(-number as i32)))
}

/// Makes all attacks, by what answers a script; whatever is not as the table has it is told at the end, all of it.
#[track_caller]
fn assert_holds(place: Place, scene: &Scene, mut attack: impl FnMut(&str) -> String) {
    let mut unlike = Vec::new();
    for Attack { name, script, allowed } in ATTACKS {
        let outcome = outcome(&attack(&scene.script(script)));
        println!("{place:?}: {name}: {outcome:?}");
        if (outcome == Outcome::Done) != allowed.contains(&place) {
            unlike.push(format!("{name}: {outcome:?}"));
        }
    }
    assert!(unlike.is_empty(), "{place:?}, not as the table has it:\n{}", unlike.join("\n"));
}

/// Has `client`'s process run a script; `again` gives another client when that process was killed.
fn breach(client: &mut Imap, again: impl Fn() -> Imap, script: &str) -> String {
    let tag = client.begin(&format!("XBREACH {script}"));
    let mut answers = "killed".to_owned();
    while let Some(line) = client.try_line() {
        if let Some(line) = line.strip_prefix("* OK BREACH ") {
            line.clone_into(&mut answers);
        }
        if line.starts_with(&tag) {
            client.ask("NOOP").ok();
            return answers;
        }
    }
    *client = again();
    answers
}

/// The process that serves a client.
fn process_of(client: &mut Imap) -> Process {
    let answer = breach(client, || panic!("it was killed"), &scene::script("getpid"));
    Process::find(answer.parse().unwrap()).unwrap()
}

/// A server, and in it a worker that serves alice, with another beside it.
fn attack_worker(place: Place, settings: &str) {
    let mut server = Site::new().start(&format!("{settings}protocols = imap\nlogin_processes_count = 1\n"));
    server.expect_panics();
    let neighbour = if place == Place::Connection { "alice" } else { "bob" };
    let mut beside = server.login(neighbour);
    let mut alice = server.login("alice");
    let (own, neighbour) = (process_of(&mut alice), process_of(&mut beside));
    assert_ne!(own.pid, neighbour.pid);
    let scene = Scene::new(&server.site, Who::Worker, &own, &neighbour, Some(&server));
    assert_confined(place, &own);
    assert_closed("auth", &server.only("auth"));
    assert_holds(place, &scene, |script| breach(&mut alice, || server.login("alice"), script));
}

fn attack_login(place: Place) {
    let mut server = Site::new().start(&format!("{SHARED}protocols = imap\nlogin_processes_count = 2\n"));
    server.expect_panics();
    let mut stranger = server.imap();
    let own = process_of(&mut stranger);
    let logins = server.status("login");
    let other = logins.iter().map(|row| tests::server::process(&row["pid"])).find(|login| *login != own);
    let scene = Scene::new(&server.site, Who::Login, &own, &other.unwrap(), Some(&server));
    assert_confined(place, &own);
    if place == Place::Login {
        let root = fs::read_link(format!("/proc/{}/root", own.pid)).unwrap();
        assert_ne!(root, Path::new("/"));
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "{}", root.display());
    }
    assert_holds(place, &scene, |script| breach(&mut stranger, || server.imap(), script));
}

/// What /proc says of a process, and that it holds nothing of root's.
fn assert_confined(place: Place, process: &Process) {
    let shared = matches!(place, Place::Shared | Place::SharedByFilter);
    // CAP_SETGID is number 6, CAP_SETUID 7.
    let kept = if shared { "00000000000000c0" } else { "0000000000000000" };
    let line = |name| process.status(name).join(" ");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(line(set), kept, "{place:?} {set}");
    }
    if shared || place == Place::Login {
        assert_eq!(line("CapBnd"), kept, "{place:?}");
    }
    assert_closed(&format!("{place:?}"), process);
    let proc = format!("/proc/{}", process.pid);
    for (number, name) in process.descriptors() {
        let Ok(meta) = fs::metadata(format!("{proc}/fd/{number}")) else { continue };
        let harmless = meta.file_type().is_socket()
            || meta.file_type().is_fifo()
            || name == "/dev/null"
            || name.starts_with("anon_inode:")
            || name.starts_with("/memfd:mail-working");
        assert!(harmless || meta.uid() != 0 && meta.is_file(), "{place:?} holds {number}: {name}");
    }
}

/// What /proc says of each of our processes, whatever it is for.
fn assert_closed(what: &str, process: &Process) {
    let line = |name| process.status(name).join(" ");
    assert_eq!((line("NoNewPrivs"), line("Seccomp")), ("1".to_owned(), "2".to_owned()), "{what}");
    // What belongs to a process that cannot be dumped is root's.
    let proc = format!("/proc/{}", process.pid);
    assert_eq!(fs::metadata(format!("{proc}/environ")).unwrap().uid(), 0, "{what} can be dumped");
    let limits = fs::read_to_string(format!("{proc}/limits")).unwrap_or_default();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    assert_eq!(core.split_whitespace().nth(5), Some("0"), "{what}: {core}");
}

#[test]
fn a_shared_worker_in_a_namespace_can_be_mail_users_and_nothing_else() {
    let test = "a_shared_worker_in_a_namespace_can_be_mail_users_and_nothing_else";
    if root(test) && (scene::has_namespaces() || skipped(test, "no user namespaces")) {
        attack_worker(Place::Shared, &format!("{SHARED}mail_max_connections = 1\nmail_jail = namespace\n"));
    }
}

#[test]
fn a_shared_worker_by_the_filter_can_be_mail_users_and_nothing_else() {
    if root("a_shared_worker_by_the_filter_can_be_mail_users_and_nothing_else") {
        attack_worker(
            Place::SharedByFilter,
            &format!("{SHARED}mail_max_connections = 1\nmail_jail = filter\n"),
        );
    }
}

#[test]
fn a_worker_of_one_uid_can_be_nobody_else() {
    if root("a_worker_of_one_uid_can_be_nobody_else") {
        attack_worker(Place::Uid, &format!("{SHARED}mail_process_share = uid\n"));
    }
}

#[test]
fn a_worker_of_one_client_can_do_nothing_else() {
    if root("a_worker_of_one_client_can_do_nothing_else") {
        attack_worker(Place::Connection, PRIVATE);
    }
}

#[test]
fn a_worker_without_root_can_only_read_what_its_uid_may() {
    as_uid(NUMBER, "a_worker_without_root_can_only_read_what_its_uid_may", || {
        attack_worker(Place::NoRoot, &format!("{SHARED}mail_max_connections = 1\n"));
    });
}

#[test]
fn a_login_can_do_nothing() {
    if root("a_login_can_do_nothing") {
        attack_login(Place::Login);
    }
}

#[test]
fn a_login_without_root_can_do_nothing() {
    as_uid(NUMBER, "a_login_without_root_can_do_nothing", || attack_login(Place::LoginNoRoot));
}

#[test]
fn a_third_partys_worker_in_the_jail_can_be_mail_users_and_do_what_they_may() {
    let test = "a_third_partys_worker_in_the_jail_can_be_mail_users_and_do_what_they_may";
    if !root(test) {
        return;
    }
    if scene::has_namespaces() || skipped(test, "no user namespaces") {
        scene::in_jail("namespace", |scene, attack| assert_holds(Place::Jail, scene, attack));
    }
    scene::in_jail("filter", |scene, attack| assert_holds(Place::JailByFilter, scene, attack));
}

/// An attack that fails everywhere may be none.
#[test]
fn each_attack_is_one_where_nothing_is_in_its_way() {
    if !root("each_attack_is_one_where_nothing_is_in_its_way") {
        return;
    }
    scene::unconfined(|scene, attack| {
        let mut malformed = Vec::new();
        for Attack { name, script, .. } in ATTACKS {
            let outcome = outcome(&attack(&scene.script(script)));
            println!("{name}: {outcome:?}");
            // A machine may itself be a jail; what the kernel does not understand is no attack.
            if matches!(outcome, Outcome::Refused(Errno::EFAULT | Errno::ENOENT | Errno::ENOTDIR)) {
                malformed.push(format!("{name}: {outcome:?}"));
            }
        }
        assert!(malformed.is_empty(), "no attacks:\n{}", malformed.join("\n"));
    });
}

/// A user whom no database knows.
const NUMBER: u32 = 20999;
