use crate::parser::structure;
use crate::readback::{Datum, read_all};
use proptest::prelude::*;

fn body(message: &str) -> String {
    let mut out = Vec::new();
    structure(message.as_bytes()).write_body(&mut out);
    String::from_utf8(out).unwrap()
}

fn bodystructure(message: &str) -> String {
    let mut out = Vec::new();
    structure(message.as_bytes()).write_bodystructure(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn body_of_rfc_3501_is_written() {
    let text = "x".repeat(46) + "\r\n";
    let diff = "QUJD".repeat(15) + "\r\n";
    let message = format!(
        "Content-Type: MULTIPART/MIXED; BOUNDARY=b\r\n\r\n--b\r\n\
         Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\nContent-Transfer-Encoding: 7BIT\r\n\r\n{}xx\r\n\r\n--b\r\n\
         Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=\"cc.diff\"\r\n\
         Content-ID: <960723163407.20117h@cac.washington.edu>\r\nContent-Description: Compiler diff\r\n\
         Content-Transfer-Encoding: BASE64\r\n\r\n{}{}\r\n\r\n--b--\r\n",
        text.repeat(22) + &"y".repeat(92),
        diff.repeat(72),
        "z".repeat(88),
    );
    assert_eq!(
        body(&message),
        concat!(
            r#"(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)"#,
            r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "#,
            r#""Compiler diff" "BASE64" 4554 73) "MIXED")"#
        )
    );
}

#[test]
fn defaults_are_those_of_rfc_2045() {
    assert_eq!(
        bodystructure("Subject: x\n\nhello\nworld\n"),
        r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 14 2 NIL NIL NIL NIL)"#
    );
    for broken in ["text", "; name=x", "text/", "/plain", "multipart/mixed", "multipart/mixed; boundary=\"\""]
    {
        let body = body(&format!("Content-Type: {broken}\n\n"));
        assert!(body.starts_with(r#"("text" "plain" ("#), "{broken}: {body}");
        assert!(body.ends_with(r#""charset" "us-ascii") NIL NIL "7bit" 0 0)"#), "{broken}: {body}");
    }
}

#[test]
fn every_field_has_its_place() {
    let message = "Content-Type: application/pdf; name=\"a \\\"b\\\".pdf\"\n\
        Content-Transfer-Encoding: base64 (always)\nContent-ID: <x@y>\nContent-Description: a\n =?utf-8?q?b?=\n\
        Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\nContent-Disposition: attachment; filename=c.pdf; size=9\n\
        Content-Language: en, de\nContent-Location: http://a/b\n\nQUJD\n";
    let start = r#"("application" "pdf" ("name" "a \"b\".pdf") "<x@y>" "a =?utf-8?q?b?=" "base64" 6"#;
    let extension = concat!(
        r#" "Q2hlY2sgSW50ZWdyaXR5IQ==" ("attachment" ("filename" "c.pdf" "size" "9")) ("en" "de") "#,
        r#""http://a/b")"#
    );
    assert_eq!(body(message), format!("{start})"));
    assert_eq!(bodystructure(message), format!("{start}{extension}"));
}

#[test]
fn only_text_has_lines_and_a_default_charset() {
    assert_eq!(body("Content-Type: image/gif\n\na\nb\n"), r#"("image" "gif" NIL NIL NIL "7bit" 6)"#);
    assert_eq!(
        body("Content-Type: Text/HTML; format=flowed\n\na\n"),
        r#"("Text" "HTML" ("format" "flowed" "charset" "us-ascii") NIL NIL "7bit" 3 1)"#
    );
}

#[test]
fn multipart_has_its_parts_and_its_own_extension() {
    let message = "Content-Type: multipart/related; boundary=b; type=\"text/html\"\nContent-Language: en\n\n\
        --b\n\na\n--b\nContent-Type: image/png\n\nb\n--b--\n";
    assert_eq!(
        bodystructure(message),
        concat!(
            r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)"#,
            r#"("image" "png" NIL NIL NIL "7bit" 1 NIL NIL NIL NIL) "related" "#,
            r#"("boundary" "b" "type" "text/html") NIL ("en") NIL)"#
        )
    );
}

#[test]
fn message_has_its_envelope_structure_and_lines() {
    let message = "Content-Type: message/rfc822\n\nFrom: a@b\nSubject: inner\n\nbody\nbody2\n";
    assert_eq!(
        bodystructure(message),
        concat!(
            r#"("message" "rfc822" NIL NIL NIL "7bit" 42 (NIL "inner" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) "#,
            r#"((NIL NIL "a" "b")) NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 13 2 "#,
            r#"NIL NIL NIL NIL) 5 NIL NIL NIL NIL)"#
        )
    );
}

#[test]
fn parts_of_a_digest_are_messages_by_default() {
    let message = "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\n\n--b\nContent-Type: a/b\n\n--b--\n";
    assert_eq!(
        body(message),
        concat!(
            r#"(("message" "rfc822" NIL NIL NIL "7bit" 14 (NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL) "#,
            r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) 2)("a" "b" NIL NIL NIL "7bit" 0) "digest")"#
        )
    );
}

#[test]
fn encoded_message_is_an_attachment() {
    assert_eq!(
        body("Content-Type: message/rfc822; name=x.eml\nContent-Transfer-Encoding: base64\n\nQUJD\n"),
        r#"("application" "octet-stream" ("name" "x.eml") NIL NIL "base64" 6)"#
    );
}

#[test]
fn eight_bit_values_are_literals() {
    assert_eq!(
        body("Content-Type: image/gif; name=\"\u{e4}.gif\"\n\n"),
        "(\"image\" \"gif\" (\"name\" {6}\r\n\u{e4}.gif) NIL NIL \"7bit\" 0)"
    );
}

const LINES: [&[u8]; 9] = [
    b"--b",
    b"--c--",
    b"",
    b"Content-Type: multipart/mixed; boundary=b",
    b"Content-Type: multipart/digest; boundary=\"c\"; x=\"\xe4\\\"",
    b"Content-Type: message/rfc822; a; =b; c=(d",
    b"Content-Disposition: \0 a/b; c=\0",
    b"From: (\xff) \"\\\" <@a,b:",
    b" folded\r",
];

proptest! {
    #[test]
    fn any_message_has_a_well_formed_structure(
        lines in proptest::collection::vec(proptest::sample::select(&LINES[..]), 0..30)
    ) {
        let part = structure(&lines.join(&b'\n'));
        let mut out = Vec::new();
        part.write_body(&mut out);
        prop_assert!(matches!(read_all(&out), Datum::List(_)));
        out.clear();
        part.write_bodystructure(&mut out);
        prop_assert!(matches!(read_all(&out), Datum::List(_)));
    }
}
