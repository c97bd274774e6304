//! DELE and RSET, RFC 1939 section 5: marks, and nothing on disk.

use std::num::NonZeroU32;

use super::Pop3;
use super::reply::{Outcome, Reply};

pub(super) async fn dele(pop3: &mut Pop3, number: NonZeroU32) -> Outcome {
    pop3.maildrop.letter_mut(number)?.deleted = true;
    Ok(Reply::ok("Marked to be deleted."))
}

pub(super) async fn rset(pop3: &mut Pop3) -> Outcome {
    pop3.maildrop.reset();
    Ok(Reply::ok(""))
}
