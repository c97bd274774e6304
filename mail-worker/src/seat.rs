//! A client's place in this worker: its session, and what the loop does for it meanwhile.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use ioloop::{Interest, Loop, Ready, TimerId, Timers};
use slotmap::{Key, KeyData, new_key_type};

use crate::client::Client;
use crate::greeting::Greeting;
use crate::session::{Session, Wants};
use crate::worker::What;

new_key_type! {
    /// Names a place. No two clients in the life of a process have the same.
    pub(crate) struct Seat;
}

impl Seat {
    /// What the loop calls it; more than 32 bits say that it is one.
    pub(crate) fn key(self) -> usize {
        // A place's number is below 2^63, since its upper half is a count of uses.
        usize::try_from(self.data().as_ffi()).unwrap_or(usize::MAX)
    }

    /// The place that the loop calls `key`.
    pub(crate) fn of_key(key: usize) -> Self {
        KeyData::from_ffi(key as u64).into()
    }
}

/// How far a client is.
pub(crate) enum Stage {
    /// Its descriptor is neither read nor written: it may be withdrawn.
    Prepared(Greeting),
    /// Its session runs.
    Serving(Session),
    /// It is told goodbye.
    Leaving(Session),
}

/// Whoever sits there.
pub(crate) struct Seated {
    pub(crate) client: Rc<Client>,
    pub(crate) stage: Stage,
    pub(crate) wants: Wants,
    /// In the queue of those who have their turn next.
    pub(crate) queued: bool,
    /// May go off too early, and is set anew then: moving it with each command would cost more.
    timer: Option<(Instant, TimerId)>,
    watched: Option<Interest>,
}

impl Seated {
    pub(crate) fn new(client: Rc<Client>, greeting: Greeting) -> Self {
        let stage = Stage::Prepared(greeting);
        Self { client, stage, wants: Wants::default(), queued: false, timer: None, watched: None }
    }

    /// Has the loop wait for what the session wants.
    pub(crate) fn arrange(&mut self, seat: Seat, io: &Loop, timers: &mut Timers<What>) -> io::Result<()> {
        self.wants = self.client.take_wants();
        let interest = match (self.wants.input, self.wants.output) {
            (true, true) => Some(Interest::Both),
            (true, false) => Some(Interest::Read),
            (false, true) => Some(Interest::Write),
            // It stays watched as it was: most that is too early comes too late, and the rest is in `is_awaited`.
            (false, false) => self.watched,
        };
        if interest != self.watched {
            self.watch(seat, io, interest)?;
        }
        if let Some(until) = self.wants.until
            && self.timer.is_none_or(|(at, _)| until < at)
        {
            self.cancel(timers);
            self.timer = Some((until, timers.set(until, What::Client(seat))));
        }
        Ok(())
    }

    /// Whether the session waits for what the loop tells. If not, the loop is to tell no more of it.
    pub(crate) fn is_awaited(&mut self, seat: Seat, ready: Ready, io: &Loop) -> io::Result<bool> {
        let awaited = (ready.readable && self.wants.input) || (ready.writable && self.wants.output);
        if !awaited {
            self.watch(seat, io, None)?;
        }
        Ok(awaited)
    }

    /// The timer went off. Whether the session waits for that moment.
    pub(crate) fn is_due(&mut self, seat: Seat, now: Instant, timers: &mut Timers<What>) -> bool {
        self.timer = None;
        match self.wants.until {
            Some(until) if until <= now => true,
            Some(until) => {
                self.timer = Some((until, timers.set(until, What::Client(seat))));
                false
            }
            None => false,
        }
    }

    /// Is forgotten by the loop.
    pub(crate) fn leave(&mut self, seat: Seat, io: &Loop, timers: &mut Timers<What>) -> io::Result<()> {
        self.cancel(timers);
        self.watch(seat, io, None)
    }

    fn watch(&mut self, seat: Seat, io: &Loop, interest: Option<Interest>) -> io::Result<()> {
        let before = std::mem::replace(&mut self.watched, interest);
        self.client.with_descriptor(|fd| match (before, interest) {
            (None, None) => Ok(()),
            (None, Some(interest)) => io.watch(fd, seat.key(), interest),
            (Some(_), Some(interest)) => io.rewatch(fd, seat.key(), interest),
            (Some(_), None) => io.unwatch(fd),
        })
    }

    fn cancel(&mut self, timers: &mut Timers<What>) {
        if let Some((_, id)) = self.timer.take() {
            timers.cancel(id);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use slotmap::SlotMap;

    /// Three of them.
    pub(crate) fn seats() -> (Seat, Seat, Seat) {
        let mut map = SlotMap::<Seat, ()>::with_key();
        (map.insert(()), map.insert(()), map.insert(()))
    }

    #[test]
    fn a_seat_is_found_by_its_key_which_no_small_number_is() {
        let (one, other, _) = seats();
        assert_eq!((Seat::of_key(one.key()), Seat::of_key(other.key())), (one, other));
        assert!(one.key() > usize::from(u16::MAX));
    }
}
