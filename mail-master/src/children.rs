//! The master's children: started with a log pipe, watched, reaped, restarted with growing patience.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use ioloop::{Interest, TimerId};
use journal::Reader;
use log::{error, info, log, warn};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use slotmap::{SlotMap, new_key_type};
use wire::Protocol;

use crate::in_force::{Asked, InForce};
use crate::master::{Master, Source, Timer, loop_key};
use crate::reload::not_jailed;
use crate::spawn::Spawn;

new_key_type! {
    /// Names the log pipe of one child.
    pub(crate) struct JournalKey;
}

/// What a child is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Login(Protocol),
    Auth,
    Mail(Protocol),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login(protocol) => write!(f, "mail-login for {}", protocol.name()),
            Self::Auth => f.write_str("mail-auth"),
            Self::Mail(protocol) => write!(f, "mail process for {}", protocol.name()),
        }
    }
}

/// A log pipe: what a child writes to descriptor 2.
#[derive(Debug)]
pub(crate) struct Journal {
    pipe: File,
    reader: Reader,
    prefix: String,
    key: usize,
    pid: Pid,
}

/// A child that runs, or has not been reaped.
#[derive(Debug)]
struct Child {
    role: Role,
    since: Instant,
    /// The last line that it wrote to its descriptor 2.
    said: String,
}

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Children {
    roles: HashMap<Pid, Child>,
    journals: SlotMap<JournalKey, Journal>,
    patience: HashMap<Role, Patience>,
    /// When the next one that failed may be started again.
    timer: Option<TimerId>,
    /// The kinds of each configuration of which it was said what they are confined by.
    announced: HashSet<(Role, u32)>,
}

/// How long a role whose children fail has to wait.
#[derive(Debug)]
struct Patience {
    wait: Duration,
    until: Instant,
}

impl Children {
    /// A child of this role could not be started or died young.
    pub(crate) fn failed(&mut self, role: Role, now: Instant) {
        let wait = self.patience.get(&role).map_or(FIRST_WAIT, |patience| (patience.wait * 2).min(LAST_WAIT));
        self.patience.insert(role, Patience { wait, until: now + wait });
    }

    /// Whether one of this role may be started now.
    pub(crate) fn may_start(&self, role: Role, now: Instant) -> bool {
        self.patience.get(&role).is_none_or(|patience| patience.until <= now)
    }

    /// Every child, and what it is for.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Pid, Role)> {
        self.roles.iter().map(|(pid, child)| (*pid, child.role))
    }

    /// A child is none of ours any more: it goes on alone.
    pub(crate) fn release(&mut self, pid: Pid) {
        self.roles.remove(&pid);
    }

    /// Forgets what was said of other configurations.
    pub(crate) fn announce_only(&mut self, generation: u32) {
        self.announced.retain(|(_, of)| *of == generation);
    }

    /// Whether it was said what children of this kind are confined by.
    pub(crate) fn is_announced(&self, role: Role, generation: u32) -> bool {
        self.announced.contains(&(role, generation))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.roles.len()
    }
}

impl Master {
    /// Starts a child whose descriptor 2 becomes log lines that begin with `prefix`, at most `rate` a second.
    pub(crate) fn start_child(
        &mut self,
        role: Role,
        mut spawn: Spawn,
        prefix: String,
        rate: u32,
    ) -> io::Result<Pid> {
        let (reader, writer) = io::pipe()?;
        let reader = OwnedFd::from(reader);
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        spawn.descriptors.push((2, writer.into()));
        if let Some(zone) = &self.zone {
            spawn.environment.set("TZ", zone.as_bytes()).map_err(io::Error::other)?;
        }
        let pid = spawn.start()?;
        let journals = &mut self.children.journals;
        let key = journals.insert_with_key(|journal| Journal {
            pipe: reader.into(),
            reader: Reader::new(rate),
            prefix,
            key: loop_key(self.sources.insert(Source::Journal(journal))),
            pid,
        });
        if let Some(journal) = self.children.journals.get(key) {
            self.io.watch(&journal.pipe, journal.key, Interest::Read)?;
        }
        self.children.roles.insert(pid, Child { role, since: Instant::now(), said: String::new() });
        Ok(pid)
    }

    /// A child has written to its descriptor 2, or has closed it.
    pub(crate) fn on_journal(&mut self, key: JournalKey) {
        let Some(journal) = self.children.journals.get_mut(key) else { return };
        let mut buffer = [0; 16 * 1024];
        let now = Instant::now();
        let (entries, ended) = match journal.pipe.read(&mut buffer) {
            Ok(0) => (journal.reader.finish(now), true),
            Ok(count) => (journal.reader.push(buffer.get(..count).unwrap_or_default(), now), false),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Err(_) => (journal.reader.finish(now), true),
        };
        for entry in entries {
            log!(entry.level, "{}{}", journal.prefix, entry.text);
            if let Some(child) = self.children.roles.get_mut(&journal.pid) {
                child.said = entry.text;
            }
        }
        if ended && let Some(journal) = self.children.journals.remove(key) {
            // The pipe is closed with the journal, whatever the loop says.
            let _ = self.io.unwatch(&journal.pipe);
            self.forget_source(journal.key);
        }
    }

    /// Takes what a child that has ended wrote before, so that it stands before what is said of its end.
    fn hear_out(&mut self, pid: Pid) {
        let journal = self.children.journals.iter().find(|(_, journal)| journal.pid == pid);
        if let Some((key, _)) = journal {
            self.on_journal(key);
        }
    }

    /// A child that is one user for good runs its program: how it is confined is told once.
    pub(crate) fn look_at(&mut self, role: Role, generation: u32, pid: Pid, asked: Asked) {
        if self.children.is_announced(role, generation) {
            return;
        }
        // One that has ended already is told of elsewhere.
        if let Ok(in_force) = InForce::of(pid, asked) {
            self.announce(role, generation, &in_force, asked);
        }
    }

    /// Says once, for each kind of child of each configuration, what it is confined by.
    pub(crate) fn announce(&mut self, role: Role, generation: u32, in_force: &InForce, asked: Asked) {
        if !self.children.announced.insert((role, generation)) {
            return;
        }
        let (words, missing) = (in_force.words(), in_force.missing(asked));
        if missing.is_empty() {
            info!("{role}: {words}");
        } else {
            warn!("{role}: {words}; missing: {missing}");
        }
    }

    /// Collects the children that have ended.
    pub(crate) fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => self.on_end(pid, End::Exit(status)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => self.on_end(pid, End::Signal(signal)),
                Ok(WaitStatus::StillAlive) | Err(_) => break,
                Ok(_) => {}
            }
        }
        self.keep_children();
    }

    fn on_end(&mut self, pid: Pid, end: End) {
        self.hear_out(pid);
        let Some(Child { role, since, said }) = self.children.roles.remove(&pid) else { return };
        match role {
            Role::Login(_) => self.login_ended(pid),
            Role::Auth => self.auth_ended(pid),
            Role::Mail(_) => self.worker_ended(pid, end, &said),
        }
        let expected = self.shutdown.is_some() || end == End::Exit(0);
        match end {
            _ if expected => {}
            End::Exit(NOT_JAILED) => error!("{role}, pid {pid}, is not in its jail: {}", not_jailed(&said)),
            _ => error!("{role}, pid {pid}, {end}"),
        }
        if matches!(role, Role::Mail(_)) || expected {
            return;
        }
        let now = Instant::now();
        if now.duration_since(since) < OLD_ENOUGH {
            self.children.failed(role, now);
            self.keep_children_later(now);
        } else {
            self.children.patience.remove(&role);
        }
    }

    /// Looks again when the one that had to wait at `now`, and least, may be started.
    pub(crate) fn keep_children_later(&mut self, now: Instant) {
        let soonest = self.children.patience.values().map(|p| p.until).filter(|until| *until > now).min();
        if let Some(timer) = self.children.timer.take() {
            self.timers.cancel(timer);
        }
        self.children.timer = soonest.map(|at| self.timers.set(at, Timer::Children));
    }

    /// Starts what must be there and is not.
    pub(crate) fn keep_children(&mut self) {
        // Starting takes its time: one that had to wait before may not have to any more, and was not started either.
        let now = Instant::now();
        self.keep_auth();
        self.keep_logins();
        self.keep_children_later(now);
    }

    /// Tells a child to end.
    pub(crate) fn signal_child(&self, pid: Pid, signal: Signal) {
        // Of one that was waited for, the number may be anybody's.
        if !self.children.roles.contains_key(&pid) {
            return;
        }
        if let Err(why) = nix::sys::signal::kill(pid, signal) {
            warn!("sending {signal} to {pid}: {why}");
        }
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Exit(i32),
    Signal(Signal),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => write!(f, "exited with status {status}"),
            Self::Signal(signal) => write!(f, "was killed by {signal}"),
        }
    }
}

/// What mail-jail exits with where it could not become a program.
pub(crate) const NOT_JAILED: i32 = 126;
/// A child that lived this long did not die of how it was started.
const OLD_ENOUGH: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_secs(60);
