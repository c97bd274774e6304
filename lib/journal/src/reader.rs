//! The master's side: bytes of any kind from a child, in; lines that are safe to log, out.

use std::time::Instant;

use log::Level;

use crate::{Rate, without_controls};

/// One line of a child, with nothing in it that a terminal or another program would take for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// How bad it is.
    pub level: Level,
    /// What it says.
    pub text: String,
}

/// Makes entries of one child's bytes: bounded in length and in number.
#[derive(Debug)]
pub struct Reader {
    partial: Vec<u8>,
    rate: Rate,
}

impl Reader {
    /// Takes at most `rate` lines a second; 0 is no limit.
    pub fn new(rate: u32) -> Self {
        Self { partial: Vec::new(), rate: Rate::new(rate) }
    }

    /// The entries that `bytes`, read at `now`, complete. Lines beyond the rate are only counted, and the count is
    /// an entry of its own in a later second.
    pub fn push(&mut self, bytes: &[u8], now: Instant) -> Vec<Entry> {
        let mut entries = Vec::new();
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let whole = piece.ends_with(b"\n");
            self.partial.extend_from_slice(piece);
            if whole || self.partial.len() > MAX_LINE {
                let line = std::mem::take(&mut self.partial);
                self.admit(&line, now, &mut entries);
            }
        }
        entries
    }

    /// What is left when the child is gone: a last line without end, and the count of those not told.
    pub fn finish(&mut self, now: Instant) -> Vec<Entry> {
        let mut entries = Vec::new();
        let line = std::mem::take(&mut self.partial);
        if !line.is_empty() {
            self.admit(&line, now, &mut entries);
        }
        let unsaid = self.rate.unsaid();
        entries.extend(self.note(unsaid));
        entries
    }

    fn admit(&mut self, line: &[u8], now: Instant, entries: &mut Vec<Entry>) {
        let Some(unsaid) = self.rate.admit(now) else { return };
        entries.extend(self.note(unsaid));
        entries.extend(parse(line));
    }

    fn note(&self, count: u64) -> Option<Entry> {
        (count > 0).then(|| Entry {
            level: Level::Warn,
            text: format!("{count} lines suppressed, more than {} a second", self.rate.most()),
        })
    }
}

fn parse(line: &[u8]) -> Option<Entry> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let (level, text) = match line {
        [1, b'I', text @ ..] => (Level::Info, text),
        [1, b'W', text @ ..] => (Level::Warn, text),
        [1, b'D', text @ ..] => (Level::Debug, text),
        [1, b'E', text @ ..] => (Level::Error, text),
        text => (Level::Error, text),
    };
    let text = without_controls(&String::from_utf8_lossy(text));
    (!text.is_empty()).then_some(Entry { level, text })
}

/// A line longer than this becomes several.
const MAX_LINE: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn entry(level: Level, text: &str) -> Entry {
        Entry { level, text: text.to_owned() }
    }

    #[test]
    fn levels_and_stray_output() {
        let mut reader = Reader::new(0);
        let now = Instant::now();
        assert_eq!(reader.push(b"\x01Ihel", now), []);
        assert_eq!(
            reader.push(b"lo\n\x01Wx\npanicked\n", now),
            [entry(Level::Info, "hello"), entry(Level::Warn, "x"), entry(Level::Error, "panicked")]
        );
        reader.push(b"last", now);
        assert_eq!(reader.finish(now), [entry(Level::Error, "last")]);
    }

    #[test]
    fn nothing_dangerous_comes_through() {
        let entries = Reader::new(0).push(b"\x01Ia\x1b[2J\rfaked\n", Instant::now());
        assert_eq!(entries, [entry(Level::Info, "a\\u{1b}[2J\\rfaked")]);
    }

    #[test]
    fn a_flood_is_counted_not_logged() {
        let mut reader = Reader::new(2);
        let now = Instant::now();
        assert_eq!(reader.push(&b"\x01Ix\n".repeat(5), now).len(), 2);
        let later = reader.push(b"\x01Iy\n", now + Duration::from_secs(1));
        assert_eq!(later[0].text, "3 lines suppressed, more than 2 a second");
        assert_eq!(later[1], entry(Level::Info, "y"));
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(pieces: Vec<Vec<u8>>) {
            let mut reader = Reader::new(3);
            let now = Instant::now();
            for piece in pieces {
                for entry in reader.push(&piece, now) {
                    prop_assert!(!entry.text.chars().any(char::is_control));
                }
            }
            reader.finish(now);
        }
    }
}
