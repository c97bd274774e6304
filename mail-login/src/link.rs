//! Lines to and from another of our processes, sent when a turn ends, and what the loop watches for them.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;

use fdpass::{BadPeer, Channel, Fill};
use ioloop::{Interest, Loop, Ready};
use thiserror::Error;
use wire::Bad;

/// Why a link cannot go on. Reach: that link, and what waits for its other end.
#[derive(Debug, Error)]
pub(crate) enum Lost {
    #[error("closed by its other end")]
    Closed,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Peer(#[from] BadPeer),
    #[error("{0}")]
    Bad(#[from] Bad),
    #[error("malformed line")]
    Malformed,
    #[error("version {0}, but only {1} is spoken here")]
    Version(u32, u32),
}

/// See above.
#[derive(Debug)]
pub(crate) struct Link {
    channel: Channel,
    key: usize,
    interest: Interest,
    ended: bool,
}

impl Link {
    /// One that the loop tells of under `key`.
    pub(crate) fn new(socket: OwnedFd, key: usize, io: &Loop) -> io::Result<Self> {
        let channel = Channel::new(socket)?;
        io.watch(&channel, key, Interest::Read)?;
        Ok(Self { channel, key, interest: Interest::Read, ended: false })
    }

    /// Whether the other end keeps up.
    pub(crate) fn has_room(&self) -> bool {
        self.channel.backlog() < Channel::FULL
    }

    /// Whether all was sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.channel.backlog() == 0
    }

    /// Puts whole lines behind those that wait for [`Link::flush`].
    pub(crate) fn queue(&mut self, lines: impl Into<Vec<u8>>, fd: Option<OwnedFd>) {
        self.channel.queue(lines, fd);
    }

    /// Sends what it can, and has the loop tell when there is room for more.
    pub(crate) fn flush(&mut self, io: &Loop) -> Result<(), Lost> {
        let sent = match self.channel.flush() {
            // What the other end said before it went is still to be read, and then that it has gone.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => true,
            other => other?,
        };
        let interest = if sent { Interest::Read } else { Interest::Both };
        if interest != self.interest {
            io.rewatch(&self.channel, self.key, interest)?;
            self.interest = interest;
        }
        Ok(())
    }

    /// Takes in what has come; the lines are then had by [`Link::next_line`].
    pub(crate) fn proceed(&mut self, ready: Ready, io: &Loop) -> Result<(), Lost> {
        if ready.readable {
            self.ended = self.channel.fill()? == Fill::Ended;
        }
        if ready.writable && !self.ended {
            self.flush(io)?;
        }
        Ok(())
    }

    /// The next whole line; [`Lost::Closed`] where the other end has said its last.
    pub(crate) fn next_line(&mut self) -> Result<Option<Vec<u8>>, Lost> {
        match self.channel.next_line()? {
            None if self.ended => Err(Lost::Closed),
            line => Ok(line),
        }
    }

    /// The first descriptor that no line has taken yet.
    pub(crate) fn take_fd(&mut self) -> Option<OwnedFd> {
        self.channel.take_fd()
    }

    /// Closes it.
    pub(crate) fn close(self, io: &Loop) {
        // It fails only where the loop has nothing to forget.
        let _ = io.unwatch(&self.channel);
    }
}
