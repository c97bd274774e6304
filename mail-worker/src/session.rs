//! One client's conversation as one future, and all that it takes to run such futures.
//!
//! There are no wakers. A session that has to wait says what for ([`Wants`]) and is polled again when that came;
//! whatever it waits for, it looks itself whether it is there. Who polls it has become the client's user before, and
//! that is why nothing but the worker may ever poll one. A panic in a session ends that session ([`poll`]).

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use store::{Now, Ticket};
use wire::handoff::Gone;

/// A conversation, from the first answer to the end.
pub(crate) type Session = Pin<Box<dyn Future<Output = Ending>>>;

/// What a session waits for; the first of them wakes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    /// The client sent something, or is gone.
    pub(crate) input: bool,
    /// The client takes more.
    pub(crate) output: bool,
    /// Somebody changed a mailbox that it watches.
    pub(crate) notice: bool,
    /// Its next turn, when the neighbours have had theirs.
    pub(crate) turn: bool,
    /// This, and all that was given before, is on the disk.
    pub(crate) disk: Option<Ticket>,
    /// This moment.
    pub(crate) until: Option<Instant>,
}

impl Wants {
    pub(crate) fn input() -> Self {
        Self { input: true, ..Self::default() }
    }

    pub(crate) fn output() -> Self {
        Self { output: true, ..Self::default() }
    }

    pub(crate) fn turn() -> Self {
        Self { turn: true, ..Self::default() }
    }

    pub(crate) fn disk(ticket: Ticket) -> Self {
        Self { disk: Some(ticket), ..Self::default() }
    }

    pub(crate) fn or_notice(self) -> Self {
        Self { notice: true, ..self }
    }

    pub(crate) fn or_at(self, moment: Instant) -> Self {
        Self { until: Some(self.until.map_or(moment, |until| until.min(moment))), ..self }
    }
}

/// The turn that runs: its time, and when the session should let its neighbours have theirs.
#[derive(Debug)]
pub(crate) struct Turn {
    now: Cell<Now>,
    over: Cell<Instant>,
}

impl Turn {
    pub(crate) fn new() -> Self {
        let now = Now::read();
        Self { now: Cell::new(now), over: Cell::new(now.instant) }
    }

    /// The next session's turn begins.
    pub(crate) fn begin(&self) {
        let now = Now::read();
        self.now.set(now);
        self.over.set(now.instant + Self::LENGTH);
    }

    /// When it began.
    pub(crate) fn now(&self) -> Now {
        self.now.get()
    }

    /// Whether it should end.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.over.get()
    }

    /// What one session may do before the next one has its turn.
    const LENGTH: Duration = Duration::from_millis(1);
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client said so.
    Logout,
    /// The client went without a word.
    Closed,
    /// It sent nothing for too long.
    Silent,
    /// It took nothing for too long.
    Stalled,
    /// It sent too much that is no command.
    Nonsense,
    /// The master had it ended; what the client is told.
    Kicked(String),
    /// This process ends.
    Stopped,
    /// The master took it back before it was served.
    Withdrawn,
    /// It cannot be served any more; what the client is told. The log knows more.
    Failed(&'static str),
    /// A fault of ours.
    Panicked,
}

impl Ending {
    /// What the master is told.
    pub(crate) fn gone(&self) -> Gone {
        match self {
            Self::Logout => Gone::Logout,
            Self::Closed => Gone::Closed,
            Self::Silent | Self::Stalled => Gone::Idle,
            Self::Kicked(_) => Gone::Kicked,
            Self::Stopped => Gone::Stopped,
            Self::Withdrawn => Gone::Withdrawn,
            Self::Nonsense | Self::Failed(_) | Self::Panicked => Gone::Error,
        }
    }

    /// Whether it makes sense to send what is left.
    pub(crate) fn is_heard(&self) -> bool {
        !matches!(self, Self::Closed | Self::Stalled | Self::Withdrawn)
    }

    /// What the client is told, unless it has gone or was told already.
    pub(crate) fn farewell(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Logout | Self::Closed | Self::Stalled | Self::Withdrawn => None,
            Self::Silent => Some("Disconnected for inactivity.".into()),
            Self::Nonsense => Some("Too many invalid commands.".into()),
            Self::Kicked(text) => Some(text.clone().into()),
            Self::Stopped => Some("Server shutting down.".into()),
            Self::Failed(text) => Some((*text).into()),
            Self::Panicked => Some("Internal error.".into()),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logout => f.write_str("logged out"),
            Self::Closed => f.write_str("connection closed"),
            Self::Silent => f.write_str("disconnected for inactivity"),
            Self::Stalled => f.write_str("disconnected, it took no output"),
            Self::Nonsense => f.write_str("disconnected for too many invalid commands"),
            Self::Kicked(text) => write!(f, "kicked: {text}"),
            Self::Stopped => f.write_str("disconnected, the server shuts down"),
            Self::Withdrawn => f.write_str("withdrawn"),
            Self::Failed(text) => write!(f, "disconnected: {text}"),
            Self::Panicked => f.write_str("disconnected for an internal error"),
        }
    }
}

/// Runs `session` until it has to wait.
pub(crate) fn poll(session: &mut Session) -> Poll<Ending> {
    let mut context = Context::from_waker(Waker::noop());
    contain(|| session.as_mut().poll(&mut context)).unwrap_or(Poll::Ready(Ending::Panicked))
}

/// Does `work` for a user; none if it panicked. What it may have left half-changed then is the session's, which is
/// thrown away, and the user's models, which the caller has to throw away.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
