use super::*;
use crate::crlf::crlf_size;
use crate::envelope::write_envelope;
use crate::mark::Span;
use crate::part::Piece;
use proptest::prelude::*;

/// What a section of a message holds.
fn section<'a>(message: &'a str, path: &[u32], piece: Piece) -> Option<&'a str> {
    let span = structure(message.as_bytes()).section(path, piece)?;
    Some(std::str::from_utf8(span.of(message.as_bytes())).unwrap())
}

fn bodies(message: &str) -> Vec<&str> {
    (1..).map_while(|number| section(message, &[number], Piece::Whole)).collect()
}

fn multipart(body: &str) -> String {
    format!("Content-Type: multipart/mixed; boundary=b\n\n{body}")
}

#[test]
fn line_end_before_a_boundary_belongs_to_it() {
    assert_eq!(bodies(&multipart("pre\n--b\n\none\n\n--b\n\ntwo\n--b--\nafter\n")), ["one\n", "two"]);
    let crlf = multipart("--b\n\none\n--b\n\n\n--b--\n").replace('\n', "\r\n");
    assert_eq!(bodies(&crlf), ["one", ""]);
}

#[test]
fn boundary_may_have_blanks_and_more_after_it() {
    assert_eq!(
        bodies(&multipart("--b \t\n\none\n--b junk\n\ntwo\n--b-- \nafter\n--b\n\nno\n")),
        ["one", "two"]
    );
}

#[test]
fn longer_words_are_no_boundaries() {
    assert_eq!(
        bodies(&multipart("--b\n\none\n--bc\n--b-\n --b\n--b--c\n--b--")),
        ["one\n--bc\n--b-\n --b\n--b--c"]
    );
}

#[test]
fn longest_of_several_boundaries_wins() {
    let message = multipart(
        "--b\nContent-Type: multipart/mixed; boundary=\"b c\"\n\n--b c\n\ninner\n--b\n\nouter\n--b--\n",
    );
    assert_eq!(section(&message, &[1, 1], Piece::Whole), Some("inner"));
    assert_eq!(section(&message, &[2], Piece::Whole), Some("outer"));
}

#[test]
fn outer_boundary_ends_inner_parts() {
    let message =
        multipart("--b\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\ninner\n--b\n\nouter\n--i--\n");
    assert_eq!(section(&message, &[1], Piece::Whole), Some("--i\n\ninner"));
    assert_eq!(section(&message, &[1, 1], Piece::Whole), Some("inner"));
    assert_eq!(section(&message, &[2], Piece::Whole), Some("outer\n--i--\n"));
}

#[test]
fn message_without_close_boundary_ends_where_it_ends() {
    assert_eq!(bodies(&multipart("--b\n\none\n--b\n\ntwo\n")), ["one", "two\n"]);
}

#[test]
fn empty_parts_are_parts() {
    assert_eq!(bodies(&multipart("--b\n--b\n\n--b\nX: y\n--b\n\n\n--b--")), ["", "", "", ""]);
}

#[test]
fn multipart_without_parts_shows_what_it_has_as_text() {
    assert_eq!(bodies(&multipart("some\ntext\n")), ["some\ntext\n"]);
    assert_eq!(bodies(&multipart("some\n--b--\nafter")), ["some"]);
    assert_eq!(bodies("Content-Type: multipart/mixed; boundary=b\n"), [""]);
}

#[test]
fn sections_are_numbered_as_in_rfc_3501() {
    let message = "Subject: top\nContent-Type: multipart/mixed; boundary=1\n\n\
        --1\nContent-Type: text/plain\n\none\n\
        --1\nContent-Type: application/octet-stream\n\ntwo\n\
        --1\nContent-Type: message/rfc822\n\n\
        Subject: three\nContent-Type: multipart/mixed; boundary=3\n\n\
        --3\n\nthree one\n--3\nContent-Type: application/octet-stream\n\nthree two\n--3--\n\n\
        --1\nContent-Type: multipart/mixed; boundary=4\n\n\
        --4\nContent-Type: image/gif\nX: y\n\nfour one\n\
        --4\nContent-Type: message/rfc822\n\n\
        Subject: four two\nContent-Type: multipart/mixed; boundary=42\n\n\
        --42\nContent-Type: text/plain\n\nfour two one\n\
        --42\nContent-Type: multipart/alternative; boundary=422\n\n\
        --422\nContent-Type: text/plain\n\nfour two two one\n\
        --422\nContent-Type: text/richtext\n\nfour two two two\n--422--\n--42--\n--4--\n--1--\n";
    for (path, body) in [
        (&[1][..], "one"),
        (&[2], "two"),
        (&[3, 1], "three one"),
        (&[3, 2], "three two"),
        (&[4, 1], "four one"),
        (&[4, 2, 1], "four two one"),
        (&[4, 2, 2, 1], "four two two one"),
        (&[4, 2, 2, 2], "four two two two"),
    ] {
        assert_eq!(section(message, path, Piece::Whole), Some(body), "{path:?}");
        assert_eq!(section(message, path, Piece::Text), None, "{path:?}");
        assert_eq!(section(message, path, Piece::Header), None, "{path:?}");
    }
    assert_eq!(section(message, &[], Piece::Whole), Some(message));
    assert!(section(message, &[], Piece::Header).unwrap().ends_with("boundary=1\n\n"));
    assert!(section(message, &[], Piece::Text).unwrap().starts_with("--1\nContent-Type: text/plain"));
    let three = "Subject: three\nContent-Type: multipart/mixed; boundary=3\n\n";
    assert_eq!(section(message, &[3], Piece::Mime), Some("Content-Type: message/rfc822\n\n"));
    assert_eq!(section(message, &[3], Piece::Header), Some(three));
    assert!(section(message, &[3], Piece::Text).unwrap().starts_with("--3\n"));
    assert!(section(message, &[3], Piece::Whole).unwrap().starts_with("Subject: three\n"));
    assert_eq!(section(message, &[4, 1], Piece::Mime), Some("Content-Type: image/gif\nX: y\n\n"));
    assert!(section(message, &[4, 2], Piece::Header).unwrap().starts_with("Subject: four two\n"));
    for missing in [&[0][..], &[5], &[1, 1], &[3, 3], &[4, 3], &[4, 1, 1], &[4, 2, 2, 3], &[u32::MAX]] {
        assert_eq!(section(message, missing, Piece::Whole), None, "{missing:?}");
        assert_eq!(section(message, missing, Piece::Mime), None, "{missing:?}");
    }
    assert_eq!(section(message, &[], Piece::Mime), None);
}

#[test]
fn body_of_a_simple_message_is_its_part_1() {
    let message = "Subject: x\n\nbody\n";
    assert_eq!(section(message, &[1], Piece::Whole), Some("body\n"));
    assert_eq!(section(message, &[1], Piece::Mime), Some("Subject: x\n\n"));
    assert_eq!(section(message, &[1, 1], Piece::Whole), None);
    assert_eq!(section(message, &[2], Piece::Whole), None);
}

#[test]
fn message_in_a_message_is_its_part_1() {
    let message = "Content-Type: message/rfc822\n\nSubject: inner\n\nbody\n";
    assert_eq!(section(message, &[1], Piece::Header), Some("Subject: inner\n\n"));
    assert_eq!(section(message, &[1], Piece::Text), Some("body\n"));
    assert_eq!(section(message, &[1, 1], Piece::Whole), Some("body\n"));
    assert_eq!(section(message, &[1, 1], Piece::Mime), Some("Subject: inner\n\n"));
}

#[test]
fn header_without_body_is_all_header() {
    for message in ["", "\n", "Subject: x", "Subject: x\n", "Subject: x\n\n"] {
        assert_eq!(section(message, &[], Piece::Header), Some(message));
        assert_eq!(section(message, &[], Piece::Text), Some(""));
    }
}

#[test]
fn digest_parts_without_type_are_messages() {
    let message = "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nbody\n--b--\n";
    assert_eq!(section(message, &[1], Piece::Header), Some("Subject: x\n\n"));
    assert_eq!(section(message, &[1, 1], Piece::Whole), Some("body"));
}

fn depth(part: &Part) -> usize {
    1 + match &part.content {
        Content::Multipart(parts) => parts.iter().map(depth).max().unwrap_or(0),
        Content::Message(message) => depth(message),
        Content::Leaf | Content::Opaque => 0,
    }
}

#[test]
fn nesting_is_bounded() {
    let messages = "Content-Type: message/rfc822\n\n".repeat(10_000);
    let multiparts: String =
        (0..10_000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    for message in [messages, multiparts] {
        let part = structure(message.as_bytes());
        assert_eq!(depth(&part), DEPTH_MAX);
        assert_eq!(part.whole().size(), message.len() as u64);
    }
}

#[test]
fn number_of_parts_is_bounded() {
    let message = multipart(&("--b\n\n".repeat(PARTS_MAX * 2) + "--b--\nafter"));
    let Content::Multipart(parts) = structure(message.as_bytes()).content else { panic!("no multipart") };
    assert_eq!(parts.len(), PARTS_MAX - 1);
    assert!(parts.last().unwrap().body().size() > PARTS_MAX as u64);
}

#[test]
fn fields_kept_are_bounded() {
    let part = format!("--b\nContent-ID: {}\nX-Other: y\n\n", "x".repeat(HEADER_MAX * 2));
    let message = multipart(&part.repeat(20));
    let Content::Multipart(parts) = structure(message.as_bytes()).content else { panic!("no multipart") };
    assert_eq!(parts.len(), 20);
    assert_eq!(parts[0].fields.len(), HEADER_MAX);
    let kept: usize = parts.iter().map(|part| part.fields.len()).sum();
    assert!((FIELDS_MAX / 2..=FIELDS_MAX).contains(&kept));
}

#[test]
fn first_line_is_a_field_even_if_it_begins_with_a_blank() {
    let message = b" Date: x\nSubject: y\n\n";
    let (mut from_structure, mut from_header) = (Vec::new(), Vec::new());
    structure(message).write_envelope(&mut from_structure);
    write_envelope(message, &mut from_header);
    assert_eq!(from_structure, from_header);
    assert!(from_structure.starts_with(b"(\"x\" \"y\" "));
}

/// Spans lie within one another, in order, and their counts are those of their bytes.
fn assert_sound(part: &Part, message: &[u8]) {
    for span in [part.header(), part.body(), part.whole()] {
        assert!(span.start.offset <= span.end.offset);
        assert_eq!(span.of(message).len() as u64, span.size());
        assert_eq!(crlf_size(span.of(message)), span.crlf_size());
        assert_eq!(memchr_iter(b'\n', span.of(message)).count() as u64, span.lines());
    }
    let children = match &part.content {
        Content::Multipart(parts) => parts.as_slice(),
        Content::Message(message) => std::slice::from_ref(message.as_ref()),
        Content::Leaf | Content::Opaque => &[],
    };
    let mut from = part.body;
    for child in children {
        assert!(from.offset <= child.start.offset && child.end.offset <= part.end.offset);
        from = child.end;
        assert_sound(child, message);
    }
}

const PIECES: [&[u8]; 13] = [
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\n--b\n",
    b"\n--b--\n",
    b"\n--bc\r\n",
    b"\n--bc--",
    b"Content-Type: multipart/mixed; boundary=b\n\n",
    b"Content-Type: multipart/digest;\r\n boundary=\"bc\"\r\n\r\n",
    b"Content-Type: message/rfc822\n\n",
    b"Subject: x\n y",
    b"From: a@b\n",
];

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_message_is_sound_and_chunks_make_no_difference(message in any_message(), size in 1..20usize) {
        let part = structure(&message);
        assert_sound(&part, &message);
        prop_assert_eq!(part.whole(), Span { start: Mark::default(), end: part.end });
        prop_assert_eq!(part.end.offset, message.len() as u64);
        let mut parser = Parser::default();
        message.chunks(size).for_each(|chunk| parser.push(chunk));
        prop_assert_eq!(parser.finish(), part);
    }

    #[test]
    fn any_bytes_are_a_message(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        assert_sound(&structure(&message), &message);
    }

    #[test]
    fn envelope_is_the_same_from_structure_and_from_header(message in any_message()) {
        let (mut from_structure, mut from_header) = (Vec::new(), Vec::new());
        structure(&message).write_envelope(&mut from_structure);
        write_envelope(&message, &mut from_header);
        prop_assert_eq!(from_structure, from_header);
    }
}
