//! Who is connected: peers of both sides of the protocol, and sockets at which clients can come by themselves.
//!
//! A peer that does not keep to the protocol is cut off, with all that it has begun; nobody else notices.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use ioloop::{Interest, Ready};
use slotmap::{Key, KeyData};
use thiserror::Error;

use crate::auth::{Auth, Due, SourceKey};
use crate::client::Client;
use crate::link::{Broken, Input, Link};

/// Something that can be read.
#[derive(Debug)]
pub(crate) enum Source {
    Peer(Peer),
    Listener(UnixListener),
}

impl Source {
    pub(crate) fn peer(&self) -> Option<&Peer> {
        match self {
            Self::Peer(peer) => Some(peer),
            Self::Listener(_) => None,
        }
    }
}

/// Somebody who speaks one side of the protocol.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) link: Link,
    watched: Interest,
    /// He has told his version.
    pub(crate) greeted: bool,
    pub(crate) side: Side,
}

/// Which side it is.
#[derive(Debug)]
pub(crate) enum Side {
    Client(Client),
    Master,
}

/// Why a peer is cut off.
#[derive(Debug, Error)]
pub(crate) enum Offence {
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("does not begin with VERSION {}", wire::auth::VERSION.0)]
    Version,
    #[error("{0} before CPID")]
    NoPid(String),
    #[error("says that it is process {claimed}, and is {pid}")]
    Pid { claimed: u32, pid: u32 },
    #[error("says twice who it is")]
    PidAgain,
    #[error("{0} that is not well-formed")]
    Malformed(&'static str),
    #[error("request {0} begins twice")]
    IdAgain(u32),
}

impl Auth {
    /// One is ready.
    pub(crate) fn on_source(&mut self, ready: Ready) {
        let key = source_key(ready.key);
        match self.sources.get_mut(key) {
            // It was cut off earlier in this turn.
            None => {}
            Some(Source::Listener(_)) => self.accept(key),
            Some(Source::Peer(peer)) => {
                let input = if ready.readable { peer.link.fill() } else { Ok(Input::Open) };
                let outcome = input.map_err(Offence::from).and_then(|input| {
                    self.take_lines(key)?;
                    Ok(input)
                });
                match outcome {
                    Ok(Input::Open) if ready.writable => self.unsent.push(key),
                    Ok(Input::Open) => {}
                    Ok(Input::Ended) => {
                        self.flush(key);
                        self.cut(key);
                    }
                    Err(offence) => {
                        self.flush(key);
                        self.cut_for(key, &offence);
                    }
                }
            }
        }
    }

    fn take_lines(&mut self, key: SourceKey) -> Result<(), Offence> {
        while let Some(peer) = self.peer(key) {
            let Some(line) = peer.link.next_line()? else { break };
            match peer.side {
                Side::Client(_) => self.client_says(key, &line)?,
                Side::Master => self.master_says(key, &line)?,
            }
        }
        Ok(())
    }

    /// Takes a peer in, greets it, and listens to it.
    pub(crate) fn add_peer(&mut self, link: Link, side: Side) -> io::Result<()> {
        let pid = match &side {
            Side::Client(client) => Some(client.pid),
            Side::Master => None,
        };
        let greeting = self.greeting(&side);
        let peer = Peer { link, watched: Interest::Read, greeted: false, side };
        let key = self.sources.insert(Source::Peer(peer));
        if let Some(pid) = pid {
            self.clients.entry(pid).or_default().push(key);
        }
        let Some(Source::Peer(peer)) = self.sources.get(key) else { return Ok(()) };
        let watched = self.io.watch(&peer.link, loop_key(key), Interest::Read);
        match watched {
            Ok(()) => self.send(key, &greeting),
            Err(_) => self.cut(key),
        }
        watched
    }

    /// Takes a socket in to accept clients at.
    pub(crate) fn add_listener(&mut self, listener: OwnedFd) -> io::Result<()> {
        let listener = UnixListener::from(listener);
        listener.set_nonblocking(true)?;
        let key = self.sources.insert(Source::Listener(listener));
        self.watch_listener(key);
        Ok(())
    }

    /// Begins, or begins again, to accept at a socket.
    pub(crate) fn watch_listener(&mut self, key: SourceKey) {
        let Some(Source::Listener(listener)) = self.sources.get(key) else { return };
        if let Err(error) = self.io.watch(listener, loop_key(key), Interest::Read) {
            log::error!("watching a listening socket: {error}");
            self.sources.remove(key);
        }
    }

    fn accept(&mut self, key: SourceKey) {
        for _ in 0..MAX_ACCEPTED {
            let Some(Source::Listener(listener)) = self.sources.get(key) else { return };
            let accepted = match listener.accept() {
                Ok((socket, _)) => self.add_stranger(socket.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // No descriptor is left, most likely: the socket stays readable, so it has to rest.
                    log::error!("accepting a client: {error}");
                    // If it stays watched, it is told of again, that is all.
                    let _ = self.io.unwatch(listener);
                    self.timers.set(Instant::now() + ACCEPT_AGAIN, Due::Accept(key));
                    return;
                }
            };
            if let Err(error) = accepted {
                log::error!("taking a client in: {error}");
            }
        }
    }

    pub(crate) fn peer(&mut self, key: SourceKey) -> Option<&mut Peer> {
        match self.sources.get_mut(key) {
            Some(Source::Peer(peer)) => Some(peer),
            _ => None,
        }
    }

    /// Sends what it can to a peer.
    fn flush(&mut self, key: SourceKey) {
        let Some(Source::Peer(peer)) = self.sources.get_mut(key) else { return };
        let flushed = peer.link.flush().and_then(|all| {
            let wanted = if all { Interest::Read } else { Interest::Both };
            if wanted != peer.watched {
                self.io.rewatch(&peer.link, loop_key(key), wanted)?;
                peer.watched = wanted;
            }
            Ok(())
        });
        match flushed {
            Ok(()) => {}
            Err(Broken::Io(error)) if is_hang_up(&error) => self.cut(key),
            Err(broken) => self.cut_for(key, &broken.into()),
        }
    }

    /// Has a line sent to a peer at the end of this turn, or as soon as he reads.
    pub(crate) fn send(&mut self, key: SourceKey, line: &[u8]) {
        let Some(Source::Peer(peer)) = self.sources.get_mut(key) else { return };
        peer.link.queue(line);
        if self.unsent.last() != Some(&key) {
            self.unsent.push(key);
        }
    }

    /// Sends what this turn has brought.
    pub(crate) fn flush_all(&mut self) {
        for key in std::mem::take(&mut self.unsent) {
            self.flush(key);
        }
    }

    fn cut_for(&mut self, key: SourceKey, offence: &Offence) {
        if let Some(peer) = self.peer(key) {
            match &peer.side {
                Side::Client(client) => log::warn!("client, pid {}: {offence}; cut off", client.pid),
                Side::Master => log::warn!("master: {offence}; cut off"),
            }
        }
        self.cut(key);
    }

    /// Lets go of a source; all that a peer has begun or achieved is void.
    pub(crate) fn cut(&mut self, key: SourceKey) {
        let peer = match self.sources.remove(key) {
            None => return,
            Some(Source::Listener(listener)) => {
                // It may rest, and is closed with this anyway.
                let _ = self.io.unwatch(&listener);
                return;
            }
            Some(Source::Peer(peer)) => peer,
        };
        // It is closed with this anyway; the other end may hold no copy of our socket.
        let _ = self.io.unwatch(&peer.link);
        match peer.side {
            Side::Client(client) => {
                if let Some(others) = self.clients.get_mut(&client.pid) {
                    others.retain(|other| *other != key);
                    if others.is_empty() {
                        self.clients.remove(&client.pid);
                    }
                }
                for request in client.requests.into_values() {
                    self.drop_request(request);
                }
            }
            Side::Master => self.lookups.retain(|_, lookup| lookup.master != key),
        }
    }
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn loop_key(key: SourceKey) -> usize {
    // Wide enough where this runs; and the keys of a slotmap are never as low as ours below.
    key.data().as_ffi() as usize
}

fn source_key(key: usize) -> SourceKey {
    KeyData::from_ffi(key as u64).into()
}

/// How many are accepted in one turn.
const MAX_ACCEPTED: usize = 16;

/// How long a listening socket rests after an error.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);
