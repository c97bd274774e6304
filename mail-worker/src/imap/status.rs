//! STATUS, RFC 3501 section 6.3.10: takes no message's `\Recent`, and selects nothing.

use std::rc::Rc;

use ::store::Access;
use protocol::imap::{MailboxName, StatusItem, response};

use super::reply::{Outcome, Reply};
use super::{Imap, PATIENCE};

pub(super) async fn run(imap: &Imap, name: MailboxName, items: Vec<StatusItem>) -> Outcome {
    let client = &imap.client;
    imap.furnish().await?;
    let mailbox = imap.open(&client.user.mail(), &name)?;
    client.sync(&mailbox, PATIENCE).await?;
    let mut status = mailbox.status();
    // Those that this client has taken are recent for it and no other.
    if let Some(selected) = &imap.selected
        && selected.view.access() == Access::ReadWrite
        && Rc::ptr_eq(selected.view.mailbox(), &mailbox)
    {
        status.recent = status.recent.saturating_add(selected.view.recent());
    }
    let value = |item| match item {
        StatusItem::Messages => status.messages,
        StatusItem::Recent => status.recent,
        StatusItem::UidNext => status.uid_next,
        StatusItem::UidValidity => status.uid_validity,
        StatusItem::Unseen => status.unseen,
    };
    client.write(|out| response::status(out, &name, items.into_iter().map(|item| (item, value(item)))));
    Ok(Reply::ok("Status completed."))
}
