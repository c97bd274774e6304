//! NOOP and CHECK, RFC 3501 sections 6.1.2 and 6.4.1: what they are for is the news that comes with the answer.

use super::reply::{Outcome, Reply};

pub(super) async fn run() -> Outcome {
    Ok(Reply::ok("Done."))
}
