//! The link to the master: mail-login(7).

use std::io;
use std::os::fd::OwnedFd;

use ioloop::{Loop, Ready};
use wire::login::{self, FromLogin, ToLogin};
use wire::{Assembler, Bad};

use crate::link::{Link, Lost};

/// See above.
#[derive(Debug)]
pub(crate) struct Master {
    link: Link,
    assembler: Assembler,
}

impl Master {
    /// Greets the master at `socket`; the loop tells of it under `key`.
    pub(crate) fn new(socket: OwnedFd, key: usize, io: &Loop) -> io::Result<Self> {
        let mut link = Link::new(socket, key, io)?;
        link.queue(login::version_line(), None);
        Ok(Self { link, assembler: login::assembler() })
    }

    /// The line below the protocol.
    pub(crate) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Says `message` when the turn ends.
    pub(crate) fn say(&mut self, message: &FromLogin, fd: Option<OwnedFd>) {
        self.link.queue(message.to_bytes(), fd);
    }

    /// Takes in what has come.
    pub(crate) fn proceed(&mut self, ready: Ready, io: &Loop) -> Result<(), Lost> {
        self.link.proceed(ready, io)
    }

    /// What the master says next. Words that are not known are passed over.
    pub(crate) fn next(&mut self) -> Result<Option<ToLogin>, Lost> {
        while let Some(line) = self.link.next_line()? {
            if let Some(record) = self.assembler.push(&line)?
                && let Some(message) = ToLogin::parse(&record)?
            {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// The descriptor that the message just taken must carry.
    pub(crate) fn descriptor(&mut self, word: &'static str) -> Result<OwnedFd, Lost> {
        Ok(self.link.take_fd().ok_or(Bad::NoDescriptor(word))?)
    }

    /// Closes the link.
    pub(crate) fn close(self, io: &Loop) {
        self.link.close(io);
    }
}
