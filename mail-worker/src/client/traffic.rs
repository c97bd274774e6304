//! A client's bytes: what it sent and no command has taken, and what it is to be sent.
//!
//! At rest there is no buffer. Output collects until [`Client::flush`], which waits for a client that reads slowly; a
//! client that reads nothing is given up.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::Client;
use crate::session::{Ending, Wants};

/// What the client sent and no command has taken yet.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    taken: usize,
}

// Input.
impl Client {
    /// Hands `take` what the client sent and nobody took; it says how much of that it takes.
    pub(crate) fn take_input<T>(&self, take: impl FnOnce(&[u8]) -> (usize, T)) -> T {
        let mut input = self.input.borrow_mut();
        let (taken, result) = take(input.bytes.get(input.taken..).unwrap_or_default());
        input.taken += taken;
        if input.taken >= input.bytes.len() {
            *input = Input::default();
        }
        result
    }

    /// Reads what there is; false if there is nothing yet.
    pub(crate) fn receive(&self) -> Result<bool, Ending> {
        let mut buffer = [0; 4096];
        match self.stream.borrow_mut().receive(&mut buffer) {
            Ok(0) => Err(Ending::Closed),
            Ok(length) => {
                let mut input = self.input.borrow_mut();
                let taken = std::mem::take(&mut input.taken);
                input.bytes.drain(..taken);
                input.bytes.extend_from_slice(buffer.get(..length).unwrap_or_default());
                self.received.set(self.received.get() + length as u64);
                self.heard.set(self.now().instant);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(self.lost(&error)),
        }
    }

    /// Sends what has collected, and reads more; until `limit`.
    pub(crate) async fn converse(&self, limit: Instant) -> Result<(), Ending> {
        self.flush().await?;
        // One that sends and sends has turns as all have.
        self.pause().await;
        while !self.receive()? {
            if self.now().instant >= limit {
                return Err(Ending::Silent);
            }
            self.rest(Wants::input().or_at(limit)).await;
        }
        Ok(())
    }

    fn lost(&self, error: &io::Error) -> Ending {
        if !matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) {
            log::info!("{self}connection: {error}");
        }
        Ending::Closed
    }
}

// Output.
impl Client {
    /// Adds to what is to be sent.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        write(&mut self.output.borrow_mut())
    }

    /// Until the next call, what is written is or is not part of something that no line may interrupt.
    pub(crate) fn set_within(&self, within: bool) {
        self.within.set(within);
    }

    /// Whether that is so.
    pub(crate) fn is_within(&self) -> bool {
        self.within.get()
    }

    /// Adds a last line, unless it would stand where it could not be understood.
    pub(crate) fn write_farewell(&self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.within.get() {
            self.output.take();
        } else {
            self.write(write);
        }
    }

    /// Sends all that has collected.
    pub(crate) fn flush(&self) -> impl Future<Output = Result<(), Ending>> {
        self.flush_until(self.now().instant + STALL)
    }

    /// The same; a client that takes nothing until `limit` is given up.
    pub(crate) async fn flush_until(&self, mut limit: Instant) -> Result<(), Ending> {
        let patience = limit.saturating_duration_since(self.now().instant);
        loop {
            match self.transmit() {
                Ok(Sent::All) => return Ok(()),
                Ok(Sent::Some) => limit = self.now().instant + patience,
                Ok(Sent::Nothing) if self.now().instant >= limit => return Err(Ending::Stalled),
                Ok(Sent::Nothing) => {}
                Err(error) => return Err(self.lost(&error)),
            }
            self.rest(Wants::output().or_at(limit)).await;
        }
    }

    /// Sends what goes without waiting; whether nothing is left that could be sent.
    pub(crate) fn flush_now(&self) -> bool {
        !matches!(self.transmit(), Ok(Sent::Some | Sent::Nothing))
    }

    fn transmit(&self) -> io::Result<Sent> {
        let mut output = self.output.borrow_mut();
        let mut done = 0;
        while let Some(rest) = output.get(done..).filter(|rest| !rest.is_empty()) {
            match self.stream.borrow_mut().send(rest) {
                Ok(length) => done += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.sent.set(self.sent.get() + done as u64);
        if done == output.len() {
            *output = Vec::new();
            return Ok(Sent::All);
        }
        output.drain(..done);
        Ok(if done > 0 { Sent::Some } else { Sent::Nothing })
    }
}

enum Sent {
    All,
    Some,
    Nothing,
}

/// For how long a client may take nothing.
const STALL: Duration = Duration::from_secs(5 * 60);
