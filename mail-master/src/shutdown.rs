//! The end: nobody new, everybody told, everything that was started ended, and the names below base_dir taken away.

use std::time::Duration;

use log::{info, warn};
use nix::sys::signal::Signal;
use wire::handoff::ToWorker;

use crate::master::{Master, Timer};
use crate::pool::{Share, WorkerKey};

/// The server is stopping.
#[derive(Debug)]
pub(crate) struct Shutdown {
    stage: Stage,
    /// Why it never came to serve.
    failure: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// All have been told.
    Told,
    /// Those that are left have been killed.
    Killed,
    /// Even that has not ended them.
    GivenUp,
}

impl Master {
    /// Stops serving.
    pub(crate) fn begin_shutdown(&mut self) {
        self.shut_down(None);
    }

    /// The server cannot start.
    pub(crate) fn fail_start(&mut self, why: String) {
        self.shut_down(Some(why));
    }

    fn shut_down(&mut self, failure: Option<String>) {
        if self.shutdown.is_some() {
            return;
        }
        info!("stopping, {} sessions", self.ledger.len());
        self.after(PATIENCE, Timer::Shutdown);
        self.shutdown = Some(Shutdown { stage: Stage::Told, failure });
        self.reload = None;
        for key in self.admissions.keys().collect::<Vec<_>>() {
            self.refuse_internal(key);
        }
        for login in self.logins.values() {
            self.signal_child(login.pid, Signal::SIGTERM);
        }
        for auth in self.auths.values() {
            self.signal_child(auth.pid, Signal::SIGTERM);
        }
        for key in self.pool.workers.keys().collect::<Vec<_>>() {
            self.end_worker(key);
        }
    }

    /// A worker's clients are told BYE; or it is left alone with them, where the settings say so.
    fn end_worker(&mut self, key: WorkerKey) {
        let Some(worker) = self.pool.workers.get(key) else { return };
        let empty = self.ledger.clients(key) == 0;
        let settings = self.config.protocol(worker.kind.protocol);
        if !settings.shutdown_clients && !empty {
            info!("mail process {} goes on with {} sessions", worker.pid, self.ledger.clients(key));
            let pid = worker.pid;
            self.unlink_worker(key, None);
            self.children.release(pid);
        } else if worker.kind.share == Share::Private || worker.link.is_none() {
            self.signal_child(worker.pid, Signal::SIGTERM);
        } else {
            self.tell_worker(key, &ToWorker::Stop);
        }
    }

    /// Those told to stop have had their time.
    pub(crate) fn shutdown_timed_out(&mut self) {
        self.after(PATIENCE, Timer::Shutdown);
        let Some(shutdown) = &mut self.shutdown else { return };
        shutdown.stage = match shutdown.stage {
            Stage::Told => Stage::Killed,
            Stage::Killed | Stage::GivenUp => Stage::GivenUp,
        };
        let given_up = shutdown.stage == Stage::GivenUp;
        for (pid, role) in self.children.all().collect::<Vec<_>>() {
            warn!(
                "{role}, pid {pid}, has not ended{}",
                if given_up { ", leaving it" } else { ", killing it" }
            );
            self.signal_child(pid, Signal::SIGKILL);
        }
    }

    /// Whether there is nothing left to wait for.
    pub(crate) fn is_stopped(&self) -> bool {
        self.shutdown
            .as_ref()
            .is_some_and(|shutdown| self.children.len() == 0 || shutdown.stage == Stage::GivenUp)
    }

    /// Takes away what was made below base_dir.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        self.control.unlink(&self.config.server.base_dir);
        info!("stopped");
        match self.shutdown.take().and_then(|shutdown| shutdown.failure) {
            Some(why) => Err(why),
            None => Ok(()),
        }
    }
}

/// How long children may take to end after they were told, and again after they were killed.
const PATIENCE: Duration = Duration::from_secs(5);
