//! What a save does under the list's lock. A sync may run meanwhile, but takes what was put for the work of strangers:
//! it waits for the lock, and begins anew when the save is over.

use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

use super::State;
use crate::disk::Flushes;
use crate::lock::{self, Attempt};
use crate::messages::{Name, Place, RECENT};
use crate::uidlist::{self, Progress, Since};
use crate::{Error, Flags, Now, Step, Uid, dirs, filename};

/// A message that is being saved.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) base: Vec<u8>,
    pub(crate) flags: Flags,
    /// On disk.
    pub(crate) size: u64,
    /// Where it was put.
    pub(crate) place: Option<Place>,
}

/// When to try again if a save of this process has the mailbox, which may wait for the disk.
const RETRY: Duration = Duration::from_millis(5);

impl State {
    /// Takes the lock, all being known that is there without it.
    pub(crate) fn lock_for_save(&mut self, now: Now, budget: usize) -> Result<Step<()>, Error> {
        if self.saving.is_some() {
            return Ok(Step::Busy { retry_after: RETRY });
        }
        match self.sync(now, budget)? {
            Step::Done(()) => {}
            unfinished => return Ok(unfinished),
        }
        match self.lock_list(now)? {
            Attempt::Held(lock) => self.saving = Some(lock),
            Attempt::Busy => return Ok(Step::Busy { retry_after: lock::RETRY }),
            Attempt::Denied(errno) => return Err(Error::io("lock", &self.list_path())(errno.into())),
        }
        Ok(Step::Done(()))
    }

    /// Under the lock: reads what others wrote to the list before, so that our UIDs come after theirs; and sees to it that
    /// so many are left.
    pub(crate) fn catch_up(&mut self, now: Now, budget: usize, uids: u64) -> Result<Step<()>, Error> {
        if self.sync.is_none() {
            if self.is_list_current()? {
                if uids <= u64::from(u32::MAX - self.model.next_uid) {
                    return Ok(Step::Done(()));
                }
                self.renumber(now)?;
            }
            self.doubt = true;
        }
        match self.sync(now, budget)? {
            Step::Done(()) if self.is_list_current()? => Ok(Step::Done(())),
            // It could not be written.
            Step::Done(()) => Err(Error::io("write", &self.list_path())(Errno::ENOSPC.into())),
            unfinished => Ok(unfinished),
        }
    }

    /// Shows others that we are alive, if the lock is a save's.
    pub(crate) fn touch_lock(&self, now: Now) {
        if let Some(lock) = &self.saving {
            lock.touch(now);
        }
    }

    /// Can records be appended?
    fn is_list_current(&self) -> Result<bool, Error> {
        let appendable = self.list.is_some_and(|list| list.version == 3 && !list.ends_in_mid_line());
        Ok(appendable && !self.denied && self.list_since()? == Since::Unchanged)
    }

    /// Gives a file its name in the mailbox: in new/, unless it has flags, or somebody is here who would move it on at
    /// once.
    pub(crate) fn place(&mut self, from: &Path, letter: &mut Letter) -> Result<(), Error> {
        let place = if letter.flags.is_empty() && !self.model.has_writer() { Place::New } else { Place::Cur };
        (self.placing, letter.place) = (true, Some(place));
        let to = self.dirs.file(place, &letter.base, letter.info().as_deref());
        let placed = dirs::rename(from, &to);
        placed.map_err(|errno| {
            letter.place = None;
            Error::io("rename", from)(errno.into())
        })
    }

    /// Takes it out again.
    pub(crate) fn take_out(&mut self, letter: &Letter) {
        let Some(place) = letter.place else { return };
        self.doubt = true;
        let path = self.dirs.file(place, &letter.base, letter.info().as_deref());
        if let Err(error) = fs::remove_file(&path) {
            log::warn!("cannot remove {}: {error}", path.display());
        }
    }

    /// Gives the messages that have their places UIDs, in the list only, and has both brought to the disk. Until
    /// [`State::enrol`] no sync may read the list to that place: one that runs begins anew after it, and what begins
    /// meanwhile sees a list that is known.
    pub(crate) fn list_letters<'a>(
        &mut self,
        letters: impl Iterator<Item = &'a Letter> + Clone,
    ) -> Result<(Progress, Vec<Uid>, Flushes), Error> {
        let path = self.list_path();
        // After a loss of power the one may be there without the other, or the name in tmp/ again: nobody was told.
        let is_there = |place| letters.clone().any(|letter| letter.place == Some(place));
        let mut flushes = self.flush_names(is_there)?;
        let full = || Error::TooLarge(self.dirs.root().to_owned());
        let count = u32::try_from(letters.clone().count()).map_err(|_| full())?;
        let first = self.model.next_uid;
        let after = first.checked_add(count).ok_or_else(full)?;
        let uids: Vec<Uid> = (first..after).filter_map(NonZeroU32::new).map(Uid).collect();
        let records = uids.iter().copied().zip(letters.clone().map(|letter| &*letter.base));
        let list = self.list.ok_or_else(|| self.intruded())?;
        let (list, file) = uidlist::append(&path, &list, records)?;
        self.list = Some(list);
        self.doubt |= self.sync.take().is_some();
        self.to_disk(&mut flushes, &path, file)?;
        Ok((list, uids, flushes))
    }

    /// The messages are listed, on the disk: here they are.
    pub(crate) fn enrol<'a>(
        &mut self,
        list: Progress,
        uids: &[Uid],
        letters: impl Iterator<Item = &'a Letter>,
    ) -> Result<(), Error> {
        if self.list != Some(list) {
            return Err(self.intruded());
        }
        let full = || Error::TooLarge(self.dirs.root().to_owned());
        let mut extras = Vec::new();
        for (&uid, letter) in uids.iter().zip(letters) {
            let Some(place) = letter.place else { continue };
            let info = letter.info();
            extras.push((uid, letter.flags));
            let name = Name { place, base: &letter.base, info: info.as_deref() };
            self.model.messages.push(uid, name, RECENT).map_err(|_| full())?;
            self.unmoved |= place == Place::New;
        }
        if let Some(last) = uids.last() {
            self.model.next_uid = last.get().saturating_add(1);
        }
        if let Err(error) = self.write_extras(extras) {
            // The messages are here: a second time they would be twice.
            log::warn!("{error}");
        }
        self.model.publish();
        Ok(())
    }

    /// A sync has found another list meanwhile.
    fn intruded(&self) -> Error {
        Error::io("append to", &self.list_path())(io::Error::other("it changed under our lock"))
    }

    /// What was listed is not to be, after all: the list is read anew, with UIDs that are never given again.
    pub(crate) fn unlist(&mut self) {
        (self.list, self.doubt) = (None, true);
    }

    /// Has the names in directories of ours brought to the disk, where that is wanted.
    pub(crate) fn flush_names(&self, changed: impl Fn(Place) -> bool) -> Result<Flushes, Error> {
        let mut flushes = Flushes::default();
        for place in Place::ALL.into_iter().filter(|&place| self.fsync && changed(place)) {
            flushes.add_directory(&self.process, &self.dirs.dir(place))?;
        }
        Ok(flushes)
    }

    /// Gives the lock back.
    pub(crate) fn unlock(&mut self) {
        (self.saving, self.placing) = (None, false);
        // It may have the lock, or know what we put.
        self.doubt |= self.sync.take().is_some();
    }
}

impl Letter {
    /// What stands after the colon in its name.
    fn info(&self) -> Option<Vec<u8>> {
        (self.place == Some(Place::Cur)).then(|| filename::info(None, self.flags))
    }
}
