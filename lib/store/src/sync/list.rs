//! The uidlist's part in a sync: reading records, giving UIDs, writing.

use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::path::Path;

use nix::errno::Errno;

use super::{Listed, Phase, Quiet, ROUNDS, State, Sync, Turn};
use crate::disk::Flushes;
use crate::file::Stamp;
use crate::messages::{GONE, Place, RECENT, SEEN, UNLISTED};
use crate::scan::{Budget, Match, Run};
use crate::uidlist::{self, End, Fault, Progress, Reader, Record, Rewrite, Since, Unknown, Written};
use crate::{Error, Extent, Now, Uid, validity};

/// What a record says of our model.
enum Verdict {
    Fine,
    /// It contradicts the UIDs that we told.
    Contradiction,
}

impl State {
    /// What became of the list since it was read.
    pub(super) fn list_since(&self) -> Result<Since, Error> {
        Ok(match (self.list, self.list_stamp()?) {
            (Some(progress), stamp) => progress.since(stamp),
            (None, None) => Since::Missing,
            (None, Some(_)) => Since::Replaced,
        })
    }

    /// The list as it is now.
    pub(super) fn list_stamp(&self) -> Result<Option<Stamp>, Error> {
        let path = self.list_path();
        Stamp::at(&path).map_err(Error::io("examine", &path))
    }

    /// Reads records, and finds the files that they belong to.
    pub(super) fn records(
        &mut self,
        sync: &mut Sync,
        reader: Option<Box<Reader>>,
        budget: &mut Budget,
    ) -> Result<Turn, Error> {
        match self.read_records(sync, reader, budget) {
            Ok(turn) => Ok(turn),
            Err(Fault::Io(error)) => Err(error),
            Err(Fault::Broken(why)) => {
                log::warn!("{} is broken and made anew: {why}", self.list_path().display());
                (sync.list, sync.rewrite, sync.overlooked, sync.late) = (None, true, false, false);
                if self.model.messages.all().is_empty() {
                    // Nobody knows the UIDs that it gave.
                    self.model.uid_validity = 0;
                    sync.scan.strangers.forget_uids();
                    sync.listed.clear();
                    sync.next_uid = 0;
                }
                Ok(Turn::Next(Phase::Apply(0)))
            }
        }
    }

    fn read_records(
        &mut self,
        sync: &mut Sync,
        reader: Option<Box<Reader>>,
        budget: &mut Budget,
    ) -> Result<Turn, Fault> {
        let reader = match reader {
            Some(reader) => Some(reader),
            None => self.open_list(sync)?,
        };
        let Some(mut reader) = reader else { return self.all_read(sync) };
        if let Some(header) = reader.header.take() {
            if self.model.uid_validity != 0 && self.model.uid_validity != header.uid_validity {
                return Ok(self.replaced("another UIDVALIDITY"));
            }
            self.model.uid_validity = header.uid_validity;
            sync.next_uid = sync.next_uid.max(header.next);
            sync.rewrite |= header.version != 3;
            // All records come again.
            self.model.messages.starting_mut(0).iter_mut().for_each(|entry| entry.bits |= UNLISTED);
        }
        while let Some((record, end)) = reader.next()? {
            if let Verdict::Contradiction = self.record(sync, &record, end).map_err(Fault::Io)? {
                return Ok(self.replaced("other UIDs than we know"));
            }
            if !budget.take(1) {
                return Ok(Turn::Pause(Phase::Records(Some(reader))));
            }
        }
        sync.next_uid = sync.next_uid.max(reader.after_last());
        sync.list = Some(reader.progress());
        self.all_read(sync)
    }

    fn open_list(&mut self, sync: &mut Sync) -> Result<Option<Box<Reader>>, Fault> {
        let path = self.list_path();
        let stamp = self.list_stamp().map_err(Fault::Io)?;
        let resumed = match sync.list.map(|progress| (progress, progress.since(stamp))) {
            Some((_, Since::Unchanged)) => return Ok(None),
            Some((progress, Since::Appended)) => Reader::resume(&path, progress)?,
            _ => None,
        };
        let reader = match resumed {
            Some(reader) => Some(reader),
            None => Reader::open(&path)?,
        };
        if reader.is_none() {
            (sync.list, sync.rewrite) = (None, true);
        }
        Ok(reader.map(Box::new))
    }

    fn record(&mut self, sync: &mut Sync, record: &Record<'_>, end: End) -> Result<Verdict, Error> {
        let highest = self.model.highest();
        let is_new = record.uid.get() > highest;
        self.has_pop3_keys |= [b'P', b'O'].iter().any(|key| record.value(*key).is_some());
        let bearer = self.model.messages.entry(record.uid);
        if bearer.is_some_and(|entry| self.model.messages.base(entry) != record.base) {
            return Ok(Verdict::Contradiction);
        }
        match sync.scan.find(&self.model.messages, record.base) {
            Match::Message(uid) if uid == record.uid => {
                if let Some(entry) = self.model.messages.entry_mut(uid) {
                    entry.bits &= !UNLISTED;
                    let size = record.virtual_size().filter(|_| entry.size == 0);
                    entry.size = size.unwrap_or(entry.size);
                }
            }
            // The name is listed twice: the higher UID holds.
            Match::Message(uid) if uid > record.uid => sync.rewrite = true,
            Match::Message(uid) => {
                log::warn!("{}: UID {uid} became {}", self.dirs.root().display(), record.uid);
                let full = |_| Error::TooLarge(self.dirs.root().to_path_buf());
                let index = sync.scan.adopt(&self.model.messages, uid).map_err(full)?;
                self.model.messages.mark_gone(uid);
                // One that we passed over gets another.
                match is_new {
                    true => sync.list(index, record),
                    false => sync.rewrite = true,
                }
            }
            Match::Stranger(index) if is_new => {
                sync.rewrite |= sync.scan.strangers.uid(index).is_some();
                sync.list(index, record);
            }
            // It was expunged, we told so, and there it is: as another message.
            Match::Stranger(_) => sync.rewrite = true,
            Match::Nothing if is_new => {
                sync.overlooked = true;
                sync.late |= !sync.before.is_some_and(|before| end.is_within(&before));
            }
            Match::Nothing | Match::Expunged => {}
        }
        Ok(Verdict::Fine)
    }

    /// What to do next. Whoever adds a record has put its file there before; a message that is passed over now would
    /// get another UID later.
    fn all_read(&mut self, sync: &mut Sync) -> Result<Turn, Fault> {
        if sync.late && sync.rounds < 2 * ROUNDS {
            return Ok(if sync.lock.is_some() { Turn::Restart } else { Turn::Next(Phase::Lock) });
        }
        let enough = match self.quiet(sync).map_err(Fault::Io)? {
            Quiet::Surely => 0,
            Quiet::Probably => 1,
            Quiet::No => ROUNDS,
        };
        let again = sync.overlooked && sync.rounds < enough;
        Ok(if again { Turn::Restart } else { Turn::Next(Phase::Apply(0)) })
    }

    /// What we know is worth nothing, and all views are lost.
    fn replaced(&mut self, why: &str) -> Turn {
        log::warn!("{} was replaced: {why}", self.list_path().display());
        self.model.replace();
        self.list = None;
        Turn::Restart
    }

    /// Has the list no record of some message?
    pub(super) fn has_unlisted(&self) -> bool {
        self.any(UNLISTED)
    }

    /// A stranger becomes a message.
    pub(super) fn enter(&mut self, sync: &Sync, listed: Listed, bits: u8) -> Result<(), Error> {
        let Listed { uid, index, size } = listed;
        let Some(name) = sync.scan.strangers.name(index) else { return Ok(()) };
        let recent = if name.place == Place::New { RECENT } else { 0 };
        let full = |_| Error::TooLarge(self.dirs.root().to_path_buf());
        let seen = if sync.scan.strangers.is_seen(index) { SEEN } else { 0 };
        self.model.messages.push(uid, name, bits | recent | seen).map_err(full)?;
        if let Some(entry) = self.model.messages.entry_mut(uid).filter(|entry| entry.size == 0) {
            entry.size = size;
        }
        self.model.next_uid = self.model.next_uid.max(uid.get().saturating_add(1));
        Ok(())
    }

    /// Files without a record get the next UIDs.
    pub(super) fn assign(
        &mut self,
        sync: &mut Sync,
        files: Run,
        from: usize,
        now: Now,
        budget: &mut Budget,
    ) -> Result<Turn, Error> {
        if self.model.uid_validity == 0 {
            self.model.uid_validity = self.next_validity(sync.lock.is_some(), now);
        }
        for at in from..files.len() {
            if !budget.take(1) {
                return Ok(Turn::Pause(Phase::Assign(files, at)));
            }
            let uid = NonZeroU32::new(self.model.next_uid).map(Uid).filter(|uid| uid.get() < u32::MAX);
            let Some(uid) = uid else {
                if sync.lock.is_none() {
                    return Err(self.too_large());
                }
                self.renumber(now)?;
                return Ok(Turn::Restart);
            };
            if let Some(&(_, index)) = files.get(at) {
                sync.scan.strangers.assign(index, uid);
                self.enter(sync, Listed { uid, index, size: 0 }, UNLISTED)?;
            }
        }
        if sync.lock.is_some() {
            return Ok(Turn::Next(Phase::Write(0, None)));
        }
        self.model.publish();
        Ok(Turn::Next(Phase::Settle))
    }

    /// One that no mailbox of this user had before, where we have the lock.
    fn next_validity(&self, locked: bool, now: Now) -> u32 {
        let validities = self.validities.as_deref().filter(|_| locked);
        let next = validities.and_then(|control| {
            let next = validity::next(control, now);
            next.inspect_err(|error| log::debug!("{error}")).ok()
        });
        next.unwrap_or_else(|| now.unix_seconds())
    }

    /// There are no more UIDs (somebody wrote such a list, for nobody has had as many messages): under the lock, they
    /// begin anew with another UIDVALIDITY. All views are lost.
    pub(super) fn renumber(&mut self, now: Now) -> Result<(), Error> {
        let path = self.list_path();
        let validity = self.next_validity(true, now).max(self.model.uid_validity.saturating_add(1));
        log::warn!("{} has no more UIDs to give: its messages get new ones", path.display());
        Rewrite::begin(&path, validity, 1, Unknown::Drop)?.finish(self.fsync)?;
        self.model.replace();
        self.list = None;
        Ok(())
    }

    fn too_large(&self) -> Error {
        Error::TooLarge(self.dirs.root().to_path_buf())
    }

    /// If the list could not be written since the disk is full, the messages are shown all the same.
    pub(super) fn unless_full(&mut self, turn: Result<Turn, Error>) -> Result<Turn, Error> {
        match turn {
            Err(Error::Io { source, path, .. }) if is_full(&source) => {
                log::warn!("cannot write {}: {source}", path.display());
                self.denied = true;
                self.model.publish();
                Ok(Turn::Next(Phase::Settle))
            }
            turn => turn,
        }
    }

    /// Writes what the list has not.
    pub(super) fn write_records(
        &mut self,
        sync: &mut Sync,
        from: u32,
        rewrite: Option<Box<Rewrite>>,
        budget: &mut Budget,
    ) -> Result<Turn, Error> {
        let path = self.list_path();
        let mut rewrite = match (rewrite, &self.list) {
            (None, Some(list)) if from > 0 || !self.wants_rewrite(sync, list) => None,
            (None, _) => {
                let unknown = if !sync.overlooked || self.quiet(sync)? == Quiet::Surely {
                    Unknown::Drop
                } else {
                    Unknown::Keep
                };
                let (validity, next) = (self.model.uid_validity, self.model.next_uid);
                Some(Box::new(Rewrite::begin(&path, validity, next, unknown)?))
            }
            (rewrite, _) => rewrite,
        };
        let mut lines = Vec::new();
        let mut next = None;
        for entry in self.model.messages.starting(from).iter().filter(|entry| entry.bits & GONE == 0) {
            if !budget.take(1) {
                next = Some(entry.uid.get());
                break;
            }
            let base = self.model.messages.base(entry);
            match &mut rewrite {
                Some(rewrite) => rewrite.put(entry.uid, base)?,
                None if entry.bits & UNLISTED != 0 => lines.push((entry.uid, base)),
                None => {}
            }
        }
        if let Some(list) = &self.list
            && !lines.is_empty()
        {
            let (progress, file) = uidlist::append(&path, list, lines.into_iter())?;
            (self.list, sync.appended) = (Some(progress), Some(file));
        }
        if let Some(next) = next {
            return Ok(Turn::Pause(Phase::Write(next, rewrite)));
        }
        if let Some(file) = sync.appended.take() {
            self.to_disk(&mut sync.flushes, &path, file)?;
        }
        let Some(rewrite) = rewrite else { return Ok(Turn::Next(Phase::Flush(None))) };
        let (written, file) = rewrite.write_out()?;
        self.to_disk(&mut sync.flushes, &written.tmp, file)?;
        Ok(Turn::Next(Phase::Flush(Some(written))))
    }

    /// Has a list brought to the disk, where that is wanted.
    pub(super) fn to_disk(&self, flushes: &mut Flushes, path: &Path, list: File) -> Result<(), Error> {
        if self.fsync { flushes.add(&self.process, path, list, Extent::Data) } else { Ok(()) }
    }

    /// What was written is on the disk: it holds.
    pub(super) fn flush(&mut self, sync: &mut Sync, written: Option<Written>) -> Result<Turn, Error> {
        if let Some(ticket) = sync.flushes.awaited()? {
            return Ok(Turn::Disk(Phase::Flush(written), ticket));
        }
        if let Some(written) = written {
            self.list = Some(written.install()?);
        }
        self.model.messages.starting_mut(0).iter_mut().for_each(|entry| entry.bits &= !UNLISTED);
        Ok(Turn::Next(Phase::Move(0)))
    }

    /// Must it be written anew? Also if more than a quarter of it is of messages that are gone.
    fn wants_rewrite(&self, sync: &Sync, list: &Progress) -> bool {
        let (live, records) = (self.model.messages.all().len(), list.records as usize);
        sync.rewrite || list.ends_in_mid_line() || records >= 16 && live * 4 <= records * 3
    }
}

impl Sync {
    /// A stranger has this record.
    fn list(&mut self, index: usize, record: &Record<'_>) {
        self.scan.strangers.assign(index, record.uid);
        let size = record.virtual_size().unwrap_or(0);
        self.listed.push(Listed { uid: record.uid, index, size });
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(Errno::from_raw(error.raw_os_error().unwrap_or(0)), Errno::ENOSPC | Errno::EDQUOT)
}
