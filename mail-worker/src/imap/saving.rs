//! What the commands that save messages have in common.

use std::time::{Duration, SystemTime};

use ::store::{Draft, Error, Flags, Save, Saved};
use protocol::imap::{Code, MailboxName};

use super::Imap;
use super::reply::{Reply, Stop};
use crate::client::{Client, NAMES_A_TURN};

/// Where messages are to be saved. A client that could make the mailbox is told so.
pub(super) async fn begin(imap: &Imap, name: &MailboxName) -> Result<Save, Stop> {
    imap.furnish().await?;
    match imap.open(&imap.client.user.mail(), name) {
        Ok(mailbox) => Ok(mailbox.save()),
        Err(Error::NoSuchMailbox(_)) => {
            Err(Stop::Command(Reply::no(Some(Code::TryCreate), "No such mailbox.")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Adds a message, and waits until its file is on the disk.
pub(super) async fn add(
    client: &Client,
    save: &mut Save,
    draft: Draft,
    flags: Flags,
    received: Option<SystemTime>,
) -> Result<(), Error> {
    save.add(draft, flags, received)?;
    client.carry_out(PATIENCE, |_| save.written()).await
}

/// Saves what was added. After this it stays, whatever happens.
pub(super) async fn commit(client: &Client, mut save: Save) -> Result<Saved, Stop> {
    Ok(client.carry_out(PATIENCE, |now| save.commit(now, NAMES_A_TURN)).await?)
}

/// How long others' locks may hold it up: a client that is refused has to send all again.
const PATIENCE: Duration = Duration::from_secs(30);
