//! The mail processes there are, and which of them takes the next client.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Instant, SystemTime};

use ioloop::TimerId;
use nix::unistd::Pid;
use slotmap::{SlotMap, new_key_type};
use wire::handoff::ClientState;
use wire::{ConnectionId, Protocol};

use crate::in_force::Asked;
use crate::ledger::Ledger;
use crate::link::Link;
use crate::person::Person;
use crate::spawn::Credentials;

new_key_type! {
    /// Names one mail process for as long as the master knows it.
    pub(crate) struct WorkerKey;
}

/// Who may be together in one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Share {
    /// One client, the process is its own.
    Private,
    /// Everybody; the process becomes each client's user in turn.
    All,
    /// Those with the same identity; the process has it for good.
    Uid { uid: u32, gid: u32, groups: Vec<u32>, chroot: Option<Vec<u8>> },
    /// Those who log in under the same name.
    User(String),
}

impl Share {
    /// With those who are the same to the system.
    pub(crate) fn of_uid(person: &Person) -> Self {
        let Credentials { uid, gid, ref groups } = person.credentials;
        Self::Uid { uid, gid, groups: groups.clone(), chroot: person.chroot.clone() }
    }

    /// As it is shown.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Private => "private".to_owned(),
            Self::All => "all".to_owned(),
            Self::Uid { uid, .. } => format!("uid {uid}"),
            Self::User(user) => format!("user {user}"),
        }
    }
}

/// What a process is asked to be for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) protocol: Protocol,
    pub(crate) generation: u32,
    pub(crate) share: Share,
}

/// What a process says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Hello {
    pub(crate) program: String,
    /// How many clients it takes at once; none: as many as one likes.
    pub(crate) clients: Option<usize>,
    pub(crate) identity: String,
}

/// One mail process.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) pid: Pid,
    pub(crate) kind: Wanted,
    /// What it was started with.
    pub(crate) asked: Asked,
    /// Born for one user who is not to be with others.
    pub(crate) alone: bool,
    /// None: it does not speak the hand-off, or its link is lost.
    pub(crate) link: Option<Link>,
    pub(crate) hello: Option<Hello>,
    pub(crate) full: bool,
    pub(crate) retired: bool,
    /// Clients that it was offered and has not answered for.
    pub(crate) offered: BTreeSet<ConnectionId>,
    /// Clients taken back from it, which it has not confirmed.
    pub(crate) withdrawn: BTreeSet<ConnectionId>,
    /// Where it writes for whom it works.
    pub(crate) marker: Option<File>,
    pub(crate) since: SystemTime,
    /// Goes off when it has been empty for long enough.
    pub(crate) empty: Option<TimerId>,
    /// When it was pinged, until it answers.
    pub(crate) pinged: Option<Instant>,
    /// It has not answered a ping for as long as the next one was due.
    pub(crate) silent: bool,
    /// It was asked for a report and has not said all of it.
    pub(crate) reporting: bool,
    /// What it said of its clients when it was asked last.
    pub(crate) report: Vec<ClientState>,
}

impl Worker {
    /// One that has just been started.
    pub(crate) fn new(pid: Pid, kind: Wanted, since: SystemTime) -> Self {
        Self {
            pid,
            kind,
            asked: Asked::with_paths(false),
            alone: false,
            link: None,
            hello: None,
            full: false,
            retired: false,
            offered: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            marker: None,
            since,
            empty: None,
            pinged: None,
            silent: false,
            reporting: false,
            report: Vec::new(),
        }
    }

    /// For whom it works at this moment, or did when it died.
    pub(crate) fn works_for(&self) -> Option<ConnectionId> {
        let mut number = [0; 4];
        self.marker.as_ref()?.read_exact_at(&mut number, 0).ok()?;
        std::num::NonZeroU32::new(u32::from_le_bytes(number)).map(ConnectionId)
    }

    /// Whether it speaks the hand-off and can be given a client now, however many it has.
    fn is_open(&self) -> bool {
        !self.full
            && !self.retired
            && !self.alone
            && self.withdrawn.is_empty()
            && !self.silent
            && self.link.as_ref().is_some_and(Link::has_room)
    }

    /// As it is shown.
    pub(crate) fn state(&self, clients: usize) -> &'static str {
        match self {
            Self { kind: Wanted { share: Share::Private, .. }, .. } => "private",
            Self { link: None, .. } => "unlinked",
            Self { retired: true, .. } => "retired",
            Self { silent: true, .. } => "silent",
            Self { full: true, .. } => "full",
            Self { alone: true, .. } => "alone",
            _ if clients == 0 => "spare",
            _ => "open",
        }
    }
}

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    pub(crate) workers: SlotMap<WorkerKey, Worker>,
    pub(crate) apart: Apart,
}

/// Who cannot be where all are: the kernel lets no filter look at supplementary groups, so that a process that is kept
/// to the mail users by a filter cannot take any up, and users who have some get processes of their own.
#[derive(Debug, Default)]
pub(crate) struct Apart {
    filtered: BTreeSet<Protocol>,
    /// Users of whom it was logged.
    told: HashSet<String>,
}

impl Apart {
    /// Where the processes of these protocols are kept by a filter.
    pub(crate) fn new(filtered: BTreeSet<Protocol>) -> Self {
        Self { filtered, told: HashSet::new() }
    }

    /// Whether those of any protocol are.
    pub(crate) fn is_filtered(&self) -> bool {
        !self.filtered.is_empty()
    }

    /// So are those of this one; whether that is news.
    pub(crate) fn add(&mut self, protocol: Protocol) -> bool {
        self.filtered.insert(protocol)
    }

    /// Whether a user who is in these groups as well cannot be where all are.
    pub(crate) fn is_for(&self, protocol: Protocol, groups: &[u32]) -> bool {
        !groups.is_empty() && self.filtered.contains(&protocol)
    }

    /// Whether it is to be told of this user: once for each.
    pub(crate) fn is_to_tell(&mut self, user: &str) -> bool {
        !self.told.contains(user) && self.told.insert(user.to_owned())
    }
}

impl Pool {
    /// The process with the fewest clients, fewer than `most`, that is what is `wanted` and was not `tried` before.
    pub(crate) fn choose(
        &self,
        wanted: &Wanted,
        most: usize,
        tried: &[WorkerKey],
        ledger: &Ledger,
    ) -> Option<WorkerKey> {
        self.workers
            .iter()
            .filter(|(key, worker)| worker.kind == *wanted && worker.is_open() && !tried.contains(key))
            .filter_map(|(key, worker)| {
                let own = worker.hello.as_ref().and_then(|hello| hello.clients).unwrap_or(most);
                let clients = ledger.clients(key);
                (clients < most.min(own)).then_some((clients, key))
            })
            .min_by_key(|(clients, _)| *clients)
            .map(|(_, key)| key)
    }

    /// By its pid.
    pub(crate) fn by_pid(&self, pid: Pid) -> Option<WorkerKey> {
        self.workers.iter().find(|(_, worker)| worker.pid == pid).map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Counting, Group};
    use fdpass::Channel;
    use ioloop::Loop;
    use wire::handoff;

    fn worker(kind: &Wanted, io: &Loop) -> Worker {
        let (channel, peer) = Channel::pair().unwrap();
        // The peer stays open as long as the test.
        std::mem::forget(peer);
        let link = Link::new(channel, handoff::assembler(), handoff::version_line(), 1, io).unwrap();
        Worker { link: Some(link), ..Worker::new(Pid::from_raw(1), kind.clone(), SystemTime::UNIX_EPOCH) }
    }

    #[test]
    fn the_one_with_the_fewest_that_may() {
        let io = Loop::new().unwrap();
        let wanted = Wanted { protocol: Protocol::Imap, generation: 2, share: Share::All };
        let mut pool = Pool::default();
        let mut ledger = Ledger::default();
        let mut add = |pool: &mut Pool, kind: &Wanted, clients: usize, change: fn(&mut Worker)| {
            let mut worker = worker(kind, &io);
            change(&mut worker);
            let key = pool.workers.insert(worker);
            for _ in 0..clients {
                let group =
                    Group { protocol: Protocol::Imap, user: "u".to_owned(), address: [127, 0, 0, 1].into() };
                let id = ledger
                    .reserve(
                        group,
                        Counting::Limited { per_address: 0, per_user: 0 },
                        0,
                        SystemTime::UNIX_EPOCH,
                    )
                    .unwrap();
                ledger.assign(id, key);
            }
            key
        };
        let four = add(&mut pool, &wanted, 4, |_| {});
        let three = add(&mut pool, &wanted, 3, |_| {});
        add(&mut pool, &wanted, 5, |_| {});
        add(&mut pool, &wanted, 0, |worker| worker.retired = true);
        add(&mut pool, &wanted, 0, |worker| worker.full = true);
        add(&mut pool, &wanted, 0, |worker| worker.alone = true);
        add(&mut pool, &wanted, 0, |worker| worker.link = None);
        add(&mut pool, &wanted, 0, |worker| worker.silent = true);
        add(&mut pool, &Wanted { generation: 1, ..wanted.clone() }, 0, |_| {});
        add(&mut pool, &Wanted { protocol: Protocol::Pop3, ..wanted.clone() }, 0, |_| {});
        add(&mut pool, &Wanted { share: Share::User("u".to_owned()), ..wanted.clone() }, 0, |_| {});
        assert_eq!(pool.choose(&wanted, 5, &[], &ledger), Some(three));
        assert_eq!(pool.choose(&wanted, 5, &[three], &ledger), Some(four));
        assert_eq!(pool.choose(&wanted, 4, &[three], &ledger), None);
        assert_eq!(pool.choose(&wanted, 3, &[], &ledger), None);
        if let Some(worker) = pool.workers.get_mut(three) {
            worker.hello = Some(Hello { program: String::new(), clients: Some(3), identity: String::new() });
        }
        assert_eq!(pool.choose(&wanted, 5, &[], &ledger), Some(four));
    }
}
