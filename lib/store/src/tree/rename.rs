//! Giving a mailbox another name, with all below it. INBOX keeps its own: see [`inbox`].
//!
//! In a Maildir++ those below go first and the mailbox itself last, each in one piece: if that is interrupted, doing it
//! again completes it. Their UIDs and UIDVALIDITY go with them.

mod inbox;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::dir::OwningIter;

use super::levels;
use crate::list::{Listing, entries};
use crate::lock::{Attempt, Lock, RETRY, Waiting};
use crate::name::Name;
use crate::scan::Budget;
use crate::{Error, Layout, Now, Step, User, dirs};
use inbox::Inbox;

/// A renaming under way.
pub struct Renaming<'a> {
    user: &'a User,
    from: Place,
    to: Place,
    waiting: Option<Box<Waiting>>,
    stage: Stage,
}

/// A mailbox's directories.
#[derive(Clone)]
struct Place {
    /// As on the wire.
    name: String,
    root: PathBuf,
    control: Option<PathBuf>,
    /// Where its cache is, if not there.
    index: Option<PathBuf>,
}

enum Stage {
    /// Maildir++: which directories are there? What follows the old name in each.
    Find(Option<OwningIter>, Vec<OsString>),
    /// LAYOUT=fs: is any of them locked?
    Look(Box<Listing>),
    /// These, from the last to the first.
    Move(Vec<OsString>),
    Inbox(Box<Inbox>),
}

/// What moving costs, where reading a name costs 1.
const MOVE: usize = 50;

impl Place {
    fn of(name: &Name<'_>, user: &User) -> Place {
        let separator = char::from(user.location.separator).to_string();
        Place {
            name: name.levels().join(&separator),
            root: name.root(&user.location),
            control: name.control(&user.location),
            index: user.location.index_root().and_then(|_| name.index(&user.location)),
        }
    }

    /// The one whose directories are called like these, and more.
    fn and(&self, more: &OsStr) -> Place {
        let add = |path: &PathBuf| {
            let mut path = path.clone().into_os_string();
            path.push(more);
            PathBuf::from(path)
        };
        let [control, index] = [&self.control, &self.index].map(|dir| dir.as_ref().map(add));
        Place { name: self.name.clone(), root: add(&self.root), control, index }
    }

    fn lists(&self) -> &Path {
        self.control.as_deref().unwrap_or(&self.root)
    }
}

impl<'a> Renaming<'a> {
    pub(super) fn new(user: &'a User, from: &Name<'_>, to: &Name<'_>) -> Result<Renaming<'a>, Error> {
        if from == to || user.is_mailbox(to)? || to.is_inbox() {
            return Err(Error::AlreadyExists);
        }
        if to.levels().starts_with(from.levels()) && !from.is_inbox() {
            return Err(Error::Impossible("a mailbox cannot be put below itself"));
        }
        let [from_place, to_place] = [from, to].map(|name| Place::of(name, user));
        let stage = match user.location.layout {
            _ if from.is_inbox() => Stage::Inbox(Box::new(Inbox::Create)),
            Layout::MaildirPlusPlus => Stage::Find(entries(&user.location.root)?, Vec::new()),
            Layout::Fs if !from_place.root.is_dir() => return Err(Error::NoSuchMailbox(from_place.root)),
            Layout::Fs => Stage::Look(Box::new(Listing::new(&user.location))),
        };
        Ok(Renaming { user, from: from_place, to: to_place, waiting: None, stage })
    }

    /// A turn; `budget` bounds the names that it looks at.
    pub fn step(&mut self, now: Now, budget: usize) -> Result<Step<()>, Error> {
        let mut budget = Budget(budget.max(1));
        loop {
            match &mut self.stage {
                Stage::Find(names, found) => {
                    let mut found = std::mem::take(found);
                    let Some(mut names) = names.take() else {
                        return Err(Error::NoSuchMailbox(self.from.root.clone()));
                    };
                    if !self.find(&mut names, &mut found, &mut budget)? {
                        self.stage = Stage::Find(Some(names), found);
                        return Ok(Step::More);
                    }
                    if found.is_empty() {
                        return Err(Error::NoSuchMailbox(self.from.root.clone()));
                    }
                    // The mailbox itself, whose name goes on with nothing, is the last to be taken.
                    found.sort();
                    self.stage = Stage::Move(found);
                }
                Stage::Look(listing) => {
                    if listing.step(budget.0)? == Step::More {
                        return Ok(Step::More);
                    }
                    let listing = std::mem::replace(listing, Box::new(Listing::new(&self.user.location)));
                    if self.below_is_locked(*listing) {
                        return Ok(Step::Busy { retry_after: RETRY });
                    }
                    levels(self.to.root.parent().unwrap_or(&self.to.root))?;
                    // A level without anything in it gives way.
                    let _ = fs::remove_dir(&self.to.root);
                    self.stage = Stage::Move(vec![OsString::new()]);
                }
                Stage::Move(left) => {
                    let Some(more) = left.last() else {
                        self.user.sync_directory(&self.user.location.root)?;
                        return Ok(Step::Done(()));
                    };
                    if !budget.take(MOVE) {
                        return Ok(Step::More);
                    }
                    let (from, to) = (self.from.and(more), self.to.and(more));
                    let Some(lock) = attempt(self.user, &from, &mut self.waiting, now)? else {
                        return Ok(Step::Busy { retry_after: RETRY });
                    };
                    shift(self.user, &from, &to, lock, now)?;
                    if let Stage::Move(left) = &mut self.stage {
                        left.pop();
                    }
                }
                Stage::Inbox(inbox) => {
                    let Renaming { user, from, to, waiting, .. } = self;
                    return inbox.step(user, (from, to), waiting, now, &mut budget);
                }
            }
        }
    }

    /// Directories with the old name, and those that go on after it with a dot. True when all are found.
    fn find(
        &self,
        names: &mut OwningIter,
        found: &mut Vec<OsString>,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        let old = self.from.root.file_name().unwrap_or_default().as_bytes();
        loop {
            if !budget.take(1) {
                return Ok(false);
            }
            let Some(entry) = names.next() else { return Ok(true) };
            let entry = entry.map_err(|errno| Error::io("read", &self.user.location.root)(errno.into()))?;
            let Some(more) = entry.file_name().to_bytes().strip_prefix(old) else { continue };
            if !more.is_empty() && more.first() != Some(&b'.') {
                continue;
            }
            let more = OsString::from_vec(more.to_vec());
            if !self.from.and(&more).root.is_dir() {
                continue;
            }
            let to = self.to.and(&more).root;
            if to.file_name().is_some_and(|name| name.len() > NAME_MAX) {
                return Err(Error::BadName("the name of a mailbox below would be too long"));
            }
            if fs::symlink_metadata(&to).is_ok() {
                return Err(Error::AlreadyExists);
            }
            found.push(more);
        }
    }

    /// Is somebody writing to a mailbox below? Its lock would go with it, and hold up everybody there.
    fn below_is_locked(&self, listing: Listing) -> bool {
        let location = &self.user.location;
        let below = format!("{}{}", self.from.name, char::from(location.separator));
        let mut names = listing.mailboxes().filter(|listed| listed.name.starts_with(&below));
        names.any(|listed| {
            let Ok(name) = Name::parse(listed.name.as_bytes(), location) else { return false };
            let lists = name.control(location).unwrap_or_else(|| name.root(location));
            fs::symlink_metadata(lists.join("dovecot-uidlist.lock")).is_ok()
        })
    }
}

/// The lock of a mailbox, if it is one that anybody can have locked; `None` if somebody has.
fn attempt(
    user: &User,
    place: &Place,
    waiting: &mut Option<Box<Waiting>>,
    now: Now,
) -> Result<Option<Option<Lock>>, Error> {
    if !place.lists().is_dir() {
        return Ok(Some(None));
    }
    let list = place.lists().join("dovecot-uidlist");
    match Lock::attempt(&user.process, &list, waiting, now)? {
        Attempt::Held(lock) => Ok(Some(Some(lock))),
        Attempt::Busy => Ok(None),
        Attempt::Denied(errno) => Err(Error::io("lock", &list)(errno.into())),
    }
}

/// Renames one mailbox's directories.
fn shift(user: &User, from: &Place, to: &Place, mut lock: Option<Lock>, now: Now) -> Result<(), Error> {
    user.note_validity(&from.lists().join("dovecot-uidlist"))?;
    dirs::rename(&from.root, &to.root).map_err(|errno| match io::Error::from(errno) {
        error if error.kind() == io::ErrorKind::AlreadyExists => Error::AlreadyExists,
        error if error.kind() == io::ErrorKind::NotFound => Error::NoSuchMailbox(from.root.clone()),
        error => Error::io("rename", &from.root)(error),
    })?;
    user.forget_below(&from.root);
    user.forget_below(&to.root);
    move_along(user, user.control(), (&from.control, &to.control), now)?;
    if let Some(indexes) = user.location.index_root()
        && let Err(error) = move_along(user, indexes, (&from.index, &to.index), now)
    {
        // What is there can be found out again.
        log::warn!("{error}");
    }
    if let Some(lock) = &mut lock {
        lock.moved_to(to.lists());
    }
    Ok(())
}

/// Renames what a mailbox has elsewhere, below `root`.
fn move_along(
    user: &User,
    root: &Path,
    (old, new): (&Option<PathBuf>, &Option<PathBuf>),
    now: Now,
) -> Result<(), Error> {
    let (Some(old), Some(new)) = (old, new) else { return Ok(()) };
    if !old.is_dir() {
        return Ok(());
    }
    levels(new.parent().unwrap_or(new))?;
    user.clear(new, root, now)?;
    dirs::rename(old, new).map_err(|errno| Error::io("rename", old)(errno.into()))
}

/// File systems have no longer names.
const NAME_MAX: usize = 255;
