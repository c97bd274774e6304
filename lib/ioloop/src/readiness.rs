//! Which descriptors can be read or written: level-triggered, so that what a turn leaves over is told again.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};

/// What is to be told of a descriptor. One that is to rest for a while is unwatched: a closed peer is always told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// It can be read.
    Read,
    /// It can be written.
    Write,
    /// Either.
    Both,
}

/// A descriptor that can be read or written, by the key it was watched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The key.
    pub key: usize,
    /// Reading will not block; it may tell the end or an error.
    pub readable: bool,
    /// Writing will not block; it may tell an error.
    pub writable: bool,
}

/// The kernel's readiness queue.
#[derive(Debug)]
pub struct Loop {
    poller: Poller,
    events: Events,
}

impl Loop {
    /// One that watches nothing yet.
    ///
    /// # Errors
    /// Those of epoll_create(2) and its like.
    pub fn new() -> io::Result<Self> {
        Ok(Self { poller: Poller::new()?, events: Events::new() })
    }

    /// Begins to watch `fd`, to be told under `key`; any number but `usize::MAX`.
    /// It must be unwatched before it is closed or sent to another process: the kernel forgets a descriptor only
    /// with its last copy anywhere, and would tell of it under a key that means something else by then.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn watch(&self, fd: impl AsFd, key: usize, interest: Interest) -> io::Result<()> {
        let fd = fd.as_fd();
        // SAFETY: the poller keeps the number only, and a number that was closed without `unwatch` can at worst make
        // it tell of a key; what is unsafe about it for `polling` is memory that some back ends keep, epoll does not.
        unsafe { self.poller.add_with_mode(fd.as_raw_fd(), event(key, interest), PollMode::Level) }
    }

    /// Changes what is told of `fd`, or under which key.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn rewatch(&self, fd: impl AsFd, key: usize, interest: Interest) -> io::Result<()> {
        self.poller.modify_with_mode(fd.as_fd(), event(key, interest), PollMode::Level)
    }

    /// Watches `fd` no more.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn unwatch(&self, fd: impl AsFd) -> io::Result<()> {
        self.poller.delete(fd.as_fd())
    }

    /// Waits until a watched descriptor is ready or `timeout` is over (none: for ever), and puts those that are
    /// ready into `ready`, in place of what was there.
    ///
    /// # Errors
    /// Those of epoll_wait(2); an interruption is none.
    pub fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        self.events.clear();
        self.poller.wait(&mut self.events, timeout)?;
        ready.extend(self.events.iter().map(|event| Ready {
            key: event.key,
            readable: event.readable,
            writable: event.writable,
        }));
        Ok(())
    }
}

fn event(key: usize, interest: Interest) -> Event {
    match interest {
        Interest::Read => Event::readable(key),
        Interest::Write => Event::writable(key),
        Interest::Both => Event::all(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_left_over_is_told_again() {
        let (mut a, b) = UnixStream::pair().unwrap();
        let mut io = Loop::new().unwrap();
        let mut ready = Vec::new();
        io.watch(&b, 7, Interest::Read).unwrap();
        io.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert!(ready.is_empty());
        a.write_all(b"x").unwrap();
        for _ in 0..2 {
            io.wait(None, &mut ready).unwrap();
            assert_eq!(ready, [Ready { key: 7, readable: true, writable: false }]);
        }
        io.rewatch(&b, 8, Interest::Both).unwrap();
        io.wait(None, &mut ready).unwrap();
        assert_eq!(ready, [Ready { key: 8, readable: true, writable: true }]);
        io.unwatch(&b).unwrap();
        io.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert!(ready.is_empty());
    }
}
