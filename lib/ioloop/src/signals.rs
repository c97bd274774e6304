//! Signals as a descriptor that becomes readable, without a thread.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

/// The signals that a program wants to be told of.
pub struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
}

impl Signals {
    /// From now on each of `signals` makes this readable in place of what it does by default.
    ///
    /// # Errors
    /// Those of sigaction(2) and socketpair(2).
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        Ok(Self { delivery: SignalDelivery::with_pipe(read, write, SignalOnly, signals)? })
    }

    /// The signals that came since the last call, each once: they coalesce.
    pub fn pending(&mut self) -> Vec<i32> {
        self.delivery.pending().collect()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.delivery.get_read().as_fd()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Interest, Loop};
    use nix::sys::signal::{Signal, raise};

    #[test]
    fn a_signal_is_told_once() {
        let mut signals = Signals::new(&[Signal::SIGUSR1 as i32]).unwrap();
        let mut io = Loop::new().unwrap();
        let mut ready = Vec::new();
        io.watch(&signals, 1, Interest::Read).unwrap();
        raise(Signal::SIGUSR1).unwrap();
        io.wait(None, &mut ready).unwrap();
        assert_eq!(signals.pending(), [Signal::SIGUSR1 as i32]);
        io.wait(Some(std::time::Duration::ZERO), &mut ready).unwrap();
        assert!(ready.is_empty());
    }
}
