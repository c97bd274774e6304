//! pop3_login_delay: who has logged in so recently that another login must wait (LOGIN-DELAY, RFC 2449, section 6.5).
//! Time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// When each user who has to wait may log in again.
#[derive(Debug, Default)]
pub(crate) struct LoginDelay {
    users: HashMap<String, Instant>,
}

impl LoginDelay {
    /// For how much longer `user` has to wait; none if a login is in order.
    pub(crate) fn left(&self, user: &str, now: Instant) -> Option<Duration> {
        let again = self.users.get(user)?;
        Some(again.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// `user` logs in, and has to wait for `delay` before the next time.
    pub(crate) fn begin(&mut self, user: &str, delay: Duration, now: Instant) {
        if delay.is_zero() {
            return;
        }
        if self.users.len() == self.users.capacity() {
            self.users.retain(|_, again| *again > now);
        }
        self.users.insert(user.to_owned(), now + delay);
    }

    /// The login came to nothing.
    pub(crate) fn forget(&mut self, user: &str) {
        self.users.remove(user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(60);

    #[test]
    fn the_next_login_waits_until_the_delay_is_over() {
        let (mut delays, now) = (LoginDelay::default(), Instant::now());
        assert_eq!(delays.left("alice", now), None);
        delays.begin("alice", DELAY, now);
        assert_eq!(delays.left("alice", now + DELAY / 2), Some(DELAY / 2));
        assert_eq!((delays.left("bob", now), delays.left("alice", now + DELAY)), (None, None));
        delays.forget("alice");
        assert_eq!(delays.left("alice", now), None);
        delays.begin("alice", Duration::ZERO, now);
        assert_eq!(delays.users.len(), 0);
    }

    #[test]
    fn users_who_need_not_wait_any_more_are_forgotten() {
        let (mut delays, now) = (LoginDelay::default(), Instant::now());
        for number in 0..10_000u32 {
            delays.begin(&number.to_string(), DELAY, now + DELAY * number);
        }
        assert!(delays.users.len() < 100);
    }
}
