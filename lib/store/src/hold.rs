//! A mailbox that one session has for itself: the exclusive-access lock of RFC 1939, section 4.
//!
//! Two lock files say so while it lasts. `dovecot-pop3-session.lock` is what a second such session, Dovecot's too, and
//! whoever changes messages here look at; the uidlist's lock is what Dovecot needs for any change. Others may deliver:
//! that needs no lock.

use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::lock::{self, Attempt, Lock, RETRY, Waiting};
use crate::model::ViewKey;
use crate::sync::State;
use crate::{Error, Now, Step};

/// See above. When the last one is dropped, others may have the mailbox: so drop it as the user that took it.
#[derive(Debug)]
pub struct Hold {
    session: Lock,
    list: Rc<Lock>,
}

impl Hold {
    /// How often to call [`Hold::touch`].
    pub const FRESH: Duration = lock::TOUCH;

    /// Shows others that its holder lives.
    pub fn touch(&self, now: Now) {
        self.session.touch(now);
        self.list.touch(now);
    }
}

/// Which view of a mailbox has it for itself, if any.
#[derive(Debug, Default)]
pub(crate) struct Holder {
    held: Option<(ViewKey, Weak<Hold>)>,
    waiting: Option<Box<Waiting>>,
}

impl Holder {
    fn current(&self) -> Option<(ViewKey, Rc<Hold>)> {
        let (key, hold) = self.held.as_ref()?;
        Some((*key, hold.upgrade()?))
    }

    /// The uidlist's lock, if somebody here has it for a whole session.
    pub(crate) fn list(&self) -> Option<Rc<Lock>> {
        self.current().map(|(_, hold)| Rc::clone(&hold.list))
    }
}

impl State {
    /// Tries to have the mailbox for this view alone; none where we may not write, and nobody like us could.
    pub(crate) fn hold(&mut self, key: ViewKey, now: Now) -> Result<Step<Option<Rc<Hold>>>, Error> {
        let busy = Step::Busy { retry_after: RETRY };
        if let Some((by, hold)) = self.holder.current() {
            return Ok(if by == key { Step::Done(Some(hold)) } else { busy });
        }
        let guarded = session(self.control());
        let session = match Lock::attempt(&self.process, &guarded, &mut self.holder.waiting, now)? {
            Attempt::Held(lock) => lock,
            Attempt::Busy => return Ok(busy),
            Attempt::Denied(_) => return Ok(Step::Done(None)),
        };
        let list = match self.lock_list(now)? {
            Attempt::Held(lock) => lock,
            Attempt::Busy => return Ok(busy),
            Attempt::Denied(_) => return Ok(Step::Done(None)),
        };
        let hold = Rc::new(Hold { session, list });
        self.bear(key, &hold);
        Ok(Step::Done(Some(hold)))
    }

    /// It is this view that has the mailbox for itself.
    pub(crate) fn bear(&mut self, key: ViewKey, hold: &Rc<Hold>) {
        self.holder.held = Some((key, Rc::downgrade(hold)));
    }

    /// May this view change messages? Not while the mailbox is another session's.
    pub(crate) fn may_change(&self, key: ViewKey, now: Now) -> Result<(), Error> {
        let is_others = match self.holder.current() {
            Some((by, _)) => by != key,
            None => lock::is_held(&self.process, &session(self.control()), now),
        };
        if is_others { Err(Error::InUse) } else { Ok(()) }
    }
}

/// What the lock file of a session stands beside.
fn session(control: &Path) -> PathBuf {
    control.join("dovecot-pop3-session")
}
