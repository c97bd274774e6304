//! MOVE, RFC 6851: a copy, and when that is safe, no message at the old place.

use std::rc::Rc;

use ::store::Reach;
use protocol::imap::{By, Code, MailboxName, SequenceSet, Status, response};

use super::reply::{Outcome, Reply};
use super::{Imap, copy};

pub(super) async fn run(imap: &mut Imap, by: By, set: SequenceSet, name: MailboxName) -> Outcome {
    // Before the copies are made: they would stay.
    let now = imap.client.now();
    imap.selected()?.view.may_change(now)?;
    let Some(moved) = copy::copy(imap, by, &set, &name).await? else {
        return Ok(Reply::ok("No messages moved."));
    };
    let client = Rc::clone(&imap.client);
    // Before the client hears that they are gone.
    let arrived = moved.arrived();
    client.write(|out| response::untagged(out, Status::Ok, Some(arrived.code()), "Moved UIDs."));
    let selected = imap.selected()?;
    let mut left = false;
    for &uid in &moved.from {
        match selected.find(&client, |view| view.expunge(uid, client.now())).await {
            Ok(_) => {}
            Err(error) if error.reach() == Reach::Message => {
                log::error!("{client}{error}");
                left = true;
            }
            Err(error) => return Err(error.into()),
        }
        client.breathe().await?;
    }
    client.seal(&mut selected.view).await;
    Ok(match left {
        false => Reply::ok("Move completed."),
        true => Reply::no(Some(Code::ServerBug), "Some of the messages were copied and not removed."),
    })
}
