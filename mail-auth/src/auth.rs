//! The process: what it waits for, who is connected to it, and what each of them has going on.
//!
//! One thread runs all of this and never waits for anything but the loop: slow hashes, other programs and the
//! system's databases go to the [`Pool`]s, delays to the timers. A peer that does not keep to the protocol is cut off,
//! with all that it has begun; nobody else notices. The two sides of the protocol are [`crate::client`] and
//! [`crate::master`]; who may speak them is said by the master program on [`crate::control`].

use std::collections::HashMap;
use std::fs::File;
use std::hash::RandomState;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use ioloop::{Interest, Loop, Signals, Timers};
use nix::sys::signal::Signal;
use slotmap::{SlotMap, new_key_type};
use strangers::Penalties;

use crate::control::Control;
use crate::fields::Field;
use crate::identity::BadIdentity;
use crate::master::Lookup;
use crate::passdb::Verdict;
use crate::passwd_file::Files;
use crate::peer::{Side, Source};
use crate::pool::{Answers, Pool, answers};
use crate::request::Request;
use crate::settings::Settings;

new_key_type! {
    /// Names a peer or a listening socket.
    pub(crate) struct SourceKey;
    /// Names one authentication of a client.
    pub(crate) struct RequestKey;
    /// Names one question of a master.
    pub(crate) struct LookupKey;
}

/// The whole program.
#[derive(Debug)]
pub(crate) struct Auth {
    pub(crate) settings: Settings,
    pub(crate) files: Files,
    pub(crate) io: Loop,
    pub(crate) timers: Timers<Due>,
    signals: Signals,
    answers: Answers<Done>,
    /// For what computes.
    pub(crate) computing: Pool<Done>,
    /// For what waits.
    pub(crate) waiting: Pool<Done>,
    /// None once the master has let go of us.
    pub(crate) control: Option<Control>,
    pub(crate) sources: SlotMap<SourceKey, Source>,
    /// The client connections of each process.
    pub(crate) clients: HashMap<u32, Vec<SourceKey>>,
    /// Peers that this turn has something for.
    pub(crate) unsent: Vec<SourceKey>,
    pub(crate) requests: SlotMap<RequestKey, Request>,
    pub(crate) lookups: SlotMap<LookupKey, Lookup>,
    pub(crate) random: File,
    pub(crate) penalties: Penalties,
    /// Makes numbers of passwords.
    pub(crate) prints: RandomState,
    /// How many connections there have been.
    pub(crate) serial: u32,
}

/// What a timer is for.
#[derive(Debug)]
pub(crate) enum Due {
    /// What its stage says.
    Request(RequestKey),
    /// To accept again.
    Accept(SourceKey),
}

/// What a thread is done with.
#[derive(Debug)]
pub(crate) enum Done {
    /// A password was checked.
    Checked(RequestKey, Verdict),
    /// A user was looked up.
    Found(LookupKey, Verdict),
    /// Names have become numbers.
    Resolved(LookupKey, String, Result<Vec<Field>, BadIdentity>),
}

impl Auth {
    /// Waits for what `control`, a socket, says.
    ///
    /// # Errors
    /// Those of making sockets, signals and the like.
    pub(crate) fn new(settings: Settings, control: OwnedFd, random: File) -> io::Result<Self> {
        let io = Loop::new()?;
        // Both are meant for the master where a terminal sends them; without it we end anyway.
        let signals = Signals::new(&[Signal::SIGHUP as i32, Signal::SIGINT as i32])?;
        let (answers, bell) = answers()?;
        let control = Control::new(control)?;
        io.watch(&control, CONTROL, Interest::Read)?;
        io.watch(&signals, SIGNALS, Interest::Read)?;
        io.watch(&answers, ANSWERS, Interest::Read)?;
        let mut files = Files::default();
        for passdb in &settings.passdbs {
            passdb.preload(&mut files);
        }
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            files,
            timers: Timers::new(),
            computing: Pool::new(cores, MAX_QUEUE, bell.clone()),
            waiting: Pool::new(settings.waiting, MAX_QUEUE, bell),
            control: Some(control),
            sources: SlotMap::with_key(),
            clients: HashMap::new(),
            unsent: Vec::new(),
            requests: SlotMap::with_key(),
            lookups: SlotMap::with_key(),
            serial: 0,
            penalties: Penalties::default(),
            prints: RandomState::new(),
            settings,
            io,
            signals,
            answers,
            random,
        })
    }

    /// Serves until the master has let go of us and what was begun is finished.
    ///
    /// # Errors
    /// Those of epoll_wait(2).
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        while self.control.is_some() || self.is_busy() {
            self.io.wait(self.timers.wait(Instant::now()), &mut ready)?;
            for ready in &ready {
                match ready.key {
                    CONTROL => self.on_control(*ready),
                    SIGNALS => drop(self.signals.pending()),
                    ANSWERS => self.on_answers(),
                    _ => self.on_source(*ready),
                }
            }
            let now = Instant::now();
            while let Some(due) = self.timers.pop_due(now) {
                match due {
                    Due::Request(request) => self.request_due(request),
                    Due::Accept(listener) => self.watch_listener(listener),
                }
            }
            self.flush_all();
            self.flush_control();
        }
        Ok(())
    }

    /// Whether anybody waits for something that was begun. A success that no master is left to ask for is nothing.
    fn is_busy(&self) -> bool {
        let master =
            self.sources.values().any(|s| s.peer().is_some_and(|peer| matches!(peer.side, Side::Master)));
        !self.lookups.is_empty() || self.requests.values().any(|request| master || !request.has_succeeded())
    }

    fn on_answers(&mut self) {
        for done in self.answers.take() {
            match done {
                Done::Checked(request, verdict) => self.checked(request, verdict),
                Done::Found(lookup, verdict) => self.found(lookup, verdict),
                Done::Resolved(lookup, user, result) => self.resolved(lookup, &user, result),
            }
        }
    }
}

pub(crate) const CONTROL: usize = 0;
const SIGNALS: usize = 1;
const ANSWERS: usize = 2;

/// How much waits for a thread before more is refused.
const MAX_QUEUE: usize = 512;
