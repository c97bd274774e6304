//! CAPABILITY, RFC 3501 section 6.1.1.

use protocol::imap::response;

use super::Imap;
use super::reply::{Outcome, Reply};

pub(super) async fn run(imap: &Imap) -> Outcome {
    imap.client.write(|out| response::capability(out, &imap.client.user.settings.capability));
    Ok(Reply::ok("Capability completed."))
}
