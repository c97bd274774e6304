//! Chance, for what many clients would otherwise do at the same moment again and again.

use std::cell::Cell;
use std::time::Duration;

/// A sequence of numbers that nobody needs to guess wrong: xorshift64* (Vigna, "An experimental exploration of
/// Marsaglia's xorshift generators, scrambled").
#[derive(Debug)]
pub(crate) struct Jitter(Cell<u64>);

impl Jitter {
    /// The same seed, the same sequence.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Cell::new(seed | 1))
    }

    /// An interval, or up to a quarter less.
    pub(crate) fn shorten(&self, interval: Duration) -> Duration {
        interval - (interval / 4).mul_f64(self.fraction())
    }

    /// From 0 to below 1.
    fn fraction(&self) -> f64 {
        let mut state = self.0.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.0.set(state);
        let high = (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32;
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_spread_over_their_last_quarter() {
        let jitter = Jitter::new(7);
        let interval = Duration::from_secs(120);
        let mut buckets = [0; 10];
        for _ in 0..1000 {
            let short = jitter.shorten(interval);
            assert!((Duration::from_secs(90)..=interval).contains(&short), "{short:?}");
            buckets[((short.as_secs_f64() - 90.0) / 3.0) as usize % 10] += 1;
        }
        assert!(buckets.iter().all(|&count| count > 50), "{buckets:?}");
        assert_eq!(Jitter::new(7).shorten(interval), Jitter::new(7).shorten(interval));
        assert_eq!(jitter.shorten(Duration::ZERO), Duration::ZERO);
    }
}
