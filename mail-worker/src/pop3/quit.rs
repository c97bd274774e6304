//! QUIT, RFC 1939 section 6: what is marked is deleted, and the session ends.

use std::rc::Rc;

use protocol::pop3::{err, ok};

use super::Pop3;
use super::reply::{Outcome, Reply};

pub(super) async fn run(pop3: &mut Pop3) -> Outcome {
    let client = Rc::clone(&pop3.client);
    // Nothing is deleted of a client that is gone before it was sent what it asked for.
    client.flush().await?;
    let deleted = &client.tally().deleted;
    let (mut failed, mut any) = (0u32, false);
    for uid in pop3.maildrop.marked() {
        any = true;
        match pop3.maildrop.expunge(uid).await {
            Ok(Some(())) => deleted.set(deleted.get().saturating_add(1)),
            // Somebody else was quicker.
            Ok(None) => {}
            Err(error) => {
                if failed == 0 {
                    log::error!("{client}{error}");
                }
                failed = failed.saturating_add(1);
            }
        }
        client.breathe().await?;
    }
    if any {
        client.seal(&mut pop3.maildrop.view).await;
    }
    // Before the answer: who has it may log in again.
    pop3.maildrop.release();
    if failed > 0 {
        log::error!("{client}{failed} messages were not deleted");
        return Ok(Reply::Goodbye(|out| err(out, "[SYS/TEMP] Some deleted messages were not removed.")));
    }
    match any {
        true => Ok(Reply::Goodbye(|out| ok(out, "Logging out, messages deleted."))),
        false => Ok(Reply::Goodbye(|out| ok(out, "Logging out."))),
    }
}
