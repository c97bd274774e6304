//! A message, line by line, to the tree of its parts.
//!
//! Holds no more of the message than the fields it needs and the head of an unfinished line; what it finds does not
//! depend on how the message is cut into chunks. A line that begins a part is `--`, the boundary of an open multipart,
//! and then nothing or a blank (RFC 2046, section 5.1.1); where several fit, the longest wins. The line end before it
//! belongs to it.

use crate::envelope::is_envelope_field;
use crate::header::{Fields, HEADER_MAX};
use crate::mark::Mark;
use crate::parameters::parameter;
use crate::part::{Content, Part, field, is_content_field, media_type};
use crate::value::{Value, is_blank};
use memchr::memchr_iter;

/// Parts within parts: a multipart or message that lies deeper is [`Content::Opaque`].
pub const DEPTH_MAX: usize = 100;
/// Parts of one message: boundaries after that many are text.
pub const PARTS_MAX: usize = 10_000;
/// Bytes of header fields kept for one message: what comes after that is not looked at for structure and envelope. (Of
/// hostile fields, such as thousands of one-letter addresses, the answers are up to 50 times as long.)
pub const FIELDS_MAX: usize = 1024 * 1024;

/// The structure of a message that is in memory.
pub fn structure(message: &[u8]) -> Part {
    let mut parser = Parser::default();
    parser.push(message);
    parser.finish()
}

/// Finds the structure of a message, chunk by chunk.
#[derive(Debug)]
pub struct Parser {
    /// After the last whole line.
    at: Mark,
    /// Before the end of the last whole line: where a part ends if a boundary follows.
    before_line_end: Mark,
    unfinished: Unfinished,
    /// The message, and within it the parts that the line at hand lies in.
    open: Vec<Open>,
    /// Whether the innermost open part is still in its header.
    in_header: bool,
    /// The fields of that header that are worth keeping, one a line.
    fields: Vec<u8>,
    /// Whether the last line of that header was kept.
    keeping: bool,
    fields_left: usize,
    parts: usize,
    /// The message, once it is closed.
    message: Option<Part>,
}

#[derive(Debug, Default)]
struct Unfinished {
    /// At most `HEADER_MAX` bytes of it.
    head: Vec<u8>,
    length: u64,
    after_cr: bool,
}

#[derive(Debug)]
struct Open {
    part: Part,
    role: Role,
    /// Of a multipart that has not been closed.
    boundary: Option<Vec<u8>>,
    /// What its parts are.
    parts: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Message,
    Part,
    /// A part that is a message unless it says otherwise.
    DigestPart,
}

enum Delimiter {
    Next,
    Close,
}

enum Kind {
    Leaf,
    Message,
    Multipart { boundary: Vec<u8>, parts: Role },
}

impl Default for Parser {
    fn default() -> Parser {
        let mut parser = Parser {
            at: Mark::default(),
            before_line_end: Mark::default(),
            unfinished: Unfinished::default(),
            open: Vec::new(),
            in_header: true,
            fields: Vec::new(),
            keeping: false,
            fields_left: FIELDS_MAX,
            parts: 0,
            message: None,
        };
        parser.start(Role::Message, Mark::default());
        parser
    }
}

impl Parser {
    /// Takes the next chunk of the message.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut start = 0;
        for lf in memchr_iter(b'\n', chunk) {
            let text = chunk.get(start..lf).unwrap_or_default();
            start = lf + 1;
            if self.unfinished.length == 0 {
                self.whole_line(text, text.len() as u64, text.ends_with(b"\r"));
            } else {
                self.unfinished.push(text);
                let line = std::mem::take(&mut self.unfinished);
                self.whole_line(&line.head, line.length, line.after_cr);
            }
        }
        self.unfinished.push(chunk.get(start..).unwrap_or_default());
    }

    /// Says that the message ends here.
    pub fn finish(mut self) -> Part {
        let line = std::mem::take(&mut self.unfinished);
        if line.length > 0 {
            let end = self.at.after_text(line.length);
            self.line(&line.head, end, end);
        }
        self.close(0, self.at);
        self.message.unwrap_or_else(|| Part::empty(self.at))
    }

    /// Takes a line up to its LF: the head of it, and the length of all of it, CR included.
    fn whole_line(&mut self, head: &[u8], length: u64, after_cr: bool) {
        let length = length.saturating_sub(after_cr.into());
        let most = usize::try_from(length).map_or(HEADER_MAX, |length| length.min(HEADER_MAX));
        let end = self.at.after_text(length);
        self.line(head.get(..most).unwrap_or(head), end, end.after_line_end(1 + u64::from(after_cr)));
    }

    /// Takes a line: its text, where that ends, and where the next line begins.
    fn line(&mut self, text: &[u8], end: Mark, next: Mark) {
        if let Some((depth, delimiter)) = self.delimiter(text) {
            self.close(depth, self.before_line_end);
            match delimiter {
                Delimiter::Next => self.next_part(next),
                Delimiter::Close => self.close_multipart(),
            }
        } else if self.in_header {
            if text.is_empty() && next != end {
                self.end_header(next);
            } else {
                self.keep(text);
            }
        }
        self.before_line_end = end;
        self.at = next;
    }

    /// Whether this line delimits parts, and how many open parts it leaves open.
    fn delimiter(&self, text: &[u8]) -> Option<(usize, Delimiter)> {
        let text = text.strip_prefix(b"--")?;
        let matches = self.open.iter().zip(1..).filter_map(|(open, depth)| {
            let boundary = open.boundary.as_deref()?;
            let delimiter = delimiter_after(text.strip_prefix(boundary)?)?;
            Some((boundary.len(), depth, delimiter))
        });
        let (_, depth, delimiter) = matches.max_by_key(|&(length, depth, _)| (length, depth))?;
        let is_text = matches!(delimiter, Delimiter::Next) && self.parts >= PARTS_MAX;
        (!is_text).then_some((depth, delimiter))
    }

    fn next_part(&mut self, at: Mark) {
        let role = self.open.last().map_or(Role::Part, |multipart| multipart.parts);
        self.start(role, at);
    }

    fn close_multipart(&mut self) {
        if let Some(multipart) = self.open.last_mut() {
            multipart.boundary = None;
            multipart.part.ensure_part(self.before_line_end);
        }
    }

    fn start(&mut self, role: Role, at: Mark) {
        self.open.push(Open { part: Part::empty(at), role, boundary: None, parts: Role::Part });
        self.in_header = true;
        self.parts += 1;
    }

    /// Keeps what is needed of a header line.
    fn keep(&mut self, text: &[u8]) {
        let Some(open) = self.open.last() else { return };
        let before = self.at.offset.saturating_sub(open.part.start.offset);
        let room = usize::try_from(before).map_or(0, |before| HEADER_MAX.saturating_sub(before));
        let text = text.get(..room).unwrap_or(text);
        // A first line goes on with nothing, whatever it begins with.
        if before == 0 || !matches!(text.first(), Some(b' ' | b'\t')) {
            let name = Fields::new(text).next().map_or(&[][..], |field| field.name);
            let is_needed = is_content_field(name) || (open.role == Role::Message && is_envelope_field(name));
            self.keeping = is_needed && self.fields_left > 0;
            if self.keeping && !self.fields.is_empty() {
                self.fields.push(b'\n');
            }
        }
        if self.keeping {
            let text = text.get(..self.fields_left).unwrap_or(text);
            match text.strip_prefix(b"\t") {
                Some(rest) => {
                    self.fields.push(b' ');
                    self.fields.extend_from_slice(rest);
                }
                None => self.fields.extend_from_slice(text),
            }
            self.fields_left -= text.len();
        }
    }

    /// Ends the header of the innermost part: now its kind is known.
    fn end_header(&mut self, at: Mark) {
        self.in_header = false;
        self.keeping = false;
        let has_room = self.open.len() < DEPTH_MAX && self.parts < PARTS_MAX;
        let Some(open) = self.open.last_mut() else { return };
        open.part.body = at;
        open.part.fields = self.fields.as_slice().into();
        self.fields.clear();
        match kind(&open.part.fields, open.role) {
            Kind::Leaf => {}
            Kind::Multipart { boundary, parts } if has_room => {
                open.part.content = Content::Multipart(Vec::new());
                open.boundary = Some(boundary);
                open.parts = parts;
            }
            Kind::Message if has_room && !is_encoded(&open.part.fields) => self.start(Role::Message, at),
            Kind::Message | Kind::Multipart { .. } => open.part.content = Content::Opaque,
        }
    }

    /// Closes all but the `depth` outermost open parts, at `end` or where the innermost of them can end at the earliest.
    fn close(&mut self, depth: usize, end: Mark) {
        let mut end = end;
        while self.open.len() > depth {
            if self.in_header {
                let start = self.open.last().map_or(end, |open| open.part.start);
                self.end_header(end.max(start));
                continue;
            }
            let Some(Open { mut part, role, .. }) = self.open.pop() else { return };
            end = end.max(part.body);
            part.end = end;
            part.ensure_part(end);
            let Some(parent) = self.open.last_mut() else {
                self.message = Some(part);
                return;
            };
            match &mut parent.part.content {
                Content::Multipart(parts) => parts.push(part),
                content if role == Role::Message => *content = Content::Message(Box::new(part)),
                _ => {}
            }
        }
    }
}

impl Unfinished {
    fn push(&mut self, bytes: &[u8]) {
        let room = HEADER_MAX.saturating_sub(self.head.len());
        self.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.length = self.length.saturating_add(bytes.len() as u64);
        if let Some(last) = bytes.last() {
            self.after_cr = *last == b'\r';
        }
    }
}

fn delimiter_after(rest: &[u8]) -> Option<Delimiter> {
    let is_end = |rest: &[u8]| rest.first().is_none_or(|&byte| is_blank(byte));
    if is_end(rest) {
        Some(Delimiter::Next)
    } else {
        rest.strip_prefix(b"--").filter(|rest| is_end(rest)).map(|_| Delimiter::Close)
    }
}

fn kind(fields: &[u8], role: Role) -> Kind {
    let Some(value) = field(fields, "Content-Type") else {
        return if role == Role::DigestPart { Kind::Message } else { Kind::Leaf };
    };
    let Some((kind, subtype)) = media_type(fields) else { return Kind::Leaf };
    if kind.eq_ignore_ascii_case(b"message") && subtype.eq_ignore_ascii_case(b"rfc822") {
        return Kind::Message;
    }
    if !kind.eq_ignore_ascii_case(b"multipart") {
        return Kind::Leaf;
    }
    let is_digest = subtype.eq_ignore_ascii_case(b"digest");
    let boundary = parameter(Value::new(value), "boundary").unwrap_or_default();
    match boundary.trim_ascii_end() {
        [] => Kind::Leaf,
        boundary => Kind::Multipart {
            boundary: boundary.to_vec(),
            parts: if is_digest { Role::DigestPart } else { Role::Part },
        },
    }
}

/// Whether a message lies here as base64 or quoted-printable, which RFC 2046 forbids.
fn is_encoded(fields: &[u8]) -> bool {
    field(fields, "Content-Transfer-Encoding").is_some_and(|value| {
        let encoding = Value::new(value).token();
        encoding.eq_ignore_ascii_case(b"base64") || encoding.eq_ignore_ascii_case(b"quoted-printable")
    })
}

#[cfg(test)]
mod tests;
