//! SUBSCRIBE and UNSUBSCRIBE, RFC 3501 sections 6.3.6 and 6.3.7. Only what is there can be subscribed to.

use ::store::Subscribe;
use protocol::imap::MailboxName;

use super::reply::{Outcome, Reply};
use super::{Imap, PATIENCE};

pub(super) async fn subscribe(imap: &Imap, name: MailboxName) -> Outcome {
    run(imap, &name, Subscribe::Add).await?;
    Ok(Reply::ok("Subscribe completed."))
}

pub(super) async fn unsubscribe(imap: &Imap, name: MailboxName) -> Outcome {
    run(imap, &name, Subscribe::Remove).await?;
    Ok(Reply::ok("Unsubscribe completed."))
}

async fn run(imap: &Imap, name: &MailboxName, wanted: Subscribe) -> Result<(), super::reply::Stop> {
    let mut subscription = imap.client.user.mail().subscribe(imap.wire(name), wanted)?;
    Ok(imap.client.carry_out(PATIENCE, |now| subscription.step(now)).await?)
}
