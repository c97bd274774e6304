//! IMAP before login, without a socket.

use super::*;
use crate::conversation::tests::{attempt, offers, talk};
use proptest::prelude::*;

fn imap(plaintext: Plaintext) -> Imap {
    Imap::new(Rc::new(offers(plaintext)))
}

fn says(input: &str) -> String {
    talk(&mut imap(Plaintext::Allowed), input.as_bytes()).0
}

#[test]
fn greeting_has_the_capabilities() {
    let mut out = Vec::new();
    imap(Plaintext::Allowed).greet(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE AUTH=PLAIN AUTH=LOGIN] Mail server ready.\r\n"
    );
}

#[test]
fn what_needs_no_login_is_answered() {
    assert_eq!(says("a NOOP\r\n"), "a OK NOOP completed.\r\n");
    assert_eq!(says("a id nil\r\n"), "* ID NIL\r\na OK ID completed.\r\n");
    assert_eq!(says("a ID (\"name\" \"x\")\r\n"), "* ID NIL\r\na OK ID completed.\r\n");
    assert!(says("a CAPABILITY\r\n").starts_with("* CAPABILITY IMAP4rev1 "));
    let (said, next, _) = talk(&mut imap(Plaintext::Allowed), b"a LOGOUT\r\n");
    assert_eq!(said, "* BYE Logging out.\r\na OK Logout completed.\r\n");
    assert_eq!(next, Next::Leave(Departure::Quit));
}

#[test]
fn what_needs_a_login_is_bad_and_costs_itself_only() {
    assert_eq!(
        says("a SELECT INBOX\r\nb NOOP\r\n"),
        "a BAD Please log in first.\r\nb OK NOOP completed.\r\n"
    );
    assert_eq!(says("a STARTTLS\r\n"), "a BAD TLS is not available.\r\n");
    assert_eq!(
        says("a APPEND INBOX {3+}\r\nabc\r\nb NOOP\r\n"),
        "a BAD Please log in first.\r\nb OK NOOP completed.\r\n"
    );
    assert_eq!(
        says("a APPEND INBOX {3}\r\nb NOOP\r\n"),
        "a BAD Please log in first.\r\nb OK NOOP completed.\r\n"
    );
    assert!(says("a FOO\r\n").starts_with("a BAD "));
    assert!(says("\r\n").starts_with("* BAD "));
}

#[test]
fn login_takes_atoms_quotes_and_literals_and_nothing_behind_them() {
    for login in [
        "a LOGIN alice secret\r\n",
        "a login \"alice\" \"secret\"\r\n",
        "a LOGIN {5+}\r\nalice {6+}\r\nsecret\r\n",
    ] {
        let input = format!("{login}b SELECT INBOX\r\n");
        let mut imap = imap(Plaintext::Allowed);
        let (said, next, rest) = talk(&mut imap, input.as_bytes());
        assert_eq!((said.as_str(), imap.tag()), ("", "a"));
        assert_eq!(next, attempt(Method::Plain, "alice", "secret"));
        assert_eq!(rest, b"b SELECT INBOX\r\n");
    }
    let (said, next, _) = talk(&mut imap(Plaintext::Allowed), b"a LOGIN {5}\r\nalice {6}\r\nsecret\r\n");
    assert_eq!(said, "+ OK\r\n+ OK\r\n");
    assert_eq!(next, attempt(Method::Plain, "alice", "secret"));
}

#[test]
fn authenticate_with_and_without_an_initial_response() {
    let mut one = imap(Plaintext::Allowed);
    let (said, next, rest) = talk(&mut one, b"a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\nb NOOP\r\n");
    assert_eq!((said.as_str(), rest.as_slice()), ("", &b"b NOOP\r\n"[..]));
    assert_eq!(next, attempt(Method::Plain, "alice", "secret"));

    let (said, next, _) =
        talk(&mut imap(Plaintext::Allowed), b"a authenticate plain\r\nAGFsaWNlAHNlY3JldA==\r\n");
    assert_eq!(said, "+ \r\n");
    assert_eq!(next, attempt(Method::Plain, "alice", "secret"));

    for start in ["a AUTHENTICATE LOGIN\r\nYWxpY2U=\r\n", "a AUTHENTICATE LOGIN YWxpY2U=\r\n"] {
        let input = format!("{start}c2VjcmV0\r\n");
        let (said, next, _) = talk(&mut imap(Plaintext::Allowed), input.as_bytes());
        assert!(said.ends_with("+ UGFzc3dvcmQ6\r\n"));
        assert_eq!(next, attempt(Method::Login, "alice", "secret"));
    }
}

#[test]
fn an_exchange_that_comes_to_nothing_is_answered_once() {
    let cancelled = says("a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n");
    assert_eq!(cancelled, "+ \r\na BAD Authentication cancelled.\r\nb OK NOOP completed.\r\n");
    assert_eq!(says("a AUTHENTICATE PLAIN\r\n!\r\n"), "+ \r\na BAD Invalid base64 in response.\r\n");
    let failed = "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n";
    assert_eq!(says("a AUTHENTICATE PLAIN =\r\n"), failed);
    assert_eq!(says("a AUTHENTICATE GSSAPI\r\n"), "a NO [CANNOT] Unsupported authentication mechanism.\r\n");
    let long = format!("a AUTHENTICATE PLAIN\r\n{}\r\nb NOOP\r\n", "A".repeat(2 * LONGEST));
    assert_eq!(says(&long), "+ \r\na BAD Command line too long\r\nb OK NOOP completed.\r\n");
}

#[test]
fn passwords_in_the_clear_are_refused_where_they_are_disabled() {
    for command in ["LOGIN alice secret", "AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==", "AUTHENTICATE LOGIN"] {
        let (said, next, _) = talk(&mut imap(Plaintext::Refused), format!("a {command}\r\n").as_bytes());
        assert_eq!(said, format!("a NO [PRIVACYREQUIRED] {DISALLOWED}\r\n"));
        assert_eq!(next, Next::Disallowed);
    }
    let said = talk(&mut imap(Plaintext::Refused), b"a CAPABILITY\r\n").0;
    assert!(said.contains(" LOGINDISABLED\r\n") && !said.contains("AUTH="));
}

#[test]
fn every_verdict_has_its_code() {
    let text = || "Too many.".to_owned();
    for (verdict, answer) in [
        (Verdict::LoggedIn, "a OK Logged in.\r\n"),
        (
            Verdict::Failed { reason: None, why: None },
            "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n",
        ),
        (Verdict::Failed { reason: Some(text()), why: None }, "a NO [AUTHENTICATIONFAILED] Too many.\r\n"),
        (Verdict::Temporary, "a NO [UNAVAILABLE] Temporary authentication failure.\r\n"),
        (Verdict::Refused { code: Refusal::Limit, text: text() }, "a NO [LIMIT] Too many.\r\n"),
        (Verdict::Refused { code: Refusal::Unavailable, text: text() }, "a NO [UNAVAILABLE] Too many.\r\n"),
    ] {
        let mut imap = imap(Plaintext::Allowed);
        talk(&mut imap, b"a LOGIN alice secret\r\n");
        let mut out = Vec::new();
        imap.answer(&verdict, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), answer);
        assert_eq!(talk(&mut imap, b"b NOOP\r\n").0, "b OK NOOP completed.\r\n");
    }
}

#[test]
fn too_many_bad_commands_in_a_row_are_the_end() {
    let almost = "x\r\n".repeat(usize::from(MOST_BAD_COMMANDS) - 1);
    let mut imap = imap(Plaintext::Allowed);
    assert_eq!(talk(&mut imap, almost.as_bytes()).1, Next::More);
    assert_eq!(talk(&mut imap, b"a NOOP\r\n").1, Next::More);
    assert_eq!(talk(&mut imap, almost.as_bytes()).1, Next::More);
    let (said, next, _) = talk(&mut imap, b"x\r\n");
    assert!(said.ends_with("* BYE Too many invalid commands.\r\n"));
    assert_eq!(next, Next::Leave(Departure::BadCommands));
}

#[test]
fn what_is_too_long_is_not_kept() {
    let line = format!("a LOGIN alice {}\r\nb NOOP\r\n", "x".repeat(LONGEST));
    assert_eq!(says(&line), "a BAD Command line too long\r\nb OK NOOP completed.\r\n");
    assert_eq!(
        says("a LOGIN alice {8193}\r\nb NOOP\r\n"),
        "a BAD Literal too large\r\nb OK NOOP completed.\r\n"
    );
    let unasked = format!("a LOGIN alice {{8193+}}\r\n{}\r\nb NOOP\r\n", "x".repeat(8193));
    assert_eq!(says(&unasked), "a BAD Literal too large\r\nb OK NOOP completed.\r\n");
}

proptest! {
    #[test]
    fn no_bytes_panic_and_pieces_say_the_same_as_the_whole(
        lines in proptest::collection::vec(
            prop_oneof![
                any::<Vec<u8>>(),
                "[a-c] (LOGIN|AUTHENTICATE|ID|APPEND|NOOP)( (x|NIL|PLAIN|LOGIN|\"q\"|\\{2\\+?\\})){0,3}"
                    .prop_map(String::into_bytes),
            ],
            0..8,
        ),
        piece in 1usize..9,
    ) {
        let input = lines.join(&b"\r\n"[..]);
        let (mut whole, mut pieces) = (imap(Plaintext::Allowed), imap(Plaintext::Allowed));
        let (said, next, rest) = talk(&mut whole, &input);
        let (mut said_of_pieces, mut next_of_pieces, mut left) = (String::new(), Next::More, Vec::new());
        for piece in input.chunks(piece) {
            if matches!(next_of_pieces, Next::More | Next::Disallowed) {
                let (said, next, rest) = talk(&mut pieces, piece);
                said_of_pieces += &said;
                next_of_pieces = next;
                left = rest;
            } else {
                left.extend_from_slice(piece);
            }
        }
        prop_assert_eq!((said, next, rest), (said_of_pieces, next_of_pieces, left));
    }
}
