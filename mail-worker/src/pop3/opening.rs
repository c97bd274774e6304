//! From INBOX to a maildrop, at login. The messages get their numbers here: in the order of their UIDs, but where another
//! server listed them in another one, in that.

use std::rc::Rc;

use store::{Access, Error, Expunges, Flag, Hold, Mailbox, Pop3Record, Uid, View};

use super::maildrop::{INBOX, Letter, Maildrop, PATIENCE, another_view};
use crate::client::Client;

impl Maildrop {
    /// Opens INBOX.
    pub(super) async fn open(client: Rc<Client>) -> Result<Self, Error> {
        let mail = client.user.mail();
        let settings = &client.user.settings.pop3;
        let mailbox = mail.open(INBOX, client.now())?;
        client.user.stirred.set(true);
        let updates = !settings.no_flag_updates && mailbox.writable();
        let access = if updates { Access::ReadWrite } else { Access::ReadOnly };
        let mut view = mailbox.view(access);
        let hold = match settings.lock_session {
            true => take(&client, &view).await?,
            false => None,
        };
        // Now that nobody changes it, and that what waits in new/ may move.
        client.sync(&mailbox, PATIENCE).await?;
        match view.update(Expunges::Tell) {
            Err(Error::Replaced) => view = another_view(&mailbox, access, hold.as_ref()),
            updated => drop(updated?),
        }
        let records = records(&client, &mailbox).await?;
        let letters = letters(&client, &view, &records).await;
        let last = if settings.last { last(&view, &letters) } else { 0 };
        let uid_validity = mailbox.status().uid_validity;
        let tally = client.tally();
        tally.messages.set(letters.len().try_into().unwrap_or(u32::MAX));
        tally.size.set(letters.iter().filter_map(|letter| letter.size).sum());
        Ok(Self {
            client,
            view,
            hold,
            mail,
            letters,
            last,
            last_before: last,
            uid_validity,
            records,
            ids: None,
        })
    }
}

/// Has the mailbox for this session alone; none where we may not write, so that nobody like us changes anything.
async fn take(client: &Client, view: &View) -> Result<Option<Rc<Hold>>, Error> {
    client.carry_out(PATIENCE, |now| view.hold(now)).await
}

/// What another server said of the messages, by UID.
async fn records(client: &Client, mailbox: &Mailbox) -> Result<Vec<Pop3Record>, Error> {
    let mut records = mailbox.pop3_records()?;
    client.carry_out(PATIENCE, |_| records.step(RECORDS_A_TURN)).await
}

async fn letters(client: &Client, view: &View, records: &[Pop3Record]) -> Vec<Letter> {
    let mut letters = Vec::new();
    for uid in (1..=view.exists()).filter_map(|number| view.uid(number)) {
        let size = view.message(uid).and_then(|message| message.size);
        letters.push(Letter { uid, size: size.map(u64::from), deleted: false });
        client.pause().await;
    }
    if records.iter().any(|record| record.order.is_some()) {
        let order = |uid: Uid| {
            let found = records.binary_search_by_key(&uid, |record| record.uid).ok();
            found.and_then(|index| records.get(index)?.order).unwrap_or(u32::MAX)
        };
        letters.sort_by_cached_key(|letter| (order(letter.uid), letter.uid));
    }
    letters
}

/// The highest number of a message that was read.
fn last(view: &View, letters: &[Letter]) -> u32 {
    let is_read = |letter: &Letter| view.message(letter.uid).is_some_and(|it| it.flags.has(Flag::Seen));
    let read = letters.iter().rposition(is_read).map_or(0, |index| index.saturating_add(1));
    read.try_into().unwrap_or(u32::MAX)
}

const RECORDS_A_TURN: usize = 500;
