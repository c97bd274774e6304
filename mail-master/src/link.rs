//! A line protocol with one child or one `mailctl`, and what the loop watches for it: [`Lines`] as such, and [`Link`]
//! where they are records behind a VERSION line.

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
    #[error("link: peer goes on about what it does not have")]
    Nonsense,
}

/// Whether the peer may say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    Yes,
    /// It has closed its end; what it said before is still to be read.
    No,
}

/// Lines of any protocol.
#[derive(Debug)]
pub(crate) struct Lines {
    channel: Channel,
    key: usize,
    interest: Interest,
}

impl Lines {
    /// Has the loop tell of them under `key`.
    pub(crate) fn new(channel: Channel, key: usize, io: &Loop) -> Result<Self, Lost> {
        io.watch(&channel, key, Interest::Read)?;
        Ok(Self { channel, key, interest: Interest::Read })
    }

    /// The loop's number for them.
    pub(crate) fn key(&self) -> usize {
        self.key
    }

    /// Puts whole lines behind those that wait for [`Lines::flush`].
    pub(crate) fn queue(&mut self, lines: Vec<u8>, fd: Option<OwnedFd>) {
        self.channel.queue(lines, fd);
    }

    /// How many bytes wait for the peer.
    pub(crate) fn backlog(&self) -> usize {
        self.channel.backlog()
    }

    /// Sends what it can, and has the loop tell when there is room for more.
    pub(crate) fn flush(&mut self, io: &Loop) -> Result<(), Lost> {
        let interest = if self.channel.flush()? { Interest::Read } else { Interest::Both };
        if interest != self.interest {
            io.rewatch(&self.channel, self.key, interest)?;
            self.interest = interest;
        }
        Ok(())
    }

    /// Does what the loop said is possible. The lines that came are then taken by [`Lines::next_line`].
    pub(crate) fn proceed(&mut self, ready: Ready, io: &Loop) -> Result<Open, Lost> {
        if ready.writable {
            self.flush(io)?;
        }
        if ready.readable && self.channel.fill()? == Fill::Ended {
            return Ok(Open::No);
        }
        Ok(Open::Yes)
    }

    /// The next whole line.
    pub(crate) fn next_line(&mut self) -> Result<Option<Vec<u8>>, Lost> {
        Ok(self.channel.next_line()?)
    }

    /// Closes them.
    pub(crate) fn close(self, io: &Loop) {
        // A descriptor that is not watched any more is none that the loop could tell of.
        let _ = io.unwatch(&self.channel);
    }
}

/// Records.
#[derive(Debug)]
pub(crate) struct Link {
    lines: Lines,
    assembler: Assembler,
    limit: usize,
    /// How often it was excused.
    excused: u32,
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
        let mut link =
            Self { lines: Lines::new(channel, key, io)?, assembler, limit: Channel::FULL, excused: 0 };
        link.send(version_line, None, io)?;
        Ok(link)
    }

    /// Lets `limit` bytes wait for the peer, in place of [`Channel::FULL`].
    pub(crate) fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The loop's number for it.
    pub(crate) fn key(&self) -> usize {
        self.lines.key()
    }

    /// Sends whole lines now, or as soon as the peer reads.
    pub(crate) fn send(&mut self, lines: Vec<u8>, fd: Option<OwnedFd>, io: &Loop) -> Result<(), Lost> {
        if self.lines.backlog() > self.limit {
            return Err(Lost::Full(self.lines.backlog()));
        }
        self.lines.queue(lines, fd);
        self.lines.flush(io)
    }

    /// Does what the loop said is possible. The records that came are then taken by [`Link::next`].
    pub(crate) fn proceed(&mut self, ready: Ready, io: &Loop) -> Result<Open, Lost> {
        self.lines.proceed(ready, io)
    }

    /// Reads what a peer that is gone has left.
    pub(crate) fn drain(&mut self) {
        // How the stream ended does not matter to one who only wants the lines before that.
        while let Ok(Fill::Some) = self.lines.channel.fill() {}
    }

    /// The next whole record.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, Lost> {
        while let Some(line) = self.lines.next_line()? {
            if let Some(record) = self.assembler.push(&line)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The descriptor that the record just taken must carry.
    pub(crate) fn descriptor(&mut self, word: &'static str) -> Result<OwnedFd, Lost> {
        self.lines.channel.take_fd().ok_or(Lost::Bad(Bad::NoDescriptor(word)))
    }

    /// Excuses that the peer spoke of what it does not have, which was logged: what crosses on its way can make it look
    /// so, but not for ever. A peer is to fill no log.
    pub(crate) fn excuse(&mut self) -> Result<(), Lost> {
        self.excused += 1;
        if self.excused > MOST_EXCUSED { Err(Lost::Nonsense) } else { Ok(()) }
    }

    /// Whether the peer keeps up.
    pub(crate) fn has_room(&self) -> bool {
        self.lines.backlog() < Channel::FULL
    }

    /// Whether all has been sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.lines.backlog() == 0
    }
}

/// How often in its life.
const MOST_EXCUSED: u32 = 1000;

impl From<Link> for Lines {
    fn from(link: Link) -> Self {
        link.lines
    }
}
