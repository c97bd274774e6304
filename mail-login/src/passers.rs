//! Who comes and goes without trying to log in: so many of them are logged in a second, and the others counted.
//!
//! It costs nothing to come and go, and what a process logs has a bound: without this one, whoever guesses could have the
//! lines about him be among those that are left out, and everybody fill the disk with the log.

use std::time::{Duration, Instant};

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Passers {
    since: Option<Instant>,
    logged: u32,
    unsaid: u64,
}

impl Passers {
    /// One goes: none if that is not to be logged, else how many there were of whom that was so.
    pub(crate) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= SECOND) {
            self.since = Some(now);
            self.logged = 0;
        }
        if self.logged == MOST {
            self.unsaid += 1;
            return None;
        }
        self.logged += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// How many are logged in a second.
const MOST: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_hundred_in_a_second_are_only_counted() {
        let (mut passers, now) = (Passers::default(), Instant::now());
        let logged = (0..250).filter(|_| passers.pass(now).is_some()).count();
        assert_eq!(logged, 100);
        assert_eq!(passers.pass(now + SECOND), Some(150));
        assert_eq!(passers.pass(now + SECOND), Some(0));
    }
}
