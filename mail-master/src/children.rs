//! The master's children: started with a log pipe, watched, reaped, restarted with growing patience.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use ioloop::{Interest, TimerId};
use journal::Reader;
use log::{error, log, warn};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use slotmap::{SlotMap, new_key_type};
use wire::Protocol;

use crate::master::{Master, Source, Timer, loop_key};
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
}

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Children {
    roles: HashMap<Pid, (Role, Instant)>,
    journals: SlotMap<JournalKey, Journal>,
    patience: HashMap<Role, Patience>,
    /// When the next one that failed may be started again.
    timer: Option<TimerId>,
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
        self.roles.iter().map(|(pid, (role, _))| (*pid, *role))
    }

    /// A child is none of ours any more: it goes on alone.
    pub(crate) fn release(&mut self, pid: Pid) {
        self.roles.remove(&pid);
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
        });
        if let Some(journal) = self.children.journals.get(key) {
            self.io.watch(&journal.pipe, journal.key, Interest::Read)?;
        }
        self.children.roles.insert(pid, (role, Instant::now()));
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
        }
        if ended && let Some(journal) = self.children.journals.remove(key) {
            // The pipe is closed with the journal, whatever the loop says.
            let _ = self.io.unwatch(&journal.pipe);
            self.forget_source(journal.key);
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
        let Some((role, since)) = self.children.roles.remove(&pid) else { return };
        match role {
            Role::Login(_) => self.login_ended(pid),
            Role::Auth => self.auth_ended(pid),
            Role::Mail(_) => self.worker_ended(pid, end),
        }
        let expected = self.shutdown.is_some() || end == End::Exit(0);
        if !expected {
            error!("{role}, pid {pid}, {end}");
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

/// A child that lived this long did not die of how it was started.
const OLD_ENOUGH: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_secs(60);
