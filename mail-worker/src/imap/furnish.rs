//! Mailboxes that everybody is to have are made when a session first looks for mailboxes or opens one.

use ::store::{Error, Subscribe};

use super::reply::{Stop, is_worth_logging};
use super::{Imap, PATIENCE};
use crate::settings::{Auto, Mailbox};

impl Imap {
    /// Makes what is missing. What cannot be made is missing; the log says why.
    pub(super) async fn furnish(&self) -> Result<(), Stop> {
        if self.furnished.replace(true) {
            return Ok(());
        }
        let user = &self.client.user;
        for mailbox in user.settings.mailboxes.iter().filter(|mailbox| mailbox.auto != Auto::No) {
            match self.make(mailbox).await {
                Err(error) if is_worth_logging(&error) => log::error!("{}{error}", self.client),
                _ => {}
            }
        }
        Ok(())
    }

    /// Subscribed to is only what was made: who has left it off since does not want it.
    async fn make(&self, mailbox: &Mailbox) -> Result<(), Error> {
        let mail = self.client.user.mail();
        let name = mailbox.name.wire().as_bytes();
        mail.create(name, self.client.now())?;
        if mailbox.auto == Auto::Subscribe {
            let mut subscription = mail.subscribe(name, Subscribe::Add)?;
            self.client.carry_out(PATIENCE, |now| subscription.step(now)).await?;
        }
        Ok(())
    }
}
