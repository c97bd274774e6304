//! mail-control(7): `mailctl` and master.
//!
//! One request a connection; the answer is `row`s, then `done` or `error`. A row is one object: what kind it is, and
//! its fields, as the page lists them.

use crate::{Assembler, Bad, ConnectionId, Record};

/// The name in the VERSION line.
pub const NAME: &str = "mail-control";
/// The version that both must share.
pub const MAJOR: u32 = 1;
/// What may differ.
pub const MINOR: u32 = 0;
/// The socket below base_dir that takes every request; mode 0600.
pub const CONTROL_SOCKET: &str = "control";
/// The socket below base_dir that takes `status`, `who` and `ping`; mode 0660.
pub const STATUS_SOCKET: &str = "status";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// What runs, and how it stands.
    Status,
    /// Who is connected.
    Who,
    /// Read the configuration again.
    Reload,
    /// End everything.
    Stop,
    /// End sessions.
    Kick(Whom),
    /// Are you there?
    Ping,
}

/// Whose sessions are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// One session.
    Session(ConnectionId),
    /// All sessions of a user.
    User(String),
    /// All sessions from an address.
    Address(std::net::IpAddr),
}

impl Request {
    /// The bytes that say it.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Status => Record::new("status"),
            Self::Who => Record::new("who"),
            Self::Reload => Record::new("reload"),
            Self::Stop => Record::new("stop"),
            Self::Kick(Whom::Session(id)) => Record::new("kick").with_text("session", id),
            Self::Kick(Whom::User(user)) => Record::new("kick").with("user", user),
            Self::Kick(Whom::Address(address)) => Record::new("kick").with_text("address", address),
            Self::Ping => Record::new("ping"),
        }
        .to_bytes()
    }

    /// What a record asks; none for a word that is not known here.
    ///
    /// # Errors
    /// [`Bad`] for a known word that lacks what it needs.
    pub fn parse(record: &Record) -> Result<Option<Self>, Bad> {
        Ok(Some(match record.word() {
            "status" => Self::Status,
            "who" => Self::Who,
            "reload" => Self::Reload,
            "stop" => Self::Stop,
            "kick" if record.get("user").is_some() => Self::Kick(Whom::User(record.text("user")?.to_owned())),
            "kick" if record.get("address").is_some() => Self::Kick(Whom::Address(record.value("address")?)),
            "kick" => Self::Kick(Whom::Session(record.value("session")?)),
            "ping" => Self::Ping,
            _ => return Ok(None),
        }))
    }

    /// Whether it changes nothing, and so may be asked at the status socket too.
    pub fn only_looks(&self) -> bool {
        matches!(self, Self::Status | Self::Who | Self::Ping)
    }
}

/// A part of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// One object. Its first field is `kind`.
    Row(Record),
    /// All has been said, and done.
    Done,
    /// It was not done.
    Error(String),
}

impl Answer {
    /// A row of this kind, to be given fields.
    pub fn row(kind: &str) -> Record {
        Record::new("row").with("kind", kind)
    }

    /// The bytes that say it.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Row(record) => record.to_bytes(),
            Self::Done => Record::new("done").to_bytes(),
            Self::Error(text) => Record::new("error").with("text", text).to_bytes(),
        }
    }

    /// What a record answers; none for a word that is not known here.
    ///
    /// # Errors
    /// [`Bad`] for a known word that lacks what it needs.
    pub fn parse(record: Record) -> Result<Option<Self>, Bad> {
        Ok(Some(match record.word() {
            "row" => Self::Row(record),
            "done" => Self::Done,
            "error" => Self::Error(record.text("text")?.to_owned()),
            _ => return Ok(None),
        }))
    }
}

/// Reads the lines of one direction.
pub fn assembler() -> Assembler {
    Assembler::new(NAME, MAJOR)
}

/// The line that each side begins with.
pub fn version_line() -> Vec<u8> {
    Assembler::version_line(NAME, MAJOR, MINOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn every_message_there_and_back() {
        let record = |bytes: Vec<u8>| {
            let mut assembler = assembler();
            assembler.push(version_line().strip_suffix(b"\n").unwrap()).unwrap();
            assembler.push(bytes.strip_suffix(b"\n").unwrap()).unwrap().unwrap()
        };
        for request in [
            Request::Status,
            Request::Who,
            Request::Reload,
            Request::Stop,
            Request::Ping,
            Request::Kick(Whom::Session(ConnectionId(NonZeroU32::MIN))),
            Request::Kick(Whom::User("alice".to_owned())),
            Request::Kick(Whom::Address([127, 0, 0, 1].into())),
        ] {
            assert_eq!(Request::parse(&record(request.to_bytes())), Ok(Some(request)));
        }
        let row = Answer::row("session").with("user", "al\tice");
        for answer in [Answer::Row(row), Answer::Done, Answer::Error("no\n".to_owned())] {
            assert_eq!(Answer::parse(record(answer.to_bytes())), Ok(Some(answer)));
        }
    }
}
