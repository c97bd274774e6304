//! One part of a message: where it lies, what it holds, and how a client's section finds it (RFC 3501, section 6.4.5).
//!
//! The tree is at most [`DEPTH_MAX`](crate::DEPTH_MAX) deep, so that walking and dropping it may recurse.

use crate::header::Fields;
use crate::mark::{Mark, Span};
use crate::value::Value;

/// A message, or one MIME part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub(crate) start: Mark,
    pub(crate) body: Mark,
    pub(crate) end: Mark,
    /// The header fields that structure and envelope are made of, unfolded, one a line.
    pub(crate) fields: Box<[u8]>,
    /// What it holds.
    pub content: Content,
}

/// What a part holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Neither parts nor a message.
    Leaf,
    /// A multipart or message that is not looked into, and shown as `application/octet-stream`: it lies too deep, there
    /// are too many parts before it, or it is a message in base64 or quoted-printable.
    Opaque,
    /// Parts, at least one.
    Multipart(Vec<Part>),
    /// A `message/rfc822`.
    Message(Box<Part>),
}

/// What of a message or part a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// All of a message, or the body of a part: `BODY[]`, `BODY[1]`.
    Whole,
    /// The header of a message: `BODY[HEADER]`, `BODY[1.HEADER]`.
    Header,
    /// The body of a message: `BODY[TEXT]`, `BODY[1.TEXT]`.
    Text,
    /// The header of a part: `BODY[1.MIME]`.
    Mime,
}

impl Part {
    /// Its header block, with the empty line if it has one.
    pub fn header(&self) -> Span {
        Span { start: self.start, end: self.body }
    }

    /// What follows the header block.
    pub fn body(&self) -> Span {
        Span { start: self.body, end: self.end }
    }

    /// Header and body.
    pub fn whole(&self) -> Span {
        Span { start: self.start, end: self.end }
    }

    /// Finds a section of this message, `path` being its numbers; `None` if it has no such section. (`HEADER.FIELDS` is
    /// [`Piece::Header`], then [`select`](crate::select).)
    pub fn section(&self, path: &[u32], piece: Piece) -> Option<Span> {
        match path.iter().try_fold(Place::Message(self), Place::child)? {
            Place::Message(message) => message.piece(piece),
            Place::Part(part) => match (piece, &part.content) {
                (Piece::Whole, _) => Some(part.body()),
                (Piece::Mime, _) => Some(part.header()),
                (_, Content::Message(message)) => message.piece(piece),
                _ => None,
            },
        }
    }

    /// An empty part at this place.
    pub(crate) fn empty(at: Mark) -> Part {
        Part { start: at, body: at, end: at, fields: Box::default(), content: Content::Leaf }
    }

    /// Gives a multipart in which no part began one, as IMAP can't show it otherwise: a text, which is what stands where
    /// parts should.
    pub(crate) fn ensure_part(&mut self, end: Mark) {
        if let Content::Multipart(parts) = &mut self.content
            && parts.is_empty()
        {
            parts.push(Part { end: end.max(self.body), ..Part::empty(self.body) });
        }
    }

    fn piece(&self, piece: Piece) -> Option<Span> {
        match piece {
            Piece::Whole => Some(self.whole()),
            Piece::Header => Some(self.header()),
            Piece::Text => Some(self.body()),
            Piece::Mime => None,
        }
    }
}

/// Where a number of a section's path leads from. A message's own body is its part 1, unless it has several.
enum Place<'a> {
    Message(&'a Part),
    Part(&'a Part),
}

impl<'a> Place<'a> {
    fn child(self, number: &u32) -> Option<Place<'a>> {
        let index = usize::try_from(*number).ok()?.checked_sub(1)?;
        match self {
            Place::Message(Part { content: Content::Multipart(parts), .. })
            | Place::Part(Part { content: Content::Multipart(parts), .. }) => {
                parts.get(index).map(Place::Part)
            }
            Place::Message(message) => (index == 0).then_some(Place::Part(message)),
            Place::Part(Part { content: Content::Message(message), .. }) => {
                Place::Message(message).child(number)
            }
            Place::Part(_) => None,
        }
    }
}

/// The first field of this name, without blanks around its value.
pub(crate) fn field<'a>(fields: &'a [u8], name: &str) -> Option<&'a [u8]> {
    Fields::new(fields).find(|field| field.is(name)).map(|field| field.value.trim_ascii())
}

/// What `Content-Type` says, if it is there and makes sense.
pub(crate) fn media_type(fields: &[u8]) -> Option<(&[u8], &[u8])> {
    Value::new(field(fields, "Content-Type")?).media_type()
}

/// Whether a body structure is made of this field among others.
pub(crate) fn is_content_field(name: &[u8]) -> bool {
    CONTENT_FIELDS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

const CONTENT_FIELDS: [&str; 8] = [
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "Content-MD5",
    "Content-Disposition",
    "Content-Language",
    "Content-Location",
];
