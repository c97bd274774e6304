//! One message of our protocols: a word, `key=value` fields, and where a field `lines=N` announces them, N lines.

use std::str::FromStr;

use envdump::{MAX_ENVIRONMENT, MAX_VALUE, escape_into, unescape};
use thiserror::Error;

/// Why a peer's bytes are not our protocol. Its link has to be closed, and nothing else.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum Bad {
    /// The first line is not the VERSION line of this protocol.
    #[error("expected VERSION {0}, got something else")]
    NoVersion(&'static str),
    /// It is, but another major version of it.
    #[error("{name} version {theirs}, but only {ours} is spoken here")]
    Version {
        /// Which protocol.
        name: &'static str,
        /// The peer's major version.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// A line has a bad escape or a word that is not text.
    #[error("line is not well-formed")]
    Syntax,
    /// A known message lacks a field.
    #[error("{word}: no field {field}")]
    Missing {
        /// The message's word.
        word: String,
        /// The field's key.
        field: &'static str,
    },
    /// A known message's field has a value that cannot be.
    #[error("{word}: bad value of {field}")]
    Value {
        /// The message's word.
        word: String,
        /// The field's key.
        field: &'static str,
    },
    /// A value or a body is longer than the limits.
    #[error("{0}: too long")]
    TooLong(String),
    /// A message that must carry a descriptor came without one.
    #[error("{0}: no descriptor")]
    NoDescriptor(&'static str),
}

/// One message, not yet understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    word: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<Vec<u8>>,
}

impl Record {
    /// A message of `word` without fields.
    pub fn new(word: &str) -> Self {
        Self { word: word.to_owned(), ..Self::default() }
    }

    /// The same with one more field, its value being any bytes.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((key.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The same with one more field, its value as it is displayed.
    #[must_use]
    pub fn with_text(self, key: &str, value: impl ToString) -> Self {
        self.with(key, value.to_string())
    }

    /// The same with these lines, which must hold no line's end, behind it.
    #[must_use]
    pub fn with_body(mut self, lines: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.body.extend(lines);
        self
    }

    /// What it is.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Its fields, as they came.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    /// The lines behind it, still escaped.
    pub fn body(&self) -> impl Iterator<Item = &[u8]> {
        self.body.iter().map(Vec::as_slice)
    }

    /// The value of the first field `key`.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_slice())
    }

    /// The value of the field `key` where it is UTF-8; a field that is not there is empty.
    ///
    /// # Errors
    /// [`Bad::Value`]
    pub fn text(&self, key: &'static str) -> Result<&str, Bad> {
        std::str::from_utf8(self.get(key).unwrap_or_default()).map_err(|_| self.bad(key))
    }

    /// The value of the field `key` as a number, an address or the like.
    ///
    /// # Errors
    /// [`Bad::Missing`] and [`Bad::Value`]
    pub fn value<T: FromStr>(&self, key: &'static str) -> Result<T, Bad> {
        let value = self.get(key).ok_or_else(|| Bad::Missing { word: self.word.clone(), field: key })?;
        std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or_else(|| self.bad(key))
    }

    /// The same, where the field may be absent.
    ///
    /// # Errors
    /// [`Bad::Value`]
    pub fn optional<T: FromStr>(&self, key: &'static str) -> Result<Option<T>, Bad> {
        if self.get(key).is_some() { self.value(key).map(Some) } else { Ok(None) }
    }

    /// The error that says that `field`'s value cannot be.
    pub fn bad(&self, field: &'static str) -> Bad {
        Bad::Value { word: self.word.clone(), field }
    }

    /// The bytes that say it, each line with its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.word.clone().into_bytes();
        for (key, value) in &self.fields {
            out.push(b'\t');
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            escape_into(&mut out, value);
        }
        if !self.body.is_empty() {
            out.extend_from_slice(format!("\tlines={}", self.body.len()).as_bytes());
        }
        out.push(b'\n');
        for line in &self.body {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        out
    }

    /// Reads one line; how many lines belong to it, and come next, is the second value.
    fn parse(line: &[u8]) -> Result<(Self, usize), Bad> {
        let mut parts = line.split(|&b| b == b'\t');
        let word = parts.next().and_then(|word| std::str::from_utf8(word).ok()).ok_or(Bad::Syntax)?;
        let mut record = Self::new(word);
        let mut lines = 0;
        for part in parts {
            let equals = part.iter().position(|&b| b == b'=').unwrap_or(part.len());
            let (key, value) = part.split_at(equals);
            let key = std::str::from_utf8(key).map_err(|_| Bad::Syntax)?;
            let value = unescape(value.strip_prefix(b"=").unwrap_or_default()).map_err(|_| Bad::Syntax)?;
            if value.len() > MAX_VALUE {
                return Err(Bad::TooLong(word.to_owned()));
            }
            record.fields.push((key.to_owned(), value));
        }
        if record.get("lines").is_some() {
            lines = record.value("lines")?;
            // Each has an end at least.
            if lines > MAX_BODY {
                return Err(Bad::TooLong(record.word));
            }
            record.fields.retain(|(key, _)| key != "lines");
        }
        Ok((record, lines))
    }
}

/// Makes records of the lines of one direction of a link, the VERSION line first.
#[derive(Debug)]
pub struct Assembler {
    protocol: &'static str,
    major: u32,
    greeted: bool,
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    record: Record,
    missing: usize,
    size: usize,
}

impl Assembler {
    /// Expects `protocol` of version `major`.
    pub fn new(protocol: &'static str, major: u32) -> Self {
        Self { protocol, major, greeted: false, begun: None }
    }

    /// The first line that each side sends.
    pub fn version_line(protocol: &str, major: u32, minor: u32) -> Vec<u8> {
        format!("VERSION\t{protocol}\t{major}\t{minor}\n").into_bytes()
    }

    /// Takes the next line, without its end; a record where this line completes one.
    ///
    /// # Errors
    /// [`Bad`]: close the link.
    pub fn push(&mut self, line: &[u8]) -> Result<Option<Record>, Bad> {
        if !self.greeted {
            self.greeted = true;
            return self.version(line).map(|()| None);
        }
        let begun = match self.begun.take() {
            Some(mut begun) => {
                begun.size += line.len() + 1;
                if begun.size > MAX_BODY {
                    return Err(Bad::TooLong(begun.record.word));
                }
                begun.missing -= 1;
                begun.record.body.push(line.to_vec());
                begun
            }
            None => {
                let (record, missing) = Record::parse(line)?;
                Begun { record, missing, size: 0 }
            }
        };
        if begun.missing == 0 {
            return Ok(Some(begun.record));
        }
        self.begun = Some(begun);
        Ok(None)
    }

    fn version(&self, line: &[u8]) -> Result<(), Bad> {
        let text = std::str::from_utf8(line).unwrap_or_default();
        let mut parts = text.split('\t');
        let (word, name, major) = (parts.next(), parts.next(), parts.next());
        let (Some("VERSION"), Some(name), Some(Ok(theirs))) = (word, name, major.map(str::parse)) else {
            return Err(Bad::NoVersion(self.protocol));
        };
        if name != self.protocol {
            return Err(Bad::NoVersion(self.protocol));
        }
        if theirs != self.major {
            return Err(Bad::Version { name: self.protocol, theirs, ours: self.major });
        }
        Ok(())
    }
}

/// An environment whose every byte is escaped.
const MAX_BODY: usize = 2 * MAX_ENVIRONMENT;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Vec<Record>, Bad> {
        let mut assembler = Assembler::new("test", 1);
        assembler.push(b"VERSION\ttest\t1\t5\tmore")?;
        let mut records = Vec::new();
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            records.extend(assembler.push(line.strip_suffix(b"\n").unwrap())?);
        }
        Ok(records)
    }

    #[test]
    fn version_comes_first_and_must_agree() {
        let push = |line: &str| Assembler::new("test", 1).push(line.as_bytes());
        assert_eq!(push("VERSION\ttest\t1\t0"), Ok(None));
        assert_eq!(push("hello"), Err(Bad::NoVersion("test")));
        assert_eq!(push("VERSION\tother\t1\t0"), Err(Bad::NoVersion("test")));
        assert_eq!(push("VERSION\ttest\t2\t0"), Err(Bad::Version { name: "test", theirs: 2, ours: 1 }));
    }

    #[test]
    fn a_body_is_not_taken_for_messages() {
        let records = read(b"a\tlines=2\nserve\tid=1\nb\nc\n").unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].body().collect::<Vec<_>>(), [&b"serve\tid=1"[..], b"b"]);
        assert_eq!(records[1].word(), "c");
    }

    #[test]
    fn a_body_is_bounded() {
        let line = [vec![b'x'; 100_000], b"\n".to_vec()].concat();
        let all = [b"a\tlines=99\n".to_vec(), line.repeat(99)].concat();
        assert_eq!(read(&all), Err(Bad::TooLong("a".to_owned())));
        assert_eq!(read(b"a\tlines=18446744073709551615\n"), Err(Bad::TooLong("a".to_owned())));
    }

    #[test]
    fn fields_are_typed_when_they_are_asked_for() {
        let record = read(b"x\tid=7\tname=a\\tb\n").unwrap().remove(0);
        assert_eq!(record.value::<u32>("id"), Ok(7));
        assert_eq!(record.get("name"), Some(&b"a\tb"[..]));
        assert!(matches!(record.value::<u32>("name"), Err(Bad::Value { .. })));
        assert!(matches!(record.value::<u32>("none"), Err(Bad::Missing { .. })));
        assert_eq!(record.optional::<u32>("none"), Ok(None));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            word in "[a-z]{1,8}",
            fields in proptest::collection::vec(("k[a-z]{0,4}", proptest::collection::vec(0u8.., 0..20)), 0..5),
            body in proptest::collection::vec("[^\n]{0,20}", 0..4),
        ) {
            let mut record = Record::new(&word).with_body(body.into_iter().map(String::into_bytes));
            for (key, value) in &fields {
                record = record.with(key, value);
            }
            prop_assert_eq!(read(&record.to_bytes()).unwrap(), vec![record]);
        }

        #[test]
        fn no_bytes_are_a_panic(lines: Vec<Vec<u8>>) {
            let mut assembler = Assembler::new("test", 1);
            let _ = assembler.push(b"VERSION\ttest\t1\t0");
            for line in lines {
                let _ = assembler.push(&line);
            }
        }
    }
}
