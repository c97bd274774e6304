//! Points of time with a value each. Time is an argument: nothing here looks at a clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Names one timer; what is needed to cancel it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId {
    at: Instant,
    serial: u64,
}

/// Timers that go off once, each with a value that says what for.
#[derive(Debug)]
pub struct Timers<T> {
    pending: BTreeMap<TimerId, T>,
    serial: u64,
}

impl<T> Timers<T> {
    /// One without timers.
    pub fn new() -> Self {
        Self { pending: BTreeMap::new(), serial: 0 }
    }

    /// Sets one for `at`.
    pub fn set(&mut self, at: Instant, what: T) -> TimerId {
        self.serial += 1;
        let id = TimerId { at, serial: self.serial };
        self.pending.insert(id, what);
        id
    }

    /// Takes one back; its value, unless it has gone off.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        self.pending.remove(&id)
    }

    /// The next one that is due at `now`, the earliest first.
    pub fn pop_due(&mut self, now: Instant) -> Option<T> {
        let first = self.pending.first_entry()?;
        (first.key().at <= now).then(|| first.remove())
    }

    /// How long until the next one is due: what a wait may take. None without timers.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let (first, _) = self.pending.first_key_value()?;
        Some(first.at.saturating_duration_since(now))
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_go_off_in_the_order_of_their_times_and_once() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut timers = Timers::new();
        assert_eq!(timers.wait(now), None);
        timers.set(now + 2 * second, "later");
        timers.set(now + second, "soon");
        timers.set(now + second, "soon too");
        let never = timers.set(now, "never");
        assert_eq!(timers.cancel(never), Some("never"));
        assert_eq!(timers.cancel(never), None);
        assert_eq!(timers.wait(now), Some(second));
        assert_eq!(timers.pop_due(now), None);
        assert_eq!(timers.pop_due(now + second), Some("soon"));
        assert_eq!(timers.pop_due(now + second), Some("soon too"));
        assert_eq!(timers.pop_due(now + second), None);
        assert_eq!(timers.pop_due(now + 3 * second), Some("later"));
    }
}
