//! Dovecot's dotlock: a file `<name>.lock` that says `<pid>:<host>`. It guards a mailbox's uidlist and keywords.
//!
//! One attempt, never a wait. The process's own table comes first, and knows the files themselves, since another user
//! may come to the same one by another path: a lock file with our own pid that is not in the table is some other life's.
//! Stale is a lock whose process on this host is dead (after 2 s), and any lock that has
//! not changed for 120 s that *we* watched, nor what it guards: file servers' clocks are not ours.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::signal::kill;
use nix::unistd::{Pid, linkat};

use crate::file::Stamp;
use crate::filename::decimal;
use crate::mode::Creation;
use crate::process::Inode;
use crate::{Error, Now, Process};

/// How long to wait between two attempts.
pub(crate) const RETRY: Duration = Duration::from_millis(50);
const GRACE: Duration = Duration::from_secs(2);
const STALE: Duration = Duration::from_secs(120);
/// How often a lock that is held for long shows that its holder lives.
pub(crate) const TOUCH: Duration = Duration::from_secs(20);
/// A session's lock that was not touched for this long is not believed any more: Dovecot touches its own rarely.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// A held lock. Dropping it removes the file, so it must be dropped as the user that took it.
#[derive(Debug)]
pub(crate) struct Lock {
    process: Rc<Process>,
    path: PathBuf,
    file: File,
    number: Inode,
    touched: Cell<Instant>,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) enum Attempt<L = Lock> {
    /// It is ours.
    Held(L),
    /// Somebody else has it: try again after [`RETRY`].
    Busy,
    /// The directory can't be written, or the disk is full.
    Denied(Errno),
}

/// What was seen of another's lock, and since when.
#[derive(Debug)]
pub(crate) struct Waiting {
    lock: Stamp,
    guarded: Option<Stamp>,
    since: Instant,
}

impl Lock {
    /// Tries to take the lock that guards `guarded`. `waiting` is the caller's memory between attempts.
    pub(crate) fn attempt(
        process: &Rc<Process>,
        guarded: &Path,
        waiting: &mut Option<Box<Waiting>>,
        now: Now,
    ) -> Result<Attempt, Error> {
        let path = file(guarded);
        let dir = guarded.parent().unwrap_or(Path::new("/"));
        // Twice: the second time after a stale one was cleared away.
        for _ in 0..2 {
            match create(&path, dir, process) {
                Ok(file) => {
                    *waiting = None;
                    let number =
                        file.metadata().map(|meta| inode(&meta)).map_err(Error::io("examine", &path))?;
                    process.locks.borrow_mut().insert(number);
                    let (process, touched) = (process.clone(), Cell::new(now.instant));
                    return Ok(Attempt::Held(Lock { process, path, file, number, touched }));
                }
                Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                    Errno::EEXIST if is_ours(process, &path) => return Ok(Attempt::Busy),
                    Errno::EEXIST if is_stale(process, &path, guarded, waiting, now) => {
                        log::warn!("removing stale lock {}", path.display());
                        if !clear(&path, waiting, process, now) {
                            return Ok(Attempt::Busy);
                        }
                    }
                    Errno::EEXIST => return Ok(Attempt::Busy),
                    why @ (Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::ENOSPC | Errno::EDQUOT) => {
                        return Ok(Attempt::Denied(why));
                    }
                    // Somebody has deleted the mailbox meanwhile, or given it another name.
                    Errno::ENOENT => return Err(Error::NoSuchMailbox(dir.to_owned())),
                    _ => return Err(Error::io("create", &path)(error)),
                },
            }
        }
        Ok(Attempt::Busy)
    }

    /// The directory that it is in has another name now.
    pub(crate) fn moved_to(&mut self, dir: &Path) {
        let Some(name) = self.path.file_name() else { return };
        self.path = dir.join(name);
    }

    /// Shows others that we are alive. To be called each turn of something long.
    pub(crate) fn touch(&self, now: Now) {
        if now.instant.saturating_duration_since(self.touched.get()) >= TOUCH {
            self.touched.set(now.instant);
            // Who can't touch it may lose it after two minutes, which `drop` notices.
            let _ = self.file.set_modified(now.wall);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.process.locks.borrow_mut().remove(&self.number);
        let there = fs::symlink_metadata(&self.path).map(|meta| inode(&meta)).ok();
        if there != Some(self.number) {
            log::warn!("lock {} was taken from us", self.path.display());
        } else if let Err(error) = fs::remove_file(&self.path) {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Has somebody the lock that guards `guarded`, as far as one look tells?
pub(crate) fn is_held(process: &Process, guarded: &Path, now: Now) -> bool {
    let path = file(guarded);
    let Ok(modified) = fs::symlink_metadata(&path).and_then(|meta| meta.modified()) else { return false };
    let age = now.wall.duration_since(modified).unwrap_or_default();
    is_ours(process, &path) || age < FORGOTTEN && !is_dead(process, &path)
}

/// Is it one that this process holds?
fn is_ours(process: &Process, path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| process.locks.borrow().contains(&inode(&meta)))
}

fn inode(meta: &fs::Metadata) -> Inode {
    (meta.dev(), meta.ino())
}

/// Makes a lock file that says from its birth whose it is: one who dies before he has written that holds all others up
/// for two minutes. Only where there are no files without a name (NFS) is that risked.
fn create(path: &Path, dir: &Path, process: &Process) -> io::Result<File> {
    let text = [format!("{}:", process.pid).as_bytes(), &process.host].concat();
    if fs::symlink_metadata(path).is_ok() {
        return Err(Errno::EEXIST.into());
    }
    let creation = Creation::within(dir);
    if let Ok(mut file) = creation.nameless_file(dir) {
        file.write_all(&text)?;
        let nameless = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        match linkat(AT_FDCWD, &nameless, AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW) {
            Ok(()) => return Ok(file),
            Err(Errno::EEXIST) => return Err(Errno::EEXIST.into()),
            // No /proc here.
            Err(_) => {}
        }
    }
    let mut file = creation.new_file(path)?;
    file.write_all(&text).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })?;
    Ok(file)
}

fn file(guarded: &Path) -> PathBuf {
    let mut path = guarded.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

fn seen(path: &Path) -> Option<Stamp> {
    Stamp::at(path).ok().flatten()
}

/// Looks at another's lock. Unseen or changed locks start to be watched and are not stale.
fn is_stale(
    process: &Process,
    path: &Path,
    guarded: &Path,
    waiting: &mut Option<Box<Waiting>>,
    now: Now,
) -> bool {
    let Some(lock) = seen(path) else { return false };
    let guarded = seen(guarded);
    let age = fs::symlink_metadata(path)
        .and_then(|meta| meta.modified())
        .map_or(Duration::ZERO, |modified| now.wall.duration_since(modified).unwrap_or_default());
    let watched = match waiting {
        Some(seen) if seen.lock == lock && seen.guarded == guarded => {
            now.instant.saturating_duration_since(seen.since)
        }
        _ => {
            *waiting = Some(Box::new(Waiting { lock, guarded, since: now.instant }));
            Duration::ZERO
        }
    };
    watched >= STALE || age.max(watched) >= GRACE && is_dead(process, path)
}

/// Is the holder a process of this host that is no more? One that we may not ask about is alive.
fn is_dead(process: &Process, path: &Path) -> bool {
    let mut text = Vec::new();
    let Ok(file) = crate::file::open_regular(path) else { return false };
    if file.take(1024).read_to_end(&mut text).is_err() {
        return false;
    }
    let mut parts = text.splitn(2, |&byte| byte == b':');
    let pid = parts.next().and_then(decimal).and_then(|pid| i32::try_from(pid).ok());
    match (pid, parts.next()) {
        (Some(pid), Some(host)) if pid > 0 && host.trim_ascii_end() == &*process.host => {
            u32::try_from(pid) == Ok(process.pid) || kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH)
        }
        _ => false,
    }
}

/// Removes the lock that was found stale, and no other: between look and removal another program may have cleared it
/// and taken it anew. False if so.
fn clear(path: &Path, waiting: &mut Option<Box<Waiting>>, process: &Process, now: Now) -> bool {
    let Some(stale) = waiting.take() else { return false };
    let mut aside = path.as_os_str().to_owned();
    aside.push(".");
    aside.push(&*String::from_utf8_lossy(&process.unique_name(now)));
    let aside = PathBuf::from(aside);
    if fs::rename(path, &aside).is_err() {
        return false;
    }
    let right = seen(&aside) == Some(stale.lock);
    if !right {
        // Give it back, unless a third one has it by now.
        let _ = fs::hard_link(&aside, path);
    }
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!("cannot remove {}: {error}", aside.display());
        }
        _ => {}
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(now: Now, seconds: u64) -> Now {
        let by = Duration::from_secs(seconds);
        Now { instant: now.instant + by, wall: now.wall + by }
    }

    struct Place {
        dir: tempfile::TempDir,
        process: Rc<Process>,
        waiting: Option<Box<Waiting>>,
    }

    impl Place {
        fn new() -> Place {
            let dir = tempfile::tempdir().unwrap();
            Place { dir, process: Process::new(std::process::id(), b"here"), waiting: None }
        }

        fn lock(&self) -> PathBuf {
            self.dir.path().join("list.lock")
        }

        fn attempt(&mut self, now: Now) -> Attempt {
            Lock::attempt(&self.process, &self.dir.path().join("list"), &mut self.waiting, now).unwrap()
        }
    }

    #[test]
    fn a_lock_names_its_holder_and_goes_when_dropped() {
        let mut place = Place::new();
        let now = Now::read();
        let held = place.attempt(now);
        assert!(matches!(held, Attempt::Held(_)));
        assert_eq!(fs::read_to_string(place.lock()).unwrap(), format!("{}:here", std::process::id()));
        assert!(matches!(place.attempt(later(now, 500)), Attempt::Busy));
        drop(held);
        assert!(!place.lock().exists());
        assert!(matches!(place.attempt(now), Attempt::Held(_)));
    }

    #[test]
    fn a_lock_of_ours_is_known_by_any_path() {
        let place = Place::new();
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link");
        std::os::unix::fs::symlink(place.dir.path(), &link).unwrap();
        let now = Now::read();
        let (process, path) = (&place.process, place.dir.path().join("list"));
        let held = Lock::attempt(process, &path, &mut None, now).unwrap();
        let again = |now| Lock::attempt(process, &link.join("list"), &mut None, now).unwrap();
        assert!(matches!(again(now), Attempt::Busy));
        assert!(matches!(again(later(now, 500)), Attempt::Busy));
        assert!(is_held(process, &link.join("list"), later(now, 500)));
        drop(held);
        assert!(matches!(again(now), Attempt::Held(_)));
    }

    #[test]
    fn a_dead_ones_lock_is_taken_after_the_grace() {
        let mut place = Place::new();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        fs::write(place.lock(), format!("{}:here", child.id())).unwrap();
        let now = Now::read();
        assert!(matches!(place.attempt(now), Attempt::Busy));
        assert!(matches!(place.attempt(later(now, 3)), Attempt::Held(_)));
    }

    #[test]
    fn a_lock_of_our_pid_that_we_do_not_hold_is_another_lifes() {
        let mut place = Place::new();
        fs::write(place.lock(), format!("{}:here", std::process::id())).unwrap();
        assert!(matches!(place.attempt(later(Now::read(), 3)), Attempt::Held(_)));
    }

    #[test]
    fn another_hosts_lock_is_stale_after_two_minutes_that_we_watched() {
        let mut place = Place::new();
        fs::write(place.lock(), "1:elsewhere").unwrap();
        let now = later(Now::read(), 5_000);
        assert!(matches!(place.attempt(now), Attempt::Busy));
        assert!(matches!(place.attempt(later(now, 119)), Attempt::Busy));
        fs::write(place.dir.path().join("list"), "it works").unwrap();
        assert!(matches!(place.attempt(later(now, 121)), Attempt::Busy));
        assert!(matches!(place.attempt(later(now, 242)), Attempt::Held(_)));
        assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_living_ones_lock_is_respected() {
        let mut place = Place::new();
        fs::write(place.lock(), "1:here").unwrap();
        let now = Now::read();
        assert!(matches!(place.attempt(later(now, 3)), Attempt::Busy));
        assert!(matches!(place.attempt(later(now, 100)), Attempt::Busy));
    }

    #[test]
    fn a_lock_that_was_taken_from_us_is_left_alone() {
        let mut place = Place::new();
        let held = place.attempt(Now::read());
        fs::remove_file(place.lock()).unwrap();
        fs::write(place.lock(), "1:elsewhere").unwrap();
        drop(held);
        assert!(place.lock().exists());
    }
}
