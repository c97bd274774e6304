//! What `FETCH` may be asked for, RFC 3501 section 6.4.5.

use std::num::NonZeroU32;

use super::cursor::{Cursor, Parsed, Word, bad};
use super::response;

/// One thing to be told of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "items bear the names that RFC 3501 gives them")]
pub enum FetchItem {
    Flags,
    InternalDate,
    Rfc822Size,
    Envelope,
    /// `BODY` alone: the structure without extension data.
    Body,
    BodyStructure,
    Uid,
    /// Bytes of the message: `BODY[...]`, `RFC822`, `RFC822.HEADER`, `RFC822.TEXT`.
    Content(Content),
}

/// Bytes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Which.
    pub section: Section,
    /// Which of these.
    pub partial: Option<Partial>,
    /// Leave `\Seen` as it is: `BODY.PEEK`, `RFC822.HEADER`.
    pub peek: bool,
    /// What the answer calls them.
    pub label: Label,
}

/// What the answer calls the bytes that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "labels bear the names that RFC 3501 gives them")]
pub enum Label {
    Body,
    Rfc822,
    Rfc822Header,
    Rfc822Text,
}

/// Part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// Numbers of body parts, outermost first; none for the message itself.
    pub part: Vec<NonZeroU32>,
    /// What of that part.
    pub text: SectionText,
}

/// What of a part is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SectionText {
    /// All of it: for the message header and body, for a part its body.
    #[default]
    All,
    /// The header of a message, with the empty line.
    Header,
    /// Only these header fields. Names as the client wrote them; case does not count.
    HeaderFields(Vec<Vec<u8>>),
    /// All header fields but these.
    HeaderFieldsNot(Vec<Vec<u8>>),
    /// The body of a message.
    Text,
    /// The MIME header of a part.
    Mime,
}

/// `<start.length>`: what lies beyond the end is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// Bytes to leave out in front.
    pub start: u64,
    /// Bytes at most.
    pub length: u64,
}

impl FetchItem {
    /// A macro, one item, or a list of items.
    pub(super) fn parse_all(cursor: &mut Cursor<'_>) -> Parsed<Vec<FetchItem>> {
        if cursor.peek() == Some(b'(') {
            let items = cursor.list(FetchItem::parse)?;
            return if items.is_empty() { bad("Missing items to fetch") } else { Ok(items) };
        }
        let mut ahead = *cursor;
        if let Some(items) = FetchItem::of_macro(&ahead.word()) {
            *cursor = ahead;
            return Ok(items);
        }
        Ok(vec![FetchItem::parse(cursor)?])
    }

    /// A macro stands alone, for these items.
    fn of_macro(name: &Word) -> Option<Vec<FetchItem>> {
        use FetchItem::{Body, Envelope, Flags, InternalDate, Rfc822Size};
        Some(match name.as_bytes() {
            b"ALL" => vec![Flags, InternalDate, Rfc822Size, Envelope],
            b"FAST" => vec![Flags, InternalDate, Rfc822Size],
            b"FULL" => vec![Flags, InternalDate, Rfc822Size, Envelope, Body],
            _ => return None,
        })
    }

    fn parse(cursor: &mut Cursor<'_>) -> Parsed<FetchItem> {
        let word = cursor.word();
        let bracket = cursor.peek() == Some(b'[');
        Ok(match word.as_bytes() {
            b"BODY" if bracket => Content::parse(cursor, false)?,
            b"BODY.PEEK" if bracket => Content::parse(cursor, true)?,
            _ if bracket => return bad("Unknown item to fetch"),
            b"FLAGS" => FetchItem::Flags,
            b"INTERNALDATE" => FetchItem::InternalDate,
            b"RFC822.SIZE" => FetchItem::Rfc822Size,
            b"ENVELOPE" => FetchItem::Envelope,
            b"BODY" => FetchItem::Body,
            b"BODYSTRUCTURE" => FetchItem::BodyStructure,
            b"UID" => FetchItem::Uid,
            b"RFC822" => Content::rfc822(SectionText::All, Label::Rfc822),
            b"RFC822.HEADER" => Content::rfc822(SectionText::Header, Label::Rfc822Header),
            b"RFC822.TEXT" => Content::rfc822(SectionText::Text, Label::Rfc822Text),
            _ => return bad("Unknown item to fetch"),
        })
    }
}

impl Content {
    fn rfc822(text: SectionText, label: Label) -> FetchItem {
        let peek = label == Label::Rfc822Header;
        FetchItem::Content(Content {
            section: Section { part: Vec::new(), text },
            partial: None,
            peek,
            label,
        })
    }

    fn parse(cursor: &mut Cursor<'_>, peek: bool) -> Parsed<FetchItem> {
        let section = Section::parse(cursor)?;
        let partial = if cursor.peek() == Some(b'<') { Some(Partial::parse(cursor)?) } else { None };
        Ok(FetchItem::Content(Content { section, partial, peek, label: Label::Body }))
    }

    /// Appends the item's name as the answer has it: `BODY[1.MIME]`, `BODY[TEXT]<0>`, `RFC822`.
    pub fn write_name(&self, out: &mut Vec<u8>) {
        match self.label {
            Label::Rfc822 => out.extend_from_slice(b"RFC822"),
            Label::Rfc822Header => out.extend_from_slice(b"RFC822.HEADER"),
            Label::Rfc822Text => out.extend_from_slice(b"RFC822.TEXT"),
            Label::Body => {
                out.extend_from_slice(b"BODY");
                self.section.write(out);
            }
        }
        if let Some(partial) = self.partial {
            out.push(b'<');
            response::number(out, partial.start);
            out.push(b'>');
        }
    }
}

impl Section {
    /// `[1.2.HEADER]`
    fn parse(cursor: &mut Cursor<'_>) -> Parsed<Section> {
        cursor.eat(b'[');
        let mut part = Vec::new();
        let mut dot = true;
        while dot && matches!(cursor.peek(), Some(b'0'..=b'9')) {
            match NonZeroU32::new(cursor.number()?) {
                Some(number) => part.push(number),
                None => return bad("Part numbers begin with 1"),
            }
            dot = cursor.eat(b'.');
        }
        let text = if part.is_empty() || dot { SectionText::parse(cursor)? } else { SectionText::All };
        let whole_part_with_dot = dot && !part.is_empty() && text == SectionText::All;
        let mime_of_message = part.is_empty() && text == SectionText::Mime;
        if whole_part_with_dot || mime_of_message || !cursor.eat(b']') {
            return bad("Malformed section");
        }
        Ok(Section { part, text })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, number) in self.part.iter().enumerate() {
            if index > 0 {
                out.push(b'.');
            }
            response::number(out, u64::from(number.get()));
        }
        if !self.part.is_empty() && self.text != SectionText::All {
            out.push(b'.');
        }
        self.text.write(out);
        out.push(b']');
    }
}

impl SectionText {
    fn parse(cursor: &mut Cursor<'_>) -> Parsed<SectionText> {
        Ok(match cursor.word().as_bytes() {
            b"" => SectionText::All,
            b"HEADER" => SectionText::Header,
            b"HEADER.FIELDS" => SectionText::HeaderFields(field_names(cursor)?),
            b"HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(field_names(cursor)?),
            b"TEXT" => SectionText::Text,
            b"MIME" => SectionText::Mime,
            _ => return bad("Unknown section"),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let (name, fields): (&[u8], &[Vec<u8>]) = match self {
            SectionText::All => (b"", &[]),
            SectionText::Header => (b"HEADER", &[]),
            SectionText::HeaderFields(fields) => (b"HEADER.FIELDS (", fields),
            SectionText::HeaderFieldsNot(fields) => (b"HEADER.FIELDS.NOT (", fields),
            SectionText::Text => (b"TEXT", &[]),
            SectionText::Mime => (b"MIME", &[]),
        };
        out.extend_from_slice(name);
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            response::astring(out, field);
        }
        if name.ends_with(b"(") {
            out.push(b')');
        }
    }
}

fn field_names(cursor: &mut Cursor<'_>) -> Parsed<Vec<Vec<u8>>> {
    cursor.spaces();
    let names = cursor.list(|cursor| cursor.astring().map(|name| name.into_owned()))?;
    if names.is_empty() { bad("Missing header fields") } else { Ok(names) }
}

impl Partial {
    /// `<0.1024>`
    fn parse(cursor: &mut Cursor<'_>) -> Parsed<Partial> {
        cursor.eat(b'<');
        let start = cursor.number64()?;
        if !cursor.eat(b'.') {
            return bad("Malformed partial range");
        }
        let length = cursor.number64()?;
        if cursor.eat(b'>') { Ok(Partial { start, length }) } else { bad("Malformed partial range") }
    }
}

#[cfg(test)]
mod tests;
