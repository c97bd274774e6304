//! Header fields as text: unfolded, their encoded words decoded (RFC 2047, RFC 2231 section 5).
//!
//! Encoded words are taken wherever they stand, also where the RFC forbids them, as senders do that. What is no good
//! one, or has a charset that we do not know, stays as it is; other bytes are read as UTF-8.

use crate::header::Field;
use crate::text::charset_named;
use crate::transfer::{Base64, QuotedPrintable};
use encoding_rs::Encoding;
use memchr::{memchr, memmem};

impl Field<'_> {
    /// Appends its value as text, without blanks around it.
    pub fn decode(&self, out: &mut String) {
        decode(&self.unfolded(), out);
    }
}

fn decode(value: &[u8], out: &mut String) {
    let mut rest = value;
    let mut searched = 0;
    let mut words = Words::default();
    while let Some(at) = memmem::find(rest.get(searched..).unwrap_or_default(), b"=?") {
        let (before, from) = rest.split_at_checked(searched + at).unwrap_or((rest, &[]));
        let Some((word, after)) = Word::parse(from) else {
            searched += at + 2;
            continue;
        };
        if !before.iter().all(|&byte| matches!(byte, b' ' | b'\t')) || words.charset.is_none() {
            words.end(out);
            out.push_str(&String::from_utf8_lossy(before));
        }
        words.push(&word, out);
        (rest, searched) = (after, 0);
    }
    words.end(out);
    out.push_str(&String::from_utf8_lossy(rest));
}

struct Word<'a> {
    charset: &'static Encoding,
    is_base64: bool,
    text: &'a [u8],
}

impl<'a> Word<'a> {
    /// `=?charset*language?Q?text?=`, and what follows it.
    fn parse(from: &'a [u8]) -> Option<(Word<'a>, &'a [u8])> {
        let (charset, rest) = until_question(from.strip_prefix(b"=?")?)?;
        let (encoding, rest) = until_question(rest)?;
        let (text, rest) = until_question(rest)?;
        let rest = rest.strip_prefix(b"=")?;
        let charset = charset.split(|&byte| byte == b'*').next().unwrap_or(charset);
        let is_base64 = match encoding {
            b"B" | b"b" => true,
            b"Q" | b"q" => false,
            _ => return None,
        };
        Some((Word { charset: charset_named(charset)?, is_base64, text }, rest))
    }
}

fn until_question(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at_checked(memchr(b'?', text)?)?;
    Some((before, rest.get(1..)?))
}

/// Words that follow one another. Those of one charset are decoded together, since some senders cut within a
/// character.
#[derive(Default)]
struct Words {
    charset: Option<&'static Encoding>,
    bytes: Vec<u8>,
}

impl Words {
    fn push(&mut self, word: &Word<'_>, out: &mut String) {
        if self.charset != Some(word.charset) {
            self.end(out);
            self.charset = Some(word.charset);
        }
        if word.is_base64 {
            let mut decoder = Base64::default();
            decoder.push(word.text, &mut self.bytes);
            decoder.end(&mut self.bytes);
        } else {
            let mut decoder = QuotedPrintable::default();
            for (index, text) in word.text.split(|&byte| byte == b'_').enumerate() {
                if index > 0 {
                    decoder.push(b" ", &mut self.bytes);
                }
                decoder.push(text, &mut self.bytes);
            }
            decoder.end(&mut self.bytes);
        }
    }

    fn end(&mut self, out: &mut String) {
        if let Some(charset) = self.charset.take() {
            let (text, _) = charset.decode_without_bom_handling(&self.bytes);
            out.push_str(&text);
            self.bytes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(value: &str) -> String {
        let mut out = String::new();
        Field { name: b"", value: value.as_bytes(), raw: b"" }.decode(&mut out);
        out
    }

    #[test]
    fn words_are_decoded_and_joined() {
        // RFC 2047, section 8.
        assert_eq!(decoded("=?ISO-8859-1?Q?a?="), "a");
        assert_eq!(decoded("=?ISO-8859-1?Q?a?= b"), "a b");
        assert_eq!(decoded("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)"), "(ab)");
        assert_eq!(decoded("=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?="), "ab");
        assert_eq!(decoded("=?ISO-8859-1?Q?a_b?="), "a b");
        assert_eq!(decoded("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?="), "a b");
        assert_eq!(
            decoded("=?US-ASCII*EN?Q?Keith_Moore?= <moore@cs.utk.edu>"),
            "Keith Moore <moore@cs.utk.edu>"
        );
        assert_eq!(
            decoded(
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?="
            ),
            "If you can read this you understand the example."
        );
    }

    #[test]
    fn a_character_in_two_words_is_one() {
        assert_eq!(decoded("=?utf-8?Q?M=C3?= =?utf-8?Q?=BCll?="), "Müll");
    }

    #[test]
    fn what_is_no_word_stays() {
        for text in [
            "=?utf-8?B?broken",
            "=?utf-8?X?a?=",
            "=?none?Q?a?=",
            "=?utf-8?Q?a?b",
            "=?",
            "a =?=?=",
            "plain = ? text",
        ] {
            assert_eq!(decoded(text), text);
        }
        assert_eq!(decoded("=?=?utf-8?q?a?="), "=?a");
        assert_eq!(decoded("a =?utf-8?q?b?= c =?utf-8?q?d?="), "a b c d");
    }

    #[test]
    fn folding_is_undone() {
        assert_eq!(decoded("a\r\n\tb\n  c\n"), "a b  c");
    }

    proptest! {
        #[test]
        fn no_value_is_too_odd(value in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(b'='), Just(b'?'), Just(b'Q'), Just(b'\n'), Just(b' ')], 0..60)
        ) {
            Field { name: b"", value: &value, raw: b"" }.decode(&mut String::new());
        }

        #[test]
        fn plain_text_stays(value in "[a-z ?=]{0,30}") {
            prop_assume!(!value.contains("=?"));
            prop_assert_eq!(decoded(&value), value.trim());
        }
    }
}
