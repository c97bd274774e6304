//! A place in a message, counted three ways at once, and the span between two places.
//!
//! Differences of marks answer every question about size: stored bytes to read, CRLF bytes to announce, lines.

/// A place in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Bytes before this place, as stored.
    pub offset: u64,
    /// Bytes before this place, as clients see them: every line end is CRLF.
    pub crlf_offset: u64,
    /// Line ends before this place.
    pub lines: u64,
}

impl Mark {
    /// The later of two places.
    pub(crate) fn max(self, other: Mark) -> Mark {
        if other.offset > self.offset { other } else { self }
    }

    /// The place after `length` bytes without a line end.
    pub(crate) fn after_text(self, length: u64) -> Mark {
        Mark {
            offset: self.offset.saturating_add(length),
            crlf_offset: self.crlf_offset.saturating_add(length),
            lines: self.lines,
        }
    }

    /// The place after a line end of `stored` bytes (1 or 2).
    pub(crate) fn after_line_end(self, stored: u64) -> Mark {
        Mark {
            offset: self.offset.saturating_add(stored),
            crlf_offset: self.crlf_offset.saturating_add(2),
            lines: self.lines.saturating_add(1),
        }
    }
}

/// What lies between two places; `start` is never after `end`. It begins at the start of a line, so a [`Crlf`](crate::Crlf)
/// can translate it without knowing what came before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: Mark,
    /// The byte after its last.
    pub end: Mark,
}

impl Span {
    /// Stored bytes.
    pub fn size(&self) -> u64 {
        self.end.offset.saturating_sub(self.start.offset)
    }

    /// Bytes as clients see them.
    pub fn crlf_size(&self) -> u64 {
        self.end.crlf_offset.saturating_sub(self.start.crlf_offset)
    }

    /// Line ends.
    pub fn lines(&self) -> u64 {
        self.end.lines.saturating_sub(self.start.lines)
    }

    /// Its stored bytes, where `message` is the whole message; empty if that is too short.
    pub fn of<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        let start = usize::try_from(self.start.offset).unwrap_or(usize::MAX);
        let end = usize::try_from(self.end.offset).unwrap_or(usize::MAX);
        message.get(start..end).unwrap_or_default()
    }
}
