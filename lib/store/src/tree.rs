//! Mailboxes come, go and change their names (RFC 3501, sections 6.3.3 to 6.3.5).
//!
//! Whatever moment a process dies at, each name is a whole mailbox or none: what is made takes its name when it is
//! complete, and what is deleted loses its name before anything of it is removed. A name that is made again has
//! another UIDVALIDITY than ever before.
//!
//! In a Maildir++ all mailboxes lie side by side, and those above are there or not. With LAYOUT=fs a mailbox lies in the
//! directory of the one above; there a directory without cur/ is a level that is no mailbox.

mod delete;
mod removal;
mod rename;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use delete::Deletion;
pub use rename::Renaming;

use crate::dirs::{self, Dirs};
use crate::file::sync_directory;
use crate::mode::Creation;
use crate::name::Name;
use crate::subscriptions::{Subscribe, Subscription};
use crate::uidlist::{Reader, Rewrite, Unknown};
use crate::{Error, Layout, Now, User, validity};

impl User {
    /// Makes a mailbox. A separator at the end of its name declares that there will be names below it: with LAYOUT=fs
    /// only that level is made then.
    pub fn create(&self, name: &[u8], now: Now) -> Result<(), Error> {
        let stem = name.strip_suffix(&[self.location.separator]);
        let declared = stem.is_some();
        let name = Name::parse(stem.unwrap_or(name), &self.location)?;
        if name.is_inbox() || self.is_mailbox(&name)? {
            return Err(Error::AlreadyExists);
        }
        for root in [&*self.location.root, self.control()] {
            levels(root)?;
        }
        let root = name.root(&self.location);
        match self.location.layout {
            Layout::MaildirPlusPlus => self.create_folder(&name, &root, now),
            Layout::Fs if declared && root.is_dir() => Err(Error::AlreadyExists),
            Layout::Fs if declared => levels(&root),
            Layout::Fs => self.create_directory(&name, &root, now),
        }
    }

    /// Deletes a mailbox. What is below it stays.
    pub fn delete(&self, name: &[u8]) -> Result<Deletion<'_>, Error> {
        let name = Name::parse(name, &self.location)?;
        Deletion::new(self, &name)
    }

    /// Gives a mailbox, and all below it, another name. Of INBOX the messages are moved, to a new mailbox, and it stays.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> Result<Renaming<'_>, Error> {
        let (from, to) = (Name::parse(from, &self.location)?, Name::parse(to, &self.location)?);
        Renaming::new(self, &from, &to)
    }

    /// Subscribes to a mailbox, which must be there, or ends that, be it there or not.
    pub fn subscribe(&self, name: &[u8], wanted: Subscribe) -> Result<Subscription, Error> {
        let name = Name::parse(name, &self.location)?;
        if wanted == Subscribe::Add {
            let root = name.root(&self.location);
            if !name.is_inbox() && !root.is_dir() {
                return Err(Error::NoSuchMailbox(root));
            }
            levels(self.control())?;
        }
        Ok(Subscription::new(self, &name, wanted))
    }

    /// Is there such a mailbox? A level of the hierarchy is none.
    pub(crate) fn is_mailbox(&self, name: &Name<'_>) -> Result<bool, Error> {
        let root = name.root(&self.location);
        let dir = match self.location.layout {
            Layout::Fs if !name.is_inbox() => root.join("cur"),
            _ => root,
        };
        match fs::metadata(&dir) {
            Ok(meta) => Ok(meta.is_dir()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(false)
            }
            Err(error) => Err(Error::io("examine", &dir)(error)),
        }
    }

    /// Where subscriptions and the like are.
    pub(crate) fn control(&self) -> &Path {
        self.location.control.as_deref().unwrap_or(&self.location.root)
    }

    /// A name beside the mailboxes that is none: for what goes, and for what is not yet complete.
    fn aside(&self, root: &Path, now: Now) -> PathBuf {
        let unique = self.process.unique_name(now);
        root.join(format!("{ASIDE}.{}", String::from_utf8_lossy(&unique)))
    }

    /// Puts a directory below `root` out of the way whose mailbox went without us.
    fn clear(&self, dir: &Path, root: &Path, now: Now) -> Result<(), Error> {
        match dirs::rename(dir, &self.aside(root, now)).map_err(io::Error::from) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("move", dir)(error)),
            _ => Ok(()),
        }
    }

    fn create_folder(&self, name: &Name<'_>, root: &Path, now: Now) -> Result<(), Error> {
        let fresh = self.aside(&self.location.root, now);
        let creation = Creation::within(&self.location.root);
        let complete = || {
            creation.directory(&fresh).map_err(Error::io("create", &fresh))?;
            Dirs::new(fresh.as_path().into()).make()?;
            let mark = fresh.join("maildirfolder");
            creation.new_file(&mark).map_err(Error::io("create", &mark))?;
            if let Some(control) = name.control(&self.location) {
                self.clear(&control, self.control(), now)?;
                creation.directory(&control).map_err(Error::io("create", &control))?;
                self.new_list(&control, now)?;
            } else {
                self.new_list(&fresh, now)?;
            }
            dirs::rename(&fresh, root).map_err(|errno| match io::Error::from(errno) {
                error if error.kind() == io::ErrorKind::AlreadyExists => Error::AlreadyExists,
                error => Error::io("create", root)(error),
            })?;
            self.sync_directory(&self.location.root)
        };
        complete().inspect_err(|_| {
            // The next deletion would find it too.
            let _ = fs::remove_dir_all(&fresh);
        })
    }

    /// cur/ comes last: it is what makes a mailbox of a directory.
    fn create_directory(&self, name: &Name<'_>, root: &Path, now: Now) -> Result<(), Error> {
        levels(root)?;
        let control = name.control(&self.location);
        if let Some(control) = &control {
            levels(control)?;
        }
        self.new_list(control.as_deref().unwrap_or(root), now)?;
        for part in ["new", "tmp", "cur"] {
            let part = root.join(part);
            Creation::within(root).directory(&part).map_err(Error::io("create", &part))?;
        }
        self.sync_directory(root)
    }

    /// Makes the names in a directory last.
    fn sync_directory(&self, dir: &Path) -> Result<(), Error> {
        match self.saving.fsync {
            true => sync_directory(dir),
            false => Ok(()),
        }
    }

    /// An empty uidlist with a UIDVALIDITY of its own.
    fn new_list(&self, dir: &Path, now: Now) -> Result<(), Error> {
        let list = dir.join("dovecot-uidlist");
        for stale in [&list, &dir.join("dovecot-keywords")] {
            match fs::remove_file(stale) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", stale)(error));
                }
                _ => {}
            }
        }
        let validity = validity::next(self.control(), now)?;
        Rewrite::begin(&list, validity, 1, Unknown::Drop)?.finish(self.saving.fsync).map(drop)
    }

    /// Sees to it that the UIDVALIDITY of a mailbox that loses its name is not given again.
    fn note_validity(&self, list: &Path) -> Result<(), Error> {
        // A list that cannot be read has told nobody anything.
        match Reader::open(list).ok().flatten().and_then(|reader| reader.header) {
            Some(header) => validity::note(self.control(), header.uid_validity),
            None => Ok(()),
        }
    }
}

/// Makes a directory and what is missing above it, each as open as the one above.
fn levels(dir: &Path) -> Result<(), Error> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.is_dir()).collect();
    for dir in missing.into_iter().rev() {
        let above = dir.parent().unwrap_or(dir);
        let creation = if above.join("dovecot-shared").exists() || is_ours(above) {
            Creation::within(above)
        } else {
            Creation::PRIVATE
        };
        creation.directory(dir).map_err(Error::io("create", dir))?;
    }
    Ok(())
}

/// Is it a Maildir, or below one that we made, rather than somebody's home?
fn is_ours(dir: &Path) -> bool {
    dir.join("cur").is_dir() || dir.parent().is_some_and(|above| above.join("cur").is_dir())
}

/// Dovecot's name for what is being deleted; no mailbox can have it.
const ASIDE: &str = "..DOVECOT-TRASHED";

#[cfg(test)]
mod tests;
