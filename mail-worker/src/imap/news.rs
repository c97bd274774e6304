//! What a client is told of its mailbox unasked: RFC 3501 sections 5.2, 7.3 and 7.4.1.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use protocol::imap::response;
use store::{Error, Expunges, Update};

use super::reply::Stop;
use super::selected::Selected;
use super::{Imap, flags, select};
use crate::client::Synced;
use crate::session::Ending;

impl Imap {
    /// Looks for what is new in the selected mailbox, and tells it. In a box, so that who waits for the next news does
    /// not hold the place for telling them.
    pub(super) fn news(
        &mut self,
        expunges: Expunges,
    ) -> Pin<Box<impl Future<Output = Result<Synced, Stop>>>> {
        Box::pin(self.tell(expunges))
    }

    async fn tell(&mut self, expunges: Expunges) -> Result<Synced, Stop> {
        self.renew(expunges).await?;
        let Some(selected) = &mut self.selected else { return Ok(Synced::All) };
        let mailbox = Rc::clone(selected.view.mailbox());
        let synced = match self.client.sync(&mailbox, Duration::ZERO).await {
            Err(Error::NoSuchMailbox(_)) => {
                return Err(Ending::Failed("The selected mailbox was deleted.").into());
            }
            other => other?,
        };
        if !selected.view.behind() {
            return Ok(synced);
        }
        let update = selected.view.update(expunges)?;
        for some in update.expunged.chunks(NUMBERS_AT_ONCE) {
            self.client.write(|out| some.iter().for_each(|number| response::expunge(out, *number)));
            self.client.breathe().await?;
        }
        self.client.write(|out| write(out, selected, &update));
        let keywords = if update.flags.is_empty() { Vec::new() } else { mailbox.keywords() };
        for (number, uid) in update.flags {
            let Some(message) = selected.view.message(uid) else { continue };
            self.client.write(|out| flags::write_fetch(out, self.by, number, &message, &keywords));
            self.client.breathe().await?;
        }
        Ok(synced)
    }
}

/// All but expunges and the flags of messages.
fn write(out: &mut Vec<u8>, selected: &Selected, update: &Update) {
    if let Some(count) = update.exists {
        response::exists(out, count);
    }
    if let Some(count) = update.recent {
        response::recent(out, count);
    }
    if update.keywords {
        select::write_flags(out, selected);
    }
}

const NUMBERS_AT_ONCE: usize = 1000;
