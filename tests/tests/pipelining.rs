//! What a client sends before it is answered is not lost on its way from the login process to its worker, however it
//! arrives.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::thread;

use tests::{Imap, PRIVATE, Pop3, SHARED, Server};

const MESSAGE: &str = "From: a@example.org\nSubject: one\n\nHello\n";

fn start(settings: &str) -> Server {
    let server = Server::start(settings);
    server.site.deliver("alice", "", MESSAGE);
    server
}

/// The ways in which the same bytes can arrive.
fn ways(bytes: &[u8], send: &mut dyn FnMut(&[u8]), way: usize) {
    match way {
        0 => send(bytes),
        1 => bytes.iter().for_each(|byte| send(&[*byte])),
        _ => bytes.chunks(way).for_each(send),
    }
}

fn session(mut imap: Imap, commands: &str, way: usize) {
    ways(commands.as_bytes(), &mut |part| imap.send(part), way);
    imap.reply("a").ok();
    assert!(imap.reply("b").ok().untagged.contains(&"1 EXISTS".to_owned()));
    let fetched = imap.reply("c").ok();
    assert_eq!(fetched.named("FETCH"), ["1 FETCH (BODY[TEXT] {7}\r\nHello\r\n)"]);
    imap.reply("d").ok();
    assert!(imap.rest().is_empty());
}

fn imap_sessions(settings: &str) {
    let server = start(settings);
    let rest = "b EXAMINE INBOX\r\nc FETCH 1 BODY.PEEK[TEXT]\r\nd LOGOUT\r\n";
    for (way, login) in [
        (0, "a LOGIN alice secret\r\n"),
        (1, "a LOGIN alice secret\r\n"),
        (7, "a LOGIN \"alice\" \"secret\"\r\n"),
        (0, "a LOGIN {5+}\r\nalice {6+}\r\nsecret\r\n"),
        (1, "a LOGIN {5+}\r\nalice {6+}\r\nsecret\r\n"),
        (0, "a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n"),
        (5, "a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n"),
    ] {
        session(server.imap(), &format!("{login}{rest}"), way);
    }
    server.wait_for_sessions(0);
}

#[test]
fn an_imap_session_in_one_write_or_byte_by_byte_where_processes_are_shared() {
    imap_sessions(SHARED);
}

#[test]
fn an_imap_session_in_one_write_or_byte_by_byte_where_each_has_a_process() {
    imap_sessions(PRIVATE);
}

#[test]
fn what_comes_before_the_login_is_answered_in_order() {
    let server = start(SHARED);
    let mut imap = server.imap();
    imap.send(
        b"1 CAPABILITY\r\n2 NOOP\r\n3 LOGIN alice wrong\r\n4 ID NIL\r\na LOGIN alice secret\r\nb NOOP\r\n",
    );
    for tag in ["1", "2"] {
        imap.reply(tag).ok();
    }
    assert!(imap.reply("3").status.starts_with("NO [AUTHENTICATIONFAILED]"));
    for tag in ["4", "a", "b"] {
        imap.reply(tag).ok();
    }
}

#[test]
fn a_client_that_sends_on_while_it_is_handed_over_is_answered_in_order() {
    let server = start(SHARED);
    for _ in 0..50 {
        let mut imap = server.imap();
        imap.send(b"a LOGIN alice secret\r\n");
        for number in 0..50 {
            imap.send(format!("n{number} NOOP\r\n").as_bytes());
        }
        imap.reply("a").ok();
        for number in 0..50 {
            imap.reply(&format!("n{number}")).ok();
        }
    }
}

#[test]
fn many_that_pipeline_at_once_each_get_their_own_answers() {
    let server = start(SHARED);
    thread::scope(|scope| {
        for user in ["alice", "bob", "carol"] {
            let server = &server;
            scope.spawn(move || {
                for round in 0..50 {
                    let mut imap = server.imap();
                    let tag = format!("{user}{round}");
                    imap.send(
                        format!("{tag} LOGIN {user} secret\r\n{tag}x NOOP\r\n{tag}y LOGOUT\r\n").as_bytes(),
                    );
                    imap.reply(&tag).ok();
                    imap.reply(&format!("{tag}x")).ok();
                    imap.reply(&format!("{tag}y")).ok();
                    assert!(imap.rest().is_empty());
                }
            });
        }
    });
    server.wait_for_sessions(0);
}

fn pop3_session(mut pop3: Pop3, login: &str, way: usize) {
    let commands = format!("{login}STAT\r\nRETR 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n");
    ways(commands.as_bytes(), &mut |part| pop3.send(part), way);
    for _ in 0..login.lines().count() {
        assert!(pop3.line().starts_with("+OK"));
    }
    assert!(pop3.line().starts_with("+OK 1 "));
    assert!(pop3.line().starts_with("+OK"));
    assert_eq!(pop3.lines(), ["From: a@example.org", "Subject: one", "", "Hello"]);
    for _ in 0..3 {
        assert!(pop3.line().starts_with("+OK"));
    }
    assert!(pop3.rest().is_empty());
}

#[test]
fn a_pop3_session_in_one_write_or_byte_by_byte() {
    for settings in [SHARED, PRIVATE] {
        let server = start(settings);
        for way in [0, 1, 9] {
            pop3_session(server.pop3(), "USER alice\r\nPASS secret\r\n", way);
            pop3_session(server.pop3(), "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", way);
        }
        server.wait_for_sessions(0);
    }
}

#[test]
fn the_end_of_what_a_client_sends_is_noticed_behind_its_commands() {
    for settings in [SHARED, PRIVATE] {
        let server = start(settings);
        let mut imap = server.imap();
        imap.send(b"a LOGIN alice secret\r\nb NOOP\r\n");
        imap.finish_sending();
        imap.reply("a").ok();
        imap.reply("b").ok();
        imap.rest();
        server.wait_for_sessions(0);
    }
}
