//! What one client has been told of a mailbox: its sequence numbers. They change in [`View::update`] and nowhere else.

use std::mem;
use std::path::Path;
use std::rc::Rc;

use crate::mailbox::{Attributes, Change, Found, Message, MessageFile};
use crate::model::ViewKey;
use crate::{Error, Flag, Flags, Flushes, Hold, Link, Mailbox, Now, Step, Uid};

/// What a view may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// SELECT.
    ReadWrite,
    /// EXAMINE.
    ReadOnly,
}

/// May expunges be told now? (RFC 3501, 7.4.1: not while FETCH, STORE or SEARCH runs.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expunges {
    /// Tell them.
    Tell,
    /// Not now: sequence numbers stay as they are.
    Hold,
}

/// What to tell a client, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Sequence numbers for EXPUNGE, in the order in which they must be sent: from the last to the first.
    pub expunged: Vec<u32>,
    /// EXISTS, if there are new messages.
    pub exists: Option<u32>,
    /// RECENT, if it changed or there are new messages.
    pub recent: Option<u32>,
    /// The mailbox has keywords that this view was not told of: FLAGS and PERMANENTFLAGS.
    pub keywords: bool,
    /// Messages whose flags changed: sequence number (after the expunges) and UID.
    pub flags: Vec<(u32, Uid)>,
}

impl Update {
    /// Is there nothing to tell?
    pub fn is_empty(&self) -> bool {
        *self == Update::default()
    }
}

/// A client's view of a mailbox. Dropping it closes it.
#[derive(Debug)]
pub struct View {
    mailbox: Rc<Mailbox>,
    key: ViewKey,
    access: Access,
    /// Places that it has removed messages from since it had this brought to the disk.
    removed: u8,
}

impl View {
    pub(crate) fn new(mailbox: Rc<Mailbox>, access: Access) -> View {
        let mut state = mailbox.state.borrow_mut();
        let keywords = state.edition();
        let key = state.model.open(access, keywords);
        drop(state);
        View { mailbox, key, access, removed: 0 }
    }

    /// The model.
    pub fn mailbox(&self) -> &Rc<Mailbox> {
        &self.mailbox
    }

    /// What it may do.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Catches up with the model (not with the disk: see [`Mailbox::sync`]) and says what to tell the client.
    /// [`Error::Replaced`] if the mailbox is another one now.
    pub fn update(&mut self, expunges: Expunges) -> Result<Update, Error> {
        let mut state = self.mailbox.state.borrow_mut();
        let keywords = state.edition();
        state.model.update(self.key, expunges, keywords).ok_or(Error::Replaced)
    }

    /// Is there something that `update` with `Tell` would say? Costs nothing.
    pub fn behind(&self) -> bool {
        let state = self.mailbox.state.borrow();
        state.model.behind(self.key, state.edition()).unwrap_or(true)
    }

    /// How many messages the client knows of: its highest sequence number.
    pub fn exists(&self) -> u32 {
        self.mailbox.state.borrow().model.exists(self.key)
    }

    /// How many of them are recent.
    pub fn recent(&self) -> u32 {
        self.mailbox.state.borrow().model.recent(self.key)
    }

    /// Sequence number of the first message without `\Seen`.
    pub fn first_unseen(&self) -> Option<u32> {
        self.mailbox.state.borrow().model.first_unseen(self.key)
    }

    /// The UID of a sequence number. Also of messages that are gone and not yet told so.
    pub fn uid(&self, number: u32) -> Option<Uid> {
        self.mailbox.state.borrow().model.uid(self.key, number)
    }

    /// The sequence number of a UID. Also of messages that are gone and not yet told so.
    pub fn number(&self, uid: Uid) -> Option<u32> {
        self.mailbox.state.borrow().model.number(self.key, uid)
    }

    /// The first message with this UID or a higher one: its sequence number and UID.
    pub fn at_or_after(&self, uid: Uid) -> Option<(u32, Uid)> {
        self.mailbox.state.borrow().model.at_or_after(self.key, uid)
    }

    /// What is known of a message; `None` if it is gone or the client was not told of it.
    pub fn message(&self, uid: Uid) -> Option<Message> {
        self.mailbox.state.borrow().message(self.key, uid)
    }

    /// The same of the message with this sequence number: quicker.
    pub fn message_at(&self, number: u32) -> Option<Message> {
        self.mailbox.state.borrow().message_at(self.key, number)
    }

    /// The messages that have this flag and are there, in order.
    pub fn having(&self, flag: Flag) -> Vec<Uid> {
        self.mailbox.state.borrow().model.having(self.key, flag)
    }

    /// The name of a message's file without what may change: all before the colon.
    pub fn file_name(&self, uid: Uid) -> Option<Vec<u8>> {
        self.mailbox.state.borrow().file_name(self.key, uid)
    }

    /// Looks at a message's file: its size and INTERNALDATE.
    pub fn attributes(&self, uid: Uid) -> Result<Found<Attributes>, Error> {
        self.mailbox.state.borrow_mut().attributes(self.key, uid)
    }

    /// Opens a message.
    pub fn open(&self, uid: Uid) -> Result<Found<MessageFile>, Error> {
        self.mailbox.state.borrow_mut().open(self.key, uid)
    }

    /// Gives a message's file a second name.
    pub(crate) fn link(&self, uid: Uid, to: &Path) -> Result<Found<Link>, Error> {
        self.mailbox.state.borrow_mut().link(self.key, uid, to)
    }

    /// Changes a message's flags: renames its file. Returns the flags that it has now. This view is not told of this
    /// change again, unless somebody else changed that message too. Keywords come from [`Mailbox::keyword`].
    pub fn store(&mut self, uid: Uid, change: Change, now: Now) -> Result<Found<Flags>, Error> {
        self.may_write()?;
        let stored = self.mailbox.state.borrow_mut().store(self.key, uid, change, now)?;
        Ok(match stored {
            Found::Here((before, after)) => {
                for hook in self.mailbox.hooks.iter().filter(|_| before != after) {
                    hook.after_flags(&self.mailbox, uid, before, after);
                }
                Found::Here(after)
            }
            Found::Moved => Found::Moved,
            Found::Gone => Found::Gone,
        })
    }

    /// The client is about to see these flags, and needs not be told of them later. Whether it should hear first which
    /// keywords there are now.
    pub fn show(&self, message: &Message) -> bool {
        let mut state = self.mailbox.state.borrow_mut();
        if !state.model.show(self.key, message.uid, message.revision) {
            return false;
        }
        let keywords = state.edition();
        state.model.announce(self.key, keywords)
    }

    /// Removes a message's file. All views, this one too, are told by their next update.
    pub fn expunge(&mut self, uid: Uid, now: Now) -> Result<Found<()>, Error> {
        self.may_write()?;
        let expunged = self.mailbox.state.borrow_mut().expunge(self.key, uid, now)?;
        Ok(match expunged {
            Found::Here((place, size)) => {
                self.removed |= place.bit();
                for hook in self.mailbox.hooks.iter() {
                    hook.after_expunge(&self.mailbox, uid, size);
                }
                Found::Here(())
            }
            Found::Moved => Found::Moved,
            Found::Gone => Found::Gone,
        })
    }

    /// Has the disk know of what was expunged here, too: else it may be there again after a loss of power. To be called
    /// once for many.
    pub fn seal_expunges(&mut self) -> Result<Flushes, Error> {
        let removed = mem::take(&mut self.removed);
        self.mailbox.state.borrow().flush_names(|place| removed & place.bit() != 0)
    }

    /// Remembers RFC822.SIZE, as long as the model lives.
    pub fn remember_size(&self, uid: Uid, size: u32) {
        self.mailbox.state.borrow_mut().remember_size(uid, size);
    }

    /// Tries to have the mailbox for this view alone, until the hold is dropped: others can change no message then.
    /// None where we may not write, and nobody like us could. What others did before is for the next sync to find.
    pub fn hold(&self, now: Now) -> Result<Step<Option<Rc<Hold>>>, Error> {
        self.mailbox.state.borrow_mut().hold(self.key, now)
    }

    /// Takes a hold over from another view of the session that has it.
    pub fn bear(&self, hold: &Rc<Hold>) {
        self.mailbox.state.borrow_mut().bear(self.key, hold);
    }

    /// Could it change messages now? For what is better not begun than left half done.
    pub fn may_change(&self, now: Now) -> Result<(), Error> {
        self.may_write()?;
        self.mailbox.state.borrow().may_change(self.key, now)
    }

    fn may_write(&self) -> Result<(), Error> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(Error::ReadOnly),
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // Not if a panic within the model brought us here: then it is thrown away anyway.
        if let Ok(mut state) = self.mailbox.state.try_borrow_mut() {
            state.model.close(self.key);
        }
    }
}
