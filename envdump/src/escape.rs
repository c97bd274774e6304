//! The escapes that all line protocols of this project share: TAB, LF, CR, `\` and NUL are written as `\t`,
//! `\n`, `\r`, `\\` and `\0`, every other byte as it is. So an escaped text holds no separator of a line or field.

use thiserror::Error;

/// A text that is not a possible outcome of [`escape`].
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum BadEscape {
    /// A backslash is followed by something that is none of our escapes, or by nothing.
    #[error("unknown escape after a backslash at byte {0}")]
    Unknown(usize),
}

/// The escaped form of `bytes`.
pub fn escape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    escape_into(&mut out, bytes);
    out
}

/// Appends the escaped form of `bytes` to `out`.
pub fn escape_into(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0 => out.extend_from_slice(b"\\0"),
            other => out.push(other),
        }
    }
}

/// The bytes whose escaped form is `text`.
///
/// # Errors
/// [`BadEscape`] where a backslash does not begin one of the five escapes. Bytes that [`escape`] would have
/// escaped are taken as they are.
pub fn unescape(text: &[u8]) -> Result<Vec<u8>, BadEscape> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next() {
            Some((_, b't')) => b'\t',
            Some((_, b'n')) => b'\n',
            Some((_, b'r')) => b'\r',
            Some((_, b'\\')) => b'\\',
            Some((_, b'0')) => 0,
            _ => return Err(BadEscape::Unknown(at)),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn separators_leave_no_trace() {
        assert_eq!(escape(b"a\tb\nc\rd\\e\0f"), b"a\\tb\\nc\\rd\\\\e\\0f");
    }

    #[test]
    fn lone_backslash_is_an_error() {
        assert_eq!(unescape(b"ab\\"), Err(BadEscape::Unknown(2)));
        assert_eq!(unescape(b"\\x"), Err(BadEscape::Unknown(0)));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(bytes: Vec<u8>) {
            let text = escape(&bytes);
            prop_assert!(!text.iter().any(|b| b"\t\n\r\0".contains(b)));
            prop_assert_eq!(unescape(&text).unwrap(), bytes);
        }
    }
}
