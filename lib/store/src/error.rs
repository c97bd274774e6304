//! What can go wrong, and how far it reaches.

use std::io;
use std::path::{Path, PathBuf};

use crate::Refusal;

/// Why something could not be done. The text is for the log; clients are told something shorter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The location string is wrong.
    #[error("mail location {text:?}: {why}")]
    Location {
        /// The string.
        text: String,
        /// What is wrong with it, and what to write instead.
        why: String,
    },
    /// A name that no mailbox may have.
    #[error("mailbox name refused: {0}")]
    BadName(&'static str),
    /// There is no such mailbox, or it is only a level of the hierarchy.
    #[error("no mailbox at {}", .0.display())]
    NoSuchMailbox(PathBuf),
    /// There is a mailbox with this name already.
    #[error("mailbox exists already")]
    AlreadyExists,
    /// It is only a level of the hierarchy, and not the last one.
    #[error("mailbox has others below it")]
    HasChildren,
    /// What no mailbox can do, in words meant for the client.
    #[error("{0}")]
    Impossible(&'static str),
    /// Another program holds its lock, and nothing is known of the mailbox yet.
    #[error("mailbox is locked by another program, and not known yet")]
    Locked,
    /// A session has it for itself.
    #[error("mailbox is in use by a session that has it for itself")]
    InUse,
    /// A write through a view that was opened read-only.
    #[error("mailbox is open read-only")]
    ReadOnly,
    /// Something that is no regular file stands where a message should be.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// UIDVALIDITY is no longer what the views were told: they must be closed and opened anew.
    #[error("mailbox was replaced: UIDVALIDITY changed")]
    Replaced,
    /// More than fits a model: 64 MiB of names, or UIDs up to 2^32.
    #[error("mailbox is too large: {}", .0.display())]
    TooLarge(PathBuf),
    /// A hook said no, in words meant for the client.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The system said no to what was to be done with one message's file.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was being done: a verb.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system said no.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was being done: a verb.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What an error ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// This message in this command; others may succeed.
    Message,
    /// The command.
    Command,
    /// The selected mailbox: the client must open it again.
    Mailbox,
    /// The client: there is no mail to serve.
    Client,
}

impl Error {
    /// How far this error reaches.
    pub fn reach(&self) -> Reach {
        match self {
            Error::NotAFile(_) | Error::File { .. } => Reach::Message,
            Error::BadName(_)
            | Error::NoSuchMailbox(_)
            | Error::AlreadyExists
            | Error::HasChildren
            | Error::Impossible(_)
            | Error::Locked
            | Error::InUse
            | Error::ReadOnly
            | Error::Refused(_)
            | Error::TooLarge(_)
            | Error::Io { .. } => Reach::Command,
            Error::Replaced => Reach::Mailbox,
            Error::Location { .. } => Reach::Client,
        }
    }

    /// Makes the closure that `map_err` wants.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { doing, path: path.to_owned(), source }
    }
}
