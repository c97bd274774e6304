//! A Maildir's three directories: paths in them, and whether new/ and cur/ changed.
//!
//! A directory's time stamp may be too coarse to tell a change just before we looked from one just after. So one that
//! was young when it was looked at is unsettled, and read again a second later even if its stamp stayed the same.

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
    new: (i64, i64),
    cur: (i64, i64),
}

/// The stamps that belong to what we know, and since when they may hide a change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    times: Option<Times>,
    unsettled: Option<Instant>,
}

/// Time stamps are at least this fine, everywhere.
pub(crate) const GRAIN: Duration = Duration::from_secs(1);

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
        let young = |(seconds, nanos): (i64, i64)| {
            let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else {
                return false;
            };
            let stamp = UNIX_EPOCH + Duration::new(seconds, nanos);
            now.wall.duration_since(stamp).map_or(true, |age| age < GRAIN)
        };
        young(self.new) || young(self.cur)
    }
}

impl Known {
    /// These stamps were looked at when a reading `began`, which is over now.
    pub(crate) fn read(times: Times, began: Now, now: Now) -> Known {
        Known { times: Some(times), unsettled: times.are_young(began).then_some(now.instant) }
    }

    /// When to look again though no stamp will have changed.
    pub(crate) fn recheck_at(&self) -> Option<Instant> {
        self.unsettled.map(|since| since + GRAIN)
    }

    /// May there be something that we do not know? If so: must cur/ be read, or is new/ enough?
    pub(crate) fn stale(&self, times: Times, now: Now) -> Option<Reading> {
        let overdue =
            self.unsettled.is_some_and(|since| now.instant.saturating_duration_since(since) >= GRAIN);
        match self.times {
            Some(known) if known.cur == times.cur && !overdue => {
                (known.new != times.new).then_some(Reading::New)
            }
            _ => Some(Reading::Both),
        }
    }

    /// We changed something ourselves between these two looks; another may have done so too, unseen.
    pub(crate) fn changed(&mut self, before: Times, after: Times, now: Now) {
        if self.times == Some(before) && before != after {
            self.times = Some(after);
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

    #[test]
    fn a_young_stamp_is_read_again_after_its_grain() {
        let wall = UNIX_EPOCH + Duration::from_millis(20_500);
        let now = Now { instant: Instant::now(), wall };
        let known = Known::read(OLD, now, now);
        assert_eq!(known.stale(OLD, now), None);
        assert_eq!(known.stale(OLD, Now { instant: now.instant + GRAIN, wall }), Some(Reading::Both));
        let later = Now { instant: now.instant, wall: wall + GRAIN };
        let settled = Known::read(OLD, later, later);
        assert_eq!(settled.stale(OLD, Now { instant: now.instant + GRAIN, wall }), None);
    }

    #[test]
    fn only_what_changed_is_read() {
        let now = Now { instant: Instant::now(), wall: UNIX_EPOCH + Duration::from_secs(100) };
        let known = Known::read(OLD, now, now);
        assert_eq!(known.stale(Times { new: (10, 6), ..OLD }, now), Some(Reading::New));
        assert_eq!(known.stale(Times { cur: (20, 4), ..OLD }, now), Some(Reading::Both));
        assert_eq!(Known::default().stale(OLD, now), Some(Reading::Both));
    }

    #[test]
    fn own_changes_are_known_but_unsettled() {
        let now = Now { instant: Instant::now(), wall: UNIX_EPOCH + Duration::from_secs(100) };
        let after = Times { cur: (100, 0), ..OLD };
        let mut known = Known::read(OLD, now, now);
        known.changed(OLD, after, now);
        assert_eq!(known.stale(after, now), None);
        assert_eq!(known.unsettled, Some(now.instant));
        // Somebody else was first: what he did is still to be read.
        let mut known = Known::read(OLD, now, now);
        known.changed(Times { cur: (99, 0), ..OLD }, after, now);
        assert_eq!(known.stale(after, now), Some(Reading::Both));
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
