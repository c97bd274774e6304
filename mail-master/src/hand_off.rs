//! The master's side of mail-handoff(7): what workers are told, and what becomes of what they say.
//!
//! Nothing that a worker says can hurt more than its own clients: an id that is not in its account is logged and
//! passed over, a line that is none ends its link, and so do many such ids; it serves on without.

use std::time::{Duration, Instant};

use ioloop::Ready;
use log::{debug, error, warn};
use nix::sys::signal::Signal;
use wire::ConnectionId;
use wire::handoff::{FromWorker, ToWorker};

use crate::admission::Offer;
use crate::link::{Link, Lost, Open};
use crate::master::{Master, Timer};
use crate::pool::{Hello, WorkerKey};

impl Master {
    /// Offers a client to a worker that is there.
    pub(crate) fn offer_client(&mut self, key: WorkerKey, offer: Offer) -> Result<(), String> {
        let Some(share) = self.pool.workers.get(key).map(|worker| worker.kind.share.clone()) else {
            return Ok(());
        };
        let environment = self.client_environment(&offer, &share)?;
        let Some(worker) = self.pool.workers.get_mut(key) else { return Ok(()) };
        worker.offered.insert(offer.id);
        self.ledger.assign(offer.id, key);
        self.keep_worker(key);
        let message = ToWorker::Client { id: offer.id, environment };
        self.tell_worker_with(key, &message, Some(offer.client));
        Ok(())
    }

    /// Tells a worker something. One that does not take it is not linked any more; those that it was offered are tried
    /// elsewhere when it is reaped, or when they have waited for long enough.
    pub(crate) fn tell_worker(&mut self, key: WorkerKey, message: &ToWorker) {
        self.tell_worker_with(key, message, None);
    }

    fn tell_worker_with(&mut self, key: WorkerKey, message: &ToWorker, fd: Option<std::os::fd::OwnedFd>) {
        let Some(link) = self.pool.workers.get_mut(key).and_then(|worker| worker.link.as_mut()) else {
            return;
        };
        if let Err(why) = link.send(message.to_bytes(), fd, &self.io) {
            self.unlink_worker(key, Some(&why));
        }
    }

    /// A worker has said something, or reads again.
    pub(crate) fn on_worker(&mut self, key: WorkerKey, ready: Ready) {
        let Some(link) = self.pool.workers.get_mut(key).and_then(|worker| worker.link.as_mut()) else {
            return;
        };
        let open = link.proceed(ready, &self.io);
        let heard = self.hear_worker(key);
        match (open, heard) {
            (Ok(Open::Yes), Ok(())) => {}
            (Ok(Open::No), Ok(())) => self.unlink_worker(key, None),
            (Err(why), _) | (_, Err(why)) => self.unlink_worker(key, Some(&why)),
        }
    }

    /// Takes what has come of a worker.
    pub(crate) fn hear_worker(&mut self, key: WorkerKey) -> Result<(), Lost> {
        while let Some(link) = self.pool.workers.get_mut(key).and_then(|worker| worker.link.as_mut()) {
            let Some(record) = link.next()? else { break };
            if let Some(message) = FromWorker::parse(&record)? {
                self.worker_says(key, message)?;
            }
        }
        Ok(())
    }

    fn worker_says(&mut self, key: WorkerKey, message: FromWorker) -> Result<(), Lost> {
        let Some(worker) = self.pool.workers.get_mut(key) else { return Ok(()) };
        match message {
            FromWorker::Hello { program, clients, identity } => {
                let clients = usize::try_from(clients).ok().filter(|clients| *clients > 0);
                worker.hello = Some(Hello { program, clients, identity });
                self.look_at_worker(key);
                self.probe_answered(key);
            }
            FromWorker::Ready(id) => return self.worker_ready(key, id),
            FromWorker::Refused { id, text } => {
                if worker.offered.remove(&id) {
                    warn!("session {id}: pid {} does not take it: {text}", worker.pid);
                    self.not_taken(key, id);
                    self.keep_worker(key);
                } else if !worker.withdrawn.remove(&id) {
                    warn!("pid {} refuses session {id}, which it was not offered", worker.pid);
                    return self.excuse(key);
                }
            }
            FromWorker::Gone { id, reason, input, output } => {
                if worker.offered.remove(&id) {
                    warn!("session {id}: pid {} has closed it before it was served", worker.pid);
                    self.not_taken(key, id);
                    self.keep_worker(key);
                } else if !worker.withdrawn.remove(&id) {
                    let how = format!("{}, in={input} out={output}", reason.word());
                    return self.session_gone(key, id, &how);
                }
            }
            FromWorker::State(state) => {
                if worker.report.len() <= self.ledger.len() {
                    worker.report.push(state);
                }
            }
            FromWorker::Reported => self.report_complete(key),
            FromWorker::Full => worker.full = true,
            FromWorker::Open => worker.full = false,
            FromWorker::Pong(_) => {
                worker.pinged = None;
                worker.silent = false;
            }
        }
        Ok(())
    }

    fn excuse(&mut self, key: WorkerKey) -> Result<(), Lost> {
        let link = self.pool.workers.get_mut(key).and_then(|worker| worker.link.as_mut());
        link.map_or(Ok(()), Link::excuse)
    }

    fn worker_ready(&mut self, key: WorkerKey, id: ConnectionId) -> Result<(), Lost> {
        let Some(worker) = self.pool.workers.get_mut(key) else { return Ok(()) };
        let pid = worker.pid;
        if worker.offered.contains(&id) && self.is_offered(key, id) {
            self.tell_worker(key, &ToWorker::Serve(id));
            // One that cannot be told any more serves nobody: its end is awaited, and another tried then.
            if let Some(worker) = self.pool.workers.get_mut(key).filter(|worker| worker.link.is_some()) {
                worker.offered.remove(&id);
                self.handed_over(id);
            }
        } else if !self.pool.workers.get(key).is_some_and(|worker| worker.withdrawn.contains(&id)) {
            warn!("pid {pid} is ready for session {id}, which it was not offered");
            return self.excuse(key);
        }
        Ok(())
    }

    fn session_gone(&mut self, key: WorkerKey, id: ConnectionId, how: &str) -> Result<(), Lost> {
        if self.ledger.entry(id).and_then(|entry| entry.worker) != Some(key) {
            let pid = self.pool.workers.get(key).map_or(0, |worker| worker.pid.as_raw());
            warn!("pid {pid} says that session {id} is gone, which is not its");
            return self.excuse(key);
        }
        if let Some(entry) = self.ledger.close(id) {
            debug!("{}: session {id} of {} is gone: {how}", entry.group.protocol, entry.group.user);
        }
        self.keep_worker(key);
        Ok(())
    }

    /// A worker has not answered for a client: it is taken back, and offered to another.
    pub(crate) fn withdraw(&mut self, key: WorkerKey, id: ConnectionId) {
        if let Some(worker) = self.pool.workers.get_mut(key)
            && worker.offered.remove(&id)
        {
            warn!("session {id}: pid {} does not answer, trying another", worker.pid);
            if worker.link.is_some() {
                worker.withdrawn.insert(id);
            }
            self.tell_worker(key, &ToWorker::Withdraw(id));
        }
        self.not_taken(key, id);
        self.keep_worker(key);
    }

    /// Closes the link to a worker. Its clients count until it is reaped.
    pub(crate) fn unlink_worker(&mut self, key: WorkerKey, why: Option<&Lost>) {
        let Some(worker) = self.pool.workers.get_mut(key) else { return };
        let pid = worker.pid;
        let (retired, protocol) = (worker.retired, worker.kind.protocol);
        let Some(link) = worker.link.take() else { return };
        worker.withdrawn.clear();
        self.close_link(link);
        match why {
            // It was told to stop, and has.
            Some(Lost::Io(_)) if retired && self.ledger.clients(key) == 0 => {}
            Some(why) => error!("mail process {pid}: {why}; it gets no more clients"),
            None => {}
        }
        self.report_complete(key);
        // How it ended is known when it is reaped; one that spoke, but another language, need not end.
        if matches!(why, Some(Lost::Bad(_) | Lost::Peer(_))) {
            self.probe_failed(key, protocol, None);
        }
    }

    /// Looks after a worker whose clients have changed: one that is empty is stopped, at once where it will get no more.
    pub(crate) fn keep_worker(&mut self, key: WorkerKey) {
        let empty = self.ledger.clients(key) == 0;
        let idle_time = self.config.server.mail_worker_idle_time;
        let Some(worker) = self.pool.workers.get_mut(key) else { return };
        if let Some(timer) = worker.empty.take() {
            self.timers.cancel(timer);
        }
        if !empty || worker.link.is_none() {
            return;
        }
        if worker.retired || worker.alone {
            self.stop_if_empty(key);
        } else {
            worker.empty = Some(self.timers.set(Instant::now() + idle_time, Timer::Empty(key)));
        }
    }

    /// Stops a worker that has no clients.
    pub(crate) fn stop_if_empty(&mut self, key: WorkerKey) {
        if self.ledger.clients(key) > 0 {
            return;
        }
        let Some(worker) = self.pool.workers.get_mut(key) else { return };
        worker.empty = None;
        worker.retired = true;
        self.tell_worker(key, &ToWorker::Stop);
    }

    /// No more clients for the workers of earlier configurations; they serve theirs on, and stay in the account.
    pub(crate) fn retire_workers(&mut self) {
        let generation = self.generation;
        let old: Vec<WorkerKey> = self
            .pool
            .workers
            .iter()
            .filter(|(_, worker)| worker.kind.generation != generation && worker.link.is_some())
            .map(|(key, _)| key)
            .collect();
        for key in old {
            if let Some(worker) = self.pool.workers.get_mut(key)
                && !worker.retired
            {
                worker.retired = true;
                self.tell_worker(key, &ToWorker::Retire);
                self.keep_worker(key);
            }
        }
    }

    /// Asks each linked worker whether it is there; one that has not answered the last time is passed over until it does.
    pub(crate) fn ping_workers(&mut self) {
        self.after(PING_EVERY, Timer::Ping);
        let now = Instant::now();
        for key in self.pool.workers.keys().collect::<Vec<_>>() {
            let Some(worker) = self.pool.workers.get_mut(key).filter(|worker| worker.link.is_some()) else {
                continue;
            };
            match worker.pinged {
                Some(since) => {
                    worker.silent = true;
                    if worker.retired && self.ledger.clients(key) == 0 {
                        // It was told to stop, and does not hear.
                        let pid = worker.pid;
                        self.signal_child(pid, Signal::SIGKILL);
                        continue;
                    }
                    warn!(
                        "mail process {} has not answered for {} s: no more clients until it does",
                        worker.pid,
                        now.duration_since(since).as_secs()
                    );
                }
                None => {
                    worker.pinged = Some(now);
                    self.tell_worker(key, &ToWorker::Ping(1));
                }
            }
        }
    }
}

/// How often workers are asked whether they are there.
const PING_EVERY: Duration = Duration::from_secs(20);
