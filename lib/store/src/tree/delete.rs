//! Deleting a mailbox: under its lock it loses its name, then it is removed in bounded turns.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use nix::dir::OwningIter;

use super::ASIDE;
use super::removal::Removal;
use crate::list::entries;
use crate::lock::{Attempt, Lock, RETRY, Waiting};
use crate::mode::Creation;
use crate::name::Name;
use crate::scan::Budget;
use crate::{Error, Layout, Now, Step, User, dirs};

/// A deletion under way. Until it has said something other than `Busy`, nothing has happened.
pub struct Deletion<'a> {
    user: &'a User,
    /// As on the wire; none of what was no mailbox.
    name: Option<String>,
    root: PathBuf,
    control: Option<PathBuf>,
    /// Where its cache is, if not there.
    index: Option<PathBuf>,
    waiting: Option<Box<Waiting>>,
    stage: Stage,
}

enum Stage {
    /// The mailbox loses its name.
    Retire,
    /// These directories are looked through for what earlier deletions left there.
    Sweep {
        dirs: Vec<PathBuf>,
        reading: Option<(PathBuf, OwningIter)>,
        removal: Removal,
    },
    Remove(Removal),
}

/// Nobody works for so long on what he put aside.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

impl<'a> Deletion<'a> {
    pub(super) fn new(user: &'a User, name: &Name<'_>) -> Result<Deletion<'a>, Error> {
        if name.is_inbox() {
            return Err(Error::Impossible("INBOX cannot be deleted"));
        }
        let root = name.root(&user.location);
        let control = name.control(&user.location);
        let index = user.location.index_root().and_then(|_| name.index(&user.location));
        let mut stage = Stage::Retire;
        let separator = char::from(user.location.separator).to_string();
        let mut told = Some(name.levels().join(&separator));
        if !user.is_mailbox(name)? {
            if user.location.layout == Layout::MaildirPlusPlus || !root.is_dir() {
                return Err(Error::NoSuchMailbox(root));
            }
            remove_level(&root)?;
            (stage, told) = (Stage::Remove(Removal::default()), None);
        }
        Ok(Deletion { user, name: told, root, control, index, waiting: None, stage })
    }

    /// A turn; `budget` bounds the names that it looks at.
    pub fn step(&mut self, now: Now, budget: usize) -> Result<Step<()>, Error> {
        let mut budget = Budget(budget.max(1));
        loop {
            match &mut self.stage {
                Stage::Retire => {
                    let list = self.control.as_deref().unwrap_or(&self.root).join("dovecot-uidlist");
                    if let Some(control) = self.control.as_deref() {
                        super::levels(control)?;
                    }
                    let lock = match Lock::attempt(&self.user.process, &list, &mut self.waiting, now) {
                        Ok(Attempt::Held(lock)) => lock,
                        Ok(Attempt::Busy) => return Ok(Step::Busy { retry_after: RETRY }),
                        Ok(Attempt::Denied(errno)) => {
                            return Err(Error::io("lock", &list)(errno.into()));
                        }
                        Err(_) if !self.root.is_dir() => {
                            return Err(Error::NoSuchMailbox(self.root.clone()));
                        }
                        Err(error) => return Err(error),
                    };
                    self.user.note_validity(&list)?;
                    let removal = self.retire(lock, now)?;
                    let mut dirs = vec![self.user.location.root.clone()];
                    dirs.extend(self.user.location.control.clone());
                    dirs.extend(self.user.location.index_root().map(Path::to_owned));
                    self.stage = Stage::Sweep { dirs, reading: None, removal };
                }
                Stage::Sweep { dirs, reading, removal } => {
                    if !sweep(dirs, reading, removal, now, &mut budget)? {
                        return Ok(Step::More);
                    }
                    self.stage = Stage::Remove(std::mem::take(removal));
                }
                Stage::Remove(removal) => {
                    if !removal.step(&mut budget) {
                        return Ok(Step::More);
                    }
                    if let Some(name) = self.name.take() {
                        let Removal { messages, bytes, .. } = *removal;
                        self.user.hooks.iter().for_each(|hook| hook.after_delete(&name, messages, bytes));
                    }
                    return Ok(Step::Done(()));
                }
            }
        }
    }

    /// Takes the name away. What is to be removed is returned.
    fn retire(&self, mut lock: Lock, now: Now) -> Result<Removal, Error> {
        let user = self.user;
        let mut removal = Removal::default();
        let its_lock = self.control.is_none().then_some(&mut lock);
        removal.add(self.put_aside(&self.root, &user.location.root, its_lock, now)?);
        user.forget_at(&self.root);
        if let Some(control) = &self.control {
            removal.add(self.put_aside(control, user.control(), Some(&mut lock), now)?);
        }
        if let (Some(index), Some(indexes)) = (&self.index, user.location.index_root())
            && index.is_dir()
        {
            match self.put_aside(index, indexes, None, now) {
                Ok(aside) => removal.add(aside),
                // Nobody goes by a cache of another UIDVALIDITY.
                Err(error) => log::warn!("{error}"),
            }
        }
        user.sync_directory(&user.location.root)?;
        Ok(removal)
    }
}

impl Deletion<'_> {
    /// Takes a directory of the mailbox's, below `root`, out of the way; where to.
    fn put_aside(
        &self,
        dir: &Path,
        root: &Path,
        lock: Option<&mut Lock>,
        now: Now,
    ) -> Result<PathBuf, Error> {
        let aside = self.user.aside(root, now);
        match self.user.location.layout {
            Layout::MaildirPlusPlus => {
                dirs::rename(dir, &aside).map_err(|errno| Error::io("delete", dir)(errno.into()))?;
                lock.into_iter().for_each(|lock| lock.moved_to(&aside));
            }
            Layout::Fs => empty(dir, &aside, lock)?,
        }
        Ok(aside)
    }
}

/// Moves a mailbox's own out of a directory in which others may lie, and removes it if none does. cur/ goes last: until
/// then it is a mailbox, and can be deleted again.
fn empty(root: &Path, aside: &Path, mut lock: Option<&mut Lock>) -> Result<(), Error> {
    Creation::PRIVATE.directory(aside).map_err(Error::io("create", aside))?;
    let mut names = Vec::new();
    for entry in fs::read_dir(root).map_err(Error::io("read", root))? {
        let entry = entry.map_err(Error::io("read", root))?;
        let name = entry.file_name();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_dir || name == "new" || name == "tmp" || name == "cur" {
            names.push(name);
        }
    }
    names.sort_by_key(|name| (name == "cur", name != "new"));
    for name in names {
        let from = root.join(&name);
        match dirs::rename(&from, &aside.join(&name)).map_err(io::Error::from) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("delete", &from)(error));
            }
            _ => {}
        }
        if name == "dovecot-uidlist.lock"
            && let Some(lock) = lock.as_deref_mut()
        {
            lock.moved_to(aside);
        }
    }
    match remove_level(root) {
        Err(Error::HasChildren) => Ok(()),
        done => done,
    }
}

fn remove_level(root: &Path) -> Result<(), Error> {
    match fs::remove_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Err(Error::HasChildren),
        Err(error) => Err(Error::io("remove", root)(error)),
        Ok(()) => Ok(()),
    }
}

/// A turn; true when all is found.
fn sweep(
    dirs: &mut Vec<PathBuf>,
    reading: &mut Option<(PathBuf, OwningIter)>,
    removal: &mut Removal,
    now: Now,
    budget: &mut Budget,
) -> Result<bool, Error> {
    loop {
        let Some((dir, names)) = reading else {
            let Some(dir) = dirs.pop() else { return Ok(true) };
            *reading = entries(&dir)?.map(|names| (dir, names));
            continue;
        };
        if !budget.take(1) {
            return Ok(false);
        }
        let Some(Ok(entry)) = names.next() else {
            *reading = None;
            continue;
        };
        if entry.file_name().to_bytes().starts_with(ASIDE.as_bytes())
            && let Ok(name) = entry.file_name().to_str()
            && is_left_behind(&dir.join(name), now)
        {
            removal.add(dir.join(name));
        }
    }
}

fn is_left_behind(path: &Path, now: Now) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| {
        let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(meta.ctime()).unwrap_or(0));
        now.wall.duration_since(changed).is_ok_and(|age| age > LEFT_BEHIND)
    })
}
