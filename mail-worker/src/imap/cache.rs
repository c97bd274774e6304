//! A mailbox's cache, for the length of a command: loaded and settled in bounded turns.

use store::{Cache, Mailbox, Step};

use crate::client::Client;
use crate::session::Wants;

/// What there is.
pub(super) async fn load(client: &Client, mailbox: &Mailbox) -> Cache {
    let mut cache = mailbox.cache();
    while cache.load() != Step::Done(()) {
        client.rest(Wants::turn()).await;
    }
    cache
}

/// Writes what is new.
pub(super) async fn settle(client: &Client, mailbox: &Mailbox, mut cache: Cache) {
    while cache.settle(mailbox) != Step::Done(()) {
        client.rest(Wants::turn()).await;
    }
}
