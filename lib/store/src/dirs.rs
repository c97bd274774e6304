//! A Maildir's three directories: paths in them, and whether new/ and cur/ changed.
//!
//! A directory's time stamp may be too coarse to tell a change just before we looked from one just after. So one that
//! was young when it was looked at is unsettled, and read again a second later even if its stamp stayed the same. Who
//! saves or expunges all the time unsettles it all the time: such second looks take a hundredth of the time at most, and
//! what they would show of others' work, which shared its moment with our own, comes later in a large mailbox.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::messages::Place;
use crate::mode::Creation;
use crate::{Error, Now};

/// A Maildir.
#[derive(Debug)]
pub(crate) struct Dirs {
    root: Rc<Path>,
}

/// Time stamps of new/ and cur/ together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    new: Time,
    cur: Time,
}

/// Seconds and nanoseconds.
type Time = (i64, i64);

/// What was read of both, and when to look again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    new: Side,
    cur: Side,
    /// Not before, unless a stamp says so.
    rested: Option<Instant>,
}

/// The stamp that belongs to what we know of one directory, and since when it may hide a change.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    time: Option<Time>,
    unsettled: Option<Instant>,
}

/// Time stamps are at least this fine, everywhere.
pub(crate) const GRAIN: Duration = Duration::from_secs(1);
/// The rest after a reading, for each message: some hundred times what it took.
const REST: Duration = Duration::from_micros(100);

impl Dirs {
    pub(crate) fn new(root: Rc<Path>) -> Dirs {
        Dirs { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// new/ or cur/.
    pub(crate) fn dir(&self, place: Place) -> PathBuf {
        self.root.join(place.dir())
    }

    /// A message's file.
    pub(crate) fn file(&self, place: Place, base: &[u8], info: Option<&[u8]>) -> PathBuf {
        let mut name = base.to_vec();
        if let Some(info) = info {
            name.push(b':');
            name.extend_from_slice(info);
        }
        self.dir(place).join(OsStr::from_bytes(&name))
    }

    /// Makes what is missing of new, cur and tmp. Where we may not, that is found out when they are read.
    pub(crate) fn make(&self) -> Result<(), Error> {
        for name in ["cur", "new", "tmp"] {
            let dir = self.root.join(name);
            if fs::symlink_metadata(&dir).is_ok() {
                continue;
            }
            match Creation::within(&self.root).directory(&dir) {
                Err(error) if !is_read_only(&error) => return Err(Error::io("create", &dir)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Looks at both stamps.
    pub(crate) fn times(&self) -> Result<Times, Error> {
        let time = |place| {
            let dir = self.dir(place);
            match fs::metadata(&dir) {
                Ok(meta) => Ok((meta.mtime(), meta.mtime_nsec())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(Error::NoSuchMailbox(self.root.to_path_buf()))
                }
                Err(error) => Err(Error::io("examine", &dir)(error)),
            }
        };
        Ok(Times { new: time(Place::New)?, cur: time(Place::Cur)? })
    }
}

impl Place {
    fn dir(self) -> &'static str {
        match self {
            Place::New => "new",
            Place::Cur => "cur",
        }
    }
}

impl Times {
    /// Is one of them so young that it may change again without showing?
    pub(crate) fn are_young(&self, now: Now) -> bool {
        is_young(self.new, now) || is_young(self.cur, now)
    }
}

fn is_young((seconds, nanos): Time, now: Now) -> bool {
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else {
        return false;
    };
    let stamp = UNIX_EPOCH + Duration::new(seconds, nanos);
    now.wall.duration_since(stamp).map_or(true, |age| age < GRAIN)
}

impl Known {
    /// These stamps were looked at when a reading `began`, which is over now; there are so many messages.
    pub(crate) fn read(&mut self, reading: Reading, times: Times, messages: usize, began: Now, now: Now) {
        self.new = Side::read(times.new, began, now);
        if reading == Reading::Both {
            self.cur = Side::read(times.cur, began, now);
        }
        self.rested = Some(now.instant + REST * u32::try_from(messages).unwrap_or(u32::MAX));
    }

    /// When to look again though no stamp will have changed.
    pub(crate) fn recheck_at(&self) -> Option<Instant> {
        let settled = [self.new, self.cur].into_iter().filter_map(|side| side.unsettled).min()? + GRAIN;
        Some(self.rested.map_or(settled, |rested| rested.max(settled)))
    }

    /// May there be something that we do not know? If so: must cur/ be read, or is new/ enough?
    pub(crate) fn stale(&self, times: Times, now: Now) -> Option<Reading> {
        let rested = self.rested.is_none_or(|rested| now.instant >= rested);
        if self.cur.is_stale(times.cur, rested, now) {
            return Some(Reading::Both);
        }
        self.new.is_stale(times.new, rested, now).then_some(Reading::New)
    }

    /// We changed something ourselves between these two looks; another may have done so too, unseen.
    pub(crate) fn changed(&mut self, before: Times, after: Times, now: Now) {
        self.new.changed(before.new, after.new, now);
        self.cur.changed(before.cur, after.cur, now);
    }
}

impl Side {
    fn read(time: Time, began: Now, now: Now) -> Side {
        Side { time: Some(time), unsettled: is_young(time, began).then_some(now.instant) }
    }

    fn is_stale(&self, time: Time, rested: bool, now: Now) -> bool {
        let settling = |since| now.instant.saturating_duration_since(since) < GRAIN;
        self.time != Some(time) || rested && self.unsettled.is_some_and(|since| !settling(since))
    }

    fn changed(&mut self, before: Time, after: Time, now: Now) {
        if self.time == Some(before) && before != after {
            self.time = Some(after);
            self.unsettled.get_or_insert(now.instant);
        }
    }
}

/// Which directories must be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    New,
    Both,
}

/// Renames a message's file, never over another.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
        // A file system that cannot say "not over another".
        Err(Errno::EINVAL | Errno::ENOSYS) => match fs::symlink_metadata(to) {
            Ok(_) => Err(Errno::EEXIST),
            Err(_) => {
                fs::rename(from, to).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
            }
        },
        done => done,
    }
}

/// Is this what a read-only place says?
pub(crate) fn is_read_only(error: &io::Error) -> bool {
    matches!(Errno::from_raw(error.raw_os_error().unwrap_or(0)), Errno::EACCES | Errno::EPERM | Errno::EROFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Times = Times { new: (10, 5), cur: (20, 5) };

    fn at(seconds: u64) -> Now {
        Now { instant: Instant::now(), wall: UNIX_EPOCH + Duration::from_secs(seconds) }
    }

    fn later(now: Now, by: Duration) -> Now {
        Now { instant: now.instant + by, wall: now.wall + by }
    }

    fn read(times: Times, now: Now) -> Known {
        let mut known = Known::default();
        known.read(Reading::Both, times, 0, now, now);
        known
    }

    #[test]
    fn a_young_stamp_is_read_again_after_its_grain() {
        let now = later(at(20), GRAIN / 2);
        let known = read(OLD, now);
        assert_eq!(known.stale(OLD, now), None);
        assert_eq!(known.recheck_at(), Some(now.instant + GRAIN));
        assert_eq!(known.stale(OLD, later(now, GRAIN)), Some(Reading::Both));
        let settled = read(OLD, later(now, GRAIN));
        assert_eq!(settled.stale(OLD, later(now, GRAIN * 2)), None);
    }

    #[test]
    fn only_what_changed_is_read() {
        let now = at(100);
        let known = read(OLD, now);
        assert_eq!(known.stale(Times { new: (10, 6), ..OLD }, now), Some(Reading::New));
        assert_eq!(known.stale(Times { cur: (20, 4), ..OLD }, now), Some(Reading::Both));
        assert_eq!(Known::default().stale(OLD, now), Some(Reading::Both));
    }

    #[test]
    fn only_what_is_unsettled_is_read_again() {
        let now = at(100);
        let times = Times { new: (100, 0), ..OLD };
        assert_eq!(read(times, now).stale(times, later(now, GRAIN)), Some(Reading::New));
        // A reading of new/ settles nothing in cur/.
        let times = Times { cur: (99, 500_000_000), ..OLD };
        let mut known = read(times, now);
        let soon = later(now, GRAIN / 2);
        known.read(Reading::New, times, 0, soon, soon);
        assert_eq!(known.stale(times, later(now, GRAIN)), Some(Reading::Both));
    }

    #[test]
    fn own_changes_are_known_but_unsettled() {
        let now = at(100);
        let after = Times { cur: (100, 0), ..OLD };
        let mut known = read(OLD, now);
        known.changed(OLD, after, now);
        assert_eq!(known.stale(after, now), None);
        assert_eq!(known.stale(after, later(now, GRAIN)), Some(Reading::Both));
        // Somebody else was first: what he did is still to be read.
        let mut known = read(OLD, now);
        known.changed(Times { cur: (99, 0), ..OLD }, after, now);
        assert_eq!(known.stale(after, now), Some(Reading::Both));
    }

    #[test]
    fn who_changes_a_large_mailbox_all_the_time_reads_it_seldom() {
        let mut now = at(100);
        let (mut known, mut times, mut readings) = (Known::default(), OLD, 0);
        for second in 0..100 {
            let before = std::mem::replace(&mut times, Times { cur: (100 + second, 0), ..OLD });
            known.changed(before, times, now);
            if let Some(reading) = known.stale(times, now) {
                known.read(reading, times, 100_000, now, now);
                readings += 1;
            }
            now = later(now, GRAIN);
        }
        assert_eq!(readings, 10);
        // One change after a while without is looked at as soon as its grain is over.
        known.read(Reading::Both, OLD, 100_000, now, now);
        now = later(now, GRAIN * 10);
        known.changed(OLD, Times { cur: (300, 0), ..OLD }, now);
        assert_eq!(known.recheck_at(), Some(now.instant + GRAIN));
    }

    #[test]
    fn a_rename_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, "a").unwrap();
        fs::write(&b, "b").unwrap();
        assert_eq!(rename(&a, &b), Err(Errno::EEXIST));
        assert_eq!(rename(&dir.path().join("c"), &b), Err(Errno::ENOENT));
        assert_eq!(rename(&a, &dir.path().join("c")), Ok(()));
    }
}
