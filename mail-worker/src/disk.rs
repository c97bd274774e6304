//! Waiting for the disk, by a process of its own: a session that saves waits for fsync(2), and its neighbours do not.
//!
//! The process is this program again (`--sync`), started before there is any client, and has nothing: no capabilities,
//! no files but what it is sent. It is sent an open file with a byte that says how much of it is to be brought to the
//! disk, and answers each in turn with two: 0 or the error, and how long it took. It ends with the worker, or when its
//! socket closes.
//!
//! While the disk is known to be fast ([`Pace`]) whoever syncs waits, since that costs less; and where the process cannot
//! be started, or dies, the neighbours wait with him however slow it is.

mod pace;

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use store::{Extent, Flush, Syncer, Ticket};

use crate::seat::Seat;
use pace::Pace;

/// The worker's end.
#[derive(Debug)]
pub(crate) struct Disk(RefCell<Inner>);

#[derive(Debug)]
struct Inner {
    process: Option<Process>,
    /// Not yet answered, in order; the first ones are at the process.
    waiting: VecDeque<Waiting>,
    /// How many are.
    sent: usize,
    next: Ticket,
    /// Sessions, by what they wait for.
    sessions: BTreeSet<(Ticket, Seat)>,
    pace: Pace,
}

#[derive(Debug)]
struct Process {
    socket: UnixStream,
    child: Child,
}

#[derive(Debug)]
struct Waiting {
    file: File,
    extent: Extent,
    flush: Flush,
    ticket: Ticket,
    size: Size,
}

/// Whether how long a file takes says something of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Usual,
    /// It takes long on any.
    Large,
}

impl Disk {
    /// Starts the process.
    ///
    /// # Errors
    /// Those of socketpair(2), fork(2) and execve(2).
    pub(crate) fn start() -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let child = Command::new("/proc/self/exe")
            .arg0("mail-worker")
            .arg("--sync")
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self::of(Process { socket, child }))
    }

    fn of(process: Process) -> Self {
        let (waiting, sessions) = (VecDeque::new(), BTreeSet::new());
        let (process, next) = (Some(process), Ticket(NonZeroU64::MIN));
        Self(RefCell::new(Inner { process, waiting, sent: 0, next, sessions, pace: Pace::new() }))
    }

    /// Lends out what the loop is to watch for answers; none once the process has died.
    pub(crate) fn with_socket<T>(&self, work: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        self.0.borrow().process.as_ref().map(|process| work(process.socket.as_fd()))
    }

    /// This session waits for that.
    pub(crate) fn wait(&self, ticket: Ticket, seat: Seat) {
        self.0.borrow_mut().sessions.insert((ticket, seat));
    }

    /// Hears the answers that are there. Returns who need not wait any more. If there will be no more answers, that is
    /// an error, and nobody needs to wait.
    pub(crate) fn hear(&self) -> (Vec<Seat>, io::Result<()>) {
        let mut inner = self.0.borrow_mut();
        let heard = inner.hear(Instant::now()).and_then(|()| inner.send());
        (inner.arrived(), heard)
    }

    /// Forgets the process, which the loop watches no more, and does what it has not done.
    pub(crate) fn give_up(&self) -> Vec<Seat> {
        let mut inner = self.0.borrow_mut();
        if let Some(Process { mut child, .. }) = inner.process.take() {
            // If it has died this is all; else its closed socket ends it, and its remains stay until we end.
            let _ = child.try_wait();
        }
        inner.sent = 0;
        for Waiting { file, extent, flush, .. } in std::mem::take(&mut inner.waiting) {
            flush.complete(here(extent, &file));
        }
        inner.arrived()
    }
}

impl Syncer for Disk {
    fn sync(&self, file: File, extent: Extent) -> Flush {
        let mut inner = self.0.borrow_mut();
        let ticket = inner.next;
        inner.next = Ticket(ticket.0.saturating_add(1));
        let flush = Flush::new(ticket);
        if inner.process.is_none() {
            flush.complete(here(extent, &file));
            return flush;
        }
        let size = size(&file, extent);
        let now = Instant::now();
        if inner.waiting.is_empty() && size == Size::Usual && inner.pace.is_fast(now) {
            flush.complete(here(extent, &file));
            let after = Instant::now();
            inner.pace.took(after - now, after);
            return flush;
        }
        inner.waiting.push_back(Waiting { file, extent, flush: flush.clone(), ticket, size });
        // With others under way, it is sent later, or found out to have died when it is heard.
        if inner.send().is_err()
            && inner.sent == 0
            && let Some(Waiting { file, extent, flush, .. }) = inner.waiting.pop_back()
        {
            flush.complete(here(extent, &file));
        }
        flush
    }
}

impl Inner {
    /// Sends it what it can do soon.
    fn send(&mut self) -> io::Result<()> {
        let Some(process) = &self.process else { return Ok(()) };
        while self.sent < AT_ONCE
            && let Some(Waiting { file, extent, .. }) = self.waiting.get(self.sent)
        {
            match fdpass::send(&process.socket, &[code(*extent)], Some(file.as_fd())) {
                Ok(_) => self.sent += 1,
                // With the next answer, then. So few of them always fit, unless others have very many under way.
                Err(error) if error.kind() == ErrorKind::WouldBlock && self.sent > 0 => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn hear(&mut self, now: Instant) -> io::Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let mut answers = [[0; 2]; AT_ONCE];
        let bytes = match process.socket.read(answers.as_flattened_mut()) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            bytes => bytes?,
        };
        let count = bytes / 2;
        if bytes % 2 != 0 || count > self.sent {
            return Err(ErrorKind::InvalidData.into());
        }
        for ([error, took], done) in answers.into_iter().zip(self.waiting.drain(..count)) {
            done.flush.complete(if error == 0 { Ok(()) } else { Err(Errno::from_raw(error.into())) });
            if done.size == Size::Usual {
                self.pace.took(TICK * took.into(), now);
            }
        }
        self.sent -= count;
        Ok(())
    }

    /// Takes out who waits for nothing that is still under way.
    fn arrived(&mut self) -> Vec<Seat> {
        let open = self.waiting.front().map_or(self.next, |first| first.ticket);
        let mut arrived = Vec::new();
        while self.sessions.first().is_some_and(|(ticket, _)| *ticket < open) {
            arrived.extend(self.sessions.pop_first().map(|(_, seat)| seat));
        }
        arrived
    }
}

/// The process: serves until nobody asks any more.
pub(crate) fn serve(socket: OwnedFd) -> io::Result<()> {
    // It ends with its worker, not before: what tells that one to stop may tell the whole group of processes.
    SigSet::all().thread_block()?;
    nix::sys::prctl::set_dumpable(false)?;
    rustix::thread::clear_ambient_capability_set()?;
    let none = rustix::thread::CapabilitySet::empty();
    let none = rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, none)?;
    // Even if it is stopped.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    confine::disk_filter(std::process::id()).install().map_err(io::Error::other)?;
    let socket = UnixStream::from(socket);
    let mut byte = [0];
    loop {
        let received = fdpass::receive(&socket, &mut byte)?;
        let file = match received.fd {
            Some(file) => File::from(file),
            None if received.bytes == 0 => return Ok(()),
            None => return Err(ErrorKind::InvalidData.into()),
        };
        let [code] = byte;
        let begun = Instant::now();
        let error = match here(extent(code)?, &file) {
            Ok(()) => 0,
            Err(errno) => u8::try_from(errno as i32).unwrap_or(EIO),
        };
        let took = begun.elapsed().as_micros() / TICK.as_micros();
        fdpass::send(&socket, &[error, u8::try_from(took).unwrap_or(u8::MAX)], None)?;
    }
}

fn here(extent: Extent, file: &File) -> Result<(), Errno> {
    extent.sync(file).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(EIO.into())))
}

/// Of a directory, and of what is only appended to, little is new, however long it is.
fn size(file: &File, extent: Extent) -> Size {
    let is_long = || file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > LARGE);
    if extent == Extent::All && is_long() { Size::Large } else { Size::Usual }
}

fn code(extent: Extent) -> u8 {
    match extent {
        Extent::All => b'a',
        Extent::Data => b'd',
    }
}

fn extent(code: u8) -> io::Result<Extent> {
    match code {
        b'a' => Ok(Extent::All),
        b'd' => Ok(Extent::Data),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

/// So many files are sent before the first is answered: the process does one after the other.
const AT_ONCE: usize = 16;
/// How exactly the process says how long one took, and 25 ms is the most it says.
const TICK: Duration = Duration::from_micros(100);
/// In bytes.
const LARGE: u64 = 256 * 1024;
const EIO: u8 = Errno::EIO as u8;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// One whose process is this test.
    fn disk() -> (Disk, UnixStream) {
        let (socket, ours) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        (Disk::of(Process { socket, child: Command::new("true").spawn().unwrap() }), ours)
    }

    fn file() -> File {
        File::open("/dev/null").unwrap()
    }

    #[test]
    fn who_waits_is_woken_for_his_file_only() {
        let (disk, mut process) = disk();
        let seats: [Seat; 2] = [1, 2].map(Seat::of_key);
        for seat in seats {
            let flush = disk.sync(file(), Extent::All);
            disk.wait(flush.ticket(), seat);
        }
        assert_eq!(disk.hear().0, []);
        for seat in seats {
            process.write_all(&[0, 0]).unwrap();
            let (arrived, heard) = disk.hear();
            assert_eq!((arrived, heard.is_ok()), (vec![seat], true));
        }
    }

    #[test]
    fn whoever_answers_what_nobody_asked_is_not_believed() {
        let (disk, mut process) = disk();
        let seat = Seat::of_key(1);
        disk.wait(disk.sync(file(), Extent::Data).ticket(), seat);
        process.write_all(&[0; 4]).unwrap();
        let (arrived, heard) = disk.hear();
        assert_eq!((arrived, heard.unwrap_err().kind()), (vec![], ErrorKind::InvalidData));
        assert_eq!(disk.give_up(), [seat]);
    }

    #[test]
    fn nothing_is_sent_that_cannot_be_done_soon_and_nothing_is_forgotten() {
        let (disk, mut process) = disk();
        let count = 3 * AT_ONCE;
        for number in 1..=count {
            disk.wait(disk.sync(file(), Extent::Data).ticket(), Seat::of_key(number));
        }
        let (mut asked, mut arrived) = (0, 0);
        process.set_nonblocking(true).unwrap();
        while arrived < count {
            while fdpass::receive(&process, &mut [0]).is_ok_and(|received| received.fd.is_some()) {
                asked += 1;
            }
            assert!(asked - arrived <= AT_ONCE);
            process.write_all(&[0, 0]).unwrap();
            arrived += disk.hear().0.len();
        }
        assert_eq!(asked, count);
    }

    /// One that is known to be fast.
    fn fast_disk() -> (Disk, UnixStream) {
        let (disk, mut process) = disk();
        for _ in 0..100 {
            if disk.sync_here(file(), Extent::Data) {
                return (disk, process);
            }
            process.write_all(&[0, 3]).unwrap();
            assert_eq!(disk.hear().0.len(), 1);
        }
        panic!("it is not believed");
    }

    impl Disk {
        /// Is the file on the disk when this returns?
        fn sync_here(&self, file: File, extent: Extent) -> bool {
            let seat = Seat::of_key(1);
            self.wait(self.sync(file, extent).ticket(), seat);
            self.hear().0 == [seat]
        }
    }

    #[test]
    fn what_is_fast_is_waited_for_here() {
        let (disk, _process) = fast_disk();
        assert!(disk.sync_here(file(), Extent::Data));
    }

    #[test]
    fn what_is_slow_is_not_waited_for_here() {
        let (disk, mut process) = disk();
        for _ in 0..100 {
            assert!(!disk.sync_here(file(), Extent::Data));
            process.write_all(&[0, 20]).unwrap();
            assert_eq!(disk.hear().0.len(), 1);
        }
    }

    #[test]
    fn what_is_large_is_not_waited_for_here_nor_what_comes_after_it_and_it_tells_nothing() {
        let (disk, mut process) = fast_disk();
        let large = tempfile::tempfile().unwrap();
        large.set_len(LARGE + 1).unwrap();
        assert!(!disk.sync_here(large, Extent::All));
        assert!(!disk.sync_here(file(), Extent::Data));
        process.write_all(&[0, u8::MAX, 0, 3]).unwrap();
        assert_eq!(disk.hear().0.len(), 2);
        assert!(disk.sync_here(file(), Extent::Data));
    }
}
