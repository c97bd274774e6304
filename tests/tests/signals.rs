//! What signals do to the master and to a worker.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;

use nix::sys::signal::Signal;
use tests::server::process;
use tests::{PRIVATE, SHARED, Server, until};

#[test]
fn usr1_opens_the_log_again() {
    let site = tests::Site::new();
    let log = site.path("mail.log");
    let server = site.start(SHARED);
    server.reload(&format!("{SHARED}log_path = {}\n", log.display()));
    // The login process and the worker say a line each when a client comes, and none more as long as it stays.
    let lines = |path: &std::path::Path, user: &str| {
        let log = fs::read_to_string(path).unwrap_or_default();
        log.lines().filter(|line| line.contains(user)).count()
    };
    let comes = |user: &str, path: &std::path::Path| {
        let client = server.login(user);
        until("both lines in the log", || (lines(path, user) == 2).then_some(()));
        client
    };
    let _alice = comes("alice", &log);
    let kept = server.site.path("mail.log.1");
    fs::rename(&log, &kept).unwrap();
    let _bob = comes("bob", &kept);
    server.master().signal(Signal::SIGUSR1);
    until("the new log", || log.exists().then_some(()));
    let _carol = comes("carol", &log);
    assert_eq!((lines(&kept, "carol"), lines(&log, "bob")), (0, 0));
}

#[test]
fn informational_lines_go_elsewhere_where_that_is_said() {
    let site = tests::Site::new();
    let (all, info) = (site.path("all.log"), site.path("info.log"));
    let server = site.start(SHARED);
    server.reload(&format!("{SHARED}log_path = {}\ninfo_log_path = {}\n", all.display(), info.display()));
    server.login("alice");
    until("a line", || fs::read_to_string(&info).is_ok_and(|log| log.contains("alice")).then_some(()));
    assert!(!fs::read_to_string(&all).unwrap().contains("Info: "));
}

#[test]
fn usr2_logs_the_three_views_of_the_master() {
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    let _clients = [server.login("alice"), server.login("alice"), server.login("bob")];
    let who = server.who();
    let worker = &who[0]["worker"];
    server.master().signal(Signal::SIGUSR2);
    server.wait_for_log("2 users with their addresses:");
    for line in [
        "3 sessions:".to_owned(),
        format!("session {}: imap alice from 127.0.0.1 in {worker}", who[0]["session"]),
        "1 shared processes:".to_owned(),
        format!("process {worker}: imap, open, generation 1, sessions 1 2 3"),
    ] {
        server.wait_for_log(&line);
    }
    let line = server.wait_for_log("imap alice from 127.0.0.1: 2: ");
    assert!(
        line.contains(&format!("1 in {worker} since ")) && line.contains(&format!(", 2 in {worker} since ")),
        "{line}"
    );
    server.wait_for_log("imap bob from 127.0.0.1: 1: ");
}

#[test]
fn usr2_logs_the_view_of_a_worker() {
    let server = Server::start(SHARED);
    let mut alice = server.login("alice");
    alice.ask("SELECT INBOX").ok();
    let _tag = alice.idle();
    let _bob = server.login("bob");
    process(&server.who()[0]["worker"]).signal(Signal::SIGUSR2);
    let line = server.wait_for_log("2 clients, linked to the master");
    assert!(line.contains("identity: "), "{line}");
    let text = until("both clients in the log", || {
        let log = server.log();
        let view: Vec<&str> = log.lines().skip_while(|line| !line.contains("2 clients, linked")).collect();
        (view.len() >= 3).then(|| view.join("\n"))
    });
    assert!(
        text.contains("alice") && text.contains("IDLE") && text.contains("INBOX") && text.contains("bob"),
        "{text}"
    );
}

#[test]
fn term_and_int_say_bye_to_all_and_end_everything() {
    for settings in [SHARED, PRIVATE] {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let server = Server::start(settings);
            let mut alice = server.login("alice");
            alice.ask("SELECT INBOX").ok();
            let _tag = alice.idle();
            let mut bob = server.pop3_login("bob");
            let mut unknown = server.imap();
            let all = server.master().descendants();
            server.master().signal(signal);
            let rest = alice.rest();
            assert!(
                rest.last().is_some_and(|line| line.starts_with("* BYE")),
                "{settings}{signal}: {rest:?}"
            );
            let rest = unknown.rest();
            assert!(
                rest.last().is_some_and(|line| line.starts_with("* BYE")),
                "{settings}{signal}: {rest:?}"
            );
            bob.rest();
            assert!(server.stop().success());
            assert!(all.iter().all(|process| !process.is_alive()));
        }
    }
}

#[test]
fn where_clients_are_to_be_left_alone_they_are() {
    for settings in [SHARED, PRIVATE] {
        let server = Server::start(&format!("{settings}protocols = imap\nshutdown_clients = no\n"));
        let mut alice = server.login("alice");
        let mut bob = server.login("bob");
        alice.ask("SELECT INBOX").ok();
        let tag = alice.idle();
        let workers: Vec<_> = server.who().iter().map(|row| process(&row["worker"])).collect();
        server.master().signal(Signal::SIGTERM);
        until("the master to end", || (!server.master().is_alive()).then_some(()));
        server.site.deliver("alice", "", "Subject: one\n\n");
        assert_eq!(alice.line(), "* 1 EXISTS");
        bob.ask("NOOP").ok();
        alice.send(b"DONE\r\n");
        while !alice.line().starts_with(&tag) {}
        alice.ask("LOGOUT").ok();
        bob.ask("LOGOUT").ok();
        until("the workers to end", || workers.iter().all(|worker| !worker.is_alive()).then_some(()));
    }
}

#[test]
fn a_worker_heeds_no_hup_and_ends_its_clients_with_bye_on_term() {
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    let mut alice = server.login("alice");
    let worker = process(&server.who()[0]["worker"]);
    worker.signal(Signal::SIGHUP);
    alice.ask("NOOP").ok();
    worker.signal(Signal::SIGTERM);
    let rest = alice.rest();
    assert!(rest.len() == 1 && rest[0].starts_with("* BYE"), "{rest:?}");
    server.wait_for_sessions(0);
    server.login("bob").ask("NOOP").ok();
}

#[test]
fn a_master_that_is_killed_leaves_its_clients_to_their_workers() {
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    let mut alice = server.login("alice");
    let children = server.master().descendants();
    server.master().signal(Signal::SIGKILL);
    until("the master to end", || (!server.master().is_alive()).then_some(()));
    alice.ask("NOOP").ok();
    alice.ask("LOGOUT").ok();
    // With nobody to serve and nobody to answer to, all go by themselves.
    until("all others to end", || children.iter().all(|child| !child.is_alive()).then_some(()));
}
