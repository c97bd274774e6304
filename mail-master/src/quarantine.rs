//! Users whose mail kills the processes that serve it.
//!
//! After one death on a user's behalf the user's next clients are served alone, in a worker of their own, so that a
//! second death takes nobody with it. After the second the user is in quarantine: refused once, and served
//! alone for a settable time. Time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How a user is to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// With others.
    Good,
    /// Alone: a worker died for this user, once.
    Suspect,
    /// Alone, until the quarantine ends.
    Quarantined,
}

#[derive(Debug)]
struct Blame {
    deaths: u32,
    until: Instant,
}

/// Who is blamed for how many deaths.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    users: HashMap<String, Blame>,
}

impl Quarantine {
    /// A worker died while it worked for `user`. How the user stands from now on, and for `time`.
    pub(crate) fn blame(&mut self, user: &str, time: Duration, now: Instant) -> Standing {
        self.expire(now);
        let blame = self.users.entry(user.to_owned()).or_insert(Blame { deaths: 0, until: now });
        blame.deaths += 1;
        blame.until = now + time;
        blame.standing()
    }

    /// How the user stands.
    pub(crate) fn standing(&self, user: &str, now: Instant) -> Standing {
        self.users.get(user).filter(|blame| blame.until > now).map_or(Standing::Good, Blame::standing)
    }

    /// Who is in quarantine, and for how much longer.
    pub(crate) fn list(&self, now: Instant) -> impl Iterator<Item = (&str, Duration)> {
        let inside = move |blame: &&Blame| blame.until > now && blame.standing() == Standing::Quarantined;
        self.users.iter().filter_map(move |(user, blame)| {
            Some(blame).filter(inside).map(|blame| (user.as_str(), blame.until.duration_since(now)))
        })
    }

    fn expire(&mut self, now: Instant) {
        self.users.retain(|_, blame| blame.until > now);
    }
}

impl Blame {
    fn standing(&self) -> Standing {
        if self.deaths > 1 { Standing::Quarantined } else { Standing::Suspect }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_death_is_the_quarantine_and_it_ends() {
        let mut quarantine = Quarantine::default();
        let (now, time) = (Instant::now(), Duration::from_secs(60));
        assert_eq!(quarantine.standing("eve", now), Standing::Good);
        assert_eq!(quarantine.blame("eve", time, now), Standing::Suspect);
        assert_eq!(quarantine.list(now).count(), 0);
        assert_eq!(quarantine.blame("eve", time, now), Standing::Quarantined);
        assert_eq!(quarantine.standing("eve", now), Standing::Quarantined);
        assert_eq!(quarantine.list(now).next(), Some(("eve", time)));
        assert_eq!(quarantine.standing("alice", now), Standing::Good);
        assert_eq!(quarantine.standing("eve", now + time), Standing::Good);
        assert_eq!(quarantine.blame("eve", time, now + time), Standing::Suspect);
    }
}
