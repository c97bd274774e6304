//! CLOSE, RFC 3501 section 6.4.2, and UNSELECT, RFC 3691.

use std::rc::Rc;

use super::Imap;
use super::expunge::remove_deleted;
use super::reply::{Outcome, Reply, Stop, is_worth_logging};

/// Expunges, and tells nothing of it. There is no answer that says that this failed, so that the log alone does.
pub(super) async fn close(imap: &mut Imap) -> Outcome {
    let client = Rc::clone(&imap.client);
    if let Some(selected) = imap.selected.as_mut().filter(|selected| !selected.is_read_only()) {
        match remove_deleted(&client, selected, None).await {
            Err(Stop::Store(error)) if is_worth_logging(&error) => log::error!("{client}{error}"),
            Err(Stop::Session(ending)) => return Err(ending.into()),
            Err(Stop::Store(_) | Stop::Command(_)) | Ok(_) => {}
        }
    }
    imap.close_mailbox();
    Ok(Reply::ok("Close completed."))
}

pub(super) async fn unselect(imap: &mut Imap) -> Outcome {
    imap.close_mailbox();
    Ok(Reply::ok("Unselect completed."))
}
