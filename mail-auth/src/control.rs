//! What the master program says to this one, on descriptor 0: who may speak to it, and who has died (mail-auth(7)).
//!
//! The master's word on who is at the other end of a connection is what counts. When it ends, or makes no sense, this
//! program takes no more work, finishes what was begun, and ends too.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fdpass::{BadPeer, Channel, Fill};
use ioloop::{Interest, Ready};
use thiserror::Error;
use wire::auth::{FromAuth, ToAuth, assembler, version_line};
use wire::{Assembler, Bad};

use crate::auth::{Auth, CONTROL};
use crate::client::Client;
use crate::link::Link;
use crate::peer::{Side, Source};

/// The link to the master.
#[derive(Debug)]
pub(crate) struct Control {
    channel: Channel,
    assembler: Assembler,
    watched: Interest,
}

/// Why it is of no more use.
#[derive(Debug, Error)]
enum Useless {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Peer(#[from] BadPeer),
    #[error(transparent)]
    Record(#[from] Bad),
}

impl Control {
    /// Takes the socket over and greets the master.
    ///
    /// # Errors
    /// Those of the socket, also where it is none.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        let mut channel = Channel::new(socket)?;
        channel.queue(version_line(), None);
        channel.flush()?;
        Ok(Self { channel, assembler: assembler(), watched: Interest::Read })
    }

    fn next(&mut self) -> Result<Option<(ToAuth, Option<OwnedFd>)>, Useless> {
        while let Some(line) = self.channel.next_line()? {
            let Some(record) = self.assembler.push(&line)? else { continue };
            let Some(message) = ToAuth::parse(&record)? else { continue };
            let fd = match message.carries_descriptor() {
                true => Some(self.channel.take_fd().ok_or(Bad::NoDescriptor("a peer"))?),
                false => None,
            };
            return Ok(Some((message, fd)));
        }
        Ok(None)
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl Auth {
    pub(crate) fn on_control(&mut self, ready: Ready) {
        if !ready.readable {
            return;
        }
        match self.take_messages() {
            Ok(Fill::Ended) => self.let_go(),
            Ok(Fill::Drained | Fill::Some) => {}
            Err(useless) => {
                log::error!("the master: {useless}; ending");
                self.let_go();
            }
        }
    }

    fn take_messages(&mut self) -> Result<Fill, Useless> {
        let Some(control) = &mut self.control else { return Ok(Fill::Drained) };
        let fill = control.channel.fill()?;
        while let Some(control) = &mut self.control {
            let Some((message, fd)) = control.next()? else { break };
            self.heed(&message, fd);
        }
        Ok(fill)
    }

    fn heed(&mut self, message: &ToAuth, fd: Option<OwnedFd>) {
        let outcome = match (message, fd) {
            (ToAuth::Client { pid }, Some(socket)) => self.add_client(socket, *pid),
            (ToAuth::Master, Some(socket)) => {
                Link::new(socket).and_then(|link| self.add_peer(link, Side::Master))
            }
            (ToAuth::Listen, Some(socket)) => self.add_listener(socket),
            (ToAuth::Penalty { .. }, _) => {
                self.learn(message);
                Ok(())
            }
            (ToAuth::Gone { pid }, _) => {
                for key in self.clients.get(pid).cloned().unwrap_or_default() {
                    self.cut(key);
                }
                Ok(())
            }
            (_, None) => Ok(()),
        };
        if let Err(error) = outcome {
            log::error!("taking {message:?} in: {error}");
        }
    }

    /// Says something to the master, at the end of this turn. One that does not read is told no more: what it misses is
    /// only what a later auth would know.
    pub(crate) fn tell_master(&mut self, message: &FromAuth) {
        if let Some(control) = self.control.as_mut().filter(|it| it.channel.backlog() < Channel::FULL) {
            control.channel.queue(message.to_bytes(), None);
        }
    }

    /// Sends what was said to the master.
    pub(crate) fn flush_control(&mut self) {
        let Some(control) = &mut self.control else { return };
        // That the master is gone is told by what is read.
        let wanted = if control.channel.flush().unwrap_or(true) { Interest::Read } else { Interest::Both };
        if wanted != control.watched && self.io.rewatch(&*control, CONTROL, wanted).is_ok() {
            control.watched = wanted;
        }
    }

    fn add_client(&mut self, socket: OwnedFd, pid: u32) -> io::Result<()> {
        let (link, cookie) = (Link::new(socket)?, self.cookie()?);
        self.add_peer(link, Side::Client(Client::vouched_for(pid, cookie)))
    }

    /// A client that came by itself: the kernel says who it is.
    pub(crate) fn add_stranger(&mut self, socket: OwnedFd) -> io::Result<()> {
        let (link, cookie) = (Link::new(socket)?, self.cookie()?);
        let pid = link.peer_pid()?;
        self.add_peer(link, Side::Client(Client::stranger(pid, cookie)))
    }

    /// The master is gone, or has no more use for us.
    fn let_go(&mut self) {
        if let Some(control) = self.control.take() {
            // It is closed with this anyway.
            let _ = self.io.unwatch(&control);
        }
        let listeners = self.sources.iter().filter(|(_, source)| matches!(source, Source::Listener(_)));
        for key in listeners.map(|(key, _)| key).collect::<Vec<_>>() {
            self.cut(key);
        }
    }
}
