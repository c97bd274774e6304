//! Clients come and go while processes are killed, sessions kicked and configurations read: when it is over the account is
//! exact, and everything works.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use tests::process::Process;
use tests::{PRIVATE, SHARED, Server, Site, User, until};

/// One client after the other, until it is enough. Whatever happens to them, a limit is never the reason.
fn come_and_go(server: &Server, user: &str, served: &AtomicUsize, enough: &AtomicBool) {
    let mut turn = 0;
    while !enough.load(Ordering::Relaxed) {
        turn += 1;
        let Some(mut imap) = server.try_imap() else { continue };
        imap.send(format!("a LOGIN {user} secret\r\nb SELECT INBOX\r\n").as_bytes());
        while let Some(line) = imap.try_line() {
            assert!(!line.contains("[LIMIT]"), "{line}");
            if line.starts_with("b OK") {
                served.fetch_add(1, Ordering::Relaxed);
                match turn % 3 {
                    0 => imap.send(b"c LOGOUT\r\n"),
                    1 => break,
                    _ => imap.finish_sending(),
                }
            } else if line.starts_with("a NO") {
                break;
            }
        }
    }
}

fn some(server: &Server, name: &str) -> Option<Process> {
    let all = server.master().descendants();
    all.into_iter().find(|process| process.status("Name") == [name])
}

fn chaos(settings: &str) {
    let names: Vec<String> = (1..=4).map(|number| format!("u{number}")).collect();
    let site = Site::with_users(names.iter().zip(20001..).map(|(name, uid)| User::new(name, uid)));
    for name in &names {
        site.deliver(name, "", "Subject: x\n\nx\n");
    }
    // Each has two at most: the one that is, and the one before whose end is not noticed yet.
    let settings =
        format!("{settings}protocols = imap\nmail_max_connections = 2\nmail_quarantine_time = 1\n");
    let server = site.start(&settings);
    let (served, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| come_and_go(&server, name, &served, &enough));
        }
        let stop = Stop(&enough);
        let mut last = 0;
        for round in 0..30 {
            // In between they have to get somewhere.
            until("clients to be served", || (served.load(Ordering::Relaxed) > last + 5).then_some(()));
            last = served.load(Ordering::Relaxed);
            match round % 6 {
                0 | 3 => {
                    some(&server, "mail-worker").into_iter().for_each(|worker| worker.signal(Signal::SIGKILL))
                }
                1 => drop(server.mailctl(&["kick", "u1"])),
                2 => drop(server.mailctl(&["reload"])),
                4 => drop(server.mailctl(&["who"])),
                // A login process or auth that dies young is not replaced at once: seldom.
                _ if round == 11 => {
                    some(&server, "mail-auth").into_iter().for_each(|auth| auth.signal(Signal::SIGKILL))
                }
                _ if round == 23 => {
                    some(&server, "mail-login").into_iter().for_each(|login| login.signal(Signal::SIGKILL))
                }
                _ => server.master().signal(Signal::SIGHUP),
            }
        }
        drop(stop);
    });
    server.wait_for_sessions(0);
    until("what is left over to end", || {
        let differences = server.status("difference");
        let states: Vec<String> =
            server.status("worker").iter().map(|row| row["state"].to_string()).collect();
        (differences.is_empty() && states.iter().all(|state| state == "\"spare\"")).then_some(())
    });
    for name in &names {
        until("a login", || server.imap().try_login(name).status.starts_with("OK").then_some(()));
    }
}

/// Ends what goes on beside when it goes out of scope, even by a panic.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn whatever_happens_the_account_is_exact_where_processes_are_shared() {
    chaos(SHARED);
}

#[test]
fn whatever_happens_the_account_is_exact_where_each_has_a_process() {
    chaos(PRIVATE);
}

#[test]
fn whatever_happens_the_account_is_exact_where_each_login_has_a_process() {
    chaos(&format!("{SHARED}login_process_per_connection = yes\n"));
}
