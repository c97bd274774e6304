use super::*;
use crate::readback::{Datum, read_all};
use proptest::prelude::*;

fn written(header: impl AsRef<[u8]>) -> String {
    let mut out = Vec::new();
    write_envelope(header.as_ref(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn envelope_of_rfc_3501_is_written() {
    let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
        From: Terry Gray <gray@cac.washington.edu>\r\n\
        Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
        To: imap@cac.washington.edu\r\n\
        cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
        Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nSubject: not this\r\n";
    assert_eq!(
        written(header),
        concat!(
            r#"("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" "#,
            r#"(("Terry Gray" NIL "gray" "cac.washington.edu")) "#,
            r#"(("Terry Gray" NIL "gray" "cac.washington.edu")) "#,
            r#"(("Terry Gray" NIL "gray" "cac.washington.edu")) "#,
            r#"((NIL NIL "imap" "cac.washington.edu")) "#,
            r#"((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) "#,
            r#"NIL NIL "<B27397-0100000@cac.washington.edu>")"#
        )
    );
}

#[test]
fn absent_fields_are_nil_and_empty_ones_empty() {
    assert_eq!(written("\n"), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    assert_eq!(
        written("Subject:\nDate: \nTo:\nIn-Reply-To:\nMessage-ID:\n\n"),
        r#"("" "" NIL NIL NIL NIL NIL NIL "" "")"#
    );
}

#[test]
fn sender_and_reply_to_default_to_from_unless_they_have_addresses() {
    assert_eq!(
        written("From: a@b\nSender: (none)\nReply-To: c@d\n\n"),
        r#"(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "c" "d")) NIL NIL NIL NIL NIL)"#
    );
}

#[test]
fn values_are_unfolded_and_encoded_words_kept() {
    assert_eq!(
        written("Subject: =?utf-8?q?a?=\r\n =?utf-8?q?b?=\r\n\r\n"),
        r#"(NIL "=?utf-8?q?a?= =?utf-8?q?b?=" NIL NIL NIL NIL NIL NIL NIL NIL)"#
    );
}

#[test]
fn of_repeated_fields_the_first_text_and_all_addresses_count() {
    assert_eq!(
        written("Subject: a\nSubject: b\nTo: c@d\nTo: e@f\n\n"),
        r#"(NIL "a" NIL NIL NIL ((NIL NIL "c" "d")(NIL NIL "e" "f")) NIL NIL NIL NIL)"#
    );
}

proptest! {
    #[test]
    fn any_header_has_ten_members(header in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut all = b"Subject: ".to_vec();
        all.extend(&header);
        all.extend(b"\nFrom: ");
        all.extend(&header);
        let mut out = Vec::new();
        write_envelope(&all, &mut out);
        let Datum::List(members) = read_all(&out) else { panic!("not a list") };
        prop_assert_eq!(members.len(), NAMES.len());
    }
}
