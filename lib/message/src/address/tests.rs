use super::*;
use crate::readback::{Datum, read_all};
use proptest::prelude::*;

fn written(value: impl AsRef<[u8]>) -> String {
    let mut out = Vec::new();
    write_addresses(value.as_ref(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn addresses_of_rfc_5322_are_read() {
    assert_eq!(
        written(r#""Joe Q. Public" <john.q.public@example.com>"#),
        r#"(("Joe Q. Public" NIL "john.q.public" "example.com"))"#
    );
    assert_eq!(
        written("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>"),
        concat!(
            r#"(("Mary Smith" NIL "mary" "x.test")(NIL NIL "jdoe" "example.org")"#,
            r#"("Who?" NIL "one" "y.test"))"#
        )
    );
    assert_eq!(
        written("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
        r#"(("Pete" NIL "pete" "silly.test"))"#
    );
    assert_eq!(written("jdoe@test   . example"), r#"((NIL NIL "jdoe" "test.example"))"#);
    assert_eq!(written("john . doe @ x"), r#"((NIL NIL "john.doe" "x"))"#);
    assert_eq!(written("joe@[192.0.2.1]"), r#"((NIL NIL "joe" "[192.0.2.1]"))"#);
}

#[test]
fn quoting_is_removed_and_encoded_words_stay() {
    assert_eq!(written(r#""Giant; \"Big\" Box" <a@b>"#), r#"(("Giant; \"Big\" Box" NIL "a" "b"))"#);
    assert_eq!(written(r#""john doe"@x"#), r#"((NIL NIL "john doe" "x"))"#);
    assert_eq!(
        written("=?utf-8?Q?Doe,_J?= =?utf-8?q?=3F?= <a@b>"),
        r#"(("=?utf-8?Q?Doe,_J?= =?utf-8?q?=3F?=" NIL "a" "b"))"#
    );
}

#[test]
fn comment_stands_in_for_a_name() {
    assert_eq!(written("joe@x (Joe (\\(Jim) Doe)"), r#"(("Joe ((Jim) Doe" NIL "joe" "x"))"#);
    assert_eq!(written("(nobody)"), "NIL");
    assert_eq!(written("(nobody), joe@x"), r#"((NIL NIL "joe" "x"))"#);
}

#[test]
fn addresses_alone_have_nothing_in_or_around_them() {
    let alone = |name: &str, value: &str| {
        let mut out = String::new();
        Field { name: name.as_bytes(), value: value.as_bytes(), raw: b"" }.addresses(&mut out);
        out
    };
    assert_eq!(alone("to", "A (c) <a (c) @\r\n (d) b . c>, \"x\"@y (Z), G: g@h;"), "\na@b.c\nx@y\ng@h");
    assert_eq!(alone("Subject", "a@b"), "");
}

#[test]
fn groups_have_a_start_and_an_end() {
    assert_eq!(
        written("A Group:Ed <c@a.test>,joe@where.test; bob@x"),
        concat!(
            r#"((NIL NIL "A Group" NIL)("Ed" NIL "c" "a.test")(NIL NIL "joe" "where.test")(NIL NIL NIL NIL)"#,
            r#"(NIL NIL "bob" "x"))"#
        )
    );
    assert_eq!(
        written("Undisclosed recipients:;"),
        r#"((NIL NIL "Undisclosed recipients" NIL)(NIL NIL NIL NIL))"#
    );
    assert_eq!(written("open: a@b"), r#"((NIL NIL "open" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))"#);
}

#[test]
fn route_is_kept_apart() {
    assert_eq!(written("<@a.test,@b.test:joe@c.test>"), r#"((NIL "@a.test,@b.test" "joe" "c.test"))"#);
}

#[test]
fn what_is_missing_is_said_to_be_missing() {
    for (value, address) in [
        ("root", r#"NIL NIL "root" "MISSING_DOMAIN""#),
        ("root (Cron)", r#""Cron" NIL "root" "MISSING_DOMAIN""#),
        ("Foo Bar", r#""Foo Bar" NIL "MISSING_MAILBOX" "MISSING_DOMAIN""#),
        ("<>", r#"NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN""#),
        ("@x", r#"NIL NIL "MISSING_MAILBOX" "x""#),
        ("x@", r#"NIL NIL "x" "MISSING_DOMAIN""#),
    ] {
        assert_eq!(written(value), format!("(({address}))"), "{value}");
    }
}

#[test]
fn broken_addresses_give_what_is_sensible() {
    for (value, address) in [
        ("a@b <a@b>", r#""a@b" NIL "a" "b""#),
        ("foo bar@x", r#""foo" NIL "bar" "x""#),
        ("<<a@b>>", r#"NIL NIL "a" "b""#),
        ("a@b>", r#"NIL NIL "a" "b""#),
        ("<a@b", r#"NIL NIL "a" "b""#),
        ("user@host@other", r#"NIL NIL "user" "host""#),
        ("a@b c@d", r#"NIL NIL "a" "b""#),
        ("Joe <a@b> junk @ \"x\"", r#""Joe" NIL "a" "b""#),
        ("a@b junk", r#"NIL NIL "a" "b""#),
        (",, a@b ;", r#"NIL NIL "a" "b""#),
        ("J\u{f6} <a@b>", "{3}\r\nJ\u{f6} NIL \"a\" \"b\""),
    ] {
        assert_eq!(written(value), format!("(({address}))"), "{value}");
    }
    assert_eq!(written("<a@b> <c@d>; e@f"), r#"((NIL NIL "a" "b")(NIL NIL "c" "d")(NIL NIL "e" "f"))"#);
    assert_eq!(written(" ,:; "), "NIL");
}

proptest! {
    #[test]
    fn any_bytes_make_a_list_of_addresses(value in r#"([a.@<>(),;:"\\\[\] =?\x00\n]|=\?a\?b\?c\?=){0,40}"#) {
        let mut out = Vec::new();
        write_addresses(value.as_bytes(), &mut out);
        let Datum::List(addresses) = read_all(&out) else { return Ok(()) };
        let mut in_group = false;
        for address in addresses {
            let Datum::List(fields) = address else { panic!("not an address") };
            prop_assert_eq!(fields.len(), 4);
            if fields[3] == Datum::Nil {
                prop_assert_eq!(fields[2] == Datum::Nil, in_group);
                in_group = !in_group;
            }
        }
        prop_assert!(!in_group);
    }
}
