use proptest::prelude::*;

use super::super::IdSet;
use super::super::cursor::Cursor;
use super::*;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn tag() -> Tag {
    Tag::new(b"a1").unwrap()
}

#[test]
fn status_lines_are_as_the_rfc_has_them() {
    assert_eq!(written(|out| tagged(out, &tag(), Status::Ok, None, "Done.")), "a1 OK Done.\r\n");
    assert_eq!(written(|out| untagged(out, Status::Bye, None, "Farewell.")), "* BYE Farewell.\r\n");
    assert_eq!(
        written(|out| tagged(out, &tag(), Status::No, Some(Code::TryCreate), "No such mailbox.")),
        "a1 NO [TRYCREATE] No such mailbox.\r\n"
    );
    let (from, to): (IdSet, IdSet) =
        ([1, 2, 3, 7].into_iter().collect(), [9, 10, 11, 12].into_iter().collect());
    for (code, text) in [
        (Code::Capability("IMAP4rev1 ID"), "[CAPABILITY IMAP4rev1 ID]"),
        (Code::UidNext(5), "[UIDNEXT 5]"),
        (Code::UidValidity(u32::MAX), "[UIDVALIDITY 4294967295]"),
        (Code::Unseen(1), "[UNSEEN 1]"),
        (Code::AppendUid { validity: 3, uids: &to }, "[APPENDUID 3 9:12]"),
        (Code::CopyUid { validity: 3, from: &from, to: &to }, "[COPYUID 3 1:3,7 9:12]"),
        (Code::ReadWrite, "[READ-WRITE]"),
    ] {
        assert_eq!(written(|out| untagged(out, Status::Ok, Some(code), "x")), format!("* OK {text} x\r\n"));
    }
}

#[test]
fn text_cannot_end_its_line() {
    let line = written(|out| untagged(out, Status::Ok, None, "a\r\n* BYE\0b"));
    assert_eq!(line, "* OK a  * BYE b\r\n");
    assert_eq!(written(|out| continuation(out, "\n")), "+  \r\n");
}

#[test]
fn mailbox_data_is_as_the_rfc_has_it() {
    assert_eq!(written(|out| exists(out, 23)), "* 23 EXISTS\r\n");
    assert_eq!(written(|out| recent(out, 0)), "* 0 RECENT\r\n");
    assert_eq!(written(|out| expunge(out, 44)), "* 44 EXPUNGE\r\n");
    let search = |ids: &[u32]| {
        written(|out| {
            search_start(out);
            search_found(out, ids);
            search_end(out);
        })
    };
    assert_eq!(search(&[2, 84]), "* SEARCH 2 84\r\n");
    assert_eq!(search(&[]), "* SEARCH\r\n");
    let system = SystemFlags::SEEN.with(SystemFlags::ANSWERED);
    assert_eq!(written(|out| mailbox_flags(out, system, ["Junk"])), "* FLAGS (\\Answered \\Seen Junk)\r\n");
    assert_eq!(
        written(|out| permanent_flags(out, SystemFlags::SEEN, ["Junk"], true)),
        "* OK [PERMANENTFLAGS (\\Seen Junk \\*)] Flags permitted\r\n"
    );
    assert_eq!(
        written(|out| permanent_flags(out, SystemFlags::default(), [], false)),
        "* OK [PERMANENTFLAGS ()] Flags permitted\r\n"
    );
}

#[test]
fn id_is_pairs_or_nothing() {
    assert_eq!(written(|out| id(out, &[])), "* ID NIL\r\n");
    assert_eq!(
        written(|out| id(out, &[("name", "x y"), ("a", "b")])),
        "* ID (\"name\" \"x y\" \"a\" \"b\")\r\n"
    );
}

#[test]
fn names_are_quoted_where_they_must_be() {
    let line = |name: &[u8]| {
        let name = MailboxName::from_wire(name).unwrap();
        written(|out| list(out, "LIST", &["\\HasNoChildren"], Some(b'.'), &name))
    };
    assert_eq!(line(b"inbox"), "* LIST (\\HasNoChildren) \".\" INBOX\r\n");
    assert_eq!(line(b"a b"), "* LIST (\\HasNoChildren) \".\" \"a b\"\r\n");
    assert_eq!(line(b"a\"b\\"), "* LIST (\\HasNoChildren) \".\" \"a\\\"b\\\\\"\r\n");
    assert_eq!(line(b"nil"), "* LIST (\\HasNoChildren) \".\" \"nil\"\r\n");
    assert_eq!(written(|out| list(out, "LSUB", &[], None, &MailboxName::inbox())), "* LSUB () NIL INBOX\r\n");
    assert_eq!(
        written(|out| list_separator(out, "LIST", b'\\', b"")),
        "* LIST (\\Noselect) \"\\\\\" \"\"\r\n"
    );
}

#[test]
fn status_lists_what_was_asked() {
    let inbox = MailboxName::inbox();
    let items = [(StatusItem::Messages, 231), (StatusItem::UidNext, 44_292)];
    assert_eq!(written(|out| status(out, &inbox, items)), "* STATUS INBOX (MESSAGES 231 UIDNEXT 44292)\r\n");
    assert_eq!(written(|out| status(out, &inbox, [])), "* STATUS INBOX ()\r\n");
}

#[test]
fn a_fetch_is_put_together() {
    let line = written(|out| {
        fetch_start(out, 23);
        flags(out, SystemFlags::SEEN, []);
        out.push(b' ');
        internal_date(out, 837_596_665, -420);
        fetch_end(out);
    });
    assert_eq!(line, "* 23 FETCH (FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\")\r\n");
}

#[test]
fn strings_become_literals_where_they_must() {
    for (bytes, wire) in [
        (&b""[..], &b"\"\""[..]),
        (b"a b", b"\"a b\""),
        (b"a\"b\\c", b"\"a\\\"b\\\\c\""),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"\xe4", b"{1}\r\n\xe4"),
        (b"a\tb", b"\"a\tb\""),
    ] {
        let mut out = Vec::new();
        string(&mut out, bytes);
        assert_eq!(out, wire);
    }
    assert_eq!(written(|out| nstring(out, None)), "NIL");
    assert_eq!(written(|out| nstring(out, Some(b"NIL"))), "\"NIL\"");
    assert!(written(|out| string(out, &[b'a'; 1_001])).starts_with("{1001}\r\na"));
}

#[test]
fn numbers_are_decimal() {
    for value in [0, 1, 9, 10, 99, 100, 4_294_967_295, u64::MAX] {
        assert_eq!(written(|out| number(out, value)), value.to_string());
    }
}

proptest! {
    #[test]
    fn strings_go_there_and_back(bytes in prop::collection::vec(1u8.., 0..50)) {
        for write in [string, astring] {
            let mut out = Vec::new();
            write(&mut out, &bytes);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(&*cursor.astring().unwrap(), bytes.as_slice());
            prop_assert!(cursor.is_empty());
        }
    }

    #[test]
    fn no_text_makes_a_second_line(human: String) {
        let line = written(|out| tagged(out, &tag(), Status::Ok, None, &human));
        prop_assert_eq!(line.find(['\r', '\n']), Some(line.len() - 2));
    }
}
