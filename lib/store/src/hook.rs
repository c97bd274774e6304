//! Points at which a user's own rules (quota, trash, expire, ...) take part. Each user has a list of hooks; nothing
//! that one user's hook knows may serve another's.

use std::fmt;

use crate::{Error, Flags, Mailbox, Uid};

/// Why a hook refuses, in words meant for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room for it.
    OverQuota(String),
    /// This user may not.
    Forbidden(String),
}

/// One user's rule. Every method does nothing unless it is written; none may block.
pub trait Hook {
    /// So many messages are about to be saved together, of so many bytes in all. Asked early, with what the client
    /// announces, and again before it is done, with what has come.
    fn before_save(&self, _mailbox: &Mailbox, _messages: u64, _bytes: u64) -> Result<(), Refusal> {
        Ok(())
    }

    /// A message of `size` bytes on disk was saved.
    fn after_save(&self, _mailbox: &Mailbox, _uid: Uid, _size: u64) {}

    /// A message of `size` bytes on disk was expunged by us; `None` where nobody knows its size.
    fn after_expunge(&self, _mailbox: &Mailbox, _uid: Uid, _size: Option<u64>) {}

    /// A mailbox was deleted by us; its name is as on the wire. So many messages went with it, of so many bytes on disk
    /// together, those included that a deletion left behind whose process died.
    fn after_delete(&self, _name: &str, _messages: u64, _bytes: u64) {}

    /// A message's flags were changed by us.
    fn after_flags(&self, _mailbox: &Mailbox, _uid: Uid, _before: Flags, _after: Flags) {}
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Refusal::OverQuota(text) | Refusal::Forbidden(text)) = self;
        out.write_str(text)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::Refused(refusal)
    }
}
