//! What was once found out about messages and never changes: a file that may be deleted at any time.
//!
//! The store knows kinds and bytes, and not what they say. A value belongs to a UID and to the name of a file, in a
//! mailbox of one UIDVALIDITY: whatever happens to either, nobody is shown another message's. What cannot be read is
//! as if it were not there, and what cannot be written is forgotten; nothing here fails, and nothing is ever synced.
//!
//! A command that can use it takes one from [`crate::Mailbox::cache`], loads it, asks and adds, and settles it at its
//! end. In memory are one block of each kind in use (64 KB, or a little more), as much again of what is new, and 32
//! bytes for each block of the file. The file's format is in [`block`], how it is written in [`disk`].

mod block;
mod disk;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Mailbox, Message, Step, Uid};

use block::{Block, Draft, FULL, Head, VALUE_MAX};
use disk::Disk;

/// What a value says. The numbers stand in the file: one that means something else gets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// RFC822.SIZE: a little-endian u32.
    Size = 1,
    /// INTERNALDATE: seconds since 1970, a little-endian i64.
    Received = 2,
    /// The day that the header bears, as SEARCH compares it: year as a little-endian u16, month, day.
    Sent = 3,
    /// ENVELOPE, as it goes to clients.
    Envelope = 4,
    /// BODY, as it goes to clients.
    Body = 5,
    /// BODYSTRUCTURE, as it goes to clients.
    BodyStructure = 6,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::Size, Kind::Received, Kind::Sent, Kind::Envelope, Kind::Body, Kind::BodyStructure];

    fn index(self) -> usize {
        self as usize - 1
    }
}

/// What a value belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    uid: Uid,
    /// CRC-32 of its base name.
    name: u32,
}

/// A mailbox's cache, for the length of a command.
#[derive(Debug)]
pub struct Cache {
    /// None where there is to be no file.
    path: Option<PathBuf>,
    uid_validity: u32,
    disk: Option<Disk>,
    /// Values may be written, as far as we know.
    writes: bool,
    shelves: [Shelf; Kind::ALL.len()],
    blocks: usize,
    /// So many more blocks may be read: one who asks in an odd order is not served at any price.
    reads: usize,
    /// It is worth the trouble to write it anew.
    untidy: bool,
    tidying: Option<Box<Tidying>>,
}

/// The values of one kind.
#[derive(Debug, Default)]
struct Shelf {
    known: Vec<(Head, u64)>,
    /// The one that is in memory.
    current: Option<usize>,
    block: Block,
    draft: Draft,
}

/// Where writing it anew stands.
#[derive(Debug)]
struct Tidying {
    fresh: Cache,
    kind: usize,
    /// From this UID on.
    from: u32,
}

/// Blocks found in one turn, and messages looked up: some tenths of a millisecond.
const A_TURN: usize = 256;
/// Blocks that may be read for one value.
const READS: usize = 8;
/// Blocks that may be read in one turn of writing anew: about a millisecond.
const READS_A_TURN: usize = 4 * READS;
/// Beyond what its size explains, so many small blocks are left as they are.
const SMALL_BLOCKS: usize = 32;
/// The file's name.
const NAME: &str = "mail-cache";

impl Cache {
    /// One in `dir`; none if that is not said. Touches no file.
    pub(crate) fn new(dir: Option<&Path>, uid_validity: u32) -> Cache {
        // Before the first sync nothing can be told apart.
        let path = dir.filter(|_| uid_validity != 0).map(|dir| dir.join(NAME));
        Cache::at(path, uid_validity)
    }

    fn at(path: Option<PathBuf>, uid_validity: u32) -> Cache {
        Cache {
            writes: path.is_some(),
            path,
            uid_validity,
            disk: None,
            shelves: Default::default(),
            blocks: 0,
            reads: 0,
            untidy: false,
            tidying: None,
        }
    }

    /// A turn towards knowing what there is. Without it, there is nothing.
    pub fn load(&mut self) -> Step<()> {
        if self.disk.is_none() {
            let Some(path) = &self.path else { return Step::Done(()) };
            match Disk::open(path, self.uid_validity) {
                Ok(disk) => self.disk = Some(disk),
                Err(error) => {
                    self.writes = error.kind() == io::ErrorKind::NotFound;
                    return Step::Done(());
                }
            }
        }
        let Some(disk) = &mut self.disk else { return Step::Done(()) };
        for _ in 0..A_TURN {
            let Some((head, start)) = disk.next() else {
                self.reads = 4 * self.blocks + 2 * READS;
                return Step::Done(());
            };
            self.blocks += 1;
            let kind = Kind::ALL.into_iter().find(|&kind| kind as u32 == head.kind);
            if let Some(shelf) = kind.and_then(|kind| self.shelves.get_mut(kind.index())) {
                shelf.known.push((head, start));
            }
        }
        Step::More
    }

    /// What is known of a message. Quick if messages are asked for in the order of their UIDs.
    pub fn get(&mut self, kind: Kind, message: &Message) -> Option<&[u8]> {
        self.find(kind, Key { uid: message.uid, name: message.name })
    }

    fn find(&mut self, kind: Kind, key: Key) -> Option<&[u8]> {
        let shelf = self.shelves.get_mut(kind.index())?;
        if shelf.block.find(key).is_none() && !self.turn_to(kind, key) {
            return None;
        }
        self.shelves.get_mut(kind.index())?.block.find(key)
    }

    /// Brings the block into memory that has this key.
    fn turn_to(&mut self, kind: Kind, key: Key) -> bool {
        let (Some(shelf), Some(disk)) = (self.shelves.get_mut(kind.index()), &self.disk) else {
            return false;
        };
        let uid = key.uid.get();
        let mut reads = READS;
        // Of two values the later one counts.
        for (index, (head, start)) in shelf.known.iter().enumerate().rev() {
            if !(head.first..=head.last).contains(&uid) || shelf.current == Some(index) {
                continue;
            }
            if reads == 0 || self.reads == 0 {
                self.untidy = true;
                return false;
            }
            (reads, self.reads) = (reads - 1, self.reads - 1);
            let buffer = std::mem::take(&mut shelf.block).into_bytes();
            let bytes = disk.read(*start, head.length, buffer).unwrap_or_default();
            let block = Block::new(head, bytes);
            self.untidy |= block.is_none();
            (shelf.block, shelf.current) = (block.unwrap_or_default(), Some(index));
            if shelf.block.find(key).is_some() {
                return true;
            }
        }
        false
    }

    /// Has it known from now on: for later commands, not for this one. Values that are very long are not kept.
    pub fn put(&mut self, kind: Kind, message: &Message, value: &[u8]) {
        self.add(kind, Key { uid: message.uid, name: message.name }, value);
    }

    fn add(&mut self, kind: Kind, key: Key, value: &[u8]) {
        if !self.writes || value.len() > VALUE_MAX {
            return;
        }
        let full = self.shelves.get(kind.index()).is_some_and(|shelf| !shelf.draft.takes(key));
        if full {
            self.flush(&[kind]);
        }
        if let Some(shelf) = self.shelves.get_mut(kind.index()) {
            shelf.draft.push(key, value);
        }
    }

    /// Writes what is new of these kinds.
    fn flush(&mut self, kinds: &[Kind]) {
        let mut blocks = Vec::new();
        for kind in kinds {
            let Some(shelf) = self.shelves.get_mut(kind.index()) else { continue };
            if !shelf.draft.is_empty() {
                shelf.draft.finish(*kind, &mut blocks);
                self.blocks += 1;
            }
        }
        if blocks.is_empty() || !self.writes {
            return;
        }
        if let Err(error) = self.append(&blocks) {
            // It is nobody's loss; that there is no cache where one should be is worth a look.
            log::debug!("{}: {error}", self.path.as_deref().unwrap_or(Path::new("")).display());
            self.writes = false;
        }
    }

    fn append(&mut self, blocks: &[u8]) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut disk = match self.disk.take() {
            Some(disk) => disk,
            None => Disk::open_or_create(path, self.uid_validity)?,
        };
        let appended = disk.append(path, blocks);
        self.disk = Some(disk);
        appended
    }

    /// A turn towards the end of the command: writes what is new, and if much of the file is of no use any more, all of
    /// it anew.
    pub fn settle(&mut self, mailbox: &Mailbox) -> Step<()> {
        if self.tidying.is_none() {
            self.flush(&Kind::ALL);
            if !self.writes || !self.is_untidy(mailbox) || !self.begin() {
                return Step::Done(());
            }
        }
        let Some(mut tidying) = self.tidying.take() else { return Step::Done(()) };
        match self.tidy(&mut tidying, mailbox) {
            true => self.replace(tidying.fresh),
            false => {
                self.tidying = Some(tidying);
                return Step::More;
            }
        }
        Step::Done(())
    }

    /// Damaged, in many small pieces, or a fifth of it about messages that are gone.
    fn is_untidy(&self, mailbox: &Mailbox) -> bool {
        let Some(disk) = &self.disk else { return false };
        let messages = mailbox.state.borrow().model.messages.all().len();
        let most = messages + messages / 4 + 64;
        let count = |shelf: &Shelf| shelf.known.iter().map(|(head, _)| head.count as usize).sum::<usize>();
        let explained = usize::try_from(disk.size()).unwrap_or(usize::MAX) / FULL * 4;
        self.untidy
            || self.blocks > explained + SMALL_BLOCKS
            || self.shelves.iter().any(|shelf| count(shelf) > most)
    }

    /// Begins anew, if nobody else writes.
    fn begin(&mut self) -> bool {
        let Some(path) = &self.path else { return false };
        // Read again: what we wrote ourselves belongs to it.
        let mut old = Cache::at(Some(path.clone()), self.uid_validity);
        let _ = old.load();
        if old.disk.as_ref().is_none_or(|disk| disk.lock().is_err()) {
            return false;
        }
        let tmp = path.with_extension("tmp");
        // It is not there, as a rule.
        let _ = fs::remove_file(&tmp);
        let fresh = Cache::at(Some(tmp), self.uid_validity);
        *self = old;
        self.tidying = Some(Box::new(Tidying { fresh, kind: 0, from: 0 }));
        true
    }

    /// Takes over what is of messages that are there. True at the end.
    fn tidy(&mut self, tidying: &mut Tidying, mailbox: &Mailbox) -> bool {
        if self.load() == Step::More {
            return false;
        }
        let state = mailbox.state.borrow();
        let messages = &state.model.messages;
        let Some(&kind) = Kind::ALL.get(tidying.kind) else { return true };
        let starting = messages.starting(tidying.from);
        self.reads = READS_A_TURN;
        for entry in starting.iter().take(A_TURN) {
            // The others in a turn of their own, lest they be lost.
            if self.reads < READS {
                return false;
            }
            let key = Key { uid: entry.uid, name: name(messages.base(entry)) };
            if let Some(value) = self.find(kind, key) {
                tidying.fresh.add(kind, key, value);
            }
            tidying.from = entry.uid.get().saturating_add(1);
        }
        if starting.len() <= A_TURN {
            (tidying.kind, tidying.from) = (tidying.kind + 1, 0);
        }
        false
    }

    fn replace(&mut self, mut fresh: Cache) {
        fresh.flush(&Kind::ALL);
        let (Some(tmp), Some(path)) = (&fresh.path, &self.path) else { return };
        let done = match fresh.disk.is_some() && fresh.writes {
            true => fs::rename(tmp, path),
            false => fs::remove_file(if fresh.writes { path } else { tmp }),
        };
        if let Err(error) = done {
            log::debug!("{}: {error}", path.display());
        }
        *self = Cache::at(self.path.take(), self.uid_validity);
        self.writes = false;
    }
}

/// What a value's key has of a message's name.
pub(crate) fn name(base: &[u8]) -> u32 {
    crc32fast::hash(base)
}

#[cfg(test)]
mod tests;
