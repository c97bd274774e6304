//! IMAP strings in responses: quoted where that can be, else a literal (RFC 3501, sections 4.3 and 9).
//!
//! A quoted string holds neither CR, LF nor 8-bit bytes. NUL, which no string may hold, becomes 0x80.

use crate::crlf::replace_nul;
use std::io::Write;

/// Appends `value`, or NIL.
pub(crate) fn write_nstring(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        Some(value) => write_string(value, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// Appends `value` as a string.
pub(crate) fn write_string(value: &[u8], out: &mut Vec<u8>) {
    if value.iter().all(|&byte| is_plain(byte)) {
        out.push(b'"');
        out.extend_from_slice(value);
        out.push(b'"');
    } else if value.iter().all(|&byte| is_plain(byte) || matches!(byte, b'"' | b'\\')) {
        write_escaped(value, out);
    } else {
        write_number(value.len() as u64, b"{", b"}\r\n", out);
        let start = out.len();
        out.extend_from_slice(value);
        replace_nul(out.get_mut(start..).unwrap_or_default());
    }
}

/// Appends a number between two texts.
pub(crate) fn write_number(number: u64, before: &[u8], after: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(before);
    // Writing to a `Vec` can't fail.
    let _ = write!(out, "{number}");
    out.extend_from_slice(after);
}

fn write_escaped(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in value {
        if !is_plain(byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii() && !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_nstring(Some(value), &mut out);
        out
    }

    #[test]
    fn plain_text_is_quoted() {
        assert_eq!(written(b"a b"), b"\"a b\"");
        assert_eq!(written(b""), b"\"\"");
    }

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(written(br#"a"b\c"#), br#""a\"b\\c""#);
    }

    #[test]
    fn what_quotes_cannot_hold_is_a_literal() {
        assert_eq!(written(b"a\rb"), b"{3}\r\na\rb");
        assert_eq!(written(b"\xc3\xa4\""), b"{3}\r\n\xc3\xa4\"");
        assert_eq!(written(b"a\0"), b"{2}\r\na\x80");
    }
}
