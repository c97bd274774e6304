//! After thousands of clients that came and went everything is as it was: descriptors, memory, the account.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::thread;

use tests::held::Held;
use tests::{PRIVATE, SHARED, Server, Site, User, until};

/// Lets as many clients log in, do something and leave.
fn come_and_go(server: &Server, clients: usize) {
    thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                for number in 0..clients / 2 {
                    let mut imap = server.imap();
                    let user = (number * 2 + half) % 20 + 1;
                    // Some leave without a word.
                    match number % 5 {
                        0 => imap.send(format!("a LOGIN u{user} secret\r\n").as_bytes()),
                        1 => {
                            imap.login(&format!("u{user}"));
                        }
                        _ => {
                            imap.send(
                                format!("a LOGIN u{user} secret\r\nb EXAMINE INBOX\r\nc LOGOUT\r\n")
                                    .as_bytes(),
                            );
                            imap.reply("a").ok();
                            imap.reply("b").ok();
                            imap.reply("c").ok();
                        }
                    }
                }
            });
        }
    });
    server.wait_for_sessions(0);
}

fn start(settings: &str) -> Server {
    let users = (1..=20).map(|number| User::new(&format!("u{number}"), 20_000 + number));
    let limits = "protocols = imap\nauth_max_attempts_per_minute = 0\nmail_max_userip_connections = 0\nmail_max_connections = 1000\nmail_worker_idle_time = 1h\n";
    Site::with_users(users).start(&format!("{settings}{limits}"))
}

#[test]
fn ten_thousand_hand_offs_leave_nothing_behind() {
    let server = start(SHARED);
    come_and_go(&server, 2_000);
    let before = Held::at_rest(&server);
    come_and_go(&server, 10_000);
    before.assert_no_more(&server, GROWTH);
    assert_eq!(server.status("worker").len(), 1);
}

#[test]
fn a_thousand_processes_of_their_own_leave_nothing_behind() {
    let server = start(PRIVATE);
    come_and_go(&server, 200);
    until("all processes to end", || server.status("worker").is_empty().then_some(()));
    let before = Held::at_rest(&server);
    come_and_go(&server, 1_000);
    until("all processes to end", || server.status("worker").is_empty().then_some(()));
    before.assert_no_more(&server, GROWTH);
}

#[test]
fn clients_that_never_log_in_leave_nothing_behind() {
    let server = start(SHARED);
    let come = |count: usize| {
        for number in 0..count {
            let mut imap = server.imap();
            match number % 4 {
                0 => {}
                1 => imap.send(b"a LOGIN u1 {6}\r\n"),
                2 => assert!(imap.ask("LOGIN u1 wrong").status.starts_with("NO ")),
                _ => drop(imap.ask("LOGOUT")),
            }
        }
    };
    come(400);
    server.login("u1");
    server.wait_for_sessions(0);
    let before = Held::at_rest(&server);
    come(2_000);
    before.assert_no_more(&server, GROWTH);
}

#[test]
fn reloads_leave_nothing_behind() {
    let server = start(SHARED);
    let settled = || {
        until("the old processes to end", || {
            let workers = server.status("worker");
            (workers.len() == 1 && server.status("login").len() == 1 && workers[0]["state"] == "spare")
                .then_some(())
        });
    };
    let reload = |times: usize| {
        for _ in 0..times {
            server.ctl(&["reload"]);
            server.login("u1");
        }
        server.wait_for_sessions(0);
        settled();
    };
    reload(5);
    let count = || {
        let mut all = Held::at_rest(&server).descriptors();
        all.sort_unstable();
        all
    };
    let (before, memory) = (count(), server.master().private_memory());
    reload(50);
    assert_eq!(count(), before);
    assert!(server.master().private_memory() < memory + 2048);
}

/// What may come and go, in kilobytes.
const GROWTH: u64 = 2048;
