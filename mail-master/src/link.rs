//! A line protocol with one child or one `mailctl`: channel, assembler, and what the loop watches for it.

use std::io;
use std::os::fd::OwnedFd;

use fdpass::{BadPeer, Channel, Fill};
use ioloop::{Interest, Loop, Ready};
use thiserror::Error;
use wire::{Assembler, Bad, Record};

/// Why a link cannot go on. Reach: this link, and who is at its other end.
#[derive(Debug, Error)]
pub(crate) enum Lost {
    #[error("link: {0}")]
    Io(#[from] io::Error),
    #[error("link: {0}")]
    Peer(#[from] BadPeer),
    #[error("link: {0}")]
    Bad(#[from] Bad),
    #[error("link: peer does not read, {0} bytes wait")]
    Full(usize),
}

/// Whether the peer may say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    Yes,
    /// It has closed its end; what it said before is still to be read.
    No,
}

/// See above.
#[derive(Debug)]
pub(crate) struct Link {
    channel: Channel,
    assembler: Assembler,
    key: usize,
    interest: Interest,
    limit: usize,
}

impl Link {
    /// Greets with `version_line`, and has the loop tell of it under `key`.
    pub(crate) fn new(
        channel: Channel,
        assembler: Assembler,
        version_line: Vec<u8>,
        key: usize,
        io: &Loop,
    ) -> Result<Self, Lost> {
        io.watch(&channel, key, Interest::Read)?;
        let mut link = Self { channel, assembler, key, interest: Interest::Read, limit: Channel::FULL };
        link.send(version_line, None, io)?;
        Ok(link)
    }

    /// Lets `limit` bytes wait for the peer, in place of [`Channel::FULL`].
    pub(crate) fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sends whole lines now, or as soon as the peer reads.
    pub(crate) fn send(&mut self, lines: Vec<u8>, fd: Option<OwnedFd>, io: &Loop) -> Result<(), Lost> {
        if self.channel.backlog() > self.limit {
            return Err(Lost::Full(self.channel.backlog()));
        }
        self.channel.queue(lines, fd);
        self.flush(io)
    }

    fn flush(&mut self, io: &Loop) -> Result<(), Lost> {
        let interest = if self.channel.flush()? { Interest::Read } else { Interest::Both };
        if interest != self.interest {
            io.rewatch(&self.channel, self.key, interest)?;
            self.interest = interest;
        }
        Ok(())
    }

    /// Does what the loop said is possible. The records that came are then taken by [`Link::next`].
    pub(crate) fn proceed(&mut self, ready: Ready, io: &Loop) -> Result<Open, Lost> {
        if ready.writable {
            self.flush(io)?;
        }
        if ready.readable && self.channel.fill()? == Fill::Ended {
            return Ok(Open::No);
        }
        Ok(Open::Yes)
    }

    /// Reads what a peer that is gone has left.
    pub(crate) fn drain(&mut self) {
        // How the stream ended does not matter to one who only wants the lines before that.
        while let Ok(Fill::Some) = self.channel.fill() {}
    }

    /// The next whole record.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, Lost> {
        while let Some(line) = self.channel.next_line()? {
            if let Some(record) = self.assembler.push(&line)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The descriptor that the record just taken must carry.
    pub(crate) fn descriptor(&mut self, word: &'static str) -> Result<OwnedFd, Lost> {
        self.channel.take_fd().ok_or(Lost::Bad(Bad::NoDescriptor(word)))
    }

    /// Whether the peer keeps up.
    pub(crate) fn has_room(&self) -> bool {
        self.channel.backlog() < Channel::FULL
    }

    /// Whether all has been sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.channel.backlog() == 0
    }

    /// Closes it.
    pub(crate) fn close(self, io: &Loop) {
        // A descriptor that is not watched any more is none that the loop could tell of.
        let _ = io.unwatch(&self.channel);
    }
}
