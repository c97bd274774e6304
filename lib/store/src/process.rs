//! What there is one of in a process, whoever the user: the lock table, our name, the clock of unique names.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::Syncer;

/// The time, as the caller has it: read once for a piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For intervals.
    pub instant: Instant,
    /// For time stamps.
    pub wall: SystemTime,
}

/// A file whatever its path: its device, and its number there. It is no other's for as long as it is open.
pub(crate) type Inode = (u64, u64);

/// What all users of a process share. Two in one process would take each other's locks for stale, and give two
/// messages one name.
#[derive(Debug)]
pub struct Process {
    pub(crate) pid: u32,
    pub(crate) host: Box<[u8]>,
    /// The lock files that we hold. Whose file bears our pid and is not here was left by another life.
    pub(crate) locks: RefCell<HashSet<Inode>>,
    /// Time of the last unique name, in microseconds.
    last_name: Cell<u64>,
    /// Who waits for the disk; none: whoever has something to sync.
    pub(crate) syncer: Option<Rc<dyn Syncer>>,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Now {
        Now { instant: Instant::now(), wall: SystemTime::now() }
    }

    /// Seconds since 1970, as UIDVALIDITY has them: never zero.
    pub(crate) fn unix_seconds(&self) -> u32 {
        let seconds = self.wall.duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
        u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
    }
}

impl Process {
    /// `pid` and `host` (as gethostname has it) go into locks and into the names of messages.
    pub fn new(pid: u32, host: &[u8]) -> Rc<Process> {
        Process::with_syncer(pid, host, None)
    }

    /// One that has somebody wait for the disk.
    pub fn with_syncer(pid: u32, host: &[u8], syncer: Option<Rc<dyn Syncer>>) -> Rc<Process> {
        let host = if host.is_empty() { b"unknown" } else { host };
        let locks = RefCell::default();
        Rc::new(Process { pid, host: host.into(), locks, last_name: Cell::new(0), syncer })
    }

    /// A name for a message that nobody else has or will have: `<seconds>.M<microseconds>P<pid>.<host>`.
    pub(crate) fn unique_name(&self, now: Now) -> Vec<u8> {
        let wall = now.wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let micros = u64::try_from(wall).unwrap_or(0).max(self.last_name.get() + 1);
        self.last_name.set(micros);
        let mut name = format!("{}.M{}P{}.", micros / 1_000_000, micros % 1_000_000, self.pid).into_bytes();
        for &byte in &self.host {
            match byte {
                b'/' => name.extend_from_slice(b"\\057"),
                b':' => name.extend_from_slice(b"\\072"),
                b',' => name.extend_from_slice(b"\\054"),
                _ if byte.is_ascii_graphic() => name.push(byte),
                _ => name.push(b'_'),
            }
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_names_differ_within_one_microsecond() {
        let process = Process::new(7, b"a:b/c");
        let now = Now::read();
        let (first, second) = (process.unique_name(now), process.unique_name(now));
        assert_ne!(first, second);
        assert!(first.ends_with(b"P7.a\\072b\\057c"));
    }
}
