use proptest::prelude::*;

use super::SearchKey::*;
use super::*;

fn search(text: &str, nesting: usize) -> Result<SearchKey, &'static str> {
    let mut cursor = Cursor::new(text.as_bytes());
    let key = SearchKey::parse(&mut cursor, nesting).map_err(|fault| fault.text)?;
    assert!(cursor.is_empty());
    Ok(key)
}

fn key(text: &str) -> SearchKey {
    search(text, 100).unwrap()
}

fn seen() -> SearchKey {
    Flag(SystemFlags::SEEN)
}

fn not(key: SearchKey) -> SearchKey {
    Not(Box::new(key))
}

#[test]
fn every_key_is_known() {
    let header = |name: &str, text: &str| Header { name: name.into(), text: text.into() };
    let keyword = || match key("KEYWORD Junk") {
        Keyword(keyword) => keyword,
        other => panic!("{other:?}"),
    };
    let day = Date::new(1994, 2, 1).unwrap();
    let set = |text: &str| SequenceSet::new(text.as_bytes()).unwrap();
    for (text, expected) in [
        ("ALL", All),
        ("ANSWERED", Flag(SystemFlags::ANSWERED)),
        ("DELETED", Flag(SystemFlags::DELETED)),
        ("DRAFT", Flag(SystemFlags::DRAFT)),
        ("FLAGGED", Flag(SystemFlags::FLAGGED)),
        ("RECENT", Flag(SystemFlags::RECENT)),
        ("seen", seen()),
        ("UNANSWERED", not(Flag(SystemFlags::ANSWERED))),
        ("UNDELETED", not(Flag(SystemFlags::DELETED))),
        ("UNDRAFT", not(Flag(SystemFlags::DRAFT))),
        ("UNFLAGGED", not(Flag(SystemFlags::FLAGGED))),
        ("UNSEEN", not(seen())),
        ("OLD", not(Flag(SystemFlags::RECENT))),
        ("NEW", And(vec![Flag(SystemFlags::RECENT), not(seen())])),
        ("UNKEYWORD Junk", not(Keyword(keyword()))),
        ("BEFORE 1-Feb-1994", Internal(DateTest::Before, day)),
        ("ON \"1-Feb-1994\"", Internal(DateTest::On, day)),
        ("SINCE 1-Feb-1994", Internal(DateTest::Since, day)),
        ("SENTBEFORE 1-Feb-1994", Sent(DateTest::Before, day)),
        ("SENTON 1-Feb-1994", Sent(DateTest::On, day)),
        ("SENTSINCE 1-Feb-1994", Sent(DateTest::Since, day)),
        ("LARGER 5000000000", Larger(5_000_000_000)),
        ("SMALLER 1", Smaller(1)),
        ("UID 1:*", Uid(set("1:*"))),
        ("2,*:4", Sequence(set("2,*:4"))),
        ("*", Sequence(set("*"))),
        ("BCC a", header("BCC", "a")),
        ("cc \"a b\"", header("CC", "a b")),
        ("FROM {3}\r\na\r\n", header("FROM", "a\r\n")),
        ("SUBJECT \"\"", header("SUBJECT", "")),
        ("TO ü", header("TO", "ü")),
        ("HEADER X-Spam yes", header("X-Spam", "yes")),
        ("BODY a", Body("a".into())),
        ("TEXT a", Text("a".into())),
    ] {
        assert_eq!(key(text), expected, "{text}");
    }
}

#[test]
fn keys_combine() {
    assert_eq!(key("SEEN ALL"), And(vec![seen(), All]));
    assert_eq!(key("(SEEN)"), seen());
    assert_eq!(key("( SEEN  ALL )"), And(vec![seen(), All]));
    assert_eq!(key("OR SEEN (ALL 1)"), Or(vec![seen(), And(vec![All, key("1")])]));
    assert_eq!(key("NOT OR SEEN ALL 1"), And(vec![not(Or(vec![seen(), All])), key("1")]));
    assert_eq!(key("OR NOT SEEN NOT ALL"), Or(vec![not(seen()), not(All)]));
    assert_eq!(key("NOT NOT SEEN"), seen());
    assert_eq!(key("NOT UNSEEN"), seen());
    assert_eq!(key("NOT (SEEN ALL)"), not(And(vec![seen(), All])));
}

#[test]
fn what_is_incomplete_is_refused() {
    for text in [
        "",
        " ",
        "()",
        "(",
        ")",
        "(SEEN",
        "SEEN)",
        "NOT",
        "OR",
        "OR SEEN",
        "NOT )",
        "(NOT)",
        "(OR SEEN)",
        "OR ) SEEN",
        "NONSENSE",
        "FROM",
        "FROM ",
        "HEADER a",
        "LARGER x",
        "LARGER -1",
        "BEFORE x",
        "UID x",
        "UID",
        "0",
        "KEYWORD \\Seen",
        "CHARSET UTF-8",
        "CHARSET",
        "\"SEEN\"",
        "SEEN ; ALL",
    ] {
        assert!(search(text, 100).is_err(), "{text}");
    }
}

#[test]
fn charset_is_one_that_we_know() {
    assert_eq!(key("CHARSET utf-8 SEEN"), seen());
    assert_eq!(key("CHARSET \"US-ASCII\" SEEN"), seen());
    let text = search("CHARSET KOI8-R SEEN", 100).unwrap_err();
    assert!(text.starts_with("[BADCHARSET (US-ASCII UTF-8)]"));
}

#[test]
fn text_is_utf8() {
    let mut cursor = Cursor::new(b"TEXT \"m\xfcll\"");
    assert!(SearchKey::parse(&mut cursor, 100).is_err());
}

#[test]
fn many_alternatives_are_one_level() {
    let chain = "OR FROM a ".repeat(5_000) + "FROM b";
    let Or(keys) = search(&chain, 2).unwrap() else { panic!() };
    assert_eq!(keys.len(), 5_001);
    let left = "OR ".repeat(5_000) + &"FROM a ".repeat(5_001);
    let Or(keys) = search(&left, 2).unwrap() else { panic!() };
    assert_eq!(keys.len(), 5_001);
    let pairs = "OR OR 1 2 ".repeat(5_000) + "3";
    let Or(keys) = search(&pairs, 2).unwrap() else { panic!() };
    assert_eq!(keys.len(), 10_001);
}

#[test]
fn depth_is_bounded() {
    let deep = |levels: usize| "(1 NOT ".repeat(levels) + "2" + &")".repeat(levels);
    assert!(search(&deep(49), 100).is_ok());
    assert_eq!(search(&deep(50), 100), Err("Search key nested too deep"));
    assert_eq!(search(&deep(20_000), 100), Err("Search key nested too deep"));
    // Parentheses and pairs of NOT add nothing to the tree.
    assert_eq!(search(&("(".repeat(9_000) + "SEEN" + &")".repeat(9_000)), 1), Ok(seen()));
    assert_eq!(search(&("NOT ".repeat(9_000) + "SEEN"), 2), Ok(seen()));
}

proptest! {
    #[test]
    fn no_words_panic(words in prop::collection::vec(
        prop_oneof![Just("OR"), Just("NOT"), Just("("), Just(")"), Just("SEEN"), Just("UNSEEN"), Just("NEW"), Just("1:*")],
        0..40,
    )) {
        let _ = search(&words.join(" "), 5);
    }

    #[test]
    fn no_bytes_panic(text in "[ -~\r\n]{0,40}") {
        let _ = SearchKey::parse(&mut Cursor::new(text.as_bytes()), 5);
    }
}
