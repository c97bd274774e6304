use proptest::prelude::*;

use super::*;

fn items(text: &str) -> Option<Vec<FetchItem>> {
    let mut cursor = Cursor::new(text.as_bytes());
    FetchItem::parse_all(&mut cursor).ok().filter(|_| cursor.is_empty())
}

fn only(text: &str) -> Content {
    match items(text).unwrap().pop().unwrap() {
        FetchItem::Content(content) => content,
        other => panic!("{other:?}"),
    }
}

fn name(text: &str) -> String {
    let mut out = Vec::new();
    only(text).write_name(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn macros_stand_for_their_items() {
    use FetchItem::*;
    assert_eq!(items("fast"), Some(vec![Flags, InternalDate, Rfc822Size]));
    assert_eq!(items("ALL"), Some(vec![Flags, InternalDate, Rfc822Size, Envelope]));
    assert_eq!(items("FULL"), Some(vec![Flags, InternalDate, Rfc822Size, Envelope, Body]));
    for alone in ["(ALL)", "(FAST UID)", "(UID FULL)", "ALL UID", "ALL[]"] {
        assert_eq!(items(alone), None, "{alone}");
    }
    assert_eq!(items("( UID  BODY BODYSTRUCTURE )"), Some(vec![Uid, Body, BodyStructure]));
}

#[test]
fn sections_are_read() {
    let part = |numbers: &[u32]| numbers.iter().map(|number| NonZeroU32::new(*number).unwrap()).collect();
    let fields = || vec![b"From".to_vec(), b"x y".to_vec()];
    for (text, numbers, section) in [
        ("BODY[]", &[][..], SectionText::All),
        ("BODY[1]", &[1], SectionText::All),
        ("BODY[4.2.1]", &[4, 2, 1], SectionText::All),
        ("body[header]", &[], SectionText::Header),
        ("BODY[TEXT]", &[], SectionText::Text),
        ("BODY[1.MIME]", &[1], SectionText::Mime),
        ("BODY[3.HEADER]", &[3], SectionText::Header),
        ("BODY[HEADER.FIELDS (From \"x y\")]", &[], SectionText::HeaderFields(fields())),
        ("BODY[2.HEADER.FIELDS.NOT( From {3}\r\nx y )]", &[2], SectionText::HeaderFieldsNot(fields())),
    ] {
        assert_eq!(only(text).section, Section { part: part(numbers), text: section }, "{text}");
    }
}

#[test]
fn malformed_sections_are_refused() {
    for text in [
        "BODY[",
        "BODY[1.]",
        "BODY[.1]",
        "BODY[0]",
        "BODY[1.0]",
        "BODY[MIME]",
        "BODY[1 2]",
        "BODY[X]",
        "BODY[1.X]",
        "BODY[HEADER.FIELDS]",
        "BODY[HEADER.FIELDS ()]",
        "BODY[HEADER.FIELDS (A]",
        "BODY[]<",
        "BODY[]<1>",
        "BODY[]<1.>",
        "BODY[]<.1>",
        "BODY[]<1.2",
        "BODY[]<-1.2>",
        "BODY[4294967296]",
        "BODY[TEXTTEXTTEXTTEXTTEXTTEXTTEXT]",
        "BODY.PEEK",
        "RFC822[]",
        "FLAGS[]",
        "",
        "()",
        "(FLAGS",
        "FLAGS)",
        "(FLAGSUID)",
        "(FLAGS(UID))",
        "NONSENSE",
        "RFC822.PEEK",
        "BODY[]BODY[]",
        "BODY[HEADER.FIELDS (A)X]",
    ] {
        assert_eq!(items(text), None, "{text}");
    }
}

#[test]
fn only_some_items_leave_a_message_unseen() {
    for (text, peek) in [
        ("BODY[]", false),
        ("BODY.PEEK[]", true),
        ("RFC822", false),
        ("RFC822.TEXT", false),
        ("RFC822.HEADER", true),
    ] {
        assert_eq!(only(text).peek, peek, "{text}");
    }
}

#[test]
fn answers_bear_the_name_of_the_question() {
    for (text, answer) in [
        ("body.peek[]", "BODY[]"),
        ("BODY[1.2.mime]<7.1>", "BODY[1.2.MIME]<7>"),
        ("BODY[header.fields (From \"x y\")]", "BODY[HEADER.FIELDS (From \"x y\")]"),
        ("BODY[1.HEADER.FIELDS.NOT (A)]<0.5000000000>", "BODY[1.HEADER.FIELDS.NOT (A)]<0>"),
        ("RFC822", "RFC822"),
        ("RFC822.header", "RFC822.HEADER"),
        ("RFC822.TEXT", "RFC822.TEXT"),
    ] {
        assert_eq!(name(text), answer);
    }
    assert_eq!(only("BODY[]<5.0>").partial, Some(Partial { start: 5, length: 0 }));
}

proptest! {
    #[test]
    fn names_go_there_and_back(text in "BODY\\[([1-9]\\.){0,3}(HEADER|TEXT|HEADER\\.FIELDS \\([A-Z]{1,3} \"[ -!#-\\[^-~]{0,4}\"\\)|1)\\]") {
        let content = only(&text);
        prop_assert_eq!(only(&name(&text)), content);
    }

    #[test]
    fn no_bytes_panic(text in "(BODY(.PEEK)?)?[\\[\\](){}<>. 0-9A-Z\"]{0,20}") {
        items(&text);
    }
}
