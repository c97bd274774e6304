//! Cleaning tmp/ of what interrupted deliveries left there. As cr.yp.to/proto/maildir.html has it, 36 hours are enough
//! for any delivery; a file that was linked or dated anew since is somebody's work, whatever date it bears.

use std::ffi::OsStr;
use std::fs::{self, FileTimes, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use nix::dir::{Dir, OwningIter};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::file::open_directory;
use crate::scan::Budget;
use crate::{Error, Mailbox, Now, Step};

/// A cleaning that is under way.
#[derive(Debug)]
pub struct Sweep {
    tmp: PathBuf,
    names: OwningIter,
}

/// The directory's time of access says when it was cleaned last; this is not too often.
const INTERVAL: Duration = Duration::from_hours(8);
const AGE: Duration = Duration::from_hours(36);

impl Mailbox {
    /// Begins to clean tmp/, if that is due. To look whether it is costs one `stat`.
    pub fn sweep(&self, now: Now) -> Result<Option<Sweep>, Error> {
        let tmp = self.root.join("tmp");
        let accessed = match fs::metadata(&tmp).and_then(|meta| meta.accessed()) {
            Ok(accessed) => accessed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("examine", &tmp)(error)),
        };
        if !now.wall.duration_since(accessed).is_ok_and(|age| age > INTERVAL) {
            return Ok(None);
        }
        let dir = open_directory(&tmp).map_err(Error::io("open", &tmp))?;
        // Where reading it does not; who may not will only clean more often.
        let _ = dir.set_times(FileTimes::new().set_accessed(now.wall));
        let names = Dir::open(&tmp, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
        let names = names.map_err(|errno| Error::io("open", &tmp)(errno.into()))?.into_iter();
        Ok(Some(Sweep { tmp, names }))
    }
}

impl Sweep {
    /// One turn; `budget` bounds the names looked at.
    pub fn step(&mut self, now: Now, budget: usize) -> Result<Step<()>, Error> {
        let mut budget = Budget(budget.max(1));
        while budget.take(1) {
            let Some(entry) = self.names.next() else { return Ok(Step::Done(())) };
            let entry = entry.map_err(|errno| Error::io("read", &self.tmp)(errno.into()))?;
            let name = entry.file_name().to_bytes();
            if name.first() == Some(&b'.') {
                continue;
            }
            let path = self.tmp.join(OsStr::from_bytes(name));
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file() && is_old(&meta, now)) {
                match fs::remove_file(&path) {
                    Ok(()) => log::info!("removed {}, which nobody completed", path.display()),
                    Err(error) => log::warn!("cannot remove {}: {error}", path.display()),
                }
            }
        }
        Ok(Step::More)
    }
}

fn is_old(meta: &Metadata, now: Now) -> bool {
    let latest = meta.mtime().max(meta.ctime());
    let latest = UNIX_EPOCH + Duration::from_secs(u64::try_from(latest).unwrap_or(0));
    now.wall.duration_since(latest).is_ok_and(|age| age > AGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Location, Process, User};

    #[test]
    fn only_what_is_old_goes_and_not_too_often() {
        let dir = tempfile::tempdir().unwrap();
        let location = Location::parse(dir.path().to_str().unwrap(), "/".as_ref()).unwrap();
        let user = User::new(Process::new(1, b"here"), location, Vec::new());
        let now = Now::read();
        let mailbox = user.open(b"INBOX", now).unwrap();
        let tmp = dir.path().join("tmp");
        fs::write(tmp.join("1.a"), "").unwrap();
        fs::write(tmp.join(".hidden"), "").unwrap();
        fs::create_dir(tmp.join("directory")).unwrap();
        let date = FileTimes::new().set_modified(now.wall - 9 * AGE);
        fs::File::options().write(true).open(tmp.join("1.a")).unwrap().set_times(date).unwrap();
        assert!(mailbox.sweep(now).unwrap().is_none());
        let sweep = |hours| {
            let now = Now { wall: now.wall + Duration::from_hours(hours), ..now };
            let mut sweep = mailbox.sweep(now).unwrap()?;
            while sweep.step(now, 1).unwrap() == Step::More {}
            Some(fs::read_dir(&tmp).unwrap().count())
        };
        // Its date is old, but it is new here.
        assert_eq!(sweep(35), Some(3));
        assert_eq!(sweep(37), None);
        assert_eq!(sweep(44), Some(2));
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let location = Location::parse(dir.path().to_str().unwrap(), "/".as_ref()).unwrap();
        let mailbox =
            User::new(Process::new(1, b"here"), location, Vec::new()).open(b"INBOX", Now::read()).unwrap();
        fs::remove_dir(dir.path().join("tmp")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("tmp"), Mode::S_IRWXU).unwrap();
        let now = Now::read();
        assert!(mailbox.sweep(Now { wall: now.wall + 9 * INTERVAL, ..now }).is_err());
    }
}
