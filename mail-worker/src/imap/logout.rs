//! LOGOUT, RFC 3501 section 6.1.3.

use protocol::imap::{Status, response};

use super::Imap;
use super::reply::{Outcome, Reply};
use crate::session::Ending;

pub(super) async fn run(imap: &mut Imap) -> Outcome {
    imap.close_mailbox();
    imap.client.write(|out| response::untagged(out, Status::Bye, None, "Logging out"));
    Ok(Reply { ending: Some(Ending::Logout), ..Reply::ok("Logout completed.") })
}
