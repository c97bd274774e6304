//! How fast the disk is, by how long it took lately: whether to wait for it here, or to have it waited for.
//!
//! Having it waited for costs about as much processor time as the rest of a save, and whoever waits here holds up his
//! neighbours. So a disk that takes little time on average is waited for here. That now and then a few milliseconds pass
//! even there nobody minds; if it were more, then not again for two hundred times as long: of the neighbours' time it
//! takes half a hundredth at most. Nothing is known of a disk that was not seen at work.

use std::time::{Duration, Instant};

/// See above.
#[derive(Debug)]
pub(super) struct Pace {
    /// What it took on average, the last ones weighing most.
    mean: Duration,
    /// Not to be waited for here before.
    rest: Option<Instant>,
}

impl Pace {
    /// That of a disk that nothing is known of.
    pub(super) fn new() -> Self {
        Self { mean: UNKNOWN, rest: None }
    }

    /// Is it to be waited for here?
    pub(super) fn is_fast(&self, now: Instant) -> bool {
        self.mean < FAST && self.rest.is_none_or(|end| now >= end)
    }

    /// So long it took, until now, whoever waited.
    pub(super) fn took(&mut self, time: Duration, now: Instant) {
        self.mean = (self.mean * (WEIGHT - 1) + time.min(MOST)) / WEIGHT;
        if time >= STALL {
            self.rest = self.rest.max(Some(now + time * REST));
        }
    }
}

/// What it takes at most, on average, to be called fast.
const FAST: Duration = Duration::from_millis(1);
/// What is believed at first: some twenty fast ones are wanted, or what seven saved messages take.
const UNKNOWN: Duration = Duration::from_millis(3);
/// The last one counts for this part of the average,
const WEIGHT: u32 = 16;
/// and for no more than this, so that one is forgotten some day.
const MOST: Duration = Duration::from_millis(25);
/// What somebody minds who waits for nothing.
const STALL: Duration = Duration::from_millis(5);
/// So many times as long it is not waited for here.
const REST: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(300);
    const TURNING: Duration = Duration::from_millis(20);

    /// One that has been fast until `now`.
    fn fast(now: Instant) -> Pace {
        let mut pace = Pace::new();
        (0..100).for_each(|_| pace.took(QUICK, now));
        pace
    }

    #[test]
    fn nothing_is_believed_that_was_not_seen_often() {
        let now = Instant::now();
        let mut pace = Pace::new();
        for _ in 0..20 {
            assert!(!pace.is_fast(now));
            pace.took(QUICK, now);
        }
        assert!(fast(now).is_fast(now));
    }

    #[test]
    fn a_few_milliseconds_now_and_then_are_nothing() {
        let now = Instant::now();
        let mut pace = fast(now);
        for number in 1..1000 {
            pace.took(if number % 50 == 0 { STALL - QUICK } else { QUICK }, now);
            assert!(pace.is_fast(now));
        }
        (0..10).for_each(|_| pace.took(STALL - QUICK, now));
        assert!(!pace.is_fast(now));
    }

    #[test]
    fn the_longer_it_took_the_longer_it_rests_and_a_shorter_one_does_not_shorten_that() {
        let now = Instant::now();
        let mut pace = fast(now);
        pace.took(Duration::from_secs(3), now);
        pace.took(STALL, now);
        (0..100).for_each(|_| pace.took(QUICK, now));
        assert!(!pace.is_fast(now + Duration::from_secs(599)));
        assert!(pace.is_fast(now + Duration::from_secs(600)));
    }

    /// A disk that turns, or is busy now and then, and is asked all the time.
    #[test]
    fn hardly_any_time_is_spent_here_with_what_is_slow() {
        let begun = Instant::now();
        for every in [1, 2, 10, 50, 1000] {
            let (mut now, mut pace, mut stalled) = (begun, Pace::new(), Duration::ZERO);
            for number in 1..100_000 {
                let time = if number % every == 0 { TURNING } else { QUICK };
                if pace.is_fast(now) && time >= STALL {
                    stalled += time;
                }
                now += time;
                pace.took(time, now);
            }
            assert!(stalled * REST <= now - begun + TURNING * REST, "every {every}: {stalled:?}");
        }
    }
}
