//! A stranger's message: its structure is the same however it is cut, its spans and sizes agree with its bytes, and
//! what is written of it can be read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use message::{
    Choice, Content, Crlf, CrlfSize, HeaderEnd, Parser, Part, Piece, Span, crlf_size, header_end, select,
    structure, write_envelope,
};

#[path = "../../../lib/message/src/readback.rs"]
#[expect(dead_code, reason = "that it can be read is enough")]
mod readback;

fuzz_target!(|input: &[u8]| {
    let (lengths, message) = fuzz::lengths(input);
    let part = structure(message);
    let seen = translated(message);
    assert_eq!(seen.len() as u64, crlf_size(message));
    assert!(!seen.contains(&0));
    assert_eq!(part.whole().size(), message.len() as u64);
    sound(&part, message, &seen);
    sections_of_message(&part, &part, &mut Vec::new());
    pieces_make_no_difference(message, lengths, &part, &seen);
    windows(message, lengths, &seen);
    written(&part, message);
});

fn translated(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Crlf::whole().push(bytes, &mut out);
    out
}

/// Spans lie within one another and in order; their counts are those of their bytes.
fn sound(part: &Part, message: &[u8], seen: &[u8]) {
    for span in [part.header(), part.body(), part.whole()] {
        let bytes = span.of(message);
        assert_eq!(bytes.len() as u64, span.size());
        assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count() as u64, span.lines());
        let (start, end) = (span.start.crlf_offset as usize, span.end.crlf_offset as usize);
        assert_eq!(&seen[start..end], translated(bytes));
    }
    let children = match &part.content {
        Content::Multipart(parts) => parts.as_slice(),
        Content::Message(message) => std::slice::from_ref(message.as_ref()),
        Content::Leaf | Content::Opaque => &[],
    };
    let mut from = part.body().start.offset;
    for child in children {
        let Span { start, end } = child.whole();
        assert!(from <= start.offset && end.offset <= part.whole().end.offset);
        from = end.offset;
        sound(child, message, seen);
    }
}

/// Every part is found by its numbers.
fn sections_of_message(root: &Part, message: &Part, path: &mut Vec<u32>) {
    assert_eq!(root.section(path, Piece::Header), Some(message.header()));
    assert_eq!(root.section(path, Piece::Text), Some(message.body()));
    match &message.content {
        Content::Multipart(parts) => sections_of_multipart(root, parts, path),
        _ => sections_of_multipart(root, std::slice::from_ref(message), path),
    }
}

fn sections_of_multipart(root: &Part, parts: &[Part], path: &mut Vec<u32>) {
    for (number, part) in (1..).zip(parts) {
        path.push(number);
        assert_eq!(root.section(path, Piece::Whole), Some(part.body()));
        assert_eq!(root.section(path, Piece::Mime), Some(part.header()));
        match &part.content {
            Content::Multipart(parts) => sections_of_multipart(root, parts, path),
            Content::Message(message) => sections_of_message(root, message, path),
            Content::Leaf | Content::Opaque => assert_eq!(root.section(path, Piece::Text), None),
        }
        path.pop();
    }
}

fn pieces_make_no_difference(message: &[u8], lengths: &[u8], part: &Part, seen: &[u8]) {
    let (mut parser, mut crlf, mut size) = (Parser::default(), Crlf::whole(), CrlfSize::default());
    let (mut end, mut at, mut header, mut out) = (HeaderEnd::default(), 0, None, Vec::new());
    for piece in fuzz::pieces(message, lengths) {
        parser.push(piece);
        crlf.push(piece, &mut out);
        size.push(piece);
        if header.is_none() {
            header = end.push(piece).map(|length| at + length);
        }
        at += piece.len();
    }
    assert_eq!(&parser.finish(), part);
    assert_eq!((out.as_slice(), size.size()), (seen, seen.len() as u64));
    assert_eq!(header, header_end(message));
}

/// Partial fetches, one after the other, are what a whole one has there.
fn windows(message: &[u8], lengths: &[u8], seen: &[u8]) {
    let mut crlf = Crlf::window(0, 0);
    let mut from = 0;
    for (&gap, &length) in lengths.iter().zip(lengths.iter().skip(1)) {
        from += usize::from(gap);
        let until = from + usize::from(length);
        crlf = crlf.resume(from as u64, length.into()).unwrap();
        let mut out = Vec::new();
        for piece in fuzz::pieces(&message[crlf.offset() as usize..], lengths) {
            if crlf.is_done() {
                break;
            }
            crlf.push(piece, &mut out);
        }
        assert_eq!(out, seen[from.min(seen.len())..until.min(seen.len())]);
        from = until;
    }
}

fn written(part: &Part, message: &[u8]) {
    let (mut body, mut structure, mut envelope, mut same) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    part.write_body(&mut body);
    part.write_bodystructure(&mut structure);
    part.write_envelope(&mut envelope);
    write_envelope(message, &mut same);
    assert_eq!(envelope, same);
    for datum in [&body, &structure, &envelope] {
        readback::read_all(datum);
    }
    let header = part.header().of(message);
    let (mut named, mut others) = (Vec::new(), Vec::new());
    select(header, Choice::Named, &["Subject", ""], &mut named);
    select(header, Choice::NotNamed, &["Subject", ""], &mut others);
    assert!(named.ends_with(b"\r\n") && others.len() <= 2 * header.len());
}
