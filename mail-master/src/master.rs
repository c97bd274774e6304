//! The process: everything that the master knows, and its one loop.
//!
//! What happens to one kind of thing stands in its own file, as further methods of [`Master`]: children in `children`,
//! `login_process`, `auth_process` and `mail_process`; a client's way in `admission` and `hand_off`; the
//! administrator's wishes in `control`, `reload` and `shutdown`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use ::strangers::Penalties;
use fdpass::Channel;
use ioloop::{Interest, Loop, Ready, Signals, TimerId, Timers};
use log::{error, warn};
use nix::libc::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use slotmap::{Key, KeyData, SlotMap, new_key_type};
use wire::{Assembler, ConnectionId};

use crate::admission::{Admission, AdmissionKey};
use crate::auth_process::{AuthKey, AuthProcess};
use crate::children::{Children, JournalKey, Role};
use crate::config::{Config, Host};
use crate::control::{Control, ControlKey};
use crate::in_force;
use crate::ledger::Ledger;
use crate::link::{Lines, Link, Lost};
use crate::listener::Listeners;
use crate::log_sink::LogSink;
use crate::login_delay::LoginDelay;
use crate::login_process::{LoginKey, LoginProcess};
use crate::pool::{Pool, WorkerKey};
use crate::quarantine::Quarantine;
use crate::reload::Reload;
use crate::shutdown::Shutdown;
use crate::spawn;
use crate::strangers::Strangers;

new_key_type! {
    /// Names what the loop watches: never given out twice, so that a late event meets nobody else.
    pub(crate) struct SourceKey;
}

/// What a watched descriptor belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// Somebody who is about to be there.
    Unborn,
    Signals,
    Journal(JournalKey),
    Login(LoginKey),
    AuthLink(AuthKey),
    AuthMaster(AuthKey),
    Worker(WorkerKey),
    ControlSocket(crate::control::Access),
    Control(ControlKey),
}

/// What is to happen at some time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Timer {
    /// See to it that the children that there must be are there.
    Children,
    /// An admission has taken too long where it stands.
    Admission(AdmissionKey),
    /// A place in the ledger may have become free.
    Full(AdmissionKey),
    /// A mail process has been empty for long enough.
    Empty(WorkerKey),
    /// Ask all mail processes whether they are there.
    Ping,
    /// A control socket that could not be accepted from is tried again.
    ControlSocket(crate::control::Access),
    /// A connection of `mailctl` should have asked by now.
    Question(ControlKey),
    /// Those asked for reports have had their time.
    Report(ControlKey),
    /// A spare of a configuration to come has had its time to speak.
    Probe,
    /// Those told to stop have had their time.
    Shutdown,
}

/// See above.
pub(crate) struct Master {
    pub(crate) config: Rc<Config>,
    /// Counts the configurations that came into force.
    pub(crate) generation: u32,
    pub(crate) host: Host,
    /// The time zone that children are told of, as TZ has it.
    pub(crate) zone: Option<OsString>,
    pub(crate) since: SystemTime,
    pub(crate) io: Loop,
    pub(crate) sources: SlotMap<SourceKey, Source>,
    pub(crate) timers: Timers<Timer>,
    pub(crate) sink: &'static LogSink,
    pub(crate) listeners: Listeners,
    pub(crate) children: Children,
    pub(crate) logins: SlotMap<LoginKey, LoginProcess>,
    pub(crate) auths: SlotMap<AuthKey, AuthProcess>,
    pub(crate) pool: Pool,
    pub(crate) ledger: Ledger,
    pub(crate) quarantine: Quarantine,
    pub(crate) login_delay: LoginDelay,
    pub(crate) strangers: Strangers,
    /// Whose answers auth holds back: kept for the next auth.
    pub(crate) penalties: Penalties,
    pub(crate) admissions: SlotMap<AdmissionKey, Admission>,
    pub(crate) admitted_as: HashMap<ConnectionId, AdmissionKey>,
    pub(crate) control: Control,
    /// A configuration whose mail programs are being tried.
    pub(crate) reload: Option<Reload>,
    pub(crate) shutdown: Option<Shutdown>,
    signals: Signals,
    /// Keeps the low numbers free for children.
    _low: Vec<OwnedFd>,
}

impl Master {
    /// Takes a configuration that is in order, binds what it says, and starts nothing yet.
    ///
    /// # Errors
    /// What cannot be bound or made, in words for the administrator.
    pub(crate) fn new(
        config: Config,
        host: Host,
        zone: Option<OsString>,
        sink: &'static LogSink,
    ) -> Result<Self, String> {
        let low = spawn::reserve_low_descriptors().map_err(|why| format!("reserving descriptors: {why}"))?;
        let io = Loop::new().map_err(|why| format!("making the loop: {why}"))?;
        let signals = Signals::new(&[SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2])
            .map_err(|why| format!("taking signals: {why}"))?;
        let listeners = Listeners::bind(&config, Listeners::default())?;
        let mut master = Self {
            config: Rc::new(config),
            generation: 1,
            host,
            zone,
            since: SystemTime::now(),
            io,
            sources: SlotMap::with_key(),
            timers: Timers::new(),
            sink,
            listeners,
            children: Children::default(),
            logins: SlotMap::with_key(),
            auths: SlotMap::with_key(),
            pool: Pool::default(),
            ledger: Ledger::default(),
            quarantine: Quarantine::default(),
            login_delay: LoginDelay::default(),
            strangers: Strangers::default(),
            penalties: Penalties::default(),
            admissions: SlotMap::with_key(),
            admitted_as: HashMap::new(),
            control: Control::default(),
            reload: None,
            shutdown: None,
            signals,
            _low: low,
        };
        let key = master.source(Source::Signals);
        master
            .io
            .watch(&master.signals, key, Interest::Read)
            .map_err(|why| format!("watching signals: {why}"))?;
        master.open_control()?;
        Ok(master)
    }

    /// Serves until it is told to stop; whether it came to serve at all.
    pub(crate) fn run(mut self) -> Result<(), String> {
        if self.host.is_root() && !in_force::can_lock_in() {
            warn!("login processes have no empty root: that takes CAP_SYS_CHROOT and CAP_SETPCAP");
        }
        self.begin();
        let mut ready = Vec::new();
        while !self.is_stopped() {
            let wait = self.timers.wait(Instant::now());
            self.io.wait(wait, &mut ready).map_err(|why| format!("waiting: {why}"))?;
            for event in &ready {
                self.dispatch(*event);
            }
            let now = Instant::now();
            while let Some(timer) = self.timers.pop_due(now) {
                self.due(timer);
            }
        }
        self.finish()
    }

    fn dispatch(&mut self, ready: Ready) {
        let key = SourceKey::from(KeyData::from_ffi(ready.key as u64));
        match self.sources.get(key).copied() {
            // It was closed earlier in this turn.
            None | Some(Source::Unborn) => {}
            Some(Source::Signals) => self.on_signals(),
            Some(Source::Journal(journal)) => self.on_journal(journal),
            Some(Source::Login(login)) => self.on_login(login, ready),
            Some(Source::AuthLink(auth)) => self.on_auth_link(auth, ready),
            Some(Source::AuthMaster(auth)) => self.on_auth_answers(auth, ready),
            Some(Source::Worker(worker)) => self.on_worker(worker, ready),
            Some(Source::ControlSocket(access)) => self.on_control_socket(access),
            Some(Source::Control(control)) => self.on_control(control, ready),
        }
    }

    fn due(&mut self, timer: Timer) {
        match timer {
            Timer::Children => self.keep_children(),
            Timer::Admission(admission) => self.admission_timed_out(admission),
            Timer::Full(admission) => self.look_again(admission),
            Timer::Empty(worker) => self.stop_if_empty(worker),
            Timer::Ping => self.ping_workers(),
            Timer::ControlSocket(access) => self.hear_control_socket(access),
            Timer::Question(control) => self.control_timed_out(control),
            Timer::Report(control) => self.answer_report(control),
            Timer::Probe => self.probe_timed_out(),
            Timer::Shutdown => self.shutdown_timed_out(),
        }
    }

    fn on_signals(&mut self) {
        for signal in self.signals.pending() {
            match signal {
                SIGCHLD => self.reap(),
                SIGHUP => {
                    // The reason of a refusal has been logged.
                    let _ = self.begin_reload(None);
                }
                SIGINT | SIGTERM => self.begin_shutdown(),
                SIGUSR1 => self.reopen_logs(),
                SIGUSR2 => self.log_views(),
                _ => {}
            }
        }
    }

    fn reopen_logs(&mut self) {
        if let Err(why) = self.sink.open(&self.config, true) {
            error!("{why}; the log goes where it went before");
        }
    }

    /// A number for the loop to tell of this source under.
    pub(crate) fn source(&mut self, source: Source) -> usize {
        loop_key(self.sources.insert(source))
    }

    /// A link to a child that is not started yet: our first line waits there for the child, so that it cannot fail because
    /// the child did.
    pub(crate) fn new_link(
        &mut self,
        socket: UnixStream,
        assembler: Assembler,
        version_line: Vec<u8>,
    ) -> Result<Link, Lost> {
        let key = self.source(Source::Unborn);
        Channel::new(socket)
            .map_err(Lost::from)
            .and_then(|channel| Link::new(channel, assembler, version_line, key, &self.io))
            .inspect_err(|_| self.forget_source(key))
    }

    /// The same for a protocol of other lines.
    pub(crate) fn new_lines(&mut self, socket: UnixStream) -> Result<Lines, Lost> {
        let key = self.source(Source::Unborn);
        Channel::new(socket)
            .map_err(Lost::from)
            .and_then(|channel| Lines::new(channel, key, &self.io))
            .inspect_err(|_| self.forget_source(key))
    }

    /// Closes a link, and forgets whose it was.
    pub(crate) fn close_link(&mut self, link: impl Into<Lines>) {
        let lines = link.into();
        self.forget_source(lines.key());
        lines.close(&self.io);
    }

    /// Says whose source it is.
    pub(crate) fn own_source(&mut self, key: usize, source: Source) {
        if let Some(own) = self.sources.get_mut(SourceKey::from(KeyData::from_ffi(key as u64))) {
            *own = source;
        }
    }

    /// Forgets a source by the number that the loop has for it.
    pub(crate) fn forget_source(&mut self, key: usize) {
        self.sources.remove(SourceKey::from(KeyData::from_ffi(key as u64)));
    }

    /// Sets a timer for `after` from now.
    pub(crate) fn after(&mut self, after: Duration, timer: Timer) -> TimerId {
        self.timers.set(Instant::now() + after, timer)
    }

    /// A child could not be started, or what is told of it; it is tried again later.
    pub(crate) fn child_failed(&mut self, role: Role, why: &io::Error) {
        warn!("starting {role}: {why}");
        let now = Instant::now();
        self.children.failed(role, now);
        self.keep_children_later(now);
    }
}

pub(crate) fn loop_key(key: SourceKey) -> usize {
    // On machines of 64 bits, which is where such a server runs, nothing is lost.
    usize::try_from(key.data().as_ffi()).unwrap_or(usize::MAX - 1)
}
