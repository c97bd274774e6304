//! The lines of a configuration file: `key = value`, `section name {`, `}`, `!include file`.
//!
//! This is the grammar that Dovecot 1.1's administrators know, and `!include` of its successors; mail-master.conf(5),
//! section FILE FORMAT. It knows no setting and opens no file. It never panics and never stops at a fault: the next
//! line is read as if the faulty one were not there.

use std::ops::Range;

/// One line that says something, continuation lines and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// `key = value`
    Set {
        /// The setting's name as written.
        key: String,
        /// The value without its quotes.
        value: String,
        /// Where the key stands.
        key_span: Range<usize>,
        /// Where the value stands; what follows the `=` when it is empty.
        value_span: Range<usize>,
    },
    /// `kind {` or `kind name {`
    Open {
        /// What section it is.
        kind: String,
        /// Which one of its kind; may be empty.
        name: String,
        /// From the kind to the brace.
        span: Range<usize>,
    },
    /// `}`
    Close {
        /// The brace.
        span: Range<usize>,
    },
    /// `!include pattern` or `!include_try pattern`
    Include {
        /// A path, which may have wildcards.
        pattern: String,
        /// Whether a file that is not there or cannot be read is no error.
        optional: bool,
        /// Where the pattern stands.
        span: Range<usize>,
    },
}

/// A line that cannot be understood, or not without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// What is wrong with it.
    pub(super) what: &'static str,
    /// What to write instead.
    pub(super) help: &'static str,
    /// Where it is.
    pub(super) span: Range<usize>,
    /// Whether the line has been understood all the same.
    pub(super) harmless: bool,
}

/// Reads a whole file.
pub(super) fn parse(text: &str) -> (Vec<Line>, Vec<Fault>) {
    let mut lines = Vec::new();
    let mut faults = Vec::new();
    let mut logical = Logical::default();
    // Some editors put an invisible mark before everything.
    let marked = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut start = text.len() - marked.len();
    for physical in marked.split_inclusive('\n') {
        let (line, comment) = without_comment(physical);
        if physical.len() > MAX_LINE {
            let span = start..start + line.trim_end().len().min(1);
            faults.push(Fault::new(
                "this line is longer than 16 KiB",
                "end it with a backslash and go on in the next",
                span,
            ));
        } else if let Some(offset) = comment.filter(|offset| touches(line, *offset)) {
            faults.push(Fault {
                harmless: true,
                ..Fault::new(
                    "the '#' begins a comment here",
                    "put quotes around the value if it belongs to it, or a blank before it if not",
                    start + offset..start + offset + 1,
                )
            });
        }
        let goes_on = logical.push(line, start);
        start += physical.len();
        if !goes_on || start == text.len() {
            match std::mem::take(&mut logical).parse() {
                Ok(line) => lines.extend(line),
                Err(fault) => faults.push(fault),
            }
        }
    }
    (lines, faults)
}

/// The part of a line before its comment, and where that begins. A `#` within a pair of quotes begins none.
fn without_comment(line: &str) -> (&str, Option<usize>) {
    let mut at = 0;
    let bytes = line.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => return (line.get(..at).unwrap_or_default(), Some(at)),
            b'"' | b'\'' => at = closing_quote(line, at).unwrap_or(at) + 1,
            _ => at += 1,
        }
    }
    (line, None)
}

/// Whether a comment at `offset` follows text without a blank between, so that it may not have been meant as one.
fn touches(line: &str, offset: usize) -> bool {
    line.get(..offset).and_then(|before| before.chars().next_back()).is_some_and(|c| !c.is_whitespace())
}

/// Where the quote that opens at `open` closes. Within, a backslash takes the next character's meaning away.
fn closing_quote(text: &str, open: usize) -> Option<usize> {
    let quote = *text.as_bytes().get(open)?;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(open + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// One line as it is meant: continuation lines joined, comments and outer blanks gone.
#[derive(Default)]
struct Logical {
    text: String,
    /// For each piece: where it begins in `text`, and where in the file.
    pieces: Vec<(usize, usize)>,
}

impl Logical {
    /// Adds a line of the file, which begins at `start` in it; whether the next line belongs to it as well.
    fn push(&mut self, line: &str, start: usize) -> bool {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        let piece = line.strip_suffix('\\');
        self.pieces.push((self.text.len(), start + indent));
        if self.text.len() <= MAX_LOGICAL {
            self.text.push_str(piece.unwrap_or(line));
        }
        piece.is_some()
    }

    /// The place in the file of a range of the text.
    fn span(&self, range: Range<usize>) -> Range<usize> {
        let start = self.offset(range.start);
        let end = match range.end.checked_sub(1) {
            Some(last) if range.end > range.start => self.offset(last) + 1,
            _ => start,
        };
        start..end.max(start)
    }

    fn offset(&self, at: usize) -> usize {
        let piece = self.pieces.iter().rev().find(|(begin, _)| *begin <= at);
        piece.map_or(0, |(begin, file)| file + (at - begin))
    }

    fn whole(&self) -> Range<usize> {
        self.span(0..self.text.len())
    }

    fn parse(mut self) -> Result<Option<Line>, Fault> {
        // What stood before a backslash may end in a blank, if nothing came after.
        self.text.truncate(self.text.trim_end().len());
        let text = self.text.as_str();
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > MAX_LOGICAL {
            return Err(Fault::new(
                "this line and its continuations are longer than 64 KiB",
                "shorten it",
                self.whole(),
            ));
        }
        if text.contains('\0') {
            return Err(Fault::new("there is a NUL byte in this line", "remove it", self.whole()));
        }
        if text == "}" {
            return Ok(Some(Line::Close { span: self.whole() }));
        }
        if text.starts_with('}') {
            return Err(Fault::new(
                "something follows the closing brace",
                "put it on a line of its own",
                self.whole(),
            ));
        }
        if text.starts_with('!') {
            return self.include().map(Some);
        }
        match text.find(['=', '{']) {
            Some(at) if text.get(at..).is_some_and(|rest| rest.starts_with('=')) => {
                self.setting(at).map(Some)
            }
            Some(at) => self.section(at).map(Some),
            None => Err(Fault::new("this line is no setting", "write 'name = value'", self.whole())),
        }
    }

    fn include(&self) -> Result<Line, Fault> {
        let (word, pattern) = self.text.split_once(char::is_whitespace).unwrap_or((&self.text, ""));
        let pattern = pattern.trim();
        let optional = match word {
            "!include" => false,
            "!include_try" => true,
            _ => {
                let what = "only '!include' and '!include_try' begin with an exclamation mark";
                return Err(Fault::new(what, "write '!include file'", self.span(0..word.len())));
            }
        };
        if pattern.is_empty() {
            return Err(Fault::new("which file is to be included?", "write '!include file'", self.whole()));
        }
        let span = self.span(self.text.len() - pattern.len()..self.text.len());
        Ok(Line::Include { pattern: unquoted(pattern).unwrap_or_else(|| pattern.to_owned()), optional, span })
    }

    fn section(&self, brace: usize) -> Result<Line, Fault> {
        let (head, rest) = self.text.split_at_checked(brace).unwrap_or((&self.text, ""));
        let span = self.span(0..brace + 1);
        if rest != "{" {
            let what = "something follows the opening brace";
            return Err(Fault::new(
                what,
                "put each setting, and the closing brace, on a line of its own",
                self.whole(),
            ));
        }
        let mut words = head.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let name = head.trim_start().strip_prefix(kind).unwrap_or_default().trim();
        if kind.is_empty() {
            return Err(Fault::new("a section has a kind", "write 'protocol imap {', for example", span));
        }
        let name = match unquoted(name) {
            Some(name) => name,
            None if name.contains(char::is_whitespace) => {
                let help = "write 'kind name {', and quotes around a name with blanks";
                return Err(Fault::new("a section has a kind and one name", help, span));
            }
            None => name.to_owned(),
        };
        Ok(Line::Open { kind: kind.to_owned(), name, span })
    }

    fn setting(&self, equals: usize) -> Result<Line, Fault> {
        let (key, rest) = self.text.split_at_checked(equals).unwrap_or((&self.text, ""));
        let key = key.trim_end();
        let value = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        let key_span = self.span(0..key.len());
        if key.is_empty() {
            return Err(Fault::new("there is no name before the '='", "write 'name = value'", self.whole()));
        }
        if key.contains(char::is_whitespace) {
            return Err(Fault::new("a setting's name has no blanks", "write 'name = value'", key_span));
        }
        let begin = self.text.len() - value.len();
        let mut value_span = self.span(begin..self.text.len());
        if value.is_empty() {
            value_span = self.span(equals..equals + 1);
        }
        if value.starts_with(['"', '\'']) && closing_quote(value, 0).is_none() {
            let what = "this quote is never closed";
            return Err(Fault::new(
                what,
                "end the value with the same quote, in the same line",
                self.span(begin..begin + 1),
            ));
        }
        let value = unquoted(value).unwrap_or_else(|| value.to_owned());
        Ok(Line::Set { key: key.to_owned(), value, key_span, value_span })
    }
}

impl Fault {
    fn new(what: &'static str, help: &'static str, span: Range<usize>) -> Self {
        Self { what, help, span, harmless: false }
    }
}

/// What stands in the quotes where one pair of them encloses all of `text`.
fn unquoted(text: &str) -> Option<String> {
    let first = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    if closing_quote(text, 0)? + 1 != text.len() {
        return None;
    }
    let inner = text.strip_prefix(first)?.strip_suffix(first)?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        // A backslash at the very end would have taken the closing quote with it.
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Some(out)
}

/// The value as it has to be written so that it is read back as it is.
pub(super) fn quoted(value: &str) -> String {
    let plain = !value.contains(['#', '\\', '\n', '"', '\'']) && value.trim() == value;
    if plain {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The same for the name of a section.
pub(super) fn quoted_word(name: &str) -> String {
    let plain = !name.contains([' ', '\t', '{', '=']) && quoted(name) == name;
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")) }
}

const MAX_LINE: usize = 16 * 1024;
const MAX_LOGICAL: usize = 64 * 1024;

#[cfg(test)]
mod tests;
