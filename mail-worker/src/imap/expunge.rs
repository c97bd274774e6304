//! EXPUNGE, RFC 3501 section 6.4.3, and UID EXPUNGE, RFC 4315 section 2.1. The client is told which, as news.

use std::rc::Rc;
use std::time::Duration;

use ::store::{Error, Flag, Found, Reach, Uid};
use protocol::imap::{By, SequenceSet};

use super::reply::{Outcome, Reply, Stop};
use super::selected::Selected;
use super::{Imap, messages};
use crate::client::Client;

pub(super) async fn run(imap: &mut Imap, uids: Option<SequenceSet>) -> Outcome {
    let client = Rc::clone(&imap.client);
    let selected = imap.selected()?;
    if selected.is_read_only() {
        return Err(Error::ReadOnly.into());
    }
    Ok(match remove_deleted(&client, selected, uids.as_ref()).await? {
        Removed::All => Reply::ok("Expunge completed."),
        Removed::Some(why) => {
            Reply { text: "Some of the messages could not be expunged.".into(), ..Reply::of_error(&why) }
        }
    })
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Removed {
    All,
    /// What was wrong with the first of the others.
    Some(Error),
}

/// Removes the messages that have `\Deleted`; of `uids` only, if given.
pub(super) async fn remove_deleted(
    client: &Client,
    selected: &mut Selected,
    uids: Option<&SequenceSet>,
) -> Result<Removed, Stop> {
    let mailbox = Rc::clone(selected.view.mailbox());
    // What others have marked or unmarked counts.
    client.sync(&mailbox, Duration::ZERO).await?;
    let mut deleted = selected.view.having(Flag::Deleted);
    if let Some(uids) = uids {
        let numbers = messages::numbers(&selected.view, By::Uid, uids).map_err(Stop::Command)?;
        // In order: a client may name as many ranges as there are messages.
        let is_among = |number| {
            let range = numbers.get(numbers.partition_point(|(_, high)| *high < number));
            range.is_some_and(|(low, _)| *low <= number)
        };
        deleted.retain(|&uid| selected.view.number(uid).is_some_and(is_among));
    }
    let mut removed = Removed::All;
    for uid in deleted {
        match remove(client, selected, uid).await {
            Ok(()) => {}
            Err(error) if error.reach() == Reach::Message => {
                if let Removed::All = removed {
                    log::warn!("{client}message {uid} of {}: {error}", selected.name.wire());
                    removed = Removed::Some(error);
                }
            }
            Err(error) => return Err(error.into()),
        }
        client.breathe().await?;
    }
    client.seal(&mut selected.view).await;
    Ok(removed)
}

/// Removes a message if it has `\Deleted`, and still has it where somebody has just renamed it.
async fn remove(client: &Client, selected: &mut Selected, uid: Uid) -> Result<(), Error> {
    let removed = selected.find(client, |view| match view.message(uid) {
        Some(message) if message.flags.has(Flag::Deleted) => view.expunge(uid, client.now()),
        Some(_) => Ok(Found::Here(())),
        None => Ok(Found::Gone),
    });
    removed.await.map(drop)
}
