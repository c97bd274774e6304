//! The words of the grammar, RFC 3501 section 9: what commands are made of, read from a slice of bytes.
//!
//! Each function takes what it names off the front, or leaves a [`Fault`]. Lenient where real clients are: runs of
//! spaces count as one, an unquoted string may hold `%`, `*`, `\` and 8-bit bytes, a line may end in a bare LF.

use std::borrow::Cow;

use super::Status;

/// What is wrong with a command; becomes a [`super::ParseError`] where the tag is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) status: Status,
    pub(super) text: &'static str,
}

pub(super) type Parsed<T> = Result<T, Fault>;

/// A syntax error.
pub(super) fn bad<T>(text: &'static str) -> Parsed<T> {
    Err(Fault { status: Status::Bad, text })
}

/// Well-formed, but can't be done.
pub(super) fn no<T>(text: &'static str) -> Parsed<T> {
    Err(Fault { status: Status::No, text })
}

/// What of a command is still to be read.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: bytes }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// How many bytes are left.
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes `byte` if it is next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes all spaces that are next; were there any?
    pub(super) fn spaces(&mut self) -> bool {
        let before = self.rest.len();
        while self.eat(b' ') {}
        self.rest.len() < before
    }

    /// The space before an argument.
    pub(super) fn space(&mut self) -> Parsed<()> {
        if self.spaces() && !self.is_empty() { Ok(()) } else { bad("Missing argument") }
    }

    /// Nothing may be left but spaces.
    pub(super) fn end(&mut self) -> Parsed<()> {
        self.spaces();
        if self.is_empty() { Ok(()) } else { bad("Too many or malformed arguments") }
    }

    pub(super) fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().position(|byte| !belongs(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, b""));
        self.rest = rest;
        taken
    }

    /// A keyword of the protocol: letters, digits, `.` and `-`. Empty where there is none.
    pub(super) fn word(&mut self) -> Word {
        Word::new(self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-'))
    }

    /// RFC 3501 `number`.
    pub(super) fn number(&mut self) -> Parsed<u32> {
        u32::try_from(self.number64()?).or_else(|_| bad("Number too large"))
    }

    /// RFC 9051 `number64`.
    pub(super) fn number64(&mut self) -> Parsed<u64> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return bad("Missing number");
        }
        decimal(digits).map_or_else(|| bad("Number too large"), Ok)
    }

    /// RFC 3501 `atom`, to the letter.
    pub(super) fn atom(&mut self) -> Parsed<&'a [u8]> {
        let atom = self.take_while(|byte| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte));
        if atom.is_empty() { bad("Missing or malformed word") } else { Ok(atom) }
    }

    /// RFC 3501 `astring` and `list-mailbox`: a string, or a run of bytes that needs no quotes.
    pub(super) fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string();
        }
        let bytes = self.take_while(|byte| byte > b' ' && byte != 0x7f && !b"()\"".contains(&byte));
        if bytes.is_empty() { bad("Missing or malformed argument") } else { Ok(Cow::Borrowed(bytes)) }
    }

    /// RFC 3501 `string`: quoted, or a literal.
    pub(super) fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => bad("Missing string"),
        }
    }

    /// RFC 3501 `nstring`: a string or `NIL`.
    pub(super) fn nstring(&mut self) -> Parsed<Option<Cow<'a, [u8]>>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string().map(Some);
        }
        if self.word().is(b"NIL") { Ok(None) } else { bad("Missing string or NIL") }
    }

    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.eat(b'"');
        let plain = self.take_while(|byte| !b"\"\\\r\n\0".contains(&byte));
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut bytes = plain.to_vec();
        while self.eat(b'\\') {
            match self.rest.split_first() {
                Some((byte, rest)) if !b"\r\n\0".contains(byte) => {
                    bytes.push(*byte);
                    self.rest = rest;
                }
                _ => break,
            }
            bytes.extend_from_slice(self.take_while(|byte| !b"\"\\\r\n\0".contains(&byte)));
        }
        if self.eat(b'"') { Ok(Cow::Owned(bytes)) } else { bad("Missing '\"'") }
    }

    fn literal(&mut self) -> Parsed<&'a [u8]> {
        let size = usize::try_from(self.announcement()?).or_else(|_| bad("Literal too large"))?;
        match self.rest.split_at_checked(size) {
            Some((bytes, _)) if memchr::memchr(0, bytes).is_some() => bad("NUL in literal"),
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => bad("Literal cut short"),
        }
    }

    /// `{12}` or `{12+}` and the end of its line (or of all): the size of a literal that follows, or will.
    pub(super) fn announcement(&mut self) -> Parsed<u64> {
        if !self.eat(b'{') {
            return bad("Missing literal");
        }
        let size = self.number64()?;
        self.eat(b'+');
        let closed = self.eat(b'}');
        self.eat(b'\r');
        if closed && (self.eat(b'\n') || self.is_empty()) { Ok(size) } else { bad("Malformed literal") }
    }

    /// A list in parentheses, which may be empty.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        if !self.eat(b'(') {
            return bad("Missing '('");
        }
        let mut items = Vec::new();
        loop {
            let apart = self.spaces() || items.is_empty();
            if self.eat(b')') {
                return Ok(items);
            }
            if !apart || self.is_empty() {
                return bad("Missing ')'");
            }
            items.push(item(self)?);
        }
    }
}

/// The value of decimal digits, if it fits.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A keyword in upper case. None that we know is longer than the room here; a longer one becomes `?`, which is none.
pub(super) struct Word {
    bytes: [u8; Word::ROOM],
    length: usize,
}

impl Word {
    const ROOM: usize = 24;

    fn new(source: &[u8]) -> Word {
        let mut bytes = [b'?'; Word::ROOM];
        let Some(target) = bytes.get_mut(..source.len()) else { return Word { bytes, length: 1 } };
        target.copy_from_slice(source);
        target.make_ascii_uppercase();
        Word { bytes, length: source.len() }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(super) fn is(&self, name: &[u8]) -> bool {
        self.as_bytes() == name
    }
}
