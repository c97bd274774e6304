//! DELETE, RFC 3501 section 6.3.4. Who has the mailbox selected elsewhere finds it gone with his next command; a client
//! that deletes its own has none selected then.

use protocol::imap::MailboxName;

use super::reply::{Outcome, Reply};
use super::{Imap, PATIENCE};
use crate::client::NAMES_A_TURN;

pub(super) async fn run(imap: &mut Imap, name: MailboxName) -> Outcome {
    let mail = imap.client.user.mail();
    let mut deletion = mail.delete(imap.wire(&name))?;
    imap.client.carry_out(PATIENCE, |now| deletion.step(now, NAMES_A_TURN)).await?;
    if imap.selected.as_ref().is_some_and(|selected| imap.wire(&selected.name) == imap.wire(&name)) {
        imap.close_mailbox();
    }
    Ok(Reply::ok("Delete completed."))
}
