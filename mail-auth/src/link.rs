//! One peer of the authentication protocol: lines over a non-blocking unix stream socket.
//!
//! Passwords come through here, so what was read is wiped when it was taken; and so little is kept of a peer that
//! sends lines without an end, or does not read, that he can only harm himself. Who is bad is cut off.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    socket: UnixStream,
    /// Never more than its capacity from the start: growing would leave an unwiped copy behind.
    input: Vec<u8>,
    /// How far `input` was taken.
    taken: usize,
    output: Vec<u8>,
}

/// Why a link is of no more use.
#[derive(Debug, Error)]
pub(crate) enum Broken {
    #[error("line longer than {MAX_LINE} bytes")]
    LongLine,
    #[error("{MAX_BACKLOG} bytes of answers were not read")]
    Backlog,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Whether the peer may still say something.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Input {
    Open,
    Ended,
}

impl Link {
    /// Takes `socket` over.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub(crate) fn new(socket: impl Into<OwnedFd>) -> io::Result<Self> {
        let socket = UnixStream::from(socket.into());
        socket.set_nonblocking(true)?;
        Ok(Self { socket, input: Vec::new(), taken: 0, output: Vec::new() })
    }

    /// Reads some of what is there: to be called once each time that the loop says so, and followed by
    /// [`Link::next_line`] until there is none.
    pub(crate) fn fill(&mut self) -> Result<Input, Broken> {
        let held = self.input.len();
        if held == 0 {
            self.input.reserve_exact(MAX_LINE + TURN);
        }
        self.input.resize(held + TURN, 0);
        let outcome = (&self.socket).read(self.input.get_mut(held..).unwrap_or_default());
        self.input.truncate(held + outcome.as_ref().copied().unwrap_or(0));
        match outcome {
            Ok(0) => Ok(Input::Ended),
            Ok(_) => Ok(Input::Open),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok(Input::Open)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(Input::Ended),
            Err(error) => Err(error.into()),
        }
    }

    /// The next whole line, without its end.
    pub(crate) fn next_line(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Broken> {
        let rest = self.input.get(self.taken..).unwrap_or_default();
        let length = rest.iter().position(|&b| b == b'\n');
        if length.unwrap_or(rest.len()) > MAX_LINE {
            return Err(Broken::LongLine);
        }
        let Some(line) = length.and_then(|length| rest.get(..length)) else {
            self.wipe_taken();
            return Ok(None);
        };
        let line = Zeroizing::new(line.to_vec());
        self.taken += line.len() + 1;
        Ok(Some(line))
    }

    /// Moves what was not taken to the front and wipes behind it; an idle peer holds no buffer.
    fn wipe_taken(&mut self) {
        self.input.copy_within(self.taken.., 0);
        let held = self.input.len() - self.taken;
        self.input.get_mut(held..).unwrap_or_default().zeroize();
        self.input.truncate(held);
        self.taken = 0;
        if held == 0 {
            self.input = Vec::new();
        }
    }

    /// Appends to what is to be sent. Call [`Link::flush`] after.
    pub(crate) fn queue(&mut self, line: &[u8]) {
        self.output.extend_from_slice(line);
    }

    /// Sends what it can. True: all is sent; else watch for writable and call again.
    pub(crate) fn flush(&mut self) -> Result<bool, Broken> {
        let mut sent = 0;
        while let Some(rest) = self.output.get(sent..).filter(|rest| !rest.is_empty()) {
            match (&self.socket).write(rest) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.output.drain(..sent);
        if self.output.is_empty() {
            self.output = Vec::new();
        } else if self.output.len() > MAX_BACKLOG {
            return Err(Broken::Backlog);
        }
        Ok(self.output.is_empty())
    }

    /// Who connected at the other end, as the kernel says.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub(crate) fn peer_pid(&self) -> io::Result<u32> {
        let credentials =
            nix::sys::socket::getsockopt(&self.socket, nix::sys::socket::sockopt::PeerCredentials)?;
        u32::try_from(credentials.pid()).map_err(io::Error::other)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.input.as_mut_slice().zeroize();
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The longest line: what the protocol's description expects.
pub(crate) const MAX_LINE: usize = 8192;

/// How much is read in one turn.
const TURN: usize = 8192;

/// So many unsent bytes mean that the peer does not read.
const MAX_BACKLOG: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (UnixStream, Link) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ours, Link::new(theirs).unwrap())
    }

    #[test]
    fn lines_come_out_whole_however_they_came_in() {
        let (mut peer, mut link) = pair();
        assert_eq!(link.fill().unwrap(), Input::Open);
        for part in [&b"one\ntw"[..], b"o", b"\n\nthree"] {
            peer.write_all(part).unwrap();
            link.fill().unwrap();
        }
        for line in [&b"one"[..], b"two", b""] {
            assert_eq!(link.next_line().unwrap().unwrap().as_slice(), line);
        }
        assert!(link.next_line().unwrap().is_none());
        peer.write_all(b"\n").unwrap();
        drop(peer);
        link.fill().unwrap();
        assert_eq!(link.next_line().unwrap().unwrap().as_slice(), b"three");
        assert!(link.next_line().unwrap().is_none());
        assert_eq!(link.fill().unwrap(), Input::Ended);
    }

    #[test]
    fn the_longest_line_passes_and_a_longer_one_does_not() {
        let (mut peer, mut link) = pair();
        peer.write_all(&[b'x'; MAX_LINE]).unwrap();
        link.fill().unwrap();
        assert!(link.next_line().unwrap().is_none());
        peer.write_all(b"\n").unwrap();
        link.fill().unwrap();
        assert_eq!(link.next_line().unwrap().unwrap().len(), MAX_LINE);
        peer.write_all(&[b'x'; MAX_LINE + 1]).unwrap();
        link.fill().unwrap();
        assert!(link.next_line().unwrap().is_none());
        link.fill().unwrap();
        assert!(matches!(link.next_line(), Err(Broken::LongLine)));
    }

    #[test]
    fn who_does_not_read_is_cut_off_at_a_bound() {
        let (mut peer, mut link) = pair();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        let mut lines = 0;
        let broken = loop {
            link.queue(&line);
            lines += 1;
            if let Err(broken) = link.flush() {
                break broken;
            }
        };
        assert!(matches!(broken, Broken::Backlog));
        assert!(lines < 10_000);
        peer.set_nonblocking(true).unwrap();
        let mut read = Vec::new();
        assert!(peer.read_to_end(&mut read).is_err());
        assert!(!read.is_empty());
    }

    #[test]
    fn the_kernel_says_who_the_peer_is() {
        let (_peer, link) = pair();
        assert_eq!(link.peer_pid().unwrap(), std::process::id());
    }
}
