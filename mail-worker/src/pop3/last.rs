//! LAST, RFC 1460 section 6, which RFC 1939 dropped: the highest number of a message that was read.

use super::Pop3;
use super::reply::{Outcome, Reply};

pub(super) async fn run(pop3: &mut Pop3) -> Outcome {
    Ok(Reply::ok(pop3.maildrop.last.to_string()))
}
