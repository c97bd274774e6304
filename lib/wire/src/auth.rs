//! mail-auth(7): the lines of Dovecot's authentication protocol, and how the master hands `mail-auth` its peers.
//!
//! The authentication protocol has an escape of its own: byte 1 introduces `1`, `t`, `n`, `r` or `0` for byte 1,
//! TAB, LF, CR and NUL. Its fields are positional first, then `key=value` or bare words.

use std::net::IpAddr;

use crate::{Assembler, Bad, Record};

/// The version of the authentication protocol that is spoken here; the major one must agree.
pub const VERSION: (u32, u32) = (1, 1);

/// The name in the VERSION line of the link between master and auth.
pub const NAME: &str = "mail-authctl";
/// The version that both must share.
pub const MAJOR: u32 = 1;
/// What may differ.
pub const MINOR: u32 = 1;

/// One line of the authentication protocol: its fields, unescaped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line(Vec<Vec<u8>>);

impl Line {
    /// A line that begins with `word`.
    pub fn new(word: &str) -> Self {
        Self(vec![word.as_bytes().to_vec()])
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, field: impl AsRef<[u8]>) -> Self {
        self.0.push(field.as_ref().to_vec());
        self
    }

    /// The same with a field `key=value`.
    #[must_use]
    pub fn with_value(self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.with([key.as_bytes(), b"=", value.as_ref()].concat())
    }

    /// Reads a line, without its end. An escape that is none stands for the byte that it names.
    pub fn parse(line: &[u8]) -> Self {
        Self(line.split(|&b| b == b'\t').map(unescape).collect())
    }

    /// The bytes that say it, with the line's end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for field in &self.0 {
            for &byte in field {
                match byte {
                    1 => out.extend_from_slice(b"\x011"),
                    b'\t' => out.extend_from_slice(b"\x01t"),
                    b'\n' => out.extend_from_slice(b"\x01n"),
                    b'\r' => out.extend_from_slice(b"\x01r"),
                    0 => out.extend_from_slice(b"\x010"),
                    other => out.push(other),
                }
            }
            out.push(b'\t');
        }
        out.pop();
        out.push(b'\n');
        out
    }

    /// The field at `position`; the word is at 0.
    pub fn at(&self, position: usize) -> Option<&[u8]> {
        self.0.get(position).map(Vec::as_slice)
    }

    /// The word that the line begins with.
    pub fn word(&self) -> &str {
        self.at(0).and_then(|word| std::str::from_utf8(word).ok()).unwrap_or_default()
    }

    /// The field at `position` as a number.
    pub fn number(&self, position: usize) -> Option<u32> {
        std::str::from_utf8(self.at(position)?).ok()?.parse().ok()
    }

    /// The fields from `position` on, each split at its first `=`; a bare word has an empty value.
    pub fn values(&self, position: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().skip(position).map(|field| {
            let equals = field.iter().position(|&b| b == b'=').unwrap_or(field.len());
            let (key, value) = field.split_at(equals);
            (key, value.strip_prefix(b"=").unwrap_or_default())
        })
    }

    /// The value of the first field `key=value` or bare `key`.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.values(1).find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }
}

fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            1 => match bytes.next() {
                Some(b'1') => 1,
                Some(b't') => b'\t',
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b'0') => 0,
                Some(&other) => other,
                None => 1,
            },
            other => other,
        });
    }
    out
}

/// What the master says to `mail-auth`, each of the first three with a descriptor on the first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToAuth {
    /// A connection at whose other end is that login process.
    Client {
        /// Who it is, as the master knows and not as it says.
        pid: u32,
    },
    /// A connection that speaks the protocol's master side.
    Master,
    /// A socket to accept connections of the client side at.
    Listen,
    /// That login process has died: all that it has achieved is void.
    Gone {
        /// Who it was.
        pid: u32,
    },
    /// What an auth before has found out.
    Penalty {
        /// Whose name; none: of the address alone.
        user: Option<String>,
        /// Which address; none: of the name alone.
        remote: Option<IpAddr>,
        /// How many failures; none: the user has got in from there.
        failures: Option<u32>,
        /// How many seconds ago.
        age: u64,
    },
}

/// What `mail-auth` says to the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromAuth {
    /// Somebody has given a wrong password, or a name that is nobody's.
    Failed {
        /// The name.
        user: String,
        /// Where from; none if there is no address.
        remote: Option<IpAddr>,
    },
    /// A user has got in, from where he was not known or had failed.
    Succeeded {
        /// His name.
        user: String,
        /// Where from.
        remote: Option<IpAddr>,
    },
}

impl FromAuth {
    /// The bytes that say it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (word, user, remote) = match self {
            Self::Failed { user, remote } => ("failed", user, remote),
            Self::Succeeded { user, remote } => ("succeeded", user, remote),
        };
        with_optional(Record::new(word).with("user", user), "rip", *remote).to_bytes()
    }

    /// What a record says; none for a word that is not known here.
    ///
    /// # Errors
    /// [`Bad`] for a known word that lacks what it needs.
    pub fn parse(record: &Record) -> Result<Option<Self>, Bad> {
        let user = || record.text("user").map(str::to_owned);
        Ok(Some(match record.word() {
            "failed" => Self::Failed { user: user()?, remote: record.optional("rip")? },
            "succeeded" => Self::Succeeded { user: user()?, remote: record.optional("rip")? },
            _ => return Ok(None),
        }))
    }
}

fn with_optional(record: Record, field: &'static str, value: Option<impl ToString>) -> Record {
    match value {
        Some(value) => record.with_text(field, value.to_string()),
        None => record,
    }
}

impl ToAuth {
    /// The bytes that say it.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Client { pid } => Record::new("client").with_text("pid", pid),
            Self::Master => Record::new("master"),
            Self::Listen => Record::new("listen"),
            Self::Gone { pid } => Record::new("gone").with_text("pid", pid),
            Self::Penalty { user, remote, failures, age } => {
                let record = with_optional(Record::new("penalty"), "user", user.as_ref());
                let record = with_optional(record, "rip", *remote);
                with_optional(record, "failures", *failures).with_text("age", age)
            }
        }
        .to_bytes()
    }

    /// What a record says; none for a word that is not known here.
    ///
    /// # Errors
    /// [`Bad`] for a known word that lacks what it needs.
    pub fn parse(record: &Record) -> Result<Option<Self>, Bad> {
        Ok(Some(match record.word() {
            "client" => Self::Client { pid: record.value("pid")? },
            "master" => Self::Master,
            "listen" => Self::Listen,
            "gone" => Self::Gone { pid: record.value("pid")? },
            "penalty" => Self::Penalty {
                user: record.optional("user")?,
                remote: record.optional("rip")?,
                failures: record.optional("failures")?,
                age: record.value("age")?,
            },
            _ => return Ok(None),
        }))
    }

    /// Whether a descriptor rides on its first byte.
    pub fn carries_descriptor(&self) -> bool {
        !matches!(self, Self::Gone { .. } | Self::Penalty { .. })
    }
}

/// Reads the lines of one direction of the link between master and auth.
pub fn assembler() -> Assembler {
    Assembler::new(NAME, MAJOR)
}

/// The line that each side of it begins with.
pub fn version_line() -> Vec<u8> {
    Assembler::version_line(NAME, MAJOR, MINOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_positional_and_named() {
        let line = Line::parse(b"OK\t7\tuser=al\x01tice\tnologin");
        assert_eq!((line.word(), line.number(1)), ("OK", Some(7)));
        assert_eq!(line.get("user"), Some(&b"al\tice"[..]));
        assert_eq!(line.get("nologin"), Some(&b""[..]));
        assert_eq!(line.get("none"), None);
    }

    fn record(bytes: &[u8]) -> Record {
        let mut assembler = assembler();
        assembler.push(version_line().strip_suffix(b"\n").unwrap()).unwrap();
        assembler.push(bytes.strip_suffix(b"\n").unwrap()).unwrap().unwrap()
    }

    #[test]
    fn control_there_and_back() {
        let remote = Some([192, 0, 2, 1].into());
        let user = || "a\tb".to_owned();
        for message in [
            ToAuth::Client { pid: 7 },
            ToAuth::Master,
            ToAuth::Listen,
            ToAuth::Gone { pid: 8 },
            ToAuth::Penalty { user: Some(user()), remote, failures: None, age: 1 },
            ToAuth::Penalty { user: Some(user()), remote: None, failures: Some(2), age: 0 },
            ToAuth::Penalty { user: None, remote, failures: Some(3), age: 9 },
        ] {
            assert_eq!(ToAuth::parse(&record(&message.to_bytes())), Ok(Some(message)));
        }
        for message in [
            FromAuth::Failed { user: user(), remote },
            FromAuth::Failed { user: String::new(), remote: None },
            FromAuth::Succeeded { user: user(), remote },
        ] {
            assert_eq!(FromAuth::parse(&record(&message.to_bytes())), Ok(Some(message)));
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(fields: Vec<Vec<u8>>) {
            let line = fields.iter().fold(Line::new("X"), Line::with);
            let bytes = line.to_bytes();
            let text = bytes.strip_suffix(b"\n").unwrap();
            prop_assert!(!text.contains(&b'\n'));
            prop_assert_eq!(Line::parse(text), line);
        }
    }
}
