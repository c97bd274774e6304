//! Who is together with whom in a process, and as whom it runs.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use tests::server::process;
use tests::{Imap, PRIVATE, SHARED, Server, Site, User, root, until};

fn worker_of(server: &Server, user: &str) -> Value {
    server.who().iter().find(|row| row["user"] == user).unwrap()["worker"].clone()
}

/// alice and al are one uid, bob another.
fn site() -> Site {
    Site::with_users([User::new("alice", 20001), User::new("al", 20001), User::new("bob", 20002)])
}

fn start(share: &str) -> (Server, Vec<Imap>) {
    let server = site().start(&format!("{SHARED}protocols = imap\nmail_process_share = {share}\n"));
    let clients = ["alice", "alice", "al", "bob"].iter().map(|user| server.login(user)).collect();
    (server, clients)
}

#[test]
fn all_are_together() {
    let (server, mut clients) = start("all");
    assert_eq!(worker_of(&server, "alice"), worker_of(&server, "al"));
    assert_eq!(worker_of(&server, "alice"), worker_of(&server, "bob"));
    for client in &mut clients {
        client.ask("SELECT INBOX").ok();
    }
}

#[test]
fn those_of_one_uid_are_together() {
    let (server, mut clients) = start("uid");
    if nix::unistd::geteuid().is_root() {
        assert_eq!(worker_of(&server, "alice"), worker_of(&server, "al"));
        assert_ne!(worker_of(&server, "alice"), worker_of(&server, "bob"));
    }
    for client in &mut clients {
        client.ask("SELECT INBOX").ok();
    }
    let shares: Vec<Value> = server.status("worker").into_iter().map(|row| row["share"].clone()).collect();
    assert!(shares.iter().all(|share| share.as_str().unwrap().starts_with("uid ")), "{shares:?}");
}

#[test]
fn those_of_one_name_are_together() {
    let (server, mut clients) = start("user");
    assert_ne!(worker_of(&server, "alice"), worker_of(&server, "al"));
    assert_ne!(worker_of(&server, "alice"), worker_of(&server, "bob"));
    assert_eq!(server.status("worker").len(), 3);
    for client in &mut clients {
        client.ask("SELECT INBOX").ok();
    }
}

#[test]
fn each_is_alone() {
    let server = site().start(&format!("{PRIVATE}protocols = imap\n"));
    let mut clients: Vec<Imap> = ["alice", "alice", "bob"].iter().map(|user| server.login(user)).collect();
    let mut workers: Vec<u64> = server.who().iter().map(|row| row["worker"].as_u64().unwrap()).collect();
    workers.dedup();
    assert_eq!(workers.len(), 3);
    for client in &mut clients {
        client.ask("SELECT INBOX").ok();
    }
    drop(clients);
    until("the processes to end", || server.status("worker").is_empty().then_some(()));
}

#[test]
fn a_process_of_one_user_is_that_user_for_good() {
    if !root("a_process_of_one_user_is_that_user_for_good") {
        return;
    }
    for settings in [
        PRIVATE.to_owned(),
        format!("{SHARED}mail_process_share = uid\n"),
        format!("{SHARED}mail_process_share = user\n"),
    ] {
        let server = site().start(&settings);
        let _alice = server.login("alice");
        let worker = process(&worker_of(&server, "alice"));
        assert_eq!(worker.status("Uid"), ["20001"; 4], "{settings}");
        assert_eq!(worker.status("Gid"), ["20001"; 4], "{settings}");
        assert_eq!(worker.status("Groups"), [""; 0], "{settings}");
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            assert_eq!(worker.status(set), ["0000000000000000"], "{settings} {set}");
        }
    }
}

#[test]
fn login_and_auth_are_users_that_own_nothing() {
    if !root("login_and_auth_are_users_that_own_nothing") {
        return;
    }
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    server.login("alice");
    for (kind, uid) in [("login", "19003"), ("auth", "19002")] {
        let process = server.only(kind);
        assert_eq!(process.status("Uid"), [uid; 4], "{kind}");
        assert_eq!(process.status("Gid"), [uid; 4], "{kind}");
        assert_eq!(process.status("Groups"), [""; 0], "{kind}");
        assert_eq!(process.status("NoNewPrivs"), ["1"], "{kind}");
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"] {
            assert_eq!(process.status(set), ["0000000000000000"], "{kind} {set}");
        }
    }
}

#[test]
fn an_empty_process_is_kept_for_a_while_and_then_ends() {
    let server = Server::start(&format!(
        "{SHARED}protocols = imap\nmail_worker_idle_time = 1\nmail_max_connections = 1\n"
    ));
    let clients = [server.login("alice"), server.login("bob")];
    assert_eq!(server.status("worker").len(), 2);
    drop(clients);
    until("the workers to end", || server.status("worker").is_empty().then_some(()));
    // When they are needed they come again.
    server.login("alice").ask("NOOP").ok();
    assert!(!server.log().contains("Error"), "{}", server.log());
}
