//! A mailbox as those see it who have it open: its state with a borrow around each call.

mod message;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use nix::unistd::{AccessFlags, eaccess};

pub use message::{Attributes, Change, Found, Message, MessageFile};

use crate::dirs::Dirs;
use crate::keywords::is_name;
use crate::messages::Place;
use crate::scan::Budget;
use crate::sync::{Locked, State};
use crate::{Access, Cache, Error, Hook, Keyword, Now, Process, Saving, Step, View, lock};

/// A mailbox, shared by all who have it open.
pub struct Mailbox {
    pub(crate) root: Rc<Path>,
    pub(crate) state: RefCell<State>,
    pub(crate) hooks: Rc<[Box<dyn Hook>]>,
    pub(crate) saving: Saving,
    /// Where its cache is; nowhere if there is none.
    index: Option<Box<Path>>,
    /// How many are in the course of bringing it to agreement with the disk.
    drivers: Cell<u32>,
}

/// Somebody who calls [`Mailbox::sync`] until it is done. When the last one of them goes before that, the sync is given
/// up, and its lock with it, so it is to be dropped as the user whose mailbox it is.
#[derive(Debug)]
pub struct Driver<'a>(&'a Mailbox);

/// Totals (STATUS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Messages.
    pub messages: u32,
    /// Messages that no client has been told of as recent yet.
    pub recent: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// The UID that the next message will have at least.
    pub uid_next: u32,
    /// UIDVALIDITY; 0 before the first sync.
    pub uid_validity: u32,
}

impl Mailbox {
    pub(crate) fn new(
        process: Rc<Process>,
        root: &Path,
        control: Option<PathBuf>,
        index: Option<PathBuf>,
        hooks: Rc<[Box<dyn Hook>]>,
        saving: Saving,
    ) -> Mailbox {
        let root: Rc<Path> = root.into();
        let state = State::new(process, Dirs::new(Rc::clone(&root)), control, saving.fsync);
        let index = index.map(PathBuf::into_boxed_path);
        Mailbox { root, state: RefCell::new(state), hooks, saving, index, drivers: Cell::new(0) }
    }

    /// To be held over calls of [`Mailbox::sync`] that belong together.
    pub fn drive(&self) -> Driver<'_> {
        self.drivers.set(self.drivers.get() + 1);
        Driver(self)
    }

    /// One turn towards agreement with the disk: looks for what changed, reads it, gives UIDs to new messages, and
    /// moves them from new/ to cur/ if a read-write view is open. `budget` bounds the names and records handled in
    /// this turn (each costs a microsecond or two, a moved message counts as ten). All who call drive the same scan.
    ///
    /// `Done`: all that was on disk when the scan began is known (unless it changes faster than it can be read; then
    /// the next call goes on). A call when nothing changed costs three `stat`s. During `Busy`, what has a UID is known
    /// already, and only messages without one are missing.
    ///
    /// A mailbox that we may not write is read with UIDs that are ours alone and last as long as this model, where its
    /// list has none. So is one on a full disk, until there is space.
    pub fn sync(&self, now: Now, budget: usize) -> Result<Step<()>, Error> {
        self.state.borrow_mut().sync(now, budget)
    }

    /// When `sync` should be called even if no watch says so: directories' time stamps may be too coarse to tell two
    /// changes within a second apart.
    pub fn recheck_at(&self) -> Option<Instant> {
        self.state.borrow().recheck_at()
    }

    /// The directories (new, cur) to watch: whatever a client could see changes one of them. Events that matter are
    /// names that appear, vanish or move.
    pub fn watched(&self) -> [PathBuf; 2] {
        let state = self.state.borrow();
        [Place::New, Place::Cur].map(|place| state.dirs.dir(place))
    }

    /// Opens a view. To be called when `sync` is done: the view knows what the model knows, and is told of no change.
    /// `ReadWrite` takes the recent messages; those that wait in new/ with the next `sync`, which moves them.
    pub fn view(self: &Rc<Self>, access: Access) -> View {
        View::new(self.clone(), access)
    }

    /// Totals, as of the last sync.
    pub fn status(&self) -> Status {
        self.state.borrow().model.status()
    }

    /// Names of the keywords by number, up to the last one that has a name or a message; those without a name are
    /// `unknown-<n>`. Every one is an atom.
    pub fn keywords(&self) -> Vec<String> {
        let state = self.state.borrow();
        state.keywords.names(state.model.messages.used()).collect()
    }

    /// The keyword with this name, if there is one. For one that is not known, looks whether another process has made it.
    pub fn find_keyword(&self, name: &str) -> Option<Keyword> {
        let mut state = self.state.borrow_mut();
        if state.keywords.find(name).is_none()
            && let Err(error) = state.refresh_keywords(&mut Budget(usize::MAX))
        {
            log::warn!("{error}");
        }
        state.keywords.find(name)
    }

    /// The keyword with this name, made if there is none. `None` if it is no atom, the mailbox has
    /// [`Keyword::COUNT`] already, or we may not write.
    pub fn keyword(&self, name: &str, now: Now) -> Result<Step<Option<Keyword>>, Error> {
        let mut state = self.state.borrow_mut();
        if let Some(keyword) = state.keywords.find(name) {
            return Ok(Step::Done(Some(keyword)));
        }
        if !is_name(name.as_bytes()) {
            return Ok(Step::Done(None));
        }
        if state.model.uid_validity == 0 {
            // What has no letter belongs to a UIDVALIDITY.
            if let Some(unfinished) = state.sync(now, KNOWING)?.unfinished() {
                return Ok(unfinished);
            }
        }
        let add = |state: &mut State| {
            let control = state.control().to_owned();
            // Another program may have added it before we had the lock.
            state.refresh_keywords(&mut Budget(usize::MAX))?;
            match state.keywords.find(name) {
                Some(keyword) => Ok(Some(keyword)),
                None => state.keywords.add(&control, name, state.model.uid_validity, now),
            }
        };
        Ok(match state.locked(now, add)? {
            Locked::Done(keyword) => Step::Done(keyword),
            Locked::Denied => Step::Done(None),
            Locked::Busy => Step::Busy { retry_after: lock::RETRY },
        })
    }

    /// May we change it? (Else SELECT says READ-ONLY.)
    pub fn writable(&self) -> bool {
        eaccess(&self.state.borrow().dirs.dir(Place::Cur), AccessFlags::W_OK).is_ok()
    }

    /// What is remembered of its messages, for one command. Touches no file yet.
    pub fn cache(&self) -> Cache {
        Cache::new(self.index.as_deref(), self.state.borrow().model.uid_validity)
    }

    /// Its directory, for the log.
    pub fn path(&self) -> PathBuf {
        self.root.to_path_buf()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Mailbox").field(&self.root).finish()
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        let others = self.0.drivers.get().saturating_sub(1);
        self.0.drivers.set(others);
        // Not if a panic within the model brought us here: then it is thrown away anyway.
        if others == 0
            && let Ok(mut state) = self.0.state.try_borrow_mut()
        {
            state.give_up();
        }
    }
}

/// The budget of a turn that only makes a mailbox known.
const KNOWING: usize = 500;

#[cfg(test)]
mod tests;
