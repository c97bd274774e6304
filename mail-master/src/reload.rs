//! A configuration coming into force: the first one, and those that a reload brings.
//!
//! It is checked whole before anything changes: read, its addresses bound, and where processes are shared, a spare of
//! each mail program started, which must speak mail-handoff(7). Only then it replaces the one before; the workers and
//! login processes of that one serve on whom they have.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ioloop::TimerId;
use log::{error, info, log, warn};
use wire::Protocol;

use crate::children::{End, NOT_JAILED};
use crate::config::{self, Config, Share};
use crate::control::ControlKey;
use crate::limits::{self, Counted, Machine};
use crate::listener::Listeners;
use crate::master::{Master, Timer};
use crate::pool::{Apart, WorkerKey};

/// A configuration that is being tried.
#[derive(Debug)]
pub(crate) struct Reload {
    config: Rc<Config>,
    generation: u32,
    /// None: they are those of the master already.
    listeners: Option<Listeners>,
    /// The spares that have not said hello yet.
    waiting: BTreeSet<WorkerKey>,
    timer: TimerId,
    /// The protocols whose shared processes are kept to the mail users by a filter.
    pub(crate) filtered: BTreeSet<Protocol>,
    /// Who asked, and wants to know.
    control: Option<ControlKey>,
}

impl Reload {
    /// Whether the server starts with it.
    pub(crate) fn is_first(&self) -> bool {
        self.listeners.is_none()
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn config(&self) -> &Rc<Config> {
        &self.config
    }
}

impl Master {
    /// Brings the first configuration into force.
    pub(crate) fn begin(&mut self) {
        self.try_config(self.config.clone(), self.generation, None, None);
    }

    /// Reads the configuration again. When it comes into force, or does not, is told in the log and to `control`.
    ///
    /// # Errors
    /// Why nothing changes.
    pub(crate) fn begin_reload(&mut self, control: Option<ControlKey>) -> Result<(), String> {
        let read = self.read_config();
        match read {
            Ok((config, listeners)) => {
                self.try_config(Rc::new(config), self.generation + 1, Some(listeners), control);
                Ok(())
            }
            Err(why) => {
                for line in why.lines() {
                    error!("{line}");
                }
                error!("the configuration was not read again, the one of before stays in force");
                Err(why)
            }
        }
    }

    fn read_config(&self) -> Result<(Config, Listeners), String> {
        if self.reload.is_some() || self.shutdown.is_some() {
            return Err("another reload, or the start or stop, is under way".to_owned());
        }
        let (config, report) =
            config::load(&self.config.path, &self.host).map_err(|report| report.to_string())?;
        for line in report.lines() {
            warn!("{line}");
        }
        if config.server.base_dir != self.config.server.base_dir {
            return Err("base_dir cannot change while the server runs: stop it and start it again".to_owned());
        }
        let before = self.listeners.try_clone().map_err(|why| format!("copying listeners: {why}"))?;
        let listeners = Listeners::bind(&config, before)?;
        Ok((config, listeners))
    }

    fn try_config(
        &mut self,
        config: Rc<Config>,
        generation: u32,
        listeners: Option<Listeners>,
        control: Option<ControlKey>,
    ) {
        let timer = self.after(PROBE_TIME, Timer::Probe);
        let waiting = BTreeSet::new();
        self.reload = Some(Reload {
            config: config.clone(),
            generation,
            listeners,
            waiting,
            timer,
            filtered: BTreeSet::new(),
            control,
        });
        for settings in config.served().filter(|settings| settings.share().is_some()) {
            match self.start_spare(settings, generation) {
                Ok(key) => {
                    if let Some(reload) = &mut self.reload {
                        reload.waiting.insert(key);
                    }
                }
                Err(why) => {
                    let (program, _) = config.mail_command(settings.protocol);
                    return self.give_config_up(&format!("starting {}: {why}", program.display()));
                }
            }
        }
        self.take_config_if_tried();
    }

    /// A worker has said hello: if it is a spare that was waited for, it speaks the hand-off.
    pub(crate) fn probe_answered(&mut self, key: WorkerKey) {
        let Some(reload) = &mut self.reload else { return };
        if !reload.waiting.remove(&key) {
            return;
        }
        let protocol = self.pool.workers.get(key).map(|worker| worker.kind.protocol);
        let useful =
            protocol.is_some_and(|protocol| reload.config.protocol(protocol).share() == Some(Share::All));
        if useful {
            self.keep_worker(key);
        } else {
            // Where processes belong to a user or a uid, one that belongs to nobody has served its purpose.
            self.stop_if_empty(key);
        }
        self.take_config_if_tried();
    }

    /// A worker has ended: if it is a spare that was waited for, it does not speak the hand-off, or never came to run.
    pub(crate) fn probe_ended(&mut self, key: WorkerKey, protocol: Protocol, end: End, said: &str) {
        self.probe_failed(key, protocol, (end == End::Exit(NOT_JAILED)).then_some(said));
    }

    /// A spare will not say hello: it does not speak the hand-off, or, for this reason, it is not even in its jail.
    pub(crate) fn probe_failed(&mut self, key: WorkerKey, protocol: Protocol, no_jail: Option<&str>) {
        let Some(reload) = &mut self.reload else { return };
        if !reload.waiting.remove(&key) {
            return;
        }
        let (program, _) = reload.config.mail_command(protocol);
        let program = program.display();
        let why = match no_jail {
            Some(said) => format!("starting {program} in its jail: {}", not_jailed(said)),
            None => does_not_speak(protocol.name(), &program.to_string()),
        };
        self.give_config_up(&why);
    }

    /// A spare has had its time to say hello.
    pub(crate) fn probe_timed_out(&mut self) {
        let first = self.reload.as_ref().and_then(|reload| reload.waiting.first().copied());
        if let Some((key, worker)) = first.and_then(|key| Some((key, self.pool.workers.get(key)?))) {
            self.probe_failed(key, worker.kind.protocol, None);
        }
    }

    fn take_config_if_tried(&mut self) {
        let Some(reload) = self.reload.take_if(|reload| reload.waiting.is_empty()) else { return };
        self.timers.cancel(reload.timer);
        self.pool.apart = Apart::new(reload.filtered);
        self.children.announce_only(reload.generation);
        match reload.listeners {
            None => {
                self.keep_children();
                self.ping_workers();
                self.say_limits();
                info!("mail-master {} is ready", env!("CARGO_PKG_VERSION"));
            }
            Some(listeners) => {
                self.config = reload.config;
                self.generation = reload.generation;
                self.listeners = listeners;
                if let Err(why) = self.sink.open(&self.config, true) {
                    error!("{why}; the log goes where it went before");
                }
                self.retire_workers();
                self.retire_logins();
                self.renew_auth();
                self.keep_children();
                self.stop_unused_auths();
                self.say_limits();
                info!("the configuration was read again, generation {}", self.generation);
            }
        }
        if let Some(control) = reload.control {
            self.reload_answered(control, Ok(()));
        }
    }

    /// Says what this machine allows of what the configuration promises.
    fn say_limits(&self) {
        let machine = Machine::read(Path::new("/proc"), Path::new("/sys/fs/cgroup"));
        let counted = match self.host.is_root() {
            false => Counted::AsInvoker,
            true if self.pool.apart.is_filtered() => Counted::AsBaseUser,
            true => Counted::InNamespaces,
        };
        for (level, sentence) in limits::sentences(&machine, &self.config, counted) {
            log!(level, "{sentence}");
        }
    }

    /// The configuration that was tried does not come into force.
    fn give_config_up(&mut self, why: &str) {
        let Some(reload) = self.reload.take() else { return };
        self.timers.cancel(reload.timer);
        error!("{why}");
        let spares: Vec<WorkerKey> = self
            .pool
            .workers
            .iter()
            .filter(|(_, worker)| worker.kind.generation == reload.generation)
            .map(|(key, _)| key)
            .collect();
        for key in spares {
            if let Some(worker) = self.pool.workers.get(key) {
                self.signal_child(worker.pid, nix::sys::signal::Signal::SIGKILL);
            }
        }
        if reload.is_first() {
            self.fail_start(why.to_owned());
        } else {
            error!("the configuration was not read again, the one of before stays in force");
        }
        if let Some(control) = reload.control {
            self.reload_answered(control, Err(why.to_owned()));
        }
    }
}

fn does_not_speak(protocol: &str, program: &str) -> String {
    format!(
        "{program}: does not speak mail-handoff(7), so it cannot serve many clients: \
         write 'mail_process_per_connection = yes' in protocol {protocol}, or name another mail_executable"
    )
}

/// What to do about what mail-jail says when it could not become a program.
pub(crate) fn not_jailed(said: &str) -> String {
    let said = said.strip_prefix("mail-jail: ").unwrap_or(said);
    format!(
        "{said}; 'mail-jail --dry-run' shows what this machine allows, \
         mail_jail and mail_jail_require say what it has to"
    )
}

/// How long a mail program may take to say hello. mailctl(8) waits for ten seconds to hear how a reload ended.
const PROBE_TIME: Duration = Duration::from_secs(8);
