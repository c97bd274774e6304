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
pub fn capa(out: &mut Vec<u8>, names: &[&str]) {
    ok(out, "");
    for name in names {
        line(out, name);
    }
    line(out, ".");
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
