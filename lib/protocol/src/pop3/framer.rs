//! Finds where a line ends in a stream of bytes; the contract is that of [`crate::imap::Framer`].
//!
//! It takes the bytes of one line and never more, looks at each once, holds no buffer between lines, and passes over
//! what is too long without keeping it.

use std::fmt;

use memchr::memchr;

/// What is to be done after the bytes were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// All bytes were taken; more are needed.
    Incomplete,
    /// A line is whole: [`Framer::take`] it.
    Complete,
    /// The line is longer than allowed: say so, and feed on. Its rest is passed over.
    TooLong,
}

/// One client's stream.
pub struct Framer {
    longest: usize,
    buffer: Vec<u8>,
    skipping: bool,
}

impl Framer {
    /// At the beginning of a line; `longest` counts its end, too. RFC 2449 asks for 255 at least, SASL for more.
    pub fn new(longest: usize) -> Framer {
        Framer { longest, buffer: Vec::new(), skipping: false }
    }

    /// Looks at what has arrived. Returns how many bytes were taken, and what to do then; unless that is
    /// [`Step::Incomplete`], what was not taken is to be fed again.
    pub fn feed(&mut self, input: &[u8]) -> (usize, Step) {
        let mut rest = input;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).map(|at| at + 1);
            let (line, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, b""));
            rest = after;
            let taken = input.len() - rest.len();
            if self.skipping {
                self.skipping = end.is_none();
            } else if self.buffer.len() + line.len() > self.longest {
                self.take();
                self.skipping = end.is_none();
                return (taken, Step::TooLong);
            } else {
                self.buffer.extend_from_slice(line);
                if end.is_some() {
                    return (taken, Step::Complete);
                }
            }
        }
        (input.len(), Step::Incomplete)
    }

    /// The bytes of a line that is complete, with its end. They may hold a password.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }
}

impl fmt::Debug for Framer {
    /// Without its bytes: a password may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_its_own_bytes_and_no_more() {
        let mut framer = Framer::new(20);
        assert_eq!(framer.feed(b"USER al"), (7, Step::Incomplete));
        assert_eq!(framer.feed(b"ice\r\nPASS x\n"), (5, Step::Complete));
        assert_eq!(framer.take(), b"USER alice\r\n");
        assert_eq!(framer.feed(b"PASS x\n"), (7, Step::Complete));
        assert_eq!(framer.take(), b"PASS x\n");
    }

    #[test]
    fn a_long_line_costs_itself_only() {
        let mut framer = Framer::new(8);
        assert_eq!(framer.feed(b"12345678\n"), (9, Step::TooLong));
        assert_eq!(framer.feed(b"1234567\n"), (8, Step::Complete));
        framer.take();
        assert_eq!(framer.feed(b"123456789"), (9, Step::TooLong));
        assert_eq!(framer.feed(b"0123456789"), (10, Step::Incomplete));
        assert_eq!(framer.feed(b"0\nNOOP\r\nQUIT"), (8, Step::Complete));
        assert_eq!(framer.take(), b"NOOP\r\n");
    }
}
