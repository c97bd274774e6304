//! CREATE, RFC 3501 section 6.3.3.

use protocol::imap::{Code, MailboxName};

use super::Imap;
use super::reply::{Outcome, Reply};

pub(super) async fn run(imap: &Imap, name: MailboxName, special_use: bool) -> Outcome {
    if special_use {
        // What is for what, the administrator says.
        return Ok(Reply::no(Some(Code::UseAttr), "No mailbox can be given a special use here."));
    }
    // A separator at the end says something here: it is not taken away, whatever the client is known for.
    imap.client.user.mail().create(name.wire().as_bytes(), imap.client.now())?;
    Ok(Reply::ok("Create completed."))
}
