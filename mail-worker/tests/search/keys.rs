//! What each key finds.

use std::fs;

use super::mail::MAIL;
use super::{Place, Session};

/// All messages but these.
fn but(gone: &[u32]) -> Vec<u32> {
    (1..=16).filter(|number| !gone.contains(number)).collect()
}

#[test]
fn every_key_finds_what_it_should() {
    let place = Place::new(MAIL);
    let mut session = place.session();
    session.ask("STORE 5,6 +FLAGS (Work)");
    let none: &[u32] = &[];
    for (keys, found) in [
        ("ALL", &but(&[])[..]),
        ("NOT ALL", none),
        ("ANSWERED", &[3]),
        ("DELETED", &[5]),
        ("DRAFT", &[6]),
        ("FLAGGED", &[4]),
        ("SEEN", &[1, 4]),
        ("UNANSWERED", &but(&[3])),
        ("UNDELETED", &but(&[5])),
        ("UNDRAFT", &but(&[6])),
        ("UNFLAGGED", &but(&[4])),
        ("UNSEEN", &but(&[1, 4])),
        ("KEYWORD work", &[5, 6]),
        ("UNKEYWORD Work", &but(&[5, 6])),
        ("KEYWORD Nothing", none),
        ("UNKEYWORD Nothing", &but(&[])),
        ("2:4", &[2, 3, 4]),
        ("*", &[16]),
        ("15:99", &[15, 16]),
        ("99", none),
        ("UID 2,4:5,1000", &[2, 4, 5]),
        ("UID 99:*", &[16]),
        ("BEFORE 2-Jan-2024", &[1]),
        ("ON 2-Jan-2024", &[2]),
        ("SINCE 15-Jan-2024", &[15, 16]),
        ("SENTON 1-Jan-2024", &[1]),
        ("SENTBEFORE 3-Jan-2024 SENTSINCE 1-Jan-2024", &[1, 2]),
        ("SENTSINCE 5-Jan-2024", &[5, 6]),
        ("SENTBEFORE 1-Jan-1980 2:5", &[4]),
        ("FROM john", &[1]),
        ("FROM \"jürgen müller\"", &[2]),
        ("FROM ann@example.org", &[3]),
        ("FROM \"ann (of)\"", &[3]),
        ("TO bob@example.net", &[1, 2]),
        ("CC CAROL", &[1]),
        ("BCC secret", &[1]),
        ("SUBJECT plain", &[1]),
        ("SUBJECT \"CAFÉ MÜDE folded\"", &[2]),
        ("SUBJECT second", &[13]),
        ("SUBJECT \"split ä character\"", &[11]),
        ("HEADER x-spam yes", &[1]),
        ("HEADER X-Spam \"\"", &[1]),
        ("HEADER X-Empty \"\"", &[13]),
        ("HEADER X-Part \"\"", none),
        ("HEADER \"\" a", none),
        ("BODY \"hello, world\"", &[1]),
        ("BODY \"ärger in der STRAßE\"", &[2]),
        ("BODY {14+}\r\nstraße\r\nzweit", &[2]),
        ("BODY {12+}\r\nworld.\r\na se", &[1]),
        ("BODY \"soft break and CAFÉ\"", &[3]),
        ("BODY hiddenbinary", none),
        ("BODY \"base64 word\"", &[3]),
        ("BODY \"äö\"", &[3]),
        ("BODY innerbody", &[3]),
        ("BODY innersubject", none),
        ("TEXT innersubject", &[3]),
        ("BODY partheader", none),
        ("TEXT partheader", &[3]),
        ("TEXT file.bin", &[3]),
        ("TEXT preambleword", none),
        ("TEXT epilogueword", none),
        ("TEXT \"Subject: plain\"", &[1]),
        ("BODY \"no header\"", &[8]),
        ("TEXT \"only a header\"", &[9]),
        ("BODY \"ПРИВЕТ\"", &[11]),
        ("BODY \"こんにちは\"", &[16]),
        ("BODY \"without a type\"", &[12]),
        ("BODY digested", &[14]),
        ("BODY nobody@example", &[15]),
        ("BODY picture", none),
        ("BODY \"\"", &but(&[])),
        ("TEXT \"\" SEEN", &[1, 4]),
        ("SMALLER 3", &[10]),
        ("LARGER 500", &[3]),
        ("OR SEEN ANSWERED", &[1, 3, 4]),
        ("OR SEEN OR BODY innerbody TEXT \"deleted text\"", &[1, 3, 4, 5]),
        ("(SEEN FLAGGED)", &[4]),
        ("NOT (SEEN FLAGGED) 1:5", &[1, 2, 3, 5]),
        ("NOT BODY e 1:6", none),
        ("CHARSET UTF-8 BODY \"straße\"", &[2]),
        ("CHARSET US-ASCII SEEN", &[1, 4]),
    ] {
        assert_eq!(session.search(keys).as_deref(), Ok(found), "{keys}");
    }
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let place = Place::new([]);
    let mut session = place.session();
    for keys in ["ALL", "NOT SEEN", "1", "1:*", "*", "UID 1:*", "NOT 1:*", "TEXT x", "SINCE 1-Jan-2000"] {
        assert_eq!(session.search(keys), Ok(Vec::new()), "{keys}");
    }
}

#[test]
fn size_is_that_of_what_clients_see() {
    let place = Place::new([("", 0, &b"a\n\nb\n"[..]), ("", 0, b"a\r\n\r\nb\r\n")]);
    let mut session = place.session();
    for (keys, found) in
        [("LARGER 7", &[1, 2][..]), ("LARGER 8", &[]), ("SMALLER 9", &[1, 2]), ("SMALLER 8", &[])]
    {
        assert_eq!(session.search(keys).as_deref(), Ok(found), "{keys}");
    }
}

#[test]
fn what_cannot_be_understood_is_refused() {
    let mut session = Place::new(MAIL).session();
    assert!(session.ask("SEARCH CHARSET KOI8-R ALL").starts_with("t NO [BADCHARSET (US-ASCII UTF-8)]"));
    for keys in ["", "NONSENSE", "OR SEEN", "BEFORE yesterday", "FROM"] {
        assert!(session.ask(&format!("SEARCH {keys}")).starts_with("t BAD"), "{keys}");
    }
}

#[test]
fn recent_is_what_came_last() {
    let place = Place::new([("", 0, &b"a"[..])]);
    fs::write(place.home.join("Maildir/new/2.a"), "b").unwrap();
    let mut session = place.session();
    for (keys, found) in [("RECENT", &[2][..]), ("OLD", &[1]), ("NEW", &[2])] {
        assert_eq!(session.search(keys).as_deref(), Ok(found), "{keys}");
    }
    session.ask("STORE 2 +FLAGS (\\Seen)");
    assert_eq!(session.search("NEW"), Ok(Vec::new()));
}

#[test]
fn uids_are_told_where_they_are_asked_for() {
    let place = Place::new(MAIL);
    let mut session = place.session();
    session.ask("STORE 1 +FLAGS (\\Deleted)");
    session.ask("EXPUNGE");
    assert_eq!(session.ask("UID SEARCH FLAGGED"), "* SEARCH 4\r\nt OK Search completed.\r\n");
    assert_eq!(session.ask("SEARCH UID 3"), "* SEARCH 2\r\nt OK Search completed.\r\n");
    assert_eq!(session.ask("SEARCH FROM nobody"), "* SEARCH\r\nt OK Search completed.\r\n");
}

#[test]
fn a_message_that_is_gone_is_not_found() {
    let place = Place::new(MAIL);
    let mut session = place.session();
    fs::remove_file(place.home.join("Maildir/cur/0002.a:2,")).unwrap();
    // Its number stays until the client may be told.
    let answer = session.ask("SEARCH 1:3 TEXT e");
    assert_eq!(answer, "* SEARCH 1 3\r\nt OK Search completed.\r\n");
    let answer = session.ask("UID SEARCH UID 1:3 TEXT e");
    assert!(answer.contains("* SEARCH 1 3\r\n") && answer.contains("* 2 EXPUNGE\r\n"), "{answer}");
}

#[test]
fn a_message_that_cannot_be_read_costs_itself() {
    let place = Place::new(MAIL);
    let mut session = place.session();
    let path = place.home.join("Maildir/cur/0002.a:2,");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let answer = session.ask("SEARCH 1:3 TEXT e");
    assert_eq!(answer, "* SEARCH 1 3\r\nt OK Search completed, but for messages that cannot be read.\r\n");
}

#[test]
fn hostile_messages_are_searched_in_turns() {
    let mut deep = Vec::new();
    for level in 0..10_000 {
        deep.extend(format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n").bytes());
    }
    deep.extend(b"\ndeepest\n");
    let mut large = b"Subject: large\n\n".to_vec();
    large.resize(2 * 1024 * 1024, b'x');
    large.extend(b"needle at the end");
    let mut words = b"Subject: ".to_vec();
    words.extend(b"=?utf-8?Q?a?= =?utf-8?B?".repeat(5_000));
    words.extend(b"\n\nafter words\n");
    let place = Place::new([("", 0, &deep[..]), ("", 0, &large), ("", 0, &words)]);
    let mut session = place.session();
    for (keys, found) in [
        ("BODY deepest", &[1][..]),
        ("2:3 BODY \"needle at the end\"", &[2]),
        ("2:3 TEXT \"after words\"", &[3]),
        ("SUBJECT a", &[2, 3]),
    ] {
        assert_eq!(session.search(keys).as_deref(), Ok(found), "{keys}");
    }
    let many = "1 ".to_owned() + &"OR BODY q ".repeat(500) + "BODY deepest";
    assert_eq!(session.search(&many), Ok(vec![1]));
}

#[test]
fn results_may_be_many() {
    let text: &[u8] = b"x";
    let place = Place::new(std::iter::repeat_n(("", 0, text), 5000));
    let mut session: Session = place.session();
    assert_eq!(session.search("ALL"), Ok((1..=5000).collect()));
}

#[test]
fn what_is_cut_when_it_is_read_is_found() {
    let offsets = [16_370, 16_375, 16_383, 32_760, 65_520, 65_530, 65_535, 131_070];
    let messages = offsets.map(|offset| {
        let mut text = b"Subject: cut\nContent-Type: text/plain; charset=utf-8\n\n".to_vec();
        text.resize(offset, b'x');
        text.extend("nädele".as_bytes());
        text.resize(200_000, b'y');
        text
    });
    let place = Place::new(messages.iter().map(|text| ("", 0, &text[..])));
    let mut session = place.session();
    assert_eq!(session.search("BODY \"XNÄDELEY\""), Ok((1..=8).collect()));
    assert_eq!(session.search("TEXT \"xnädelex\""), Ok(Vec::new()));
}
