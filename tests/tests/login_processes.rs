//! Login processes that serve one connection each, and how many there are; addresses of both families.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::TcpListener;
use std::process::Command;

use tests::{Imap, PRIVATE, SHARED, Server, Site, skipped, until};

const EACH: &str = "protocols = imap\nlogin_process_per_connection = yes\n";

#[test]
fn each_connection_has_a_process_and_some_are_always_waiting() {
    for settings in [SHARED, PRIVATE] {
        let server = Server::start(&format!("{settings}{EACH}login_processes_count = 2\n"));
        let waiting = |busy: usize| {
            until("two to be waiting", || {
                let rows = server.status("login");
                let free = rows.iter().filter(|row| row["clients"] == 0).count();
                (free == 2 && rows.len() == busy + 2).then_some(())
            });
        };
        waiting(0);
        let mut clients: Vec<Imap> = (0..5).map(|_| server.imap()).collect();
        waiting(5);
        for client in &mut clients {
            client.ask("NOOP").ok();
            client.login("alice");
        }
        // Those that have handed their client over are needed no more.
        waiting(0);
        assert_eq!(server.who().len(), 5);
        for client in &mut clients {
            client.ask("SELECT INBOX").ok();
        }
    }
}

#[test]
fn where_there_can_be_no_more_of_them_the_oldest_makes_room() {
    let server =
        Server::start(&format!("{SHARED}{EACH}login_processes_count = 1\nlogin_max_processes_count = 4\n"));
    let mut clients: Vec<Imap> = (0..4).map(|_| server.imap()).collect();
    // All are taken now: one more comes in place of the one that came first.
    let mut fifth = server.imap();
    fifth.login("alice");
    let rest = clients[0].rest();
    assert!(rest.is_empty() || rest[0].starts_with("* BYE"), "{rest:?}");
    clients[3].login("bob");
}

#[test]
fn pipelining_through_a_process_of_its_own_loses_nothing() {
    let server = Server::start(&format!("{SHARED}{EACH}"));
    for _ in 0..20 {
        let mut imap = server.imap();
        imap.send(b"a LOGIN alice secret\r\nb SELECT INBOX\r\nc LOGOUT\r\n");
        for tag in ["a", "b", "c"] {
            imap.reply(tag).ok();
        }
    }
    server.wait_for_sessions(0);
}

#[test]
fn clients_come_by_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        skipped("clients_come_by_ipv6", "no IPv6 here");
        return;
    }
    let site = Site::new();
    let address = site.imap_address();
    let server = site
        .start(&format!("{SHARED}protocols = imap\nprotocol imap {{\n  listen = {address}, [::1]:0\n}}\n"));
    let listen = server.status("master")[0]["listen"].as_str().unwrap().to_owned();
    let port = listen.rsplit(':').next().unwrap().to_owned();
    let script = "
import imaplib, sys
m = imaplib.IMAP4('::1', int(sys.argv[1]))
m.login('alice', 'secret')
m.select('INBOX')
sys.stdin.read()
";
    let mut python = Command::new("python3")
        .args(["-c", script, &port])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    until("the session", || server.who().iter().any(|row| row["address"] == "::1").then_some(()));
    assert_eq!(server.ctl(&["kick", "::1"]).len(), 1);
    drop(python.stdin.take());
    python.wait().unwrap();
    server.wait_for_sessions(0);
}
