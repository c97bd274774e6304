//! The line to the master: mail-handoff(7), the worker's side.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fdpass::{BadPeer, Channel, Fill};
use ioloop::{Interest, Loop};
use thiserror::Error;
use wire::handoff::{FromWorker, ToWorker, assembler, version_line};
use wire::{Assembler, Bad};

/// Why the line cannot go on. It ends the line, and no client.
#[derive(Debug, Error)]
pub(crate) enum Broken {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Peer(#[from] BadPeer),
    #[error("{0}")]
    Bad(#[from] Bad),
    #[error("it does not read what it is told")]
    Full,
}

/// One thing that the master says, and the client that came with it.
pub(crate) type Order = (ToWorker, Option<OwnedFd>);

/// What the master's next line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Version,
    Record,
    Body,
}

/// See above.
#[derive(Debug)]
pub(crate) struct Link {
    channel: Channel,
    assembler: Assembler,
    next: Line,
    carried: Option<OwnedFd>,
    /// What the loop is to tell of it.
    interest: Interest,
}

impl Link {
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        let mut channel = Channel::new(socket)?;
        channel.queue(version_line(), None);
        Ok(Self {
            channel,
            assembler: assembler(),
            next: Line::Version,
            carried: None,
            interest: Interest::Read,
        })
    }

    /// Says something to the master, with the next [`Link::flush`].
    pub(crate) fn say(&mut self, what: &FromWorker) {
        self.channel.queue(what.to_bytes(), None);
    }

    /// Sends what was said, and has the loop tell when more can be sent.
    pub(crate) fn flush(&mut self, key: usize, io: &Loop) -> Result<(), Broken> {
        let interest = if self.channel.flush()? { Interest::Read } else { Interest::Both };
        if self.channel.backlog() > Channel::FULL {
            return Err(Broken::Full);
        }
        if interest != self.interest {
            self.interest = interest;
            io.rewatch(&self.channel, key, interest)?;
        }
        Ok(())
    }

    /// Whether all that was said is sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.channel.backlog() == 0
    }

    /// Reads all that the master has said so far into `orders`, so that what it took back is known before anybody is
    /// served. False when it will say no more.
    pub(crate) fn hear(&mut self, orders: &mut Vec<Order>) -> Result<bool, Broken> {
        loop {
            let fill = self.channel.fill()?;
            while let Some(line) = self.channel.next_line()? {
                orders.extend(self.read(&line)?);
            }
            match fill {
                Fill::Some => {}
                Fill::Drained => return Ok(true),
                Fill::Ended => return Ok(false),
            }
        }
    }

    fn read(&mut self, line: &[u8]) -> Result<Option<Order>, Broken> {
        // The descriptor came with the first byte; the rest of the environment may be lines and reads away.
        if self.next == Line::Record && line.split(|&byte| byte == b'\t').next() == Some(b"client") {
            self.carried = Some(self.channel.take_fd().ok_or(Bad::NoDescriptor("client"))?);
        }
        let record = self.assembler.push(line)?;
        let is_whole = record.is_some() || self.next == Line::Version;
        self.next = if is_whole { Line::Record } else { Line::Body };
        let Some(record) = record else { return Ok(None) };
        Ok(ToWorker::parse(&record)?.map(|order| (order, self.carried.take())))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}
