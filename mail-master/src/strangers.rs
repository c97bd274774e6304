//! Clients that have not logged in, in all login processes together: how many there are, and from where.
//!
//! One more from an address that has enough of them is sent away itself, so that it disturbs nobody. One more where there
//! are enough in all takes the place of the oldest: who logs in at once gets in, even where others only come and wait.
//! A login can say what it likes: nothing here is larger than the limit in all.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ::strangers::Origin;
use wire::login::{ToLogin, TooMany};

use crate::ledger::count_down;
use crate::login_process::LoginKey;
use crate::master::Master;

/// Who is meant: the login that has the client, and its number there.
pub(crate) type Stranger = (LoginKey, u64);

/// What holds for all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From one address, those that are trusted left aside; 0 is no limit.
    pub(crate) per_address: u32,
    /// In all; 0 is no limit, but for one that is far away.
    pub(crate) in_all: u32,
}

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    there: HashMap<Stranger, Place>,
    /// In the order in which they came.
    line: BTreeMap<u64, Stranger>,
    counts: HashMap<Origin, u32>,
    last: u64,
}

#[derive(Debug)]
struct Place {
    number: u64,
    /// None: it is not counted there.
    origin: Option<Origin>,
}

impl Strangers {
    /// One more has come, from `origin` if that is counted: who is to go for it, itself or another.
    pub(crate) fn come(
        &mut self,
        who: Stranger,
        origin: Option<Origin>,
        limits: Limits,
    ) -> Option<(Stranger, TooMany)> {
        // What a login says twice is said by one that is broken.
        self.leave(who);
        let count = origin.and_then(|origin| self.counts.get(&origin)).copied().unwrap_or(0);
        if origin.is_some() && limits.per_address > 0 && count >= limits.per_address {
            return Some((who, TooMany::FromAddress));
        }
        let in_all = if limits.in_all == 0 { MOST } else { limits.in_all };
        let is_full = self.line.len() >= usize::try_from(in_all).unwrap_or(usize::MAX);
        let oldest = self.line.first_key_value().map(|(_, oldest)| *oldest).filter(|_| is_full);
        if let Some(oldest) = oldest {
            self.leave(oldest);
        }
        self.last += 1;
        self.there.insert(who, Place { number: self.last, origin });
        self.line.insert(self.last, who);
        if let Some(origin) = origin {
            *self.counts.entry(origin).or_default() += 1;
        }
        oldest.map(|oldest| (oldest, TooMany::InAll))
    }

    /// One has gone, or has logged in.
    pub(crate) fn leave(&mut self, who: Stranger) {
        let Some(place) = self.there.remove(&who) else { return };
        self.line.remove(&place.number);
        if let Some(origin) = place.origin {
            count_down(&mut self.counts, &origin);
        }
    }

    /// A login is gone, and all of its clients with it.
    pub(crate) fn forget_login(&mut self, login: LoginKey) {
        let own: Vec<Stranger> = self.there.keys().filter(|(key, _)| *key == login).copied().collect();
        for who in own {
            self.leave(who);
        }
    }
}

impl Master {
    /// A login has one more client.
    pub(crate) fn stranger_came(&mut self, login: LoginKey, id: u64, address: IpAddr) {
        let server = &self.config.server;
        let limits = Limits {
            per_address: server.login_max_connections_per_ip,
            in_all: server.login_max_connections_total,
        };
        let origin = (!server.login_trusted_networks.contain(address)).then(|| Origin::of(address));
        if let Some(((login, id), code)) = self.strangers.come((login, id), origin, limits) {
            self.tell_login(login, &ToLogin::Close { id, code });
        }
    }
}

/// How many are counted where there is no limit.
const MOST: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use slotmap::SlotMap;

    const LIMITS: Limits = Limits { per_address: 2, in_all: 3 };

    fn logins() -> [LoginKey; 2] {
        let mut keys: SlotMap<LoginKey, ()> = SlotMap::with_key();
        [keys.insert(()), keys.insert(())]
    }

    fn from(host: u8) -> Option<Origin> {
        Some(Origin::of([192, 0, 2, host].into()))
    }

    #[test]
    fn one_too_many_from_an_address_goes_itself() {
        let ([a, b], mut strangers) = (logins(), Strangers::default());
        assert_eq!(strangers.come((a, 1), from(1), LIMITS), None);
        assert_eq!(strangers.come((b, 1), from(1), LIMITS), None);
        assert_eq!(strangers.come((b, 2), from(1), LIMITS), Some(((b, 2), TooMany::FromAddress)));
        strangers.leave((b, 2));
        assert_eq!(strangers.come((b, 3), from(1), LIMITS), Some(((b, 3), TooMany::FromAddress)));
        strangers.leave((a, 1));
        assert_eq!(strangers.come((b, 4), from(1), LIMITS), None);
        strangers.forget_login(b);
        assert_eq!((strangers.there.len(), strangers.line.len(), strangers.counts.len()), (0, 0, 0));
    }

    #[test]
    fn one_too_many_in_all_takes_the_place_of_the_oldest() {
        let ([a, b], mut strangers) = (logins(), Strangers::default());
        for host in 1..=3 {
            assert_eq!(strangers.come((a, host.into()), from(host), LIMITS), None);
        }
        assert_eq!(strangers.come((b, 4), from(4), LIMITS), Some(((a, 1), TooMany::InAll)));
        assert_eq!(strangers.come((b, 5), None, LIMITS), Some(((a, 2), TooMany::InAll)));
        assert_eq!(strangers.there.len(), 3);
    }

    proptest! {
        #[test]
        fn whatever_logins_say_it_has_a_bound(said: Vec<(bool, u8, u8, Option<u8>)>) {
            let (logins, mut strangers) = (logins(), Strangers::default());
            for (comes, login, id, host) in said {
                let who = (logins[usize::from(login % 2)], u64::from(id));
                match comes {
                    true => drop(strangers.come(who, host.and_then(from), LIMITS)),
                    false => strangers.leave(who),
                }
                prop_assert!(strangers.there.len() <= 3);
                prop_assert_eq!(strangers.there.len(), strangers.line.len());
                let counted = strangers.there.values().filter(|place| place.origin.is_some()).count();
                prop_assert_eq!(strangers.counts.values().sum::<u32>() as usize, counted);
                prop_assert!(strangers.counts.values().all(|count| (1..=2).contains(count)));
            }
        }
    }
}
