//! Logging in by IMAP, and being handed over.

use std::io::Write;

use wire::Protocol;
use wire::login::{Refusal, ToLogin};

use crate::stage::{ALICE, World, waiting};

#[test]
fn a_client_is_handed_over_with_all_that_it_sent_after_its_login() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    let mut client = world.client();
    client.say("a1 LOGIN alice secret\r\na2 SELECT INBOX\r\n");
    let auth_id = auth.admit();
    let (request, mut worker) = world.master().request();
    assert_eq!((request.auth_id, request.protocol), (auth_id, Protocol::Imap));
    assert_eq!((request.tag.as_str(), request.secured), ("a1", false));
    assert_eq!(request.remote, client.end());
    assert_eq!(request.local, (world.address.ip(), world.address.port()));
    assert_eq!(waiting(&worker, 17), "a2 SELECT INBOX\r\n");
    world.master().say(&ToLogin::Accepted(request.id));
    assert!(
        world.logged("Login: ").ends_with("Login: user=<alice>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1")
    );
    worker.write_all(b"a1 OK Logged in\r\n").unwrap();
    assert_eq!(client.line(), "a1 OK Logged in");
    // Nobody else has the connection any more.
    drop(worker);
    assert_eq!(client.rest(), "");
}

#[test]
fn every_way_to_say_name_and_password_leads_there() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    for (login, said) in [
        ("a LOGIN \"alice\" \"secret\"\r\n", ""),
        ("a LOGIN {5}\r\nalice {6}\r\nsecret\r\n", "+ OK\r\n+ OK\r\n"),
        ("a LOGIN {5+}\r\nalice {6+}\r\nsecret\r\n", ""),
        ("a AUTHENTICATE PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n", "+ \r\n"),
        ("a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n", ""),
        ("a AUTHENTICATE LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\n", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n"),
    ] {
        // In one piece, and byte by byte.
        for piece in [login.len(), 1] {
            let mut client = world.client();
            for part in login.as_bytes().chunks(piece) {
                client.say(part);
            }
            client.say("b NOOP\r\n");
            for line in said.lines() {
                assert_eq!(client.line(), line);
            }
            auth.admit();
            let (request, worker) = world.master().request();
            assert_eq!(request.tag, "a");
            assert_eq!(waiting(&worker, 8), "b NOOP\r\n");
            world.master().say(&ToLogin::Accepted(request.id));
        }
    }
}

#[test]
fn one_that_is_refused_is_told_and_may_try_again() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    let mut client = world.client();
    client.say("a LOGIN alice secret\r\n");
    auth.admit();
    let (first, worker) = world.master().request();
    drop(worker);
    let text = "Maximum number of connections from user+IP exceeded".to_owned();
    world.master().say(&ToLogin::Refused { id: first.id, code: Refusal::Limit, text: text.clone() });
    assert_eq!(client.line(), format!("a NO [LIMIT] {text}"));
    assert!(world.logged("Login refused").contains(&format!("({text}): user=<alice>, ")));
    assert_eq!(client.ask("b NOOP\r\n"), "b OK NOOP completed.");

    client.say("c LOGIN alice secret\r\n");
    auth.admit();
    let (second, worker) = world.master().request();
    assert_ne!(first.id, second.id);
    let text = "Not now.".to_owned();
    world.master().say(&ToLogin::Refused { id: second.id, code: Refusal::Unavailable, text });
    assert_eq!(client.line(), "c NO [UNAVAILABLE] Not now.");
    drop(worker);
}

#[test]
fn one_whose_program_does_not_greet_is_greeted_here() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    let mut client = world.client();
    client.say("a LOGIN alice secret\r\nb NOOP\r\n");
    auth.admit();
    let (request, worker) = world.master().request();
    world.master().say(&ToLogin::Greet(request.id));
    assert_eq!(client.line(), "a OK Logged in.");
    assert_eq!(world.master().greeted(), request.id);
    assert_eq!(waiting(&worker, 8), "b NOOP\r\n");
    drop(worker);
    assert_eq!(client.rest(), "");
}

#[test]
fn a_wrong_password_may_be_corrected_and_too_many_are_the_end() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    let mut client = world.client();
    client.say("a LOGIN alice wrong\r\nb NOOP\r\n");
    auth.reject();
    assert_eq!(client.line(), "a NO [AUTHENTICATIONFAILED] Authentication failed.");
    assert_eq!(client.line(), "b OK NOOP completed.");
    let line = world.logged("Login failed");
    assert!(
        line.ends_with("Login failed: user=<alice>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1"),
        "{line}"
    );
    for _ in 1..5 {
        client.say("c AUTHENTICATE LOGIN YWxpY2U=\r\n");
        client.line();
        client.say("d3Jvbmc=\r\n");
        auth.reject();
        assert_eq!(client.line(), "c NO [AUTHENTICATIONFAILED] Authentication failed.");
    }
    assert_eq!(client.rest(), "* BYE Too many failed logins.\r\n");
    let line = world.logged("Disconnected");
    assert!(line.contains("Disconnected: Too many failed logins (auth failed, 5 attempts in "), "{line}");
    assert!(line.ends_with("): user=<alice>, method=LOGIN, rip=127.0.0.1, lip=127.0.0.1"), "{line}");
}

#[test]
fn nobody_can_forge_the_log_by_his_name() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    let mut client = world.client();
    client.say("a LOGIN \"x>, rip=192.0.2.1, <\" secret\r\n");
    auth.reject();
    let line = world.logged("Login failed");
    assert!(line.contains("user=<x\\x3e, rip=192.0.2.1, \\x3c>, method=PLAIN, rip=127.0.0.1"), "{line}");
    assert!(client.line().starts_with("a NO "));
}

#[test]
fn an_exchange_can_be_cancelled() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    let mut client = world.client();
    assert_eq!(client.ask("a AUTHENTICATE PLAIN\r\n"), "+ ");
    assert_eq!(client.ask("*\r\n"), "a BAD Authentication cancelled.");
    client.say(format!("b AUTHENTICATE PLAIN {ALICE}\r\n"));
    auth.admit();
    assert_eq!(world.master().request().0.tag, "b");
}

#[test]
fn leaving_is_answered_and_logged() {
    let world = World::start("imap", &[("GREETING", "Welcome.")]);
    let mut client = world.silent_client();
    let greeting = client.line();
    assert!(
        greeting.starts_with("* OK [CAPABILITY IMAP4rev1 ") && greeting.ends_with("] Welcome."),
        "{greeting}"
    );
    client.say("a LOGOUT\r\n");
    assert_eq!(client.rest(), "* BYE Logging out.\r\na OK Logout completed.\r\n");
    let line = world.logged("Disconnected");
    assert!(line.contains("Disconnected: Logged out (no auth attempts in "), "{line}");
    assert!(line.ends_with("): rip=127.0.0.1, lip=127.0.0.1"), "{line}");
    drop(world.client());
    assert!(world.logged("Disconnected").contains("Disconnected (no auth attempts in "));
}
