//! What can be done with one message on disk: look, open, change flags, remove.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;

use crate::file::open_regular_with;
use crate::flags::Extra;
use crate::keywords::{self, append_changes};
use crate::messages::{Entry, Place, SEEN, TOUCHED};
use crate::mode::Creation;
use crate::model::ViewKey;
use crate::scan::Budget;
use crate::sync::State;
use crate::{Error, Flags, Link, Now, Uid, cache, dirs, filename};

/// What is known of a message without a look at the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its UID.
    pub uid: Uid,
    /// Its flags and keywords.
    pub flags: Flags,
    /// `\Recent`, in the view that was asked.
    pub recent: bool,
    /// Of its flags.
    pub(crate) revision: u32,
    /// RFC822.SIZE (line ends as CRLF), if known: from the name, from the uidlist, or remembered.
    pub size: Option<u32>,
    /// Size of the file, if its name says so.
    pub file_size: Option<u64>,
    /// Checksum of its file's base name, by which the cache tells it from others.
    pub name: u32,
}

/// What the disk says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Size of the file in bytes.
    pub size: u64,
    /// INTERNALDATE.
    pub received: SystemTime,
}

/// An open message.
#[derive(Debug)]
pub struct MessageFile {
    /// A regular file, close-on-exec, at its start.
    pub file: File,
    /// What it is like.
    pub attributes: Attributes,
}

/// What came of work on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Found<T> {
    /// Done.
    Here(T),
    /// It is not where it was: bring [`crate::Mailbox::sync`] to its end, then ask again.
    Moved,
    /// It was expunged, or this view was never told of it.
    Gone,
}

/// A change of flags, as STORE has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// These too.
    Add(Flags),
    /// These no longer.
    Remove(Flags),
    /// Exactly these.
    Replace(Flags),
}

impl Change {
    /// What comes of it.
    pub fn apply(self, flags: Flags) -> Flags {
        match self {
            Change::Add(more) => flags.union(more),
            Change::Remove(less) => flags.without(less),
            Change::Replace(new) => new,
        }
    }

    /// Could it add or remove keywords that a message's name cannot bear?
    fn may_touch_extra(self) -> bool {
        match self {
            Change::Add(flags) | Change::Remove(flags) => flags.extra() != Extra::NONE,
            Change::Replace(_) => true,
        }
    }
}

impl State {
    /// What is known of a message.
    pub(crate) fn message(&self, key: ViewKey, uid: Uid) -> Option<Message> {
        self.model.entry(key, uid).map(|entry| self.describe(key, entry))
    }

    /// The same by its sequence number.
    pub(crate) fn message_at(&self, key: ViewKey, number: u32) -> Option<Message> {
        self.model.entry_at(key, number).map(|entry| self.describe(key, entry))
    }

    fn describe(&self, key: ViewKey, entry: &Entry) -> Message {
        let base = self.model.messages.base(entry);
        Message {
            uid: entry.uid,
            flags: self.model.messages.flags(entry),
            recent: self.model.is_recent(key, entry),
            revision: entry.modified,
            size: Some(entry.size).filter(|&size| size != 0),
            file_size: filename::number(base, b'S'),
            name: cache::name(base),
        }
    }

    /// Its name, up to the colon.
    pub(crate) fn file_name(&self, key: ViewKey, uid: Uid) -> Option<Vec<u8>> {
        Some(self.model.messages.base(self.model.entry(key, uid)?).to_vec())
    }

    pub(crate) fn attributes(&mut self, key: ViewKey, uid: Uid) -> Result<Found<Attributes>, Error> {
        self.on_file(key, uid, "examine", |path| {
            let meta = fs::symlink_metadata(path)?;
            if meta.is_file() { Ok(attributes(&meta)) } else { Err(Errno::EINVAL.into()) }
        })
    }

    pub(crate) fn open(&mut self, key: ViewKey, uid: Uid) -> Result<Found<MessageFile>, Error> {
        self.on_file(key, uid, "open", |path| {
            let (file, meta) = open_regular_with(path)?;
            let attributes = attributes(&meta);
            Ok(MessageFile { file, attributes })
        })
    }

    /// Gives its file a second name.
    pub(crate) fn link(&mut self, key: ViewKey, uid: Uid, to: &Path) -> Result<Found<Link>, Error> {
        self.on_file(key, uid, "link", |path| match fs::hard_link(path, to) {
            Ok(()) => Ok(Link::Made),
            Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                // Another file system, one without links, too many of them, or a kernel that lets nobody link what he
                // may not write.
                Errno::EXDEV | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EMLINK | Errno::EPERM => {
                    Ok(Link::Impossible)
                }
                _ => Err(error),
            },
        })
    }

    /// Changes flags. Returns those before and after.
    pub(crate) fn store(
        &mut self,
        key: ViewKey,
        uid: Uid,
        change: Change,
        now: Now,
    ) -> Result<Found<(Flags, Flags)>, Error> {
        if change.may_touch_extra() {
            // Another process may have changed those, and no name would say so.
            self.refresh_keywords(&mut Budget(usize::MAX))?;
        }
        let Some(&entry) = self.model.entry(key, uid) else { return Ok(Found::Gone) };
        let had = self.model.messages.flags(&entry);
        let flags = change.apply(had);
        if flags == had {
            // If another program has renamed the file since, there may be something to change.
            let there = self.on_file(key, uid, "examine", |path| fs::symlink_metadata(path).map(drop))?;
            return Ok(match there {
                Found::Here(()) => Found::Here((flags, flags)),
                Found::Moved => Found::Moved,
                Found::Gone => Found::Gone,
            });
        }
        self.may_change(key, now)?;
        // First: the name that changes after it makes others look.
        if flags.extra() != had.extra() {
            self.write_extras([(uid, flags)])?;
            if flags.named() == had.named() {
                self.stir(now)?;
                self.model.knows(key, uid, entry.modified);
                return Ok(Found::Here((had, flags)));
            }
        }
        let old = self.model.messages.info(&entry);
        let info = filename::info(old.as_deref(), flags);
        let to = self.dirs.file(Place::Cur, self.model.messages.base(&entry), Some(&info));
        let before = self.dirs.times()?;
        let renamed = self.on_file(key, uid, "rename", |from| match dirs::rename(from, &to) {
            // Another file has the name. The next scan renames one of them.
            Err(Errno::EEXIST) => Err(Errno::ENOENT.into()),
            renamed => renamed.map_err(Into::into),
        })?;
        Ok(match renamed {
            Found::Here(()) => {
                self.changed(before, now)?;
                let full = |_| Error::TooLarge(self.dirs.root().to_owned());
                self.model.rename(uid, Place::Cur, Some(&info)).map_err(full)?;
                if let Some(entry) = self.model.messages.entry_mut(uid) {
                    entry.bits |= SEEN | TOUCHED;
                }
                self.model.knows(key, uid, entry.modified);
                Found::Here((had, flags))
            }
            Found::Moved => Found::Moved,
            Found::Gone => Found::Gone,
        })
    }

    /// Writes which keywords messages have that their names cannot bear.
    pub(crate) fn write_extras(&mut self, all: impl IntoIterator<Item = (Uid, Flags)>) -> Result<(), Error> {
        let mut text = Vec::new();
        let mut changed = Vec::new();
        for (uid, flags) in all {
            let Some(entry) = self.model.messages.entry(uid) else { continue };
            let had = self.model.messages.extra(entry);
            if had != flags.extra() {
                append_changes(&mut text, uid, had, flags.extra());
                changed.push((uid, flags.extra()));
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        keywords::append(self.control(), &text).map_err(|source| Error::File {
            doing: "write keywords in",
            path: self.control().to_owned(),
            source,
        })?;
        changed.into_iter().for_each(|(uid, extra)| self.model.set_extra(uid, extra));
        Ok(())
    }

    /// Makes other processes look, though no message's name changes.
    fn stir(&mut self, now: Now) -> Result<(), Error> {
        let before = self.dirs.times()?;
        // A name with a dot is nothing to any program. Another process may be about to do the same with it, or have
        // died before it was done: that it goes is enough, whoever made it and whoever removes it.
        let path = self.dirs.dir(Place::Cur).join(".mail-keywords");
        let _ = Creation::PRIVATE.new_file(&path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &path)(error));
            }
            _ => {}
        }
        self.changed(before, now)
    }

    /// Removes a message. Returns where it was and its size, if its name says so.
    pub(crate) fn expunge(
        &mut self,
        key: ViewKey,
        uid: Uid,
        now: Now,
    ) -> Result<Found<(Place, Option<u64>)>, Error> {
        self.may_change(key, now)?;
        let Some(&entry) = self.model.entry(key, uid) else { return Ok(Found::Gone) };
        let size = filename::number(self.model.messages.base(&entry), b'S');
        let before = self.dirs.times()?;
        let removed = self.on_file(key, uid, "remove", |path| fs::remove_file(path))?;
        Ok(match removed {
            Found::Here(()) => {
                self.changed(before, now)?;
                self.model.messages.mark_gone(uid);
                Found::Here((entry.place(), size))
            }
            Found::Moved => Found::Moved,
            Found::Gone => Found::Gone,
        })
    }

    pub(crate) fn remember_size(&mut self, uid: Uid, size: u32) {
        if let Some(entry) = self.model.messages.entry_mut(uid) {
            entry.size = size;
        }
    }

    /// Does `work` with a message's path.
    fn on_file<T>(
        &mut self,
        key: ViewKey,
        uid: Uid,
        doing: &'static str,
        work: impl FnOnce(&Path) -> io::Result<T>,
    ) -> Result<Found<T>, Error> {
        let Some(entry) = self.model.entry(key, uid) else { return Ok(Found::Gone) };
        let path = self.file(entry);
        match work(&path) {
            Ok(done) => Ok(Found::Here(done)),
            Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                Errno::ENOENT => {
                    self.doubt();
                    Ok(Found::Moved)
                }
                Errno::EINVAL | Errno::ELOOP | Errno::ENXIO => Err(Error::NotAFile(path)),
                // That we have no more descriptors is not the message's fault.
                Errno::EMFILE | Errno::ENFILE => Err(Error::io(doing, &path)(error)),
                _ => Err(Error::File { doing, path, source: error }),
            },
        }
    }

    /// Where a message's file is, or was when we looked.
    pub(crate) fn file(&self, entry: &Entry) -> PathBuf {
        let info = self.model.messages.info(entry);
        self.dirs.file(entry.place(), self.model.messages.base(entry), info.as_deref())
    }
}

fn attributes(meta: &fs::Metadata) -> Attributes {
    Attributes { size: meta.len(), received: meta.modified().unwrap_or(UNIX_EPOCH) }
}
