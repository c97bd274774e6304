//! The project's own line protocols as bytes: bytes to value to bytes, each in one table. No I/O here.
//!
//! All of them are lines of fields separated by TAB over a unix stream socket. The first line each way is
//! `VERSION<TAB>name<TAB>major<TAB>minor`; then come [`Record`]s. Words and fields that one does not know are
//! skipped, so that a newer peer can say more. The man pages of section 7 are the specification:
//! mail-handoff(7) for [`handoff`], mail-login(7) for [`login`], mail-control(7) for [`control`], mail-auth(7) for
//! [`auth`].
#![forbid(unsafe_code)]

mod record;

pub mod auth;
pub mod control;
pub mod handoff;
pub mod login;

pub use record::{Assembler, Bad, Record};

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Names one client's connection for as long as it lasts, to master, worker and administrator alike. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub NonZeroU32);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ConnectionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// RFC 3501
    Imap,
    /// RFC 1939
    Pop3,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Imap, Self::Pop3];

    /// As it is written in configuration, protocols and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no protocol's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("neither imap nor pop3")]
pub struct UnknownProtocol;

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == text).ok_or(UnknownProtocol)
    }
}
