//! ENABLE, RFC 5161: none of our extensions waits for it.

use super::Imap;
use super::reply::{Outcome, Reply};

pub(super) async fn run(imap: &Imap) -> Outcome {
    imap.client.write(|out| out.extend_from_slice(b"* ENABLED\r\n"));
    Ok(Reply::ok("Enable completed."))
}
