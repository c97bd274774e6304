//! What a session did, for the line that the log has of its end.

use std::cell::Cell;
use std::fmt::Write;

/// Counts, by the letters that imap_logout_format and pop3_logout_format have for them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// `%t`, `%p`
    pub(crate) top: Count,
    /// `%r`, `%b`
    pub(crate) retr: Count,
    /// `%d`
    pub(crate) deleted: Cell<u32>,
    /// `%m`: how many there were in the beginning.
    pub(crate) messages: Cell<u32>,
    /// `%s`: the size of those of them whose size was needed. No message is read for the log's sake.
    pub(crate) size: Cell<u64>,
}

/// How many, and how many bytes.
#[derive(Debug, Default)]
pub(crate) struct Count {
    number: Cell<u32>,
    bytes: Cell<u64>,
}

impl Count {
    /// Counts one more.
    pub(crate) fn add(&self, bytes: u64) {
        self.number.set(self.number.get().saturating_add(1));
        self.bytes.set(self.bytes.get().saturating_add(bytes));
    }
}

impl Tally {
    /// Fills `format` in; `input` and `output` are `%i` and `%o`.
    pub(crate) fn fill(&self, format: &str, input: u64, output: u64) -> String {
        let mut filled = String::new();
        let mut rest = format.chars();
        while let Some(letter) = rest.next() {
            let value = match (letter, rest.clone().next()) {
                ('%', Some('i')) => input,
                ('%', Some('o')) => output,
                ('%', Some('t')) => self.top.number.get().into(),
                ('%', Some('p')) => self.top.bytes.get(),
                ('%', Some('r')) => self.retr.number.get().into(),
                ('%', Some('b')) => self.retr.bytes.get(),
                ('%', Some('d')) => self.deleted.get().into(),
                ('%', Some('m')) => self.messages.get().into(),
                ('%', Some('s')) => self.size.get(),
                ('%', Some('%')) => {
                    rest.next();
                    filled.push('%');
                    continue;
                }
                _ => {
                    filled.push(letter);
                    continue;
                }
            };
            rest.next();
            // Writing to a string cannot fail.
            let _ = write!(filled, "{value}");
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_is_filled_in_and_the_rest_stays() {
        let tally = Tally::default();
        tally.top.add(10);
        tally.retr.add(20);
        tally.retr.add(1);
        tally.deleted.set(3);
        tally.messages.set(1);
        tally.size.set(5);
        assert_eq!(
            tally.fill("top=%t/%p, retr=%r/%b, del=%d/%m, size=%s, %i/%o 100%% %x %", 7, 8),
            "top=1/10, retr=2/21, del=3/1, size=5, 7/8 100% %x %"
        );
    }
}
