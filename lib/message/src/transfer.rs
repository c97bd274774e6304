//! Content transfer encodings, RFC 2045 section 6: base64 and quoted-printable to bytes, chunk by chunk.
//!
//! What does not belong is skipped (base64) or kept as it is (quoted-printable); nothing is an error.

use memchr::memchr;

/// How the bytes of a part stand in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As they are: 7bit, 8bit, binary, and whatever we do not know.
    Identity,
    Base64,
    QuotedPrintable,
}

impl Encoding {
    /// What `Content-Transfer-Encoding` calls so.
    pub(crate) fn named(name: &[u8]) -> Encoding {
        if name.eq_ignore_ascii_case(b"base64") {
            Encoding::Base64
        } else if name.eq_ignore_ascii_case(b"quoted-printable") {
            Encoding::QuotedPrintable
        } else {
            Encoding::Identity
        }
    }
}

/// Decodes base64.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Base64 {
    /// The bits of a group that is not complete, and how many digits they came from.
    bits: u32,
    digits: u8,
}

impl Base64 {
    /// Appends what the chunk decodes to.
    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        for &byte in chunk {
            let Some(value) = digit(byte) else {
                if byte == b'=' {
                    self.end(out);
                }
                continue;
            };
            self.bits = self.bits << 6 | u32::from(value);
            self.digits += 1;
            if self.digits == 4 {
                let [_, group @ ..] = self.bits.to_be_bytes();
                out.extend_from_slice(&group);
                *self = Base64::default();
            }
        }
    }

    /// Appends the bytes of a last group, which need not be padded. What comes after begins a new one.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        let [_, high, low, _] = (self.bits << (6 * (4 - u32::from(self.digits)))).to_be_bytes();
        match self.digits {
            2 => out.push(high),
            3 => out.extend_from_slice(&[high, low]),
            _ => {}
        }
        *self = Base64::default();
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Decodes quoted-printable.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum QuotedPrintable {
    #[default]
    Plain,
    /// After `=`
    Equals,
    /// After `=` and this digit.
    Digit(u8),
    /// After `=` and blanks, which is the end of a line that goes on, or nothing.
    Blank,
}

impl QuotedPrintable {
    /// Appends what the chunk decodes to.
    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while !rest.is_empty() {
            if matches!(self, Self::Plain) {
                let plain = memchr(b'=', rest);
                out.extend_from_slice(rest.get(..plain.unwrap_or(rest.len())).unwrap_or_default());
                let Some(equals) = plain else { return };
                *self = Self::Equals;
                rest = rest.get(equals + 1..).unwrap_or_default();
                continue;
            }
            let Some((&byte, after)) = rest.split_first() else { return };
            if self.take(byte, out) {
                rest = after;
            }
        }
    }

    /// Appends what is left at the end. A last `=` joins the line to nothing.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        if let Self::Digit(digit) = *self {
            out.extend_from_slice(&[b'=', digit]);
        }
        *self = Self::Plain;
    }

    /// Takes a byte after `=`; false if it is to be looked at again as a plain one.
    fn take(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        let (next, taken) = match (*self, byte) {
            (Self::Equals | Self::Blank, b'\n') => (Self::Plain, true),
            (Self::Equals | Self::Blank, b' ' | b'\t' | b'\r') => (Self::Blank, true),
            (Self::Equals, byte) if byte.is_ascii_hexdigit() => (Self::Digit(byte), true),
            (Self::Digit(high), low) if low.is_ascii_hexdigit() => {
                out.push(hex(high) << 4 | hex(low));
                (Self::Plain, true)
            }
            (before, _) => {
                out.push(b'=');
                match before {
                    Self::Digit(digit) => out.push(digit),
                    Self::Blank => out.push(b' '),
                    Self::Equals | Self::Plain => {}
                }
                (Self::Plain, false)
            }
        };
        *self = next;
        taken
    }
}

fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base64(text: &[u8]) -> Vec<u8> {
        let (mut decoder, mut out) = (Base64::default(), Vec::new());
        decoder.push(text, &mut out);
        decoder.end(&mut out);
        out
    }

    fn quoted(text: &[u8]) -> Vec<u8> {
        let (mut decoder, mut out) = (QuotedPrintable::default(), Vec::new());
        decoder.push(text, &mut out);
        decoder.end(&mut out);
        out
    }

    #[test]
    fn base64_is_read_whatever_stands_between() {
        assert_eq!(base64(b"aGVsbG8gd29ybGQ="), b"hello world");
        assert_eq!(base64(b"aGVs\r\nbG8g\n d29y-bGQ"), b"hello world");
        assert_eq!(base64(b"aGk=aGk="), b"hihi");
        assert_eq!(base64(b"YQ==YQ=="), b"aa");
        assert_eq!(base64(b"a"), b"");
        assert_eq!(base64(b"====!"), b"");
    }

    #[test]
    fn quoted_printable_joins_lines_and_keeps_what_is_wrong() {
        assert_eq!(quoted(b"a=20b=3D=C3=bc"), b"a b=\xc3\xbc");
        assert_eq!(quoted(b"soft=\r\nbreak=\nand = \t\r\nblank"), b"softbreakand blank");
        assert_eq!(quoted(b"a=zz=4z==41=  x"), b"a=zz=4z=A= x");
        assert_eq!(quoted(b"end="), b"end");
        assert_eq!(quoted(b"end=4"), b"end=4");
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(text in "[a-zA=0-9 \r\n]{0,60}", cut in 0..60usize) {
            let text = text.as_bytes();
            let (head, tail) = text.split_at(cut.min(text.len()));
            let (mut one, mut other, mut out) = (Base64::default(), QuotedPrintable::default(), Vec::new());
            one.push(head, &mut out);
            one.push(tail, &mut out);
            one.end(&mut out);
            prop_assert_eq!(&out, &base64(text));
            out.clear();
            other.push(head, &mut out);
            other.push(tail, &mut out);
            other.end(&mut out);
            prop_assert_eq!(&out, &quoted(text));
        }
    }
}
