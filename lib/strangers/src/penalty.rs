//! How long an answer is held back from somebody who was wrong before, or whose name or address was tried by others.
//!
//! Failures are counted for the address, for the user's name, and for both together. Who guesses is slowed down by his
//! address; who guesses from everywhere, by the name. A user who has got in from his address lately is not held back by
//! what others try elsewhere. A right password is held back as a wrong one is, or it could be told by the time.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::memory::Memory;
use crate::network::{Networks, Origin};

/// What holds for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// How long the first failure is held back; each further one twice as long. Zero: none is.
    pub first: Duration,
    /// How long one is held back at most.
    pub most: Duration,
    /// How many attempts without success there may be from one address in a minute; 0 is no limit.
    pub per_minute: u32,
    /// Addresses that are not counted: many users are behind each.
    pub trusted: Networks,
}

/// See above. Whatever it is told, it has a bound.
#[derive(Debug)]
pub struct Penalties {
    addresses: Memory<Origin, Failures>,
    users: Memory<String, Failures>,
    pairs: Memory<(String, Origin), Failures>,
    /// When users have got in last, by where they came from.
    known: Memory<(String, Origin), Option<Instant>>,
    attempts: Memory<Origin, Attempts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    last: Option<Instant>,
    /// What was tried last, where that is known.
    print: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Attempts {
    count: u32,
    since: Option<Instant>,
}

/// One thing that is remembered, to be told to another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Whose name; none: of the address alone.
    pub user: Option<String>,
    /// Which address; none: of the name alone.
    pub address: Option<IpAddr>,
    /// How many failures; none: the user has got in from there.
    pub failures: Option<u32>,
    /// How long ago.
    pub age: Duration,
}

impl Failures {
    fn count(self, now: Instant) -> u32 {
        let is_recent = |last| now.saturating_duration_since(last) < FAILURE;
        if self.last.is_some_and(is_recent) { self.count } else { 0 }
    }

    fn add(&mut self, now: Instant) {
        self.count = self.count(now).saturating_add(1);
        self.last = Some(now);
    }
}

impl Default for Penalties {
    fn default() -> Self {
        Self::new(HALF)
    }
}

impl Penalties {
    fn new(half: usize) -> Self {
        Self {
            addresses: Memory::new(half),
            users: Memory::new(half),
            pairs: Memory::new(half),
            known: Memory::new(half),
            attempts: Memory::new(half),
        }
    }

    /// Somebody tries to log in. False: there were too many attempts from there in this minute, and this is none.
    pub fn attempt(&mut self, address: Option<IpAddr>, rules: &Rules, now: Instant) -> bool {
        let Some(origin) = counted(address, rules).filter(|_| rules.per_minute > 0) else { return true };
        let attempts = self.attempts.meet(origin);
        if attempts.since.is_none_or(|since| now.saturating_duration_since(since) >= MINUTE) {
            *attempts = Attempts { count: 0, since: Some(now) };
        }
        let allowed = attempts.count < rules.per_minute;
        attempts.count += u32::from(allowed);
        allowed
    }

    /// An attempt has failed. `print` tells apart what was tried: the same thing again, as from a program that has an old
    /// password, is no guess. Whether it was one.
    pub fn failed(
        &mut self,
        user: &str,
        address: Option<IpAddr>,
        print: Option<u64>,
        rules: &Rules,
        now: Instant,
    ) -> bool {
        let (name, origin) = (name(user), address.map(Origin::of));
        if let (Some(name), Some(origin)) = (&name, origin) {
            let pair = self.pairs.meet((name.clone(), origin));
            if print.is_some() && pair.print == print && pair.count(now) > 0 {
                return false;
            }
            pair.add(now);
            pair.print = print;
        }
        if let Some(origin) = counted(address, rules) {
            self.addresses.meet(origin).add(now);
        }
        if let Some(name) = name {
            self.users.meet(name).add(now);
        }
        true
    }

    /// An attempt has succeeded: the user's own mistakes are forgotten, and nobody else's. Whether that was news.
    pub fn succeeded(&mut self, user: &str, address: Option<IpAddr>, now: Instant) -> bool {
        let (Some(name), Some(origin)) = (name(user), address.map(Origin::of)) else { return false };
        if let Some(attempts) = self.attempts.recall_mut(&origin) {
            attempts.count = attempts.count.saturating_sub(1);
        }
        let pair = (name, origin);
        let own = self.pairs.forget(&pair).map_or(0, |failures| failures.count(now));
        if own > 0 {
            if let Some(failures) = self.addresses.recall_mut(&origin) {
                failures.count = failures.count.saturating_sub(own);
            }
            if let Some(failures) = self.users.recall_mut(&pair.0) {
                failures.count = failures.count.saturating_sub(own);
            }
        }
        let before = self.known.recall(&pair).copied().flatten();
        let is_news = before.is_none_or(|last| now.saturating_duration_since(last) >= NEWS);
        if is_news {
            *self.known.meet(pair) = Some(now);
        }
        is_news || own > 0
    }

    /// How long after its beginning an attempt that has failed, and was counted, is told so.
    pub fn after_failure(
        &self,
        user: &str,
        address: Option<IpAddr>,
        rules: &Rules,
        now: Instant,
    ) -> Duration {
        delay(self.failures(user, address, rules, now).max(1), rules)
    }

    /// How long after its beginning an attempt that has succeeded, and is not counted yet, is told so. One mistake of
    /// before costs nothing.
    pub fn after_success(
        &self,
        user: &str,
        address: Option<IpAddr>,
        rules: &Rules,
        now: Instant,
    ) -> Duration {
        delay(self.failures(user, address, rules, now).saturating_sub(1), rules)
    }

    /// How many failures count.
    fn failures(&self, user: &str, address: Option<IpAddr>, rules: &Rules, now: Instant) -> u32 {
        let from_there = counted(address, rules).and_then(|origin| self.addresses.recall(&origin));
        let from_there = from_there.map_or(0, |failures| failures.count(now));
        let Some(name) = name(user) else { return from_there };
        let by_name = self.users.recall(&name);
        let own = match address.map(|address| (name, Origin::of(address))) {
            Some(pair) if self.is_known(&pair, now) => self.pairs.recall(&pair),
            _ => by_name,
        };
        own.map_or(0, |failures| failures.count(now)).max(from_there)
    }

    fn is_known(&self, pair: &(String, Origin), now: Instant) -> bool {
        let last = self.known.recall(pair).copied().flatten();
        last.is_some_and(|last| now.saturating_duration_since(last) < KNOWN)
    }

    /// All that still counts, in no order.
    pub fn all(&self, now: Instant) -> impl Iterator<Item = Remembered> {
        let record = move |user, address: Option<&Origin>, failures: Option<u32>, at: Option<Instant>| {
            let age = now.saturating_duration_since(at?);
            let counts = failures != Some(0) && age < if failures.is_some() { FAILURE } else { KNOWN };
            let (user, address) = (Option::<&String>::cloned(user), address.map(|origin| origin.address()));
            counts.then_some(Remembered { user, address, failures, age })
        };
        let addresses = self
            .addresses
            .iter()
            .map(move |(origin, it)| record(None, Some(origin), Some(it.count), it.last));
        let users =
            self.users.iter().map(move |(user, it)| record(Some(user), None, Some(it.count), it.last));
        let pairs = self
            .pairs
            .iter()
            .map(move |((user, origin), it)| record(Some(user), Some(origin), Some(it.count), it.last));
        let known = self
            .known
            .iter()
            .map(move |((user, origin), last)| record(Some(user), Some(origin), None, *last));
        addresses.chain(users).chain(pairs).chain(known).flatten()
    }

    /// Takes in what another process remembers.
    pub fn learn(&mut self, it: Remembered, now: Instant) {
        let (user, origin) = (it.user.as_deref().and_then(name), it.address.map(Origin::of));
        // Where the clock does not reach that far back, the machine has run for less, and it was elsewhere.
        let Some(last) = now.checked_sub(it.age) else { return };
        let failures = it.failures.map(|count| Failures { count, last: Some(last), print: None });
        match (user, origin, failures) {
            (None, Some(origin), Some(failures)) => *self.addresses.meet(origin) = failures,
            (Some(user), None, Some(failures)) => *self.users.meet(user) = failures,
            (Some(user), Some(origin), Some(failures)) => *self.pairs.meet((user, origin)) = failures,
            (Some(user), Some(origin), None) => *self.known.meet((user, origin)) = Some(last),
            (None, None, _) | (None, _, None) | (_, None, None) => {}
        }
    }
}

/// Where an attempt comes from, if that is counted.
fn counted(address: Option<IpAddr>, rules: &Rules) -> Option<Origin> {
    address.filter(|address| !rules.trusted.contain(*address)).map(Origin::of)
}

/// A name as it is counted; what is so long is nobody's.
fn name(user: &str) -> Option<String> {
    (!user.is_empty() && user.len() <= LONGEST).then(|| user.to_owned())
}

fn delay(failures: u32, rules: &Rules) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    rules
        .first
        .saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX))
        .min(rules.most.max(rules.first))
}

/// How many of a kind are remembered, at least; at most twice as many are.
const HALF: usize = 4096;
/// For how long after the last failure the failures count.
const FAILURE: Duration = Duration::from_secs(15 * 60);
/// For how long a user who has got in is known where he came from.
const KNOWN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How old that must be for a further success to be news.
const NEWS: Duration = Duration::from_secs(60 * 60);
/// What attempts are counted in.
const MINUTE: Duration = Duration::from_secs(60);
/// The longest name that is counted, in bytes.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests;
