//! envdump(5): the number of variables on a line, then a line each.

use thiserror::Error;

use crate::environment::{Environment, Invalid};
use crate::escape::{BadEscape, escape_into, unescape};

/// Why a text is not envdump(5). Lines count from 1, the one with the number being the first.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadText {
    /// The first line is not a decimal number.
    #[error("line 1: not a number of variables")]
    Count,
    /// There are more or fewer lines than the first one says, or the last has no end.
    #[error("{0} variables announced, {1} found")]
    Length(usize, usize),
    /// A line has no `=`.
    #[error("line {0}: no '='")]
    NoEquals(usize),
    /// A line has a bad escape.
    #[error("line {0}: {1}")]
    Escape(usize, BadEscape),
    /// A line's variable is one that no environment can have.
    #[error("line {0}: {1}")]
    Invalid(usize, Invalid),
    /// A key stands twice.
    #[error("line {0}: its key stood before")]
    Twice(usize),
}

impl Environment {
    /// The text form: count, lines, sorted by key, each ended by LF.
    pub fn to_text(&self) -> Vec<u8> {
        let mut out = format!("{}\n", self.len()).into_bytes();
        for line in self.lines() {
            out.extend_from_slice(&line);
            out.push(b'\n');
        }
        out
    }

    /// The escaped `KEY=value` lines, without their ends.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Vec<u8>> {
        self.iter().map(|(key, value)| {
            let mut line = Vec::with_capacity(key.len() + value.len() + 1);
            escape_into(&mut line, key);
            line.push(b'=');
            escape_into(&mut line, value);
            line
        })
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`BadText`] names the line. A key that stands twice is an error, since nobody could say which one counts.
    pub fn from_text(text: &[u8]) -> Result<Self, BadText> {
        let mut lines = text.split_inclusive(|&b| b == b'\n');
        let count = lines
            .next()
            .and_then(|line| line.strip_suffix(b"\n"))
            .and_then(|line| std::str::from_utf8(line).ok())
            .filter(|line| line.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|line| line.parse::<usize>().ok())
            .ok_or(BadText::Count)?;
        let whole: Vec<&[u8]> = lines.filter_map(|line| line.strip_suffix(b"\n")).collect();
        if whole.len() != count || !text.ends_with(b"\n") {
            return Err(BadText::Length(count, whole.len()));
        }
        Self::parse_lines(whole, 2)
    }

    /// Reads escaped `KEY=value` lines that came without their count, such as the body of a hand-off message.
    ///
    /// # Errors
    /// As [`Environment::from_text`], the first of `lines` being line 1.
    pub fn from_lines<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, BadText> {
        Self::parse_lines(lines, 1)
    }

    fn parse_lines<'a>(lines: impl IntoIterator<Item = &'a [u8]>, first: usize) -> Result<Self, BadText> {
        let mut environment = Self::new();
        for (number, line) in (first..).zip(lines) {
            let equals = line.iter().position(|&b| b == b'=').ok_or(BadText::NoEquals(number))?;
            let (key, value) = line.split_at(equals);
            let escaped = |part| unescape(part).map_err(|bad| BadText::Escape(number, bad));
            let key = escaped(key)?;
            let value = escaped(value.strip_prefix(b"=").unwrap_or_default())?;
            if environment.is_set(&key) {
                return Err(BadText::Twice(number));
            }
            environment.set(key, value).map_err(|invalid| BadText::Invalid(number, invalid))?;
        }
        Ok(environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn newline_in_value_stays_in_value() {
        let mut env = Environment::new();
        env.set("NOTE", "x\nADVISE_SETUID=0").unwrap();
        let back = Environment::from_text(&env.to_text()).unwrap();
        assert_eq!(back, env);
        assert!(!back.is_set("ADVISE_SETUID"));
    }

    #[test]
    fn the_first_equals_sign_ends_the_key() {
        let env = Environment::from_text(b"1\nA=b=c\n").unwrap();
        assert_eq!(env.text("A"), Some("b=c"));
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(Environment::from_text(b""), Err(BadText::Count));
        assert_eq!(Environment::from_text(b"+1\nA=b\n"), Err(BadText::Count));
        assert_eq!(Environment::from_text(b"2\nA=b\n"), Err(BadText::Length(2, 1)));
        assert_eq!(Environment::from_text(b"1\nA=b"), Err(BadText::Length(1, 0)));
        assert_eq!(Environment::from_text(b"1\nAb\n"), Err(BadText::NoEquals(2)));
        assert_eq!(Environment::from_text(b"2\nA=b\nA=c\n"), Err(BadText::Twice(3)));
        assert_eq!(Environment::from_text(b"1\nA=\\0\n"), Err(BadText::Invalid(2, Invalid::Nul)));
        assert_eq!(Environment::from_text(b"1\nA=\\q\n"), Err(BadText::Escape(2, BadEscape::Unknown(0))));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(vars in proptest::collection::btree_map(
            "[^=\\x00]{1,8}", proptest::collection::vec(1u8.., 0..40), 0..10)) {
            let mut env = Environment::new();
            for (key, value) in &vars {
                env.set(key, value).unwrap();
            }
            prop_assert_eq!(Environment::from_text(&env.to_text()).unwrap(), env);
        }

        #[test]
        fn no_text_is_a_panic(text: Vec<u8>) {
            let _ = Environment::from_text(&text);
        }
    }
}
