//! Lines with descriptors over a non-blocking unix stream socket.
//!
//! A descriptor comes with the first byte of the line that it belongs to; received ones queue in that order, and
//! who reads the lines takes from the queue when a line says that it carries one. The limits stand here, once, for
//! all protocols of the project. Nothing here blocks or panics, whatever the peer sends.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use thiserror::Error;

use crate::passing::{receive, send};

/// A peer that cannot be understood any more; its channel has to be closed.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum BadPeer {
    /// A line is longer than [`Channel::MAX_LINE`].
    #[error("line longer than {} bytes", Channel::MAX_LINE)]
    LongLine,
    /// More than [`Channel::MAX_DESCRIPTORS`] descriptors came without a line that carries one.
    #[error("more than {} descriptors queued", Channel::MAX_DESCRIPTORS)]
    Descriptors,
    /// All lines are read, and a descriptor is left that no line carried.
    #[error("descriptor without a line")]
    StrayDescriptor,
}

/// How a [`Channel::fill`] ended.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Fill {
    /// Nothing more for now.
    Drained,
    /// More may be there; the turn was over.
    Some,
    /// The peer will send nothing more.
    Ended,
}

/// One end of a line protocol over a unix stream socket.
#[derive(Debug)]
pub struct Channel {
    socket: UnixStream,
    input: Vec<u8>,
    /// How far `input` has been handed out, and how far it has been searched for a line's end.
    taken: usize,
    searched: usize,
    descriptors: VecDeque<OwnedFd>,
    output: VecDeque<Outgoing>,
    backlog: usize,
}

#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    fd: Option<OwnedFd>,
}

impl Channel {
    /// The longest line, without its end: a value of 64 KiB whose every byte is escaped, and its key.
    pub const MAX_LINE: usize = 2 * 64 * 1024 + 4096;
    /// How many descriptors may wait for their lines.
    pub const MAX_DESCRIPTORS: usize = 16;
    /// This many unsent bytes mean that the peer does not keep up.
    pub const FULL: usize = 512 * 1024;

    /// Takes `socket` over and makes it non-blocking.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn new(socket: impl Into<OwnedFd>) -> io::Result<Self> {
        let socket = UnixStream::from(socket.into());
        // Not by ioctl(2), whose word for it no system call filter can read.
        fcntl_setfl(&socket, fcntl_getfl(&socket)? | OFlags::NONBLOCK)?;
        Ok(Self {
            socket,
            input: Vec::new(),
            taken: 0,
            searched: 0,
            descriptors: VecDeque::new(),
            output: VecDeque::new(),
            backlog: 0,
        })
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    /// Those of socketpair(2).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = UnixStream::pair()?;
        Ok((Self::new(a)?, Self::new(b)?))
    }

    /// Reads what is there, at most 256 KiB in one call, so that one peer never has the whole loop.
    ///
    /// # Errors
    /// Those of recvmsg(2), and a message with more than one descriptor: close the channel.
    pub fn fill(&mut self) -> io::Result<Fill> {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..16 {
            match receive(&self.socket, &mut buffer) {
                Ok(got) => {
                    self.descriptors.extend(got.fd);
                    if got.bytes == 0 {
                        return Ok(Fill::Ended);
                    }
                    self.input.extend_from_slice(buffer.get(..got.bytes).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Fill::Drained),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Fill::Ended),
                Err(error) => return Err(error),
            }
        }
        Ok(Fill::Some)
    }

    /// The next whole line, without its end.
    ///
    /// # Errors
    /// [`BadPeer`]: close the channel.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, BadPeer> {
        if self.descriptors.len() > Self::MAX_DESCRIPTORS {
            return Err(BadPeer::Descriptors);
        }
        let unsearched = self.input.get(self.searched..).unwrap_or_default();
        let Some(length) = unsearched.iter().position(|&b| b == b'\n') else {
            self.searched = self.input.len();
            self.compact();
            if self.input.len() > Self::MAX_LINE {
                return Err(BadPeer::LongLine);
            }
            if self.input.is_empty() && !self.descriptors.is_empty() {
                return Err(BadPeer::StrayDescriptor);
            }
            return Ok(None);
        };
        let end = self.searched + length;
        let line = self.input.get(self.taken..end).unwrap_or_default();
        if line.len() > Self::MAX_LINE {
            return Err(BadPeer::LongLine);
        }
        let line = line.to_vec();
        self.taken = end + 1;
        self.searched = self.taken;
        Ok(Some(line))
    }

    /// Drops what was handed out; an idle channel holds no buffer.
    fn compact(&mut self) {
        self.input.drain(..self.taken);
        self.searched -= self.taken;
        self.taken = 0;
        if self.input.is_empty() {
            self.input = Vec::new();
        }
    }

    /// The first descriptor that no line has taken yet.
    pub fn take_fd(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }

    /// Appends whole lines to what is to be sent, and `fd` to ride on the first byte.
    /// Look at [`Channel::backlog`] before, and call [`Channel::flush`] after.
    pub fn queue(&mut self, lines: impl Into<Vec<u8>>, fd: Option<OwnedFd>) {
        let bytes = lines.into();
        if bytes.is_empty() {
            return;
        }
        self.backlog += bytes.len();
        match self.output.back_mut() {
            Some(last) if fd.is_none() && last.bytes.len() < MERGE => last.bytes.extend_from_slice(&bytes),
            _ => self.output.push_back(Outgoing { bytes, sent: 0, fd }),
        }
    }

    /// Sends what it can. True: all is sent; else watch for writable and call again.
    ///
    /// # Errors
    /// Those of sendmsg(2): close the channel.
    pub fn flush(&mut self) -> io::Result<bool> {
        while let Some(first) = self.output.front_mut() {
            let rest = first.bytes.get(first.sent..).unwrap_or_default();
            let fd = first.fd.as_ref().filter(|_| first.sent == 0).map(AsFd::as_fd);
            match send(&self.socket, rest, fd) {
                Ok(sent) => {
                    first.sent += sent;
                    first.fd = None;
                    self.backlog -= sent;
                    if first.sent == first.bytes.len() {
                        self.output.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.output = VecDeque::new();
        Ok(true)
    }

    /// How many bytes wait to be sent.
    pub fn backlog(&self) -> usize {
        self.backlog
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Lines are put into one message up to this size, one without a descriptor behind one that may have one.
const MERGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    fn null() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn a_line_split_at_every_byte_arrives_once() {
        let (a, b) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(b).unwrap();
        for byte in b"hello\tid=1\n" {
            assert_eq!(channel.next_line().unwrap(), None);
            (&a).write_all(&[*byte]).unwrap();
            assert_eq!(channel.fill().unwrap(), Fill::Drained);
        }
        assert_eq!(channel.next_line().unwrap().unwrap(), b"hello\tid=1");
        assert_eq!(channel.next_line().unwrap(), None);
    }

    #[test]
    fn descriptors_keep_their_lines_order() {
        let (mut a, mut b) = Channel::pair().unwrap();
        a.queue(*b"plain\n", None);
        a.queue(*b"first\n", Some(null()));
        a.queue(*b"plain\n", None);
        a.queue(*b"second\n", Some(null()));
        assert!(a.flush().unwrap());
        assert_eq!(a.backlog(), 0);
        b.fill().unwrap();
        let lines: Vec<_> = std::iter::from_fn(|| {
            let line = b.next_line().unwrap()?;
            Some((line.clone(), line != b"plain" && b.take_fd().is_some()))
        })
        .collect();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|(line, had)| *had == (line != b"plain")));
    }

    #[test]
    fn a_descriptor_that_no_line_carries_is_the_peers_error() {
        let (mut a, mut b) = Channel::pair().unwrap();
        a.queue(*b"plain\n", Some(null()));
        a.flush().unwrap();
        b.fill().unwrap();
        assert!(b.next_line().unwrap().is_some());
        assert_eq!(b.next_line(), Err(BadPeer::StrayDescriptor));
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let (mut a, mut b) = Channel::pair().unwrap();
        a.queue(vec![b'x'; 2 * Channel::MAX_LINE], None);
        let outcome = loop {
            a.flush().unwrap();
            b.fill().unwrap();
            match b.next_line() {
                Ok(None) => {}
                other => break other,
            }
        };
        assert_eq!(outcome, Err(BadPeer::LongLine));
    }

    #[test]
    fn what_does_not_fit_waits() {
        let (mut a, mut b) = Channel::pair().unwrap();
        for _ in 0..100 {
            a.queue([vec![b'x'; 50_000], b"\n".to_vec()].concat(), Some(null()));
        }
        let mut lines = 0;
        loop {
            let done = a.flush().unwrap();
            b.fill().unwrap();
            while let Some(line) = b.next_line().unwrap() {
                assert_eq!(line.len(), 50_000);
                assert!(b.take_fd().is_some());
                lines += 1;
            }
            if done && lines == 100 {
                break;
            }
        }
    }

    #[test]
    fn the_peers_end_is_told_after_its_lines() {
        let (mut a, mut b) = Channel::pair().unwrap();
        a.queue(*b"bye\n", None);
        a.flush().unwrap();
        drop(a);
        assert_eq!(b.fill().unwrap(), Fill::Ended);
        assert_eq!(b.next_line().unwrap().unwrap(), b"bye");
    }
}
