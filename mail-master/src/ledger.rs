//! The one account of who is connected: by (protocol, user, address), and by worker.
//!
//! An entry is reserved before anybody is offered the client, so that what is pending counts too, committed when a
//! worker is told to serve it, and closed once. Nothing here does I/O; what a limit or a list needs is asked here.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::SystemTime;

use slotmap::SecondaryMap;
use wire::{ConnectionId, Protocol};

use crate::pool::WorkerKey;

/// What the limit counts: a user's connections from one address.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    pub(crate) protocol: Protocol,
    pub(crate) user: String,
    pub(crate) address: IpAddr,
}

/// Whether the limit applies to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// It counts, and is refused where there are this many; 0 is no limit.
    Limited {
        /// Of the user from the address.
        per_address: u32,
        /// Of the user, from everywhere.
        per_user: u32,
    },
    /// A master user's login: it neither counts nor is refused.
    Exempt,
}

/// How far a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not served by anybody yet.
    Reserved,
    /// A worker was told to serve it.
    Committed,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) group: Rc<Group>,
    pub(crate) stage: Stage,
    pub(crate) worker: Option<WorkerKey>,
    pub(crate) since: SystemTime,
    counted: bool,
}

/// A limit is reached.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Exceeded {
    pub(crate) limit: Limit,
    /// There are this many already.
    pub(crate) count: u32,
}

/// What may not be more than so many.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Limit {
    /// A user's clients from one address.
    FromAddress(u32),
    /// A user's clients.
    OfUser(u32),
    /// All clients.
    InAll(u32),
}

impl Limit {
    /// Whether there may be one more; 0 is no limit.
    fn allows_more_than(self, count: u32) -> Result<(), Exceeded> {
        let (Self::FromAddress(most) | Self::OfUser(most) | Self::InAll(most)) = self;
        if most > 0 && count >= most { Err(Exceeded { limit: self, count }) } else { Ok(()) }
    }
}

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: HashMap<ConnectionId, Entry>,
    counts: HashMap<Rc<Group>, u32>,
    users: HashMap<(Protocol, String), u32>,
    workers: SecondaryMap<WorkerKey, BTreeSet<ConnectionId>>,
    last_id: u32,
}

impl Ledger {
    /// Reserves a place for a client of `group`, under an id that nobody has, where there are less than `in_all`.
    pub(crate) fn reserve(
        &mut self,
        group: Group,
        counting: Counting,
        in_all: u32,
        now: SystemTime,
    ) -> Result<ConnectionId, Exceeded> {
        let (group, count) = match self.counts.get_key_value(&group) {
            Some((known, &count)) => (known.clone(), count),
            None => (Rc::new(group), 0),
        };
        Limit::InAll(in_all).allows_more_than(u32::try_from(self.entries.len()).unwrap_or(u32::MAX))?;
        let counted = match counting {
            Counting::Limited { per_address, per_user } => {
                Limit::FromAddress(per_address).allows_more_than(count)?;
                let user = (group.protocol, group.user.clone());
                let of_user = self.users.get(&user).copied().unwrap_or(0);
                Limit::OfUser(per_user).allows_more_than(of_user)?;
                self.users.insert(user, of_user + 1);
                self.counts.insert(group.clone(), count + 1);
                true
            }
            Counting::Exempt => false,
        };
        let id = self.free_id();
        self.entries.insert(id, Entry { group, stage: Stage::Reserved, worker: None, since: now, counted });
        Ok(id)
    }

    /// Counts up, over 0 and over those in use.
    fn free_id(&mut self) -> ConnectionId {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if let Some(id) = NonZeroU32::new(self.last_id).map(ConnectionId)
                && !self.entries.contains_key(&id)
            {
                return id;
            }
        }
    }

    /// Puts a client into a worker's account, out of the one it was in.
    pub(crate) fn assign(&mut self, id: ConnectionId, worker: WorkerKey) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let before = entry.worker.replace(worker);
        self.leave(id, before);
        if let Some(ids) = self.workers.entry(worker) {
            ids.or_default().insert(id);
        }
    }

    /// Takes a client out of its worker's account; it stays reserved.
    pub(crate) fn unassign(&mut self, id: ConnectionId) {
        let before = self.entries.get_mut(&id).and_then(|entry| entry.worker.take());
        self.leave(id, before);
    }

    fn leave(&mut self, id: ConnectionId, worker: Option<WorkerKey>) {
        if let Some(ids) = worker.and_then(|worker| self.workers.get_mut(worker)) {
            ids.remove(&id);
        }
    }

    /// A worker was told to serve it.
    pub(crate) fn commit(&mut self, id: ConnectionId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.stage = Stage::Committed;
        }
    }

    /// The client is gone. Its entry, the first time; none after.
    pub(crate) fn close(&mut self, id: ConnectionId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.leave(id, entry.worker);
        if entry.counted {
            let user = (entry.group.protocol, entry.group.user.clone());
            count_down(&mut self.users, &user);
            count_down(&mut self.counts, &entry.group);
        }
        Some(entry)
    }

    /// A worker is no more. Its clients have been closed or taken out before.
    pub(crate) fn forget_worker(&mut self, worker: WorkerKey) {
        self.workers.remove(worker);
    }

    /// One client.
    pub(crate) fn entry(&self, id: ConnectionId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// How many clients are in a worker's account.
    pub(crate) fn clients(&self, worker: WorkerKey) -> usize {
        self.workers.get(worker).map_or(0, BTreeSet::len)
    }

    /// The clients in a worker's account, by id.
    pub(crate) fn of_worker(&self, worker: WorkerKey) -> impl Iterator<Item = ConnectionId> {
        self.workers.get(worker).into_iter().flatten().copied()
    }

    /// Every client, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Entry)> {
        let mut all: Vec<_> = self.entries.iter().map(|(id, entry)| (*id, entry)).collect();
        all.sort_by_key(|(id, _)| *id);
        all.into_iter()
    }

    /// How many clients there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// One less of `key`; of whom there is none left is not kept.
pub(crate) fn count_down<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use slotmap::SlotMap;

    fn group(user: u8) -> Group {
        Group { protocol: Protocol::Imap, user: format!("u{user}"), address: [127, 0, 0, 1].into() }
    }

    const LIMITS: Counting = Counting::Limited { per_address: 2, per_user: 0 };

    fn reserve(ledger: &mut Ledger, user: u8) -> Result<ConnectionId, Exceeded> {
        ledger.reserve(group(user), LIMITS, 0, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn what_is_pending_counts() {
        let mut ledger = Ledger::default();
        let first = reserve(&mut ledger, 1).unwrap();
        reserve(&mut ledger, 1).unwrap();
        assert_eq!(reserve(&mut ledger, 1), Err(Exceeded { limit: Limit::FromAddress(2), count: 2 }));
        assert!(reserve(&mut ledger, 2).is_ok());
        ledger.close(first).unwrap();
        assert!(reserve(&mut ledger, 1).is_ok());
    }

    #[test]
    fn a_client_is_closed_once() {
        let mut ledger = Ledger::default();
        let id = reserve(&mut ledger, 1).unwrap();
        assert!(ledger.close(id).is_some());
        assert!(ledger.close(id).is_none());
        assert_eq!((ledger.len(), ledger.counts.len(), ledger.users.len()), (0, 0, 0));
    }

    #[test]
    fn protocols_and_addresses_count_apart() {
        let mut ledger = Ledger::default();
        for protocol in Protocol::ALL {
            for address in [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])] {
                let group = Group { protocol, user: "u".to_owned(), address };
                let counting = Counting::Limited { per_address: 1, per_user: 2 };
                ledger.reserve(group, counting, 0, SystemTime::UNIX_EPOCH).unwrap();
            }
        }
    }

    #[test]
    fn all_together_have_a_limit() {
        let mut ledger = Ledger::default();
        let mut reserve = |user| ledger.reserve(group(user), Counting::Exempt, 2, SystemTime::UNIX_EPOCH);
        assert!(reserve(1).is_ok() && reserve(2).is_ok());
        assert_eq!(reserve(3), Err(Exceeded { limit: Limit::InAll(2), count: 2 }));
    }

    #[test]
    fn a_user_has_a_limit_over_all_addresses() {
        let mut ledger = Ledger::default();
        let mut reserve = |host| {
            let group =
                Group { protocol: Protocol::Imap, user: "u".to_owned(), address: [192, 0, 2, host].into() };
            let counting = Counting::Limited { per_address: 0, per_user: 2 };
            ledger.reserve(group, counting, 0, SystemTime::UNIX_EPOCH)
        };
        let first = reserve(1).unwrap();
        reserve(2).unwrap();
        assert_eq!(reserve(3), Err(Exceeded { limit: Limit::OfUser(2), count: 2 }));
        ledger.close(first).unwrap();
        assert!(ledger.reserve(group(1), LIMITS, 0, SystemTime::UNIX_EPOCH).is_ok());
        assert_eq!(ledger.users.len(), 2);
    }

    #[test]
    fn a_master_user_neither_counts_nor_is_refused() {
        let mut ledger = Ledger::default();
        for _ in 0..3 {
            ledger.reserve(group(1), Counting::Exempt, 0, SystemTime::UNIX_EPOCH).unwrap();
        }
        reserve(&mut ledger, 1).unwrap();
        reserve(&mut ledger, 1).unwrap();
        assert!(ledger.reserve(group(1), Counting::Exempt, 0, SystemTime::UNIX_EPOCH).is_ok());
    }

    #[test]
    fn ids_pass_over_0_and_those_in_use() {
        let mut ledger = Ledger { last_id: u32::MAX - 1, ..Ledger::default() };
        let ids: Vec<_> = (0..3).map(|user| reserve(&mut ledger, user).unwrap().0.get()).collect();
        assert_eq!(ids, [u32::MAX, 1, 2]);
        ledger.last_id = 0;
        assert_eq!(reserve(&mut ledger, 9).unwrap().0.get(), 3);
    }

    proptest! {
        /// Whatever happens in whatever order, the counts are those that counting anew would give.
        #[test]
        fn the_account_is_always_exact(steps in proptest::collection::vec((0u8..5, 0u8..4, 0usize..8), 0..200)) {
            let mut ledger = Ledger::default();
            let mut keys = SlotMap::<WorkerKey, ()>::with_key();
            let workers = [keys.insert(()), keys.insert(())];
            let mut ids = Vec::new();
            for (what, user, pick) in steps {
                let id = ids.get(pick % ids.len().max(1)).copied();
                match (what, id) {
                    (0 | 1, _) => ids.extend(reserve(&mut ledger, user)),
                    (2, Some(id)) => ledger.assign(id, workers[pick % 2]),
                    (3, Some(id)) => ledger.unassign(id),
                    (4, Some(id)) => drop(ledger.close(id)),
                    _ => {}
                }
                for user in 0..4 {
                    let count = ledger.entries.values().filter(|e| *e.group == group(user)).count();
                    prop_assert_eq!(ledger.counts.get(&group(user)).map_or(0, |c| *c as usize), count);
                    prop_assert!(count <= 2);
                }
                for worker in workers {
                    let count = ledger.entries.values().filter(|e| e.worker == Some(worker)).count();
                    prop_assert_eq!(ledger.clients(worker), count);
                }
            }
        }
    }
}
