//! A user's mail on disk: Maildir and Maildir++ with lasting UIDs.
//!
//! The crate knows no client, no socket and no clock: who asks has already become the right system user, and passes
//! the time in. Nothing here waits. What would have to wait for another program's lock says [`Step::Busy`], for the
//! disk [`Step::Disk`] (see [`Syncer`]); what would take long is done in bounded turns and says [`Step::More`] between
//! them. Nothing that stands in a user's directory (odd names, fifos, links, broken lists) may cost more than that
//! user's command.
//!
//! A [`Process`] holds what is one per process, a [`User`] one user's location and open mailboxes, a [`Mailbox`] is
//! the model of one directory, shared by all who have it open, and a [`View`] is what one client has been told of it.
//!
//! On disk all is as Dovecot has it: `dovecot-uidlist` (version 3), `dovecot-keywords`, `dovecot-uidvalidity`,
//! `subscriptions`, dotlocks. Our own are only `mail-cache`, see [`Cache`], and `mail-keywords`, for those that Dovecot
//! keeps in its index.
#![forbid(unsafe_code)]

mod cache;
mod dirs;
mod disk;
mod error;
mod file;
mod filename;
mod flags;
mod hold;
mod hook;
mod keywords;
mod list;
mod location;
mod lock;
mod mailbox;
mod messages;
mod mode;
mod model;
mod name;
mod pop3;
mod process;
mod save;
mod scan;
mod subscriptions;
mod sweep;
mod sync;
mod tree;
mod uidlist;
mod user;
mod validity;
mod view;

pub use cache::{Cache, Kind};
pub use disk::{Extent, Flush, Flushes, Syncer, Ticket};
pub use error::{Error, Reach};
pub use flags::{Flag, Flags, Keyword};
pub use hold::Hold;
pub use hook::{Hook, Refusal};
pub use list::{Listed, Listing};
pub use location::{Index, Layout, Location};
pub use mailbox::{Attributes, Change, Driver, Found, Mailbox, Message, MessageFile, Status};
pub use pop3::{Pop3Record, Pop3Records};
pub use process::{Now, Process};
pub use save::{Draft, Link, Save, Saved, Saving};
pub use subscriptions::{Subscribe, Subscription, Subscriptions};
pub use sweep::Sweep;
pub use tree::{Deletion, Renaming};
pub use user::{IDLE_MODEL, User};
pub use view::{Access, Expunges, Update, View};

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// The unique identifier of a message in its mailbox (RFC 3501, 2.3.1.1): never zero, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub NonZeroU32);

impl Uid {
    /// As a number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// How far a piece of work came in this turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step<T> {
    /// Finished.
    Done(T),
    /// The budget of this turn is used up: call again when the neighbours have had theirs.
    More,
    /// Another program holds the lock: call again after this time.
    Busy {
        /// How long to wait before the next try.
        retry_after: Duration,
    },
    /// Something has to be on the disk first: call again when that is there, and now and then before.
    Disk(Ticket),
}

impl<T> Step<T> {
    /// Itself, as a step of what this one is a part of; none if it is done.
    pub(crate) fn unfinished<U>(self) -> Option<Step<U>> {
        match self {
            Step::Done(_) => None,
            Step::More => Some(Step::More),
            Step::Busy { retry_after } => Some(Step::Busy { retry_after }),
            Step::Disk(ticket) => Some(Step::Disk(ticket)),
        }
    }
}
