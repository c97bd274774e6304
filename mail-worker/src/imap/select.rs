//! SELECT and EXAMINE, RFC 3501 sections 6.3.1 and 6.3.2.

use std::time::Duration;

use protocol::imap::{Code, MailboxName, Status, SystemFlags, response};
use store::{Access, Expunges, Mailbox};

use super::reply::{Outcome, Reply};
use super::selected::Selected;
use super::{Imap, PATIENCE};
use crate::client::Client;

pub(super) async fn select(imap: &mut Imap, name: MailboxName) -> Outcome {
    run(imap, name, Access::ReadWrite).await
}

pub(super) async fn examine(imap: &mut Imap, name: MailboxName) -> Outcome {
    run(imap, name, Access::ReadOnly).await
}

async fn run(imap: &mut Imap, name: MailboxName, wanted: Access) -> Outcome {
    // Whatever comes of it, the one before is closed.
    imap.close_mailbox();
    let client = &imap.client;
    let mail = client.user.mail();
    imap.furnish().await?;
    let mailbox = imap.open(&mail, &name)?;
    let access = if mailbox.writable() { wanted } else { Access::ReadOnly };
    client.sync(&mailbox, PATIENCE).await?;
    let mut view = mailbox.view(access);
    if access == Access::ReadWrite {
        // What waited in new/ for a view that may move it.
        client.sync(&mailbox, Duration::ZERO).await?;
        view.update(Expunges::Tell)?;
    }
    clean(client, &mailbox).await;
    let selected = Selected { name, view, mail, resume: None };
    client.write(|out| write(out, &selected));
    client.set_mailbox(Some(selected.name.wire()));
    imap.selected = Some(selected);
    let text = if wanted == Access::ReadWrite { "Select completed." } else { "Examine completed." };
    let read_write = access == Access::ReadWrite;
    Ok(Reply::ok(text).with_code(if read_write { Code::ReadWrite } else { Code::ReadOnly }))
}

/// Takes away what interrupted deliveries left, now and then.
async fn clean(client: &Client, mailbox: &Mailbox) {
    let clean = async || {
        let Some(mut sweep) = mailbox.sweep(client.now())? else { return Ok(()) };
        client.carry_out(PATIENCE, |now| sweep.step(now, NAMES_A_TURN)).await
    };
    if let Err(error) = clean().await {
        log::warn!("{client}{error}");
    }
}

fn write(out: &mut Vec<u8>, selected: &Selected) {
    let Selected { view, .. } = selected;
    let status = view.mailbox().status();
    write_flags(out, selected);
    response::exists(out, view.exists());
    response::recent(out, view.recent());
    if let Some(number) = view.first_unseen() {
        response::untagged(out, Status::Ok, Some(Code::Unseen(number)), "First unseen");
    }
    response::untagged(out, Status::Ok, Some(Code::UidValidity(status.uid_validity)), "UIDs valid");
    response::untagged(out, Status::Ok, Some(Code::UidNext(status.uid_next)), "Predicted next UID");
}

/// What flags there are, and which of them last.
pub(super) fn write_flags(out: &mut Vec<u8>, selected: &Selected) {
    let keywords = selected.view.mailbox().keywords();
    let names = || keywords.iter().map(String::as_str);
    response::mailbox_flags(out, SystemFlags::SETTABLE, names());
    if selected.is_read_only() {
        response::permanent_flags(out, SystemFlags::default(), [], false);
    } else {
        let room = keywords.len() < usize::from(store::Keyword::COUNT);
        response::permanent_flags(out, SystemFlags::SETTABLE, names(), room);
    }
}

/// Files in tmp/ looked at in one turn: each is asked for its age.
const NAMES_A_TURN: usize = 200;
