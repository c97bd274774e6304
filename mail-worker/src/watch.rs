//! Which directories are watched for whom, by the process's one inotify instance.
//!
//! inotify has one watch for a directory, however often it is added; so it is counted here who wants to be told. What
//! an event says is not believed: whoever is told looks at the directory. Adding takes place as the user whose
//! directory it is, since the kernel asks for the right to read it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::statfs::{NFS_SUPER_MAGIC, statfs};

use crate::seat::Seat;

/// See above.
#[derive(Debug)]
pub(crate) struct Watches {
    /// None where the system has no instance for us: then nothing is watched.
    inotify: Option<Inotify>,
    /// Who wants to be told of which, by what the loop calls him: a tree of pairs is the least for an idle client.
    wanted: RefCell<BTreeSet<(WatchDescriptor, usize)>>,
}

/// Directories watched for one session, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    watches: Rc<Watches>,
    seat: Seat,
    directories: Vec<WatchDescriptor>,
}

/// Whom events are for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Noticed {
    These(Vec<Seat>),
    /// Events were lost.
    Everybody,
}

impl Watches {
    pub(crate) fn new() -> Rc<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)
            .inspect_err(|why| log::warn!("no inotify, mailboxes are polled: {why}"))
            .ok();
        Rc::new(Self { inotify, wanted: RefCell::default() })
    }

    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// Has the session in `seat` told when a name comes to or goes from one of a mailbox's `directories`. None where
    /// that cannot be watched, and has to be looked at from time to time.
    pub(crate) fn add<P: AsRef<Path>>(
        self: &Rc<Self>,
        seat: Seat,
        directories: impl IntoIterator<Item = P>,
    ) -> Option<Watch> {
        let mut watch = Watch { watches: Rc::clone(self), seat, directories: Vec::with_capacity(2) };
        for directory in directories {
            let directory = directory.as_ref();
            // Directories of one mailbox are on one file system.
            if watch.directories.is_empty() && is_remote(directory) {
                return None;
            }
            let added = self.inotify.as_ref()?.add_watch(directory, WHAT);
            let descriptor =
                added.inspect_err(|why| log::debug!("watching {}: {why}", directory.display())).ok()?;
            self.wanted.borrow_mut().insert((descriptor, seat.key()));
            watch.directories.push(descriptor);
        }
        Some(watch)
    }

    /// Reads the events that came.
    pub(crate) fn read(&self) -> Noticed {
        let mut seats = Vec::new();
        let Some(inotify) = &self.inotify else { return Noticed::These(seats) };
        // Whatever is left then, the loop tells of again.
        for _ in 0..READS {
            let events = match inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => break,
                Err(why) => {
                    log::warn!("reading inotify: {why}");
                    return Noticed::Everybody;
                }
            };
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    return Noticed::Everybody;
                }
                let wanted = self.wanted.borrow();
                seats.extend(wanted.range(of(event.wd)).map(|(_, key)| Seat::of_key(*key)));
            }
        }
        seats.sort_unstable();
        seats.dedup();
        Noticed::These(seats)
    }

    fn remove(&self, seat: Seat, descriptor: WatchDescriptor) {
        let mut wanted = self.wanted.borrow_mut();
        if wanted.remove(&(descriptor, seat.key()))
            && wanted.range(of(descriptor)).next().is_none()
            && let Some(inotify) = &self.inotify
        {
            // Where the directory is gone, so is its watch.
            let _ = inotify.rm_watch(descriptor);
        }
    }
}

/// All who may want to be told of one.
fn of(descriptor: WatchDescriptor) -> RangeInclusive<(WatchDescriptor, usize)> {
    (descriptor, 0)..=(descriptor, usize::MAX)
}

impl Drop for Watch {
    fn drop(&mut self) {
        for &descriptor in &self.directories {
            self.watches.remove(self.seat, descriptor);
        }
    }
}

/// Of a buffer of events, in one turn.
const READS: usize = 16;

/// There the kernel tells only of what this machine does.
fn is_remote(directory: &Path) -> bool {
    statfs(directory).is_ok_and(|system| system.filesystem_type() == NFS_SUPER_MAGIC)
}

/// All that makes a message come, go or have other flags is a name that comes or goes.
const WHAT: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seat::tests::seats;
    use std::fs;

    #[test]
    fn two_who_watch_one_directory_are_both_told_until_each_stops() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other, _) = seats();
        let watches = Watches::new();
        let first = watches.add(one, [directory.path()]).unwrap();
        let second = watches.add(other, [directory.path()]).unwrap();
        let event = |name| {
            fs::write(directory.path().join(name), "").unwrap();
            watches.read()
        };
        assert_eq!(event("a"), Noticed::These(vec![one, other]));
        drop(first);
        assert_eq!(event("b"), Noticed::These(vec![other]));
        drop(second);
        assert_eq!(event("c"), Noticed::These(vec![]));
        assert!(watches.wanted.borrow().is_empty());
        let again = watches.add(one, [directory.path()]).unwrap();
        assert_eq!(event("d"), Noticed::These(vec![one]));
        drop(again);
    }

    #[test]
    fn what_cannot_be_watched_is_nobodys_watch() {
        let directory = tempfile::tempdir().unwrap();
        let (one, ..) = seats();
        let watches = Watches::new();
        assert!(watches.add(one, [directory.path(), Path::new("/nonexistent")]).is_none());
        assert!(watches.wanted.borrow().is_empty());
    }
}
