//! Points at which a user's own rules (quota, trash, expire, ...) take part. Each user has a list of hooks; nothing
//! that one user's hook knows may serve another's.

use crate::{Error, Flags, Mailbox, Uid};

/// Why a hook refuses, in words meant for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

/// One user's rule. Every method does nothing unless it is written; none may block.
pub trait Hook {
    /// A message of `size` bytes is about to be saved.
    fn before_save(&self, _mailbox: &Mailbox, _size: u64) -> Result<(), Refusal> {
        Ok(())
    }

    /// A message was saved.
    fn after_save(&self, _mailbox: &Mailbox, _uid: Uid, _size: u64) {}

    /// A message of `size` bytes on disk was expunged by us; `None` where nobody knows its size.
    fn after_expunge(&self, _mailbox: &Mailbox, _uid: Uid, _size: Option<u64>) {}

    /// A message's flags were changed by us.
    fn after_flags(&self, _mailbox: &Mailbox, _uid: Uid, _before: Flags, _after: Flags) {}
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::Refused(refusal.0)
    }
}
