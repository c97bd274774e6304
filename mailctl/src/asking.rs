//! One request to a master, and all of its answer, within a time.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fdpass::{BadPeer, Channel, Fill};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt::SendTimeout,
};
use nix::sys::time::TimeVal;
use thiserror::Error;
use wire::control::{Answer, CONTROL_SOCKET, Request, STATUS_SOCKET, assembler, version_line};
use wire::{Bad, Record};

/// Why there is no answer, or no good one.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The master answered with no, and this reason.
    #[error("{0}")]
    No(String),
    #[error("{}: {}", .0.display(), reason(.1))]
    Connect(PathBuf, io::Error),
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("the master closed the connection before it had answered")]
    Ended,
    #[error("talking to the master: {0}")]
    Broken(#[from] io::Error),
    #[error("what answers does not speak mail-control(7): {0}")]
    Peer(#[from] BadPeer),
    #[error("what answers does not speak mail-control(7): {0}")]
    Bad(#[from] Bad),
}

fn reason(why: &io::Error) -> String {
    match why.kind() {
        ErrorKind::NotFound => "no master runs here: no such socket".to_owned(),
        ErrorKind::ConnectionRefused => "no master runs here: nobody listens".to_owned(),
        _ => why.to_string(),
    }
}

/// Where to ask: the socket for everything, and the one for looking that serves whoever may not use the first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sockets {
    first: PathBuf,
    looking: Option<PathBuf>,
}

impl Sockets {
    /// Those below a master's base_dir.
    pub(crate) fn below(base_dir: &Path) -> Self {
        Self { first: base_dir.join(CONTROL_SOCKET), looking: Some(base_dir.join(STATUS_SOCKET)) }
    }

    /// This one and no other.
    pub(crate) fn one(path: PathBuf) -> Self {
        Self { first: path, looking: None }
    }

    fn connect(&self, request: &Request, timeout: Duration) -> Result<OwnedFd, Failure> {
        let (path, why) = match (connected(&self.first, timeout), &self.looking) {
            (Ok(socket), _) => return Ok(socket),
            (Err(why), Some(looking))
                if why.kind() == ErrorKind::PermissionDenied && request.only_looks() =>
            {
                match connected(looking, timeout) {
                    Ok(socket) => return Ok(socket),
                    Err(why) => (looking, why),
                }
            }
            (Err(why), _) => (&self.first, why),
        };
        if why.kind() == ErrorKind::WouldBlock {
            return Err(Failure::Late(timeout));
        }
        Err(Failure::Connect(path.clone(), why))
    }
}

/// A master that takes no more connections must not hold us either: connecting waits for as long as sending may.
fn connected(path: &Path, timeout: Duration) -> io::Result<OwnedFd> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
    // A time of zero would mean no end.
    let micros = i64::from(timeout.subsec_micros().max(u32::from(seconds == 0)));
    setsockopt(&socket, SendTimeout, &TimeVal::new(seconds, micros))?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket)
}

/// The rows of the answer to `request`.
pub(crate) fn ask(sockets: &Sockets, request: &Request, timeout: Duration) -> Result<Vec<Record>, Failure> {
    let deadline = Instant::now() + timeout;
    let mut channel = Channel::new(sockets.connect(request, timeout)?)?;
    channel.queue([version_line(), request.to_bytes()].concat(), None);
    let late = || Failure::Late(timeout);
    while !channel.flush()? {
        await_ready(&channel, PollFlags::POLLOUT, deadline)?.then_some(()).ok_or_else(late)?;
    }
    let mut assembler = assembler();
    let mut rows = Vec::new();
    loop {
        await_ready(&channel, PollFlags::POLLIN, deadline)?.then_some(()).ok_or_else(late)?;
        let fill = channel.fill()?;
        while let Some(line) = channel.next_line()? {
            let Some(record) = assembler.push(&line)? else { continue };
            match Answer::parse(record)? {
                Some(Answer::Row(row)) => rows.push(row),
                Some(Answer::Done) => return Ok(rows),
                Some(Answer::Error(text)) => return Err(Failure::No(text)),
                None => {}
            }
        }
        if fill == Fill::Ended {
            return Err(Failure::Ended);
        }
    }
}

/// False: `deadline` came first.
fn await_ready(channel: &Channel, flags: PollFlags, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // In whole milliseconds, and never early.
        let left = left + Duration::from_micros(999);
        let timeout = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(channel.as_fd(), flags)], timeout) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(why) => return Err(why.into()),
            Ok(0) if Instant::now() < deadline => {}
            Ok(ready) => return Ok(ready > 0),
        }
    }
}
