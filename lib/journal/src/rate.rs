//! So many lines a second are logged, and the others counted.

use std::time::{Duration, Instant};

/// See above. Time is an argument.
#[derive(Debug)]
pub struct Rate {
    most: u32,
    /// Of this second.
    left: u32,
    since: Option<Instant>,
    unsaid: u64,
}

impl Rate {
    /// At most so many a second; 0 is no limit.
    pub fn new(most: u32) -> Self {
        Self { most, left: most, since: None, unsaid: 0 }
    }

    /// One line more: none if that is not to be logged, else how many there were before it of which that was so.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.most > 0 {
            if self.since.is_none_or(|since| now.saturating_duration_since(since) >= SECOND) {
                self.since = Some(now);
                self.left = self.most;
            }
            if self.left == 0 {
                self.unsaid += 1;
                return None;
            }
            self.left -= 1;
        }
        Some(self.unsaid())
    }

    /// How many were not logged since that was last asked.
    pub(crate) fn unsaid(&mut self) -> u64 {
        std::mem::take(&mut self.unsaid)
    }

    pub(crate) fn most(&self) -> u32 {
        self.most
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_hundred_in_a_second_are_only_counted() {
        let (mut rate, now) = (Rate::new(100), Instant::now());
        let logged = (0..250).filter(|_| rate.admit(now).is_some()).count();
        assert_eq!(logged, 100);
        assert_eq!(rate.admit(now + SECOND), Some(150));
        assert_eq!(rate.admit(now + SECOND), Some(0));
    }
}
