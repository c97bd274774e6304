//! The files' part in a sync: new/ to cur/, files with the name of another, and what is no longer there.

use std::ffi::OsStr;
use std::fs;
use std::mem;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, UNIX_EPOCH};

use nix::errno::Errno;

use super::{Phase, Quiet, ROUNDS, State, Sync, Turn};
use crate::dirs;
use crate::messages::{GONE, IN_NEW, Place, SEEN, TOUCHED};
use crate::scan::{Budget, Match};
use crate::{Error, Now, Uid, filename};

/// What moving a file costs, where reading a name costs 1.
const MOVE: usize = 10;
/// When more is missing at once, it was removed and not overlooked.
const LOOKS_MAX: usize = 1000;
/// A second link to a file is removed only if it is older than this.
const LINK_AGE: Duration = Duration::from_secs(30);

impl State {
    /// Moves messages from new/ to cur/. Those that can't be moved stay.
    pub(super) fn move_new(
        &mut self,
        sync: &mut Sync,
        from: u32,
        now: Now,
        budget: &mut Budget,
    ) -> Result<Turn, Error> {
        if !sync.moves {
            self.model.publish();
            return Ok(Turn::Next(Phase::Settle));
        }
        let messages = self.model.messages.starting(from).iter();
        let waiting = messages.filter(|entry| entry.bits & (IN_NEW | GONE) == IN_NEW).map(|entry| entry.uid);
        let waiting: Vec<Uid> = waiting.take(budget.0 / MOVE + 1).collect();
        let Some(&last) = waiting.last() else {
            self.model.publish();
            return Ok(Turn::Next(Phase::Settle));
        };
        let before = self.dirs.times()?;
        for uid in waiting {
            budget.take(MOVE);
            let Some(&entry) = self.model.messages.entry(uid) else { continue };
            let old = self.model.messages.info(&entry);
            let info = filename::info(old.as_deref(), entry.flags);
            let base = self.model.messages.base(&entry);
            let from = self.dirs.file(Place::New, base, old.as_deref());
            let to = self.dirs.file(Place::Cur, base, Some(&info));
            match dirs::rename(&from, &to) {
                Ok(()) => {
                    let full = |_| Error::TooLarge(self.dirs.root().to_path_buf());
                    self.model.rename(uid, Place::Cur, Some(&info)).map_err(full)?;
                }
                // Somebody else moved or removed it: the next scan says which.
                Err(Errno::ENOENT) => self.doubt = true,
                Err(errno) => log::debug!("{} stays in new: {errno}", from.display()),
            }
        }
        let after = self.dirs.times()?;
        if sync.scan.times == before {
            sync.scan.times = after;
        }
        self.known.changed(before, after, now);
        self.model.publish_to(last.get());
        let next = Phase::Move(last.get().saturating_add(1));
        Ok(if budget.take(1) { Turn::Next(next) } else { Turn::Pause(next) })
    }

    /// The end of a sync, or of a round of it.
    pub(super) fn settle(&mut self, sync: &mut Sync, now: Now) -> Result<Turn, Error> {
        for (place, name) in mem::take(&mut sync.scan.doubles) {
            self.double(sync, place, &name, now);
        }
        // Held until here: a double may get a new name.
        sync.lock = None;
        let missed = if sync.reaped { self.any_missed() } else { self.expunge_unseen(self.quiet(sync)?) };
        let messages = self.model.messages.all().len();
        self.known.read(sync.scan.reading, sync.scan.times, messages, sync.began, now);
        self.unmoved = !sync.moves && self.any(IN_NEW);
        let changed = self.dirs.times()? != sync.scan.times;
        let again = changed || missed || self.doubt;
        if again && sync.rounds + 1 < ROUNDS {
            self.doubt = false;
            return Ok(Turn::Restart);
        }
        self.doubt |= missed;
        Ok(Turn::Next(Phase::Keywords))
    }

    /// What the scan did not see is gone; but if names may have moved under it, only what is not where it was either,
    /// and is missed again and again. True if some message's fate is open.
    pub(super) fn expunge_unseen(&mut self, quiet: Quiet) -> bool {
        let enough = match quiet {
            Quiet::Surely => 1,
            Quiet::Probably => 2,
            Quiet::No => 4,
        };
        let mut unseen = Vec::new();
        for entry in self.model.messages.starting_mut(0).iter_mut().filter(|entry| entry.bits & GONE == 0) {
            if entry.bits & (SEEN | TOUCHED) != 0 {
                entry.missed = 0;
            } else {
                unseen.push(*entry);
            }
        }
        let look = quiet != Quiet::Surely && unseen.len() <= LOOKS_MAX;
        for entry in unseen {
            let missed = entry.missed.saturating_add(1);
            let there = look && fs::symlink_metadata(self.file(&entry)).is_ok();
            if missed >= enough && !there {
                self.model.messages.mark_gone(entry.uid);
            } else if let Some(entry) = self.model.messages.entry_mut(entry.uid) {
                entry.missed = if there { 0 } else { missed };
            }
        }
        self.model.sweep();
        self.any_missed()
    }

    fn any_missed(&self) -> bool {
        self.model.messages.all().iter().any(|entry| entry.missed > 0 && entry.bits & GONE == 0)
    }

    /// Two files with one base name. If they are one file with two names, an old second one is removed; if they are
    /// two, the second becomes a new message.
    fn double(&mut self, sync: &Sync, place: Place, name: &[u8], now: Now) {
        let (base, _) = filename::split(name);
        let uid = match sync.scan.find(&self.model.messages, base) {
            Match::Message(uid) => Some(uid),
            Match::Stranger(index) => sync.scan.strangers.uid(index),
            Match::Expunged | Match::Nothing => None,
        };
        let Some(entry) = uid.and_then(|uid| self.model.messages.entry(uid)) else { return };
        let info = self.model.messages.info(entry);
        let first = self.dirs.file(entry.place(), self.model.messages.base(entry), info.as_deref());
        let second = self.dirs.dir(place).join(OsStr::from_bytes(name));
        // One of them gone, or one renamed while we read: then the time stamps say so too.
        let (Ok(a), Ok(b)) = (fs::symlink_metadata(&first), fs::symlink_metadata(&second)) else { return };
        if first == second {
            return;
        }
        let done = if (a.dev(), a.ino()) == (b.dev(), b.ino()) {
            let linked = UNIX_EPOCH + Duration::from_secs(u64::try_from(b.ctime()).unwrap_or(0));
            let old = now.wall.duration_since(linked).is_ok_and(|age| age > LINK_AGE);
            if b.nlink() < 2 || !old {
                return;
            }
            log::warn!("removing {}, a second link to {}", second.display(), first.display());
            fs::remove_file(&second)
        } else {
            let fresh = self.process.unique_name(now);
            let fresh = self.dirs.dir(Place::New).join(OsStr::from_bytes(&fresh));
            log::warn!("renaming {}, which has the name of {}", second.display(), first.display());
            dirs::rename(&second, &fresh).map_err(Into::into)
        };
        if let Err(error) = done {
            log::warn!("cannot move {} out of the way: {error}", second.display());
        }
    }
}
