//! A fault in one client's command ends that client and no other. (Debug builds have commands for it.)
#![allow(clippy::unwrap_used, clippy::panic)]
#![cfg(debug_assertions)]

use tests::{PRIVATE, SHARED, Server, until};

#[test]
fn a_panic_ends_its_client_with_bye_and_no_other() {
    let mut server = Server::start(SHARED);
    server.expect_panics();
    let mut alice = server.login("alice");
    let mut second = server.login("alice");
    let mut bob = server.login("bob");
    assert!(server.who().iter().all(|row| row["worker"] == server.who()[0]["worker"]));
    for client in [&mut alice, &mut second, &mut bob] {
        client.ask("SELECT INBOX").ok();
    }
    let tag = bob.idle();
    alice.begin("XPANIC");
    assert_eq!(alice.rest(), ["* BYE Internal error."]);
    server.wait_for_sessions(2);
    server.wait_for_log("alice: disconnected for an internal error");
    // The same user's other client, and another's that waits.
    second.ask("NOOP").ok();
    server.site.deliver("alice", "", "Subject: one\n\n");
    until("the message", || second.ask("NOOP").ok().untagged.contains(&"1 EXISTS".to_owned()).then_some(()));
    server.site.deliver("bob", "", "Subject: one\n\n");
    assert_eq!(bob.line(), "* 1 EXISTS");
    bob.line();
    bob.done(&tag).ok();
    server.login("alice").ask("SELECT INBOX").ok();
}

#[test]
fn panics_do_not_add_up() {
    let mut server = Server::start(SHARED);
    server.expect_panics();
    let mut bob = server.login("bob");
    let worker = server.who()[0]["worker"].clone();
    for _ in 0..50 {
        let mut alice = server.login("alice");
        alice.ask("SELECT INBOX").ok();
        alice.send(b"a NOOP\r\nb XPANIC\r\nc NOOP\r\n");
        alice.reply("a").ok();
        assert_eq!(alice.rest(), ["* BYE Internal error."]);
    }
    server.wait_for_sessions(1);
    bob.ask("NOOP").ok();
    assert_eq!(server.who()[0]["worker"], worker);
    assert!(server.status("quarantine").is_empty());
}

#[test]
fn a_panic_ends_a_pop3_client_and_no_other() {
    let mut server = Server::start(SHARED);
    server.expect_panics();
    server.site.deliver("alice", "", "Subject: one\n\n");
    let mut alice = server.pop3_login("alice");
    let mut bob = server.pop3_login("bob");
    assert!(alice.ask("DELE 1").starts_with("+OK"));
    alice.send(b"XPANIC\r\n");
    let rest = alice.rest();
    assert!(rest.len() == 1 && rest[0].starts_with("-ERR"), "{rest:?}");
    assert!(bob.ask("NOOP").starts_with("+OK"));
    server.wait_for_sessions(1);
    // What it had marked is not deleted.
    assert_eq!(server.pop3_login("alice").ask("STAT").split(' ').nth(1), Some("1"));
}

#[test]
fn a_panic_in_a_process_of_its_own_ends_that() {
    let mut server = Server::start(PRIVATE);
    server.expect_panics();
    let mut alice = server.login("alice");
    let mut bob = server.login("bob");
    alice.begin("XPANIC");
    assert_eq!(alice.rest(), ["* BYE Internal error."]);
    server.wait_for_sessions(1);
    bob.ask("NOOP").ok();
}

#[test]
fn a_user_whose_mail_kills_workers_takes_down_two_and_not_the_pool() {
    let server = Server::start(&format!("{SHARED}protocols = imap\nmail_max_connections = 3\n"));
    let mut clients: Vec<_> = (0..5).map(|_| server.login("bob")).collect();
    let mut lost = 0;
    for _ in 0..5 {
        let mut alice = server.login("alice");
        alice.begin("XABORT");
        assert!(alice.rest().is_empty());
        server.wait_for_sessions_of("alice", 0);
        let left = server.who().len();
        lost += usize::from(left < clients.len());
        clients.retain_mut(|client| {
            client.send(b"n NOOP\r\n");
            client.try_line().is_some()
        });
        assert_eq!(clients.len(), left);
        clients.extend((left..5).map(|_| server.login("bob")));
    }
    assert_eq!(lost, 1, "one shared process, and after that only her own");
    let quarantine = server.status("quarantine");
    assert_eq!(quarantine.len(), 1, "{quarantine:?}");
    assert_eq!(quarantine[0]["user"], "alice");
    server.wait_for_log("alice: two mail processes died while they worked for this user");
}
