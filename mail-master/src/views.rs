//! What the master knows, as rows for `mailctl` and as lines for the log: who is connected, what runs, and where the
//! workers see it differently.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use log::info;
use nix::unistd::Pid;
use wire::control::Answer;
use wire::handoff::ClientState;
use wire::{ConnectionId, Record};

use crate::in_force::{Asked, InForce};
use crate::ledger::Stage;
use crate::master::Master;
use crate::pool::{Share, Worker, WorkerKey};

impl Master {
    /// A row for each session. Of those whose worker is `silent` only the master's part is known.
    pub(crate) fn who_rows(&self, silent: &BTreeSet<WorkerKey>) -> Vec<Record> {
        let told: HashMap<ConnectionId, &ClientState> = self
            .pool
            .workers
            .iter()
            .filter(|(key, _)| !silent.contains(key))
            .flat_map(|(_, worker)| worker.report.iter().map(|state| (state.id, state)))
            .collect();
        self.ledger
            .iter()
            .map(|(id, entry)| {
                let worker = entry.worker.and_then(|key| self.pool.workers.get(key));
                let state = match (entry.stage, worker) {
                    (Stage::Reserved, _) => "reserved",
                    (Stage::Committed, Some(worker)) => worker.state(1),
                    (Stage::Committed, None) => "lost",
                };
                let row = Answer::row("session")
                    .with_text("session", id)
                    .with("user", &entry.group.user)
                    .with("protocol", entry.group.protocol.name())
                    .with_text("address", entry.group.address)
                    .with_text("since", unix(entry.since))
                    .with_text("worker", worker.map_or(0, |worker| worker.pid.as_raw()))
                    .with("state", state);
                match told.get(&id) {
                    Some(state) => row
                        .with_text("idle", state.idle)
                        .with("mailbox", &state.mailbox)
                        .with("doing", &state.doing)
                        .with_text("in", state.input)
                        .with_text("out", state.output),
                    None => row,
                }
            })
            .collect()
    }

    /// Rows for the master, each child, each difference and each user in quarantine.
    pub(crate) fn status_rows(&self, silent: &BTreeSet<WorkerKey>) -> Vec<Record> {
        let mut rows = vec![self.master_row()];
        rows.extend(self.logins.values().map(|login| {
            let row = Answer::row("login")
                .with_text("pid", login.pid)
                .with("protocol", login.protocol.name())
                .with_text("generation", login.generation)
                .with("state", if login.retired { "retired" } else { "listening" })
                .with_text("clients", login.clients)
                .with_text("since", unix(login.since));
            with_jail(row, login.pid, Asked::with_paths(false))
        }));
        rows.extend(self.auths.values().map(|auth| {
            let row = Answer::row("auth")
                .with_text("pid", auth.pid)
                .with("state", if auth.retired { "retired" } else { "open" })
                .with_text("since", unix(auth.since));
            with_jail(row, auth.pid, auth.asked)
        }));
        for (key, worker) in &self.pool.workers {
            let told = worker.link.is_some() && worker.hello.is_some() && !silent.contains(&key);
            rows.push(self.worker_row(key, worker, told));
        }
        for (key, worker) in &self.pool.workers {
            let linked = worker.link.is_some() && worker.hello.is_some();
            if linked && !silent.contains(&key) {
                rows.extend(self.differences(key, worker));
            } else if linked {
                let text = "it does not answer";
                rows.push(Answer::row("difference").with_text("worker", worker.pid).with("text", text));
            }
        }
        rows.extend(self.quarantine.list(Instant::now()).map(|(user, rest)| {
            Answer::row("quarantine").with("user", user).with_text("until", unix(SystemTime::now() + rest))
        }));
        rows
    }

    fn master_row(&self) -> Record {
        let addresses: Vec<String> =
            self.listeners.addresses().map(|(protocol, address)| format!("{protocol} {address}")).collect();
        Answer::row("master")
            .with_text("pid", std::process::id())
            .with("version", env!("CARGO_PKG_VERSION"))
            .with_text("since", unix(self.since))
            .with_text("generation", self.generation)
            .with("config", self.config.path.display().to_string())
            .with("root", if self.host.is_root() { "yes" } else { "no" })
            .with("listen", addresses.join(", "))
            .with_text("sessions", self.ledger.len())
            .with_text("workers", self.pool.workers.len())
            .with("identity", if self.host.is_root() { "real ids" } else { "one uid" })
    }

    fn worker_row(&self, key: WorkerKey, worker: &Worker, told: bool) -> Record {
        let clients = self.ledger.clients(key);
        let hello = worker.hello.as_ref();
        let identity = match (hello, &worker.kind.share) {
            (Some(hello), _) => hello.identity.as_str(),
            (None, Share::Private) if self.host.is_root() => "dropped",
            (None, Share::Private) => "one uid",
            (None, _) => "",
        };
        let row = Answer::row("worker")
            .with_text("pid", worker.pid)
            .with("protocol", worker.kind.protocol.name())
            .with_text("generation", worker.kind.generation)
            .with("share", worker.kind.share.name())
            .with("state", worker.state(clients))
            .with_text("clients", clients)
            .with("identity", identity)
            .with_text("since", unix(worker.since))
            .with("program", hello.map_or("", |hello| hello.program.as_str()));
        let row = with_jail(row, worker.pid, worker.asked);
        if told { row.with_text("clients_own", worker.report.len()) } else { row }
    }

    /// Where the account and a worker's own differ; what is on its way is none.
    fn differences(&self, key: WorkerKey, worker: &Worker) -> Vec<Record> {
        let committed =
            |id: &ConnectionId| self.ledger.entry(*id).is_some_and(|entry| entry.stage == Stage::Committed);
        let ours: BTreeSet<_> = self.ledger.of_worker(key).filter(committed).collect();
        let all: BTreeSet<_> = self.ledger.of_worker(key).chain(worker.withdrawn.iter().copied()).collect();
        let theirs: BTreeSet<_> = worker.report.iter().map(|state| state.id).collect();
        let missing = ours.difference(&theirs).map(|id| format!("it does not have session {id}"));
        let surplus = theirs.difference(&all).map(|id| format!("it has session {id}, which is not its"));
        missing
            .chain(surplus)
            .map(|text| Answer::row("difference").with_text("worker", worker.pid).with("text", text))
            .collect()
    }

    /// The three views of a status signal: all clients, all shared processes, all groups that the limit counts.
    pub(crate) fn log_views(&self) {
        info!("{} sessions:", self.ledger.len());
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (id, entry) in self.ledger.iter() {
            let group = &entry.group;
            let pid = entry.worker.and_then(|key| self.pool.workers.get(key)).map_or(0, |w| w.pid.as_raw());
            info!("session {id}: {} {} from {} in {pid}", group.protocol, group.user, group.address);
            let since =
                jiff::Timestamp::try_from(entry.since).map_or_else(|_| String::new(), |t| t.to_string());
            groups
                .entry(format!("{} {} from {}", group.protocol, group.user, group.address))
                .or_default()
                .push(format!("{id} in {pid} since {since}"));
        }
        let shared: Vec<_> =
            self.pool.workers.iter().filter(|(_, worker)| worker.kind.share != Share::Private).collect();
        info!("{} shared processes:", shared.len());
        for (key, worker) in shared {
            let ids: Vec<String> = self.ledger.of_worker(key).map(|id| id.to_string()).collect();
            info!(
                "process {}: {}, {}, generation {}, sessions {}",
                worker.pid,
                worker.kind.protocol,
                worker.state(ids.len()),
                worker.kind.generation,
                ids.join(" ")
            );
        }
        info!("{} users with their addresses:", groups.len());
        for (group, sessions) in groups {
            info!("{group}: {}: {}", sessions.len(), sessions.join(", "));
        }
    }
}

/// A process that cannot be looked at has nothing said of it.
fn with_jail(row: Record, pid: Pid, asked: Asked) -> Record {
    match InForce::of(pid, asked) {
        Ok(in_force) => row.with("jail", in_force.words()).with("missing", in_force.missing(asked)),
        Err(_) => row.with("jail", "").with("missing", ""),
    }
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
