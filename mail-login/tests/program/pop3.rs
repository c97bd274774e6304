//! Logging in by POP3, and being handed over.

use wire::Protocol;
use wire::login::{Refusal, ToLogin};

use crate::stage::{World, waiting};

#[test]
fn a_client_is_handed_over_with_all_that_it_sent_after_its_login() {
    let mut world = World::start("pop3", &[]);
    let mut auth = world.auth();
    for (login, said) in [
        ("USER alice\r\nPASS secret\r\n", "+OK\r\n"),
        ("AUTH PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n", "+ \r\n"),
        ("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", ""),
        ("AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\n", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n"),
    ] {
        for piece in [login.len(), 1] {
            let mut client = world.client();
            for part in login.as_bytes().chunks(piece) {
                client.say(part);
            }
            client.say("STAT\r\n");
            for line in said.lines() {
                assert_eq!(client.line(), line);
            }
            auth.admit();
            let (request, worker) = world.master().request();
            assert_eq!((request.protocol, request.tag.as_str()), (Protocol::Pop3, ""));
            assert_eq!(request.remote, client.end());
            assert_eq!(waiting(&worker, 6), "STAT\r\n");
            world.master().say(&ToLogin::Greet(request.id));
            assert_eq!(client.line(), "+OK Logged in.");
            assert_eq!(world.master().greeted(), request.id);
            drop(worker);
            assert_eq!(client.rest(), "");
        }
    }
}

#[test]
fn one_that_is_not_let_in_is_told_why_and_may_try_again() {
    let mut world = World::start("pop3", &[]);
    let mut auth = world.auth();
    let mut client = world.client();
    client.say("USER alice\r\nPASS wrong\r\n");
    auth.reject();
    assert_eq!(client.line(), "+OK");
    assert_eq!(client.line(), "-ERR [AUTH] Authentication failed.");
    let line = world.logged("Login failed");
    assert!(
        line.ends_with("Login failed: user=<alice>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1"),
        "{line}"
    );
    for (code, answer) in [
        (Refusal::Limit, "-ERR [IN-USE] Too many."),
        (Refusal::Delay, "-ERR [LOGIN-DELAY] Too many."),
        (Refusal::Unavailable, "-ERR [SYS/TEMP] Too many."),
    ] {
        client.say("USER alice\r\nPASS secret\r\n");
        assert_eq!(client.line(), "+OK");
        auth.admit();
        let (request, _worker) = world.master().request();
        world.master().say(&ToLogin::Refused { id: request.id, code, text: "Too many.".to_owned() });
        assert_eq!(client.line(), answer);
    }
    let (id, _) = {
        client.say("USER alice\r\nPASS secret\r\n");
        client.line();
        auth.question()
    };
    auth.write(&format!("FAIL\t{id}\ttemp\n"));
    assert_eq!(client.line(), "-ERR [SYS/TEMP] Temporary authentication failure.");
    client.say("QUIT\r\n");
    assert_eq!(client.rest(), "+OK Logging out.\r\n");
}

#[test]
fn last_words_are_errors() {
    let world = World::start("pop3", &[("LOGIN_TIMEOUT", "1")]);
    let mut client = world.client();
    assert_eq!(client.rest(), "-ERR Disconnected for inactivity.\r\n");
    assert!(world.logged("Disconnected").contains("Disconnected: Inactivity (no auth attempts in 1 secs): "));
}
