//! The header block of a message or part: where it ends, its fields, and those of them that a client asked for.
//!
//! A block ends with an empty line, and nothing else ends it; a line that is no field is kept as one without a name, so
//! that what clients see is what is stored (RFC 5322, section 2.2; RFC 3501, section 6.4.5).

use crate::crlf::Crlf;
use memchr::{memchr, memchr_iter};
use std::borrow::Cow;

/// Fields that begin after this many bytes of a block, and what a field holds beyond, are not looked at for structure
/// and envelope.
pub const HEADER_MAX: usize = 256 * 1024;

/// The length of the header block that `message` begins with, empty line included; `None` if it does not end here.
pub fn header_end(message: &[u8]) -> Option<usize> {
    HeaderEnd::default().push(message)
}

/// Finds the end of a header block, chunk by chunk.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderEnd {
    line: Line,
}

#[derive(Clone, Copy, Debug, Default)]
enum Line {
    #[default]
    Empty,
    Cr,
    Text,
}

impl HeaderEnd {
    /// How many bytes of `chunk` belong to the block, if it ends in this chunk.
    pub fn push(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut start = 0;
        for lf in memchr_iter(b'\n', chunk) {
            let text = chunk.get(start..lf).unwrap_or_default();
            if matches!((self.line, text), (Line::Empty, [] | [b'\r']) | (Line::Cr, [])) {
                return Some(lf + 1);
            }
            self.line = Line::Empty;
            start = lf + 1;
        }
        self.line = match (self.line, chunk.get(start..).unwrap_or_default()) {
            (line, []) => line,
            (Line::Empty, [b'\r']) => Line::Cr,
            _ => Line::Text,
        };
        None
    }
}

/// One field of a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// What stands before the colon, without blanks around it; empty if the line has no colon.
    pub name: &'a [u8],
    /// What stands after the colon, as stored, without the last line end.
    pub value: &'a [u8],
    /// All of it, as stored, with its line ends.
    pub raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// Whether this is its name.
    pub fn is(&self, name: impl AsRef<[u8]>) -> bool {
        self.name.eq_ignore_ascii_case(name.as_ref())
    }

    /// The value without line ends and without blanks around it; a tab that begins a line is a space.
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        let value = self.value.trim_ascii();
        if memchr(b'\n', value).is_none() {
            return Cow::Borrowed(value);
        }
        let mut text = Vec::with_capacity(value.len());
        for line in value.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match line.strip_prefix(b"\t") {
                Some(line) => {
                    text.push(b' ');
                    text.extend_from_slice(line);
                }
                None => text.extend_from_slice(line),
            }
        }
        Cow::Owned(text)
    }
}

/// The fields of a header block, in order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Stops at the empty line, if there is one.
    pub fn new(header: &'a [u8]) -> Fields<'a> {
        Fields { rest: header }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if matches!(self.rest, [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
            return None;
        }
        let (raw, rest) = self.rest.split_at_checked(field_end(self.rest)).unwrap_or((self.rest, &[]));
        self.rest = rest;
        Some(field(raw))
    }
}

fn field_end(header: &[u8]) -> usize {
    memchr_iter(b'\n', header)
        .map(|lf| lf + 1)
        .find(|&end| !matches!(header.get(end), Some(b' ' | b'\t')))
        .unwrap_or(header.len())
}

fn field(raw: &[u8]) -> Field<'_> {
    let text = raw.strip_suffix(b"\n").unwrap_or(raw);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let first_line = memchr(b'\n', text).and_then(|lf| text.get(..lf)).unwrap_or(text);
    match memchr(b':', first_line).and_then(|colon| text.split_at_checked(colon)) {
        Some((name, value)) => {
            Field { name: name.trim_ascii(), value: value.strip_prefix(b":").unwrap_or(value), raw }
        }
        None => Field { name: &[], value: text, raw },
    }
}

/// Which fields of a header block a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `HEADER.FIELDS`
    Named,
    /// `HEADER.FIELDS.NOT`
    NotNamed,
}

/// Appends the fields chosen, as clients see them, and the empty line. Where a message has none, RFC 3501 section 6.4.5
/// wants none; clients that name fields look for it all the same.
pub fn select<N: AsRef<[u8]>>(header: &[u8], choice: Choice, names: &[N], out: &mut Vec<u8>) {
    let mut fields = Fields::new(header);
    for field in &mut fields {
        let named = names.iter().any(|name| field.is(name));
        if named == (choice == Choice::Named) {
            Crlf::whole().push(field.raw, out);
            if choice == Choice::Named && !field.raw.ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    if choice == Choice::Named || !fields.rest.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn header_ends_with_the_first_empty_line() {
        assert_eq!(header_end(b"A: b\n\nbody\n\n"), Some(6));
        assert_eq!(header_end(b"A: b\r\n\r\nbody"), Some(8));
        assert_eq!(header_end(b"\nbody"), Some(1));
        assert_eq!(header_end(b"A: b\r\n"), None);
        assert_eq!(header_end(b"A: b\n\r\r\nC: d\n"), None);
        assert_eq!(header_end(b""), None);
    }

    #[test]
    fn fields_keep_their_folding() {
        let header = b"Subject: a\r\n\tb\r\n c\r\nX-Empty:\r\nno field\r\nTo : d\r\n\r\nBody: no";
        let fields: Vec<Field<'_>> = Fields::new(header).collect();
        assert_eq!(fields[0].raw, b"Subject: a\r\n\tb\r\n c\r\n");
        assert_eq!(fields[0].name, b"Subject");
        assert_eq!(fields[0].unfolded().as_ref(), b"a b c");
        assert_eq!((fields[1].name, fields[1].value), (&b"X-Empty"[..], &b""[..]));
        assert_eq!((fields[2].name, fields[2].raw), (&b""[..], &b"no field\r\n"[..]));
        assert_eq!((fields[3].name, fields[3].value), (&b"To"[..], &b" d"[..]));
        assert_eq!(fields.len(), 4);
    }

    fn selected(header: &[u8], choice: Choice, names: &[&str]) -> String {
        let mut out = Vec::new();
        select(header, choice, names, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_selected_whatever_their_case() {
        let header = b"From: a\nSUBJECT: b\n c\nFrom: d\n\n";
        assert_eq!(selected(header, Choice::Named, &["subject", "to"]), "SUBJECT: b\r\n c\r\n\r\n");
        assert_eq!(selected(header, Choice::NotNamed, &["subject"]), "From: a\r\nFrom: d\r\n\r\n");
        assert_eq!(selected(header, Choice::Named, &["x"]), "\r\n");
    }

    #[test]
    fn named_fields_end_with_an_empty_line_even_if_the_message_has_none() {
        assert_eq!(selected(b"From: a", Choice::Named, &["from"]), "From: a\r\n\r\n");
        assert_eq!(selected(b"From: a", Choice::NotNamed, &["to"]), "From: a");
        assert_eq!(selected(b"", Choice::NotNamed, &["to"]), "");
    }

    proptest! {
        #[test]
        fn fields_are_the_block_cut_up(header in "[ab:\r\n \t]{0,40}") {
            let header = header.as_bytes();
            let end = header_end(header).unwrap_or(header.len());
            let raw: Vec<u8> = Fields::new(header).flat_map(|field| field.raw).copied().collect();
            let blank = header[..end].strip_prefix(&raw[..]).unwrap();
            prop_assert!(matches!(blank, b"" | b"\n" | b"\r\n"));
        }

        #[test]
        fn end_does_not_depend_on_chunks(header in "[a\r\n]{0,20}", cut in 0..20usize) {
            let header = header.as_bytes();
            let (head, tail) = header.split_at(cut.min(header.len()));
            let mut end = HeaderEnd::default();
            let found = end.push(head).or_else(|| end.push(tail).map(|length| head.len() + length));
            prop_assert_eq!(found, header_end(header));
        }
    }
}
