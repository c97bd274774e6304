//! The mailbox that a client has selected.

use std::rc::Rc;
use std::time::Duration;

use protocol::imap::{MailboxName, response};
use store::{Access, Error, Expunges, Mailbox, Message, Uid, View};

use super::fetch::Resume;
use super::reply::{Reply, Stop};
use super::{Imap, select};
use crate::client::Client;

/// See above.
pub(super) struct Selected {
    pub(super) name: MailboxName,
    pub(super) view: View,
    /// The mail that this mailbox was opened in.
    pub(super) mail: Rc<store::User>,
    /// Where the last partial fetch ended.
    pub(super) resume: Option<Box<Resume>>,
}

impl Selected {
    pub(super) fn is_read_only(&self) -> bool {
        self.view.access() == Access::ReadOnly
    }

    /// To be called before a client sees a message's flags: it hears of keywords before it sees them on a message. What
    /// keywords there are, if that is news to it.
    pub(super) fn show(&self, client: &Client, message: &Message) -> Option<Vec<String>> {
        self.view.show(message).then(|| {
            client.write(|out| select::write_flags(out, self));
            self.view.mailbox().keywords()
        })
    }

    /// Whether the client's numbers are those of `view` too, as far as they go.
    fn is_continued_by(&self, view: &View) -> bool {
        (1..=self.view.exists()).all(|number| self.view.uid(number) == view.uid(number))
    }
}

impl Imap {
    /// Of a command that is legal only while there is one.
    pub(super) fn selected(&mut self) -> Result<&mut Selected, Stop> {
        self.selected.as_mut().ok_or_else(|| Stop::Command(Reply::bad(NONE_SELECTED)))
    }

    /// The model of a mailbox, as the user's mail is known now.
    pub(super) fn open(&self, mail: &store::User, name: &MailboxName) -> Result<Rc<Mailbox>, Error> {
        // It will be kept for a while when nobody has it open any more.
        self.client.user.stirred.set(true);
        mail.open(self.wire(name), self.client.now())
    }

    /// A name as the store is to understand it.
    pub(super) fn wire<'a>(&self, name: &'a MailboxName) -> &'a [u8] {
        let wire = name.wire().as_bytes();
        if !self.client.user.settings.extra_mailbox_separator {
            return wire;
        }
        wire.strip_suffix(&[self.client.user.mail().location().separator]).unwrap_or(wire)
    }

    /// Selects no mailbox.
    pub(super) fn close_mailbox(&mut self) {
        if self.selected.take().is_some() {
            self.client.user.stirred.set(true);
        }
        self.client.set_mailbox(None);
    }

    /// If the user's mail had to be loaded anew since the mailbox was selected, selects it there, and tells the
    /// client what is different.
    pub(super) async fn renew(&mut self, expunges: Expunges) -> Result<(), Stop> {
        let mail = self.client.user.mail();
        match &self.selected {
            Some(selected) if !Rc::ptr_eq(&selected.mail, &mail) => self.reopen(expunges).await,
            _ => Ok(()),
        }
    }

    /// Opens the selected mailbox anew, and tells the client what is different.
    pub(super) async fn reopen(&mut self, expunges: Expunges) -> Result<(), Stop> {
        let mail = self.client.user.mail();
        let Some(selected) = &self.selected else { return Ok(()) };
        let mailbox = self.open(&mail, &selected.name)?;
        self.client.sync(&mailbox, Duration::ZERO).await?;
        if mailbox.status().uid_validity != selected.view.mailbox().status().uid_validity {
            return Err(Error::Replaced.into());
        }
        let view = mailbox.view(selected.view.access());
        if expunges == Expunges::Hold && !selected.is_continued_by(&view) {
            return Ok(());
        }
        let there = |uid: Uid| view.number(uid).is_some();
        let gone = |number: &u32| !selected.view.uid(*number).is_some_and(there);
        self.client.write(|out| {
            for number in (1..=selected.view.exists()).rev().filter(gone) {
                response::expunge(out, number);
            }
            response::exists(out, view.exists());
            response::recent(out, view.recent());
        });
        if let Some(selected) = &mut self.selected {
            (selected.view, selected.mail, selected.resume) = (view, mail, None);
        }
        Ok(())
    }
}

pub(super) const NONE_SELECTED: &str = "No mailbox selected.";
