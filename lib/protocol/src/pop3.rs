//! POP3, the server's side: RFC 1939, CAPA and response codes (RFC 2449), AUTH (RFC 5034), STLS (RFC 2595), UTF8
//! and LANG (RFC 6856).
//!
//! [`Framer`] finds lines in a stream, [`parse`] reads one, [`ok`] and [`err`] answer, [`DotWriter`] sends messages.

mod command;
mod dot;
mod framer;

pub use command::{Command, ParseError, parse};
pub use dot::DotWriter;
pub use framer::{Framer, Step};

pub use crate::text::number;

use crate::text;

/// `+OK text`
pub fn ok(out: &mut Vec<u8>, human: &str) {
    answer(out, b"+OK", human);
}

/// `-ERR text`; a response code such as `[IN-USE]` is part of the text.
pub fn err(out: &mut Vec<u8>, human: &str) {
    answer(out, b"-ERR", human);
}

/// `+ challenge`: more of a SASL exchange, in base64.
pub fn continuation(out: &mut Vec<u8>, challenge: &str) {
    out.extend_from_slice(b"+ ");
    line(out, challenge);
}

/// `+OK` and the lines of `CAPA`; see [`crate::capability`].
pub fn capa<'a>(out: &mut Vec<u8>, names: impl IntoIterator<Item = &'a str>) {
    ok(out, "");
    for name in names {
        line(out, name);
    }
    line(out, ".");
}

/// Answers `LANG` (RFC 6856, section 3.2): we speak English. False for another language, which is for the caller to
/// refuse.
pub fn lang(out: &mut Vec<u8>, range: Option<&str>) -> bool {
    let Some(range) = range else {
        ok(out, "Language listing follows:");
        ["en English", "i-default Default language", "."].iter().for_each(|it| line(out, it));
        return true;
    };
    // RFC 4647, section 3.4: what is more special than what we have is cut off.
    let primary = range.split('-').next().unwrap_or_default();
    let tag = match () {
        () if range.eq_ignore_ascii_case("i-default") => "i-default",
        () if range == "*" || primary.eq_ignore_ascii_case("en") => "en",
        () => return false,
    };
    ok(out, &format!("{tag} Language changed."));
    true
}

/// A line of a listing, made of numbers: `3 120`. The listing ends with a line `.`.
pub fn numbers(out: &mut Vec<u8>, first: u64, second: u64) {
    text::number(out, first);
    out.push(b' ');
    text::number(out, second);
    text::line_end(out);
}

/// A line, whatever it says.
pub fn line(out: &mut Vec<u8>, human: &str) {
    text::text(out, human);
    text::line_end(out);
}

fn answer(out: &mut Vec<u8>, word: &[u8], human: &str) {
    out.extend_from_slice(word);
    if !human.is_empty() {
        out.push(b' ');
    }
    line(out, human);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_spoken_and_nothing_else() {
        let said = |range| {
            let mut out = Vec::new();
            lang(&mut out, range).then(|| String::from_utf8(out).unwrap())
        };
        let listing = "+OK Language listing follows:\r\nen English\r\ni-default Default language\r\n.\r\n";
        assert_eq!(said(None).as_deref(), Some(listing));
        for range in ["*", "en", "EN", "en-GB", "en-*"] {
            assert_eq!(said(Some(range)).as_deref(), Some("+OK en Language changed.\r\n"), "{range}");
        }
        assert_eq!(said(Some("i-default")).as_deref(), Some("+OK i-default Language changed.\r\n"));
        for range in ["de", "MUL", "i", "eng", "", "-"] {
            assert_eq!(said(Some(range)), None, "{range}");
        }
    }
}
