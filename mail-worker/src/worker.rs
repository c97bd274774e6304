//! The process: what it waits for, and in what order it does what there is to do.
//!
//! A turn of the loop is: be nobody, sleep, hear the master out, find out whose session can go on, serve them user by
//! user ([`crate::serving`]). Sessions that have something new come first; those with long work share what is left of
//! the turn, so that however many they are, nobody's short command waits for more than a few milliseconds.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ioloop::{Interest, Loop, Ready, Signals, Timers};
use nix::sys::signal::Signal;
use slotmap::SlotMap;
use wire::ConnectionId;

use crate::client::Shared;
use crate::disk::Disk;
use crate::identity::Identity;
use crate::jitter::Jitter;
use crate::link::Link;
use crate::marker::Marker;
use crate::seat::{Seat, Seated};
use crate::session::Turn;
use crate::size::Size;
use crate::user::{User, Users};
use crate::watch::{Noticed, Watches};

/// See above.
pub(crate) struct Worker {
    pub(crate) io: Loop,
    pub(crate) timers: Timers<What>,
    signals: Signals,
    pub(crate) link: Option<Link>,
    pub(crate) identity: Identity,
    pub(crate) marker: Marker,
    size: Size,
    pub(crate) seats: SlotMap<Seat, Seated>,
    pub(crate) by_id: HashMap<ConnectionId, Seat>,
    pub(crate) users: Users,
    /// Who waits for the disk in our place; none where whoever syncs does.
    pub(crate) disk: Option<Rc<Disk>>,
    pub(crate) shared: Rc<Shared>,
    /// Who has something new.
    pub(crate) fresh: Vec<Seat>,
    /// Who has more to do.
    pub(crate) busy: VecDeque<Seat>,
    /// By when all must have gone.
    pub(crate) stopping: Option<Instant>,
}

/// What a timer is for.
pub(crate) enum What {
    /// A session's moment may have come.
    Client(Seat),
    /// What is kept of his, he may not need any more.
    User(Rc<User>),
}

impl Worker {
    /// One that serves nobody yet, and ends when it serves nobody and has no `link`.
    ///
    /// # Errors
    /// Those of the system calls that make loop, signals and link.
    pub(crate) fn new(
        identity: Identity,
        users: Users,
        disk: Option<Rc<Disk>>,
        link: Option<Link>,
        marker: Marker,
        size: Size,
    ) -> io::Result<Self> {
        let io = Loop::new()?;
        let signals = Signals::new(&[SIGTERM, SIGINT, SIGHUP, SIGUSR2])?;
        io.watch(&signals, SIGNALS, Interest::Read)?;
        let watches = Watches::new();
        let jitter = Jitter::new(RandomState::new().hash_one(()));
        if let Some(events) = watches.descriptor() {
            io.watch(events, WATCHES, Interest::Read)?;
        }
        if let Some(link) = &link {
            io.watch(link, LINK, Interest::Read)?;
        }
        if let Some(disk) = &disk {
            disk.with_socket(|socket| io.watch(socket, DISK, Interest::Read)).transpose()?;
        }
        Ok(Self {
            io,
            timers: Timers::new(),
            signals,
            link,
            identity,
            marker,
            size,
            seats: SlotMap::with_key(),
            by_id: HashMap::new(),
            users,
            disk,
            shared: Rc::new(Shared { turn: Turn::new(), watches, jitter }),
            fresh: Vec::new(),
            busy: VecDeque::new(),
            stopping: None,
        })
    }

    /// Has everybody told goodbye when the log's reader has gone.
    ///
    /// # Errors
    /// Those of epoll_ctl(2), where it is no pipe or socket.
    pub(crate) fn end_with_log(&self) -> io::Result<()> {
        self.io.watch(io::stderr(), LOG, Interest::Read)
    }

    /// Serves until there is nobody left to serve.
    pub(crate) fn run(mut self) -> ExitCode {
        let mut ready = Vec::new();
        loop {
            self.identity.base();
            self.marker.set(None);
            self.shared.turn.begin();
            if let Some(news) = self.size.look(self.shared.turn.now().instant) {
                self.say(&news);
            }
            self.flush_link();
            if self.is_over() {
                return ExitCode::SUCCESS;
            }
            if let Err(why) = self.io.wait(self.patience(), &mut ready) {
                log::error!("waiting: {why}");
                return ExitCode::FAILURE;
            }
            self.shared.turn.begin();
            self.dispatch(&ready);
            self.serve();
        }
    }

    fn is_over(&self) -> bool {
        let flushed = self.link.as_ref().is_none_or(Link::is_flushed);
        let late = self.stopping.is_some_and(|limit| self.shared.turn.now().instant >= limit);
        let alone = self.link.is_none() || self.stopping.is_some();
        late || (self.seats.is_empty() && alone && flushed)
    }

    fn patience(&self) -> Option<Duration> {
        if !self.fresh.is_empty() || !self.busy.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = self.shared.turn.now().instant;
        let stop = self.stopping.map(|limit| limit.saturating_duration_since(now));
        self.timers.wait(now).into_iter().chain(stop).chain(self.size.patience()).min()
    }

    /// Finds out who can go on. The master's word comes first: it may have taken somebody back.
    fn dispatch(&mut self, ready: &[Ready]) {
        if ready.iter().any(|ready| ready.key == LINK) {
            self.hear_master();
        }
        for ready in ready {
            match ready.key {
                LINK => {}
                SIGNALS => self.heed_signals(),
                WATCHES => self.notice(),
                LOG => self.stop(),
                DISK => self.hear_disk(),
                key => self.wake(Seat::of_key(key), *ready),
            }
        }
        let now = self.shared.turn.now();
        while let Some(what) = self.timers.pop_due(now.instant) {
            match what {
                What::Client(seat) => {
                    let Some(seated) = self.seats.get_mut(seat) else { continue };
                    if seated.is_due(seat, now.instant, &mut self.timers) {
                        self.enqueue(seat);
                    }
                }
                What::User(user) => self.mind(user),
            }
        }
    }

    fn wake(&mut self, seat: Seat, ready: Ready) {
        let Some(seated) = self.seats.get_mut(seat) else { return };
        match seated.is_awaited(seat, ready, &self.io) {
            Ok(true) => self.enqueue(seat),
            Ok(false) => {}
            Err(why) => log::error!("{}watching: {why}", seated.client),
        }
    }

    fn notice(&mut self) {
        let seats = match self.shared.watches.read() {
            Noticed::These(seats) => seats,
            Noticed::Everybody => self.seats.keys().collect(),
        };
        for seat in seats {
            let Some(seated) = self.seats.get_mut(seat) else { continue };
            seated.client.notice();
            if seated.wants.notice {
                self.enqueue(seat);
            }
        }
    }

    /// Wakes those whose files are on the disk.
    fn hear_disk(&mut self) {
        let Some(disk) = self.disk.clone() else { return };
        let (mut arrived, heard) = disk.hear();
        if let Err(why) = heard {
            log::error!("lost the process that waits for the disk: {why}; from now on all wait who are here");
            // It is closed here; the process may have a copy of it that is never told of.
            disk.with_socket(|socket| self.io.unwatch(socket));
            arrived.extend(disk.give_up());
        }
        for seat in arrived {
            if self.seats.get(seat).is_some_and(|seated| seated.wants.disk.is_some()) {
                self.enqueue(seat);
            }
        }
    }

    /// Has the session go on in this turn.
    pub(crate) fn enqueue(&mut self, seat: Seat) {
        if let Some(seated) = self.seats.get_mut(seat)
            && !std::mem::replace(&mut seated.queued, true)
        {
            self.fresh.push(seat);
        }
    }

    fn heed_signals(&mut self) {
        for signal in self.signals.pending() {
            match signal {
                SIGUSR2 => self.log_view(),
                // Whoever means the master with it must not end a worker's clients.
                SIGHUP if self.link.is_some() => {}
                _ => self.stop(),
            }
        }
    }

    fn log_view(&self) {
        let linked = if self.link.is_some() { "linked to the master" } else { "without master" };
        let (changes, calls) = self.identity.changes();
        log::info!(
            "{} clients, {linked}, identity: {}, changed {changes} times by {calls} calls",
            self.seats.len(),
            self.identity
        );
        let now = self.shared.turn.now().instant;
        for Seated { client, .. } in self.seats.values() {
            log::info!("{client}{}", client.describe(now));
        }
    }
}

pub(crate) const LINK: usize = 0;
const SIGNALS: usize = 1;
const WATCHES: usize = 2;
const LOG: usize = 3;
const DISK: usize = 4;

const SIGHUP: i32 = Signal::SIGHUP as i32;
const SIGINT: i32 = Signal::SIGINT as i32;
const SIGTERM: i32 = Signal::SIGTERM as i32;
const SIGUSR2: i32 = Signal::SIGUSR2 as i32;
