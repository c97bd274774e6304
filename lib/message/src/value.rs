//! Structured header values: `word; name=value; name="value"`, as `Content-Type` and its like have them.
//!
//! Lenient: what is wrong is skipped up to the next `;`. Parameters of RFC 2231 (`name*0*`) pass as they are; so do
//! upper and lower case. Values come unfolded. Obeys RFC 2045, section 5.1, and RFC 2183.

use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// What is left of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    rest: &'a [u8],
}

impl<'a> Value<'a> {
    pub(crate) fn new(value: &'a [u8]) -> Value<'a> {
        Value { rest: value }
    }

    /// Takes a token; empty if none stands here.
    pub(crate) fn token(&mut self) -> &'a [u8] {
        self.skip_blanks();
        self.take_until(is_special)
    }

    /// Takes `type/subtype`.
    pub(crate) fn media_type(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let kind = self.token();
        let subtype = if self.accept(b'/') { self.token() } else { b"" };
        (!kind.is_empty() && !subtype.is_empty()).then_some((kind, subtype))
    }

    /// Takes a list of tokens, as `Content-Language` has it.
    pub(crate) fn tokens(mut self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || {
            while !self.rest.is_empty() {
                let token = self.token();
                if !token.is_empty() {
                    return Some(token);
                }
                self.skip(1);
            }
            None
        })
    }

    /// Takes the parameters, whatever stands before them.
    pub(crate) fn parameters(mut self) -> impl Iterator<Item = (&'a [u8], Cow<'a, [u8]>)> {
        std::iter::from_fn(move || {
            while !self.rest.is_empty() {
                let name = self.token();
                let parameter =
                    if !name.is_empty() && self.accept(b'=') { Some((name, self.text())) } else { None };
                self.skip_to_semicolon();
                if parameter.is_some() {
                    return parameter;
                }
            }
            None
        })
    }

    /// Finds a parameter, whatever its case.
    pub(crate) fn parameter(self, name: &str) -> Option<Cow<'a, [u8]>> {
        let found = self.parameters().find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value)
    }

    fn text(&mut self) -> Cow<'a, [u8]> {
        self.skip_blanks();
        match self.rest {
            [b'"', quoted @ ..] => {
                let (text, rest) = unquote(quoted, b'"');
                self.rest = rest;
                text
            }
            _ => Cow::Borrowed(self.plain_text()),
        }
    }

    /// Takes what should be a token. Many senders put file names with blanks here.
    fn plain_text(&mut self) -> &'a [u8] {
        let mut after_blank = false;
        let text = self.take_until(|byte| {
            let ends = byte == b';' || (after_blank && byte == b'(');
            after_blank = is_blank(byte);
            ends
        });
        text.trim_ascii_end()
    }

    fn accept(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.rest.first() == Some(&byte);
        if found {
            self.skip(1);
        }
        found
    }

    /// Skips white space and comments.
    fn skip_blanks(&mut self) {
        loop {
            self.take_until(|byte| !is_blank(byte));
            let [b'(', ..] = self.rest else { return };
            let (_, rest) = split_comment(self.rest);
            self.rest = rest;
        }
    }

    fn skip_to_semicolon(&mut self) {
        let end = memchr(b';', self.rest).map_or(self.rest.len(), |at| at + 1);
        self.skip(end);
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn take_until(&mut self, ends: impl FnMut(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().copied().position(ends).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }
}

/// Splits after the quoted text whose opening quote has been taken: the text without its backslashes, and what follows
/// the closing quote. A text that is never closed reaches to the end.
pub(crate) fn unquote(quoted: &[u8], close: u8) -> (Cow<'_, [u8]>, &[u8]) {
    let Some(first) = memchr2(close, b'\\', quoted) else { return (Cow::Borrowed(quoted), &[]) };
    let (plain, rest) = quoted.split_at_checked(first).unwrap_or((quoted, &[]));
    if let Some((_, rest)) = rest.split_first().filter(|(byte, _)| **byte == close) {
        return (Cow::Borrowed(plain), rest);
    }
    let mut text = plain.to_vec();
    let mut bytes = rest.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => text.extend(bytes.next()),
            _ if byte == close => break,
            _ => text.push(byte),
        }
    }
    (Cow::Owned(text), bytes.as_slice())
}

/// Splits after the comment that begins here: it with its parentheses, and what follows. One that is never closed
/// reaches to the end.
pub(crate) fn split_comment(text: &[u8]) -> (&[u8], &[u8]) {
    let mut depth = 0usize;
    let mut escaped = false;
    let end = text.iter().position(|&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    });
    text.split_at_checked(end.map_or(text.len(), |end| end + 1)).unwrap_or((text, &[]))
}

/// White space of RFC 5322, and the line ends that are left over in broken values.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_special(byte: u8) -> bool {
    is_blank(byte)
        || matches!(
            byte,
            b'(' | b')'
                | b'<'
                | b'>'
                | b'@'
                | b','
                | b';'
                | b':'
                | b'\\'
                | b'"'
                | b'/'
                | b'['
                | b']'
                | b'?'
                | b'='
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(value: &str) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut value = Value::new(value.as_bytes());
        value.media_type();
        value.parameters().map(|(name, value)| (text(name), text(&value))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn media_type_may_have_comments_and_blanks() {
        let mut value = Value::new(b" (a (b\\)) c) text (d) / plain;x=y");
        assert_eq!(value.media_type(), Some((&b"text"[..], &b"plain"[..])));
        assert_eq!(Value::new(b"text").media_type(), None);
        assert_eq!(Value::new(b"text/; a=b").media_type(), None);
    }

    #[test]
    fn parameters_are_tokens_or_quoted() {
        assert_eq!(
            parameters(r#"a/b; charset=us-ascii (Plain text); NAME="a \"b\"; c" ; f*0*=utf-8''%41"#),
            pairs(&[("charset", "us-ascii"), ("NAME", "a \"b\"; c"), ("f*0*", "utf-8''%41")])
        );
    }

    #[test]
    fn broken_parameters_are_skipped_or_repaired() {
        assert_eq!(
            parameters("a/b charset=x; name=my file.pdf ;; =z; flag; \"q\"=r; e=; b=\"open"),
            pairs(&[("charset", "x"), ("name", "my file.pdf"), ("e", ""), ("b", "open")])
        );
    }

    #[test]
    fn token_lists_skip_what_is_no_token() {
        let tags: Vec<&[u8]> = Value::new(b"en, ,de (German);;\"x\"").tokens().collect();
        assert_eq!(tags, [&b"en"[..], b"de", b"x"]);
    }
}
