//! Finds where a command ends in a stream of bytes: RFC 3501 section 2.2.1, literals (4.3), LITERAL+ (RFC 7888).
//!
//! It is told bytes and says how many of them belong to the current command, never more: a caller may peek at a
//! socket, and take just these. Each byte is looked at once, however the stream is cut. Its buffer goes with the
//! command ([`Framer::take`]), so that a client at rest holds none.
//!
//! What is over a limit is answered at once and passed over without being kept: the rest of that line, and what the
//! client sends unasked after it (`{n+}`), which the caller may bound by hanging up. A literal that waits to be
//! asked for is simply not asked for; the command ends with its announcement.
//!
//! The message of an `APPEND` never enters the buffer: the caller is told ([`Step::Literal`]) and reads it itself,
//! to wherever it shall go.

use std::fmt;

use memchr::{memchr, memrchr};

use super::Tag;
use super::cursor::{Cursor, decimal};

/// What one client may make us hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a command without its literals (`imap_max_line_length`).
    pub line: usize,
    /// Bytes of all literals of a command, an `APPEND`'s message not counted.
    pub literals: usize,
}

impl Default for Limits {
    /// 64 KiB each.
    fn default() -> Limits {
        Limits { line: 65_536, literals: 65_536 }
    }
}

/// What is to be done after the bytes were taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// All bytes were taken; more are needed.
    Incomplete,
    /// Send `+ OK`: the client waits for it before it sends a literal. Then feed on.
    Continue,
    /// A command is whole: [`Framer::take`] it.
    Complete,
    /// The message of an `APPEND` comes next. [`Framer::take`] has the command's head ([`super::parse`] reads it
    /// up to the announcement; for the second message and on, [`super::parse_append_more`]).
    ///
    /// To accept: send `+ OK` if `waits`, then read `size` bytes *without* feeding them, then feed on; the next
    /// step is another such message or [`Step::Complete`], and its [`Framer::take`] goes to `parse_append_more`.
    /// To refuse: answer, [`Framer::refuse_literal`], and feed on.
    Literal {
        /// Bytes of the message.
        size: u64,
        /// The client sends it only after `+ OK`.
        waits: bool,
    },
    /// Over a limit: answer the tag (`BAD`), and feed on. Nothing is to be taken.
    TooLong {
        /// The command's tag, if it could be read.
        tag: Option<Tag>,
        /// Which limit.
        excess: Excess,
    },
}

/// Which limit a command went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// [`Limits::line`]
    Line,
    /// [`Limits::literals`]
    Literals,
}

impl Excess {
    /// For the client.
    pub fn text(self) -> &'static str {
        match self {
            Excess::Line => "Command line too long",
            Excess::Literals => "Literal too large",
        }
    }
}

/// One client's stream.
pub struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// Where in the buffer the current line begins: at 0, or after a literal.
    line: usize,
    /// How much of the buffer is, or will be, literals.
    literals: usize,
    /// How much of a literal is still to come.
    pending: u64,
    /// How many literals this command announced; beyond 255 it no longer counts.
    announced: u8,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Keeping a command.
    Keep,
    /// An `APPEND` whose head was given away; keeping what follows the message that it announced.
    Append { size: u64, waits: bool },
    /// Passing over the rest of a command; the buffer holds the end of the current line.
    Skip,
}

/// What a line is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// A command; literals may follow.
    OfCommand,
    /// Nothing else.
    Alone,
}

/// How much is kept of a line that is passed over; an announcement is shorter.
const TAIL: usize = 32;

impl Framer {
    /// At the beginning of a command.
    pub fn new(limits: Limits) -> Framer {
        Framer {
            limits,
            buffer: Vec::new(),
            line: 0,
            literals: 0,
            pending: 0,
            announced: 0,
            state: State::Keep,
        }
    }

    /// Looks at what has arrived. Returns how many bytes were taken, and what to do then; unless that is
    /// [`Step::Incomplete`], what was not taken is to be fed again.
    pub fn feed(&mut self, input: &[u8]) -> (usize, Step) {
        self.advance(input, Line::OfCommand)
    }

    /// As [`Framer::feed`], where the client owes one line that is no command: a SASL response, or `DONE`. It has
    /// no literals.
    pub fn feed_line(&mut self, input: &[u8]) -> (usize, Step) {
        self.advance(input, Line::Alone)
    }

    /// The bytes of a command that is complete, or of the head of an `APPEND`, with the end of the line. They may
    /// hold a password: [`crate::Secret::new`] wipes them when they were read.
    pub fn take(&mut self) -> Vec<u8> {
        self.line = 0;
        self.literals = 0;
        self.announced = 0;
        std::mem::take(&mut self.buffer)
    }

    /// After [`Step::Literal`], until more is fed: does the client wait to be asked for the message? `None` where
    /// no message is announced.
    pub fn awaits(&self) -> Option<bool> {
        match self.state {
            State::Append { waits, .. } => Some(waits),
            State::Keep | State::Skip => None,
        }
    }

    /// After [`Step::Literal`]: the message is not wanted. Where the client sends it all the same, it and the rest
    /// of its command are passed over.
    pub fn refuse_literal(&mut self) {
        if let State::Append { size, waits } = self.state {
            self.give_up(if waits { None } else { Some(size) });
        }
    }

    /// Nothing of a command has been seen, and no memory is held.
    pub fn is_at_rest(&self) -> bool {
        self.buffer.is_empty() && self.pending == 0 && self.state == State::Keep
    }

    fn advance(&mut self, input: &[u8], kind: Line) -> (usize, Step) {
        let mut rest = input;
        while !rest.is_empty() {
            if self.pending > 0 {
                rest = self.read_literal(rest);
                continue;
            }
            let end = memchr(b'\n', rest).map(|at| at + 1);
            let (line, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, b""));
            rest = after;
            if let Some(step) = self.read_line(line, end.is_some(), kind) {
                return (input.len() - rest.len(), step);
            }
        }
        (input.len(), Step::Incomplete)
    }

    /// Takes what belongs to a literal; returns what does not.
    fn read_literal<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let length = usize::try_from(self.pending).unwrap_or(usize::MAX).min(input.len());
        let (literal, rest) = input.split_at_checked(length).unwrap_or((input, b""));
        if self.state != State::Skip {
            self.buffer.extend_from_slice(literal);
        }
        self.pending -= literal.len() as u64;
        self.line = self.buffer.len();
        rest
    }

    /// Takes a line, or as much of it as there is.
    fn read_line(&mut self, line: &[u8], ended: bool, kind: Line) -> Option<Step> {
        if self.state == State::Skip {
            self.pass_over(line, ended, kind);
            return None;
        }
        let room = self.limits.line.saturating_sub(self.buffer.len() - self.literals);
        if let Some((fitting, beyond)) = line.split_at_checked(room).filter(|(_, beyond)| !beyond.is_empty())
        {
            self.buffer.extend_from_slice(fitting);
            return Some(self.give_up_line(beyond, ended, kind));
        }
        self.buffer.extend_from_slice(line);
        if !ended {
            return None;
        }
        let announced = self.buffer.get(self.line..).and_then(Announcement::find);
        match announced.filter(|_| kind == Line::OfCommand) {
            Some(announced) => self.expect_literal(announced),
            None => {
                self.state = State::Keep;
                Some(Step::Complete)
            }
        }
    }

    fn expect_literal(&mut self, Announcement { at, size, waits }: Announcement) -> Option<Step> {
        self.announced = self.announced.saturating_add(1);
        if self.state != State::Keep || self.is_append_message(self.line + at) {
            self.state = State::Append { size, waits };
            return Some(Step::Literal { size, waits });
        }
        let room = self.limits.literals.saturating_sub(self.literals);
        let Some(fitting) = usize::try_from(size).ok().filter(|size| *size <= room) else {
            let tag = self.tag();
            self.give_up(if waits { None } else { Some(size) });
            return Some(Step::TooLong { tag, excess: Excess::Literals });
        };
        self.literals += fitting;
        self.pending = size;
        self.line = self.buffer.len();
        waits.then_some(Step::Continue)
    }

    /// Forgets a command whose line is too long, and begins to pass over what is `beyond`.
    fn give_up_line(&mut self, beyond: &[u8], ended: bool, kind: Line) -> Step {
        let (tag, begin) = (self.tag(), self.line);
        let command = self.take();
        self.state = State::Skip;
        self.pass_over(command.get(begin..).unwrap_or_default(), false, kind);
        self.pass_over(beyond, ended, kind);
        Step::TooLong { tag, excess: Excess::Line }
    }

    /// Forgets the command. With a number, as many bytes and the rest of a line are still to come of it.
    fn give_up(&mut self, to_come: Option<u64>) {
        self.take();
        self.pending = to_come.unwrap_or(0);
        self.state = if to_come.is_some() { State::Skip } else { State::Keep };
    }

    /// Passes over a line, or as much of it as there is, of a command that was given up.
    fn pass_over(&mut self, line: &[u8], ended: bool, kind: Line) {
        let tail = line.len().saturating_sub(TAIL);
        self.buffer.extend_from_slice(line.get(tail..).unwrap_or_default());
        self.buffer.drain(..self.buffer.len().saturating_sub(TAIL));
        if ended {
            let announced = Announcement::find(&self.buffer).filter(|_| kind == Line::OfCommand);
            // One that waits was told that the command failed, and sends nothing.
            self.give_up(announced.filter(|announced| !announced.waits).map(|announced| announced.size));
        }
    }

    fn tag(&self) -> Option<Tag> {
        Tag::new(Cursor::new(&self.buffer).take_while(|byte| byte.is_ascii_graphic()))
    }

    /// Is the literal that is announced at `at` a message? The first argument of an `APPEND` is a mailbox, so that
    /// only a command's first or second literal can be one; the others cost no look.
    fn is_append_message(&self, at: usize) -> bool {
        if self.announced > 2 {
            return false;
        }
        let mut cursor = Cursor::new(&self.buffer);
        cursor.take_while(|byte| byte.is_ascii_graphic());
        cursor.spaces();
        let append = cursor.word().is(b"APPEND");
        cursor.spaces();
        append && self.buffer.len() - cursor.remaining() < at
    }
}

impl fmt::Debug for Framer {
    /// Without its bytes: a password may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framer").field("state", &self.state).finish_non_exhaustive()
    }
}

/// What stands at the end of a line before a literal: `{12}`, or `{12+}` where the client does not wait.
struct Announcement {
    /// Where in the line the brace stands.
    at: usize,
    /// Bytes that follow; the greatest number where they were more.
    size: u64,
    waits: bool,
}

impl Announcement {
    /// The announcement of a line that has ended. Not one: what stands in quotes, or at the end of a word.
    fn find(line: &[u8]) -> Option<Announcement> {
        let text = line.strip_suffix(b"\n")?;
        let text = text.strip_suffix(b"\r").unwrap_or(text).strip_suffix(b"}")?;
        let at = memrchr(b'{', text)?;
        let (before, number) = text.split_at_checked(at)?;
        let number = number.strip_prefix(b"{")?;
        let digits = number.strip_suffix(b"+").unwrap_or(number);
        let numeric = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let apart = before.last().is_none_or(|byte| b" (~".contains(byte));
        (numeric && apart && !ends_in_quotes(before)).then(|| Announcement {
            at,
            size: decimal(digits).unwrap_or(u64::MAX),
            waits: digits.len() == number.len(),
        })
    }
}

fn ends_in_quotes(text: &[u8]) -> bool {
    let mut quoted = false;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next();
            }
            _ => {}
        }
    }
    quoted
}

#[cfg(test)]
mod tests;
