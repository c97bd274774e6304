//! POP3 before login, without a socket.

use super::*;
use crate::conversation::tests::{attempt, offers, talk};
use proptest::prelude::*;

fn pop3(plaintext: Plaintext) -> Pop3 {
    Pop3::new(Rc::new(offers(plaintext)))
}

fn says(input: &str) -> String {
    talk(&mut pop3(Plaintext::Allowed), input.as_bytes()).0
}

#[test]
fn what_needs_no_login_is_answered() {
    let mut out = Vec::new();
    pop3(Plaintext::Allowed).greet(&mut out);
    assert_eq!(out, b"+OK Mail server ready.\r\n");
    let capa = says("CAPA\r\n");
    assert!(capa.starts_with("+OK\r\n") && capa.ends_with("\r\n.\r\n"));
    assert!(capa.contains("\r\nSASL PLAIN LOGIN\r\n") && capa.contains("\r\nUSER\r\n"));
    for line in ["EXPIRE NEVER", "UTF8", "LANG"] {
        assert!(capa.contains(&format!("\r\n{line}\r\n")), "{capa}");
    }
    assert!(!capa.contains("IMPLEMENTATION") && !capa.contains("LOGIN-DELAY"), "{capa}");
    assert_eq!(says("UTF8\r\nLANG en-GB\r\n"), "+OK UTF8 enabled.\r\n+OK en Language changed.\r\n");
    assert_eq!(says("LANG de\r\n"), "-ERR We speak English only.\r\n");
    assert_eq!(says("AUTH\r\n"), "+OK\r\nPLAIN\r\nLOGIN\r\n.\r\n");
    let (said, next, _) = talk(&mut pop3(Plaintext::Allowed), b"QUIT\r\n");
    assert_eq!((said.as_str(), next), ("+OK Logging out.\r\n", Next::Leave(Departure::Quit)));
}

#[test]
fn what_needs_a_login_is_an_error_and_costs_itself_only() {
    assert_eq!(says("STAT\r\nUSER alice\r\n"), "-ERR Please log in first.\r\n+OK\r\n");
    assert_eq!(says("STLS\r\n"), "-ERR TLS is not available.\r\n");
    assert_eq!(says("PASS secret\r\n"), "-ERR No user name given.\r\n");
    assert_eq!(says("HELO\r\n"), "-ERR Unknown command\r\n");
    let long = format!("USER {}\r\nQUIT\r\n", "x".repeat(LONGEST));
    assert_eq!(says(&long), "-ERR Command line too long.\r\n+OK Logging out.\r\n");
}

#[test]
fn user_and_pass_take_their_lines_and_nothing_behind_them() {
    let (said, next, rest) = talk(&mut pop3(Plaintext::Allowed), b"USER alice\r\nPASS se cret\r\nSTAT\r\n");
    assert_eq!(said, "+OK\r\n");
    assert_eq!(next, attempt(Method::Plain, "alice", "se cret"));
    assert_eq!(rest, b"STAT\r\n");
}

#[test]
fn a_password_is_used_once() {
    let mut pop3 = pop3(Plaintext::Allowed);
    talk(&mut pop3, b"USER alice\r\nPASS wrong\r\n");
    let mut out = Vec::new();
    pop3.answer(&Verdict::Failed { reason: None, why: None }, &mut out);
    assert_eq!(out, b"-ERR [AUTH] Authentication failed.\r\n");
    assert_eq!(talk(&mut pop3, b"PASS secret\r\n").0, "-ERR No user name given.\r\n");
}

#[test]
fn auth_with_and_without_an_initial_response() {
    let (said, next, rest) =
        talk(&mut pop3(Plaintext::Allowed), b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nSTAT\r\n");
    assert_eq!((said.as_str(), rest.as_slice()), ("", &b"STAT\r\n"[..]));
    assert_eq!(next, attempt(Method::Plain, "alice", "secret"));
    let (said, next, _) = talk(&mut pop3(Plaintext::Allowed), b"auth plain\r\nAGFsaWNlAHNlY3JldA==\r\n");
    assert_eq!(said, "+ \r\n");
    assert_eq!(next, attempt(Method::Plain, "alice", "secret"));
    let (said, next, _) = talk(&mut pop3(Plaintext::Allowed), b"AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\n");
    assert_eq!(said, "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n");
    assert_eq!(next, attempt(Method::Login, "alice", "secret"));
}

#[test]
fn an_exchange_that_comes_to_nothing_is_answered_once() {
    assert_eq!(says("AUTH PLAIN\r\n*\r\nAUTH\r\n").lines().nth(1), Some("-ERR Authentication cancelled."));
    assert_eq!(says("AUTH PLAIN !\r\n"), "-ERR Invalid base64 in response.\r\n");
    assert_eq!(says("AUTH PLAIN =\r\n"), "-ERR [AUTH] Authentication failed.\r\n");
    assert_eq!(says("AUTH GSSAPI\r\n"), "-ERR Unsupported authentication mechanism.\r\n");
    let long = format!("AUTH PLAIN\r\n{}\r\nQUIT\r\n", "A".repeat(2 * LONGEST));
    assert_eq!(says(&long), "+ \r\n-ERR Command line too long.\r\n+OK Logging out.\r\n");
}

#[test]
fn passwords_in_the_clear_are_refused_where_they_are_disabled() {
    for command in ["USER alice", "PASS secret", "AUTH PLAIN AGFsaWNlAHNlY3JldA=="] {
        let (said, next, _) = talk(&mut pop3(Plaintext::Refused), format!("{command}\r\n").as_bytes());
        assert_eq!(said, format!("-ERR [AUTH] {DISALLOWED}\r\n"));
        assert_eq!(next, Next::Disallowed);
    }
    let mut pop3 = pop3(Plaintext::Refused);
    let capa = talk(&mut pop3, b"CAPA\r\n").0;
    assert!(capa.contains("\r\nUTF8\r\n") && !capa.contains("USER") && !capa.contains("SASL"));
    assert_eq!(talk(&mut pop3, b"AUTH\r\n").0, "+OK\r\n.\r\n");
}

#[test]
fn every_verdict_has_its_code() {
    let text = || "Too many.".to_owned();
    for (verdict, answer) in [
        (Verdict::LoggedIn, "+OK Logged in.\r\n"),
        (Verdict::Failed { reason: None, why: None }, "-ERR [AUTH] Authentication failed.\r\n"),
        (Verdict::Temporary, "-ERR [SYS/TEMP] Temporary authentication failure.\r\n"),
        (Verdict::Refused { code: Refusal::Limit, text: text() }, "-ERR [IN-USE] Too many.\r\n"),
        (Verdict::Refused { code: Refusal::Delay, text: text() }, "-ERR [LOGIN-DELAY] Too many.\r\n"),
        (Verdict::Refused { code: Refusal::Unavailable, text: text() }, "-ERR [SYS/TEMP] Too many.\r\n"),
    ] {
        let mut out = Vec::new();
        pop3(Plaintext::Allowed).answer(&verdict, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), answer);
    }
}

#[test]
fn too_many_bad_commands_in_a_row_are_the_end() {
    let (said, next, _) = talk(&mut pop3(Plaintext::Allowed), b"GET / HTTP/1.1\r\n".repeat(20).as_slice());
    assert!(said.ends_with("-ERR Too many invalid commands.\r\n"));
    assert_eq!(next, Next::Leave(Departure::BadCommands));
}

proptest! {
    #[test]
    fn no_bytes_panic(input: Vec<u8>) {
        let mut pop3 = pop3(Plaintext::Allowed);
        talk(&mut pop3, &input);
        talk(&mut pop3, b"\r\n");
    }

    #[test]
    fn no_commands_panic(lines in proptest::collection::vec("(USER|PASS|AUTH|CAPA|TOP)( (PLAIN|LOGIN|x|=|\\*)){0,2}", 0..8)) {
        talk(&mut pop3(Plaintext::Allowed), lines.join("\r\n").as_bytes());
    }
}
