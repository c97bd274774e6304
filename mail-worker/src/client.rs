//! One client, as its session sees it: who it is, its bytes in and out, and how to wait for them.
//!
//! At rest it holds no buffer. Output collects until [`Client::flush`], which waits for a client that reads slowly;
//! a long answer calls [`Client::breathe`] now and then, so that neither its output nor its turn grows without bound.

mod traffic;

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use store::{Error, Mailbox, Now, Step, Ticket, View};
use wire::ConnectionId;
use wire::handoff::ClientState;

use crate::environ::Variables;
use crate::jitter::Jitter;
use crate::seat::Seat;
use crate::session::{Ending, Turn, Wants};
use crate::stream::Stream;
use crate::tally::Tally;
use crate::user::User;
use crate::watch::{Watch, Watches};

use traffic::Input;

/// See above. The worker holds one half of its uses, the session the other; all of it is cells.
#[derive(Debug)]
pub(crate) struct Client {
    /// None by hand.
    pub(crate) id: Option<ConnectionId>,
    pub(crate) user: Rc<User>,
    pub(crate) variables: Rc<Variables>,
    seat: Seat,
    shared: Rc<Shared>,
    wants: Cell<Wants>,
    noticed: Cell<bool>,
    stream: RefCell<Stream>,
    input: RefCell<Input>,
    output: RefCell<Vec<u8>>,
    /// Output that is part of a literal, or of a message: no line of ours may come in between.
    within: Cell<bool>,
    received: Cell<u64>,
    sent: Cell<u64>,
    heard: Cell<Instant>,
    doing: Cell<&'static str>,
    mailbox: RefCell<Option<Box<str>>>,
    /// What a POP3 session did.
    tally: OnceCell<Box<Tally>>,
}

/// What all clients of a process share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) turn: Turn,
    pub(crate) watches: Rc<Watches>,
    pub(crate) jitter: Jitter,
}

impl Client {
    pub(crate) fn new(
        id: Option<ConnectionId>,
        user: Rc<User>,
        variables: Rc<Variables>,
        stream: Stream,
        seat: Seat,
        shared: Rc<Shared>,
    ) -> Self {
        let heard = Cell::new(shared.turn.now().instant);
        Self {
            id,
            user,
            variables,
            seat,
            shared,
            wants: Cell::default(),
            noticed: Cell::default(),
            stream: RefCell::new(stream),
            input: RefCell::default(),
            output: RefCell::default(),
            within: Cell::default(),
            received: Cell::default(),
            sent: Cell::default(),
            heard,
            doing: Cell::new(""),
            mailbox: RefCell::default(),
            tally: OnceCell::new(),
        }
    }

    /// The time, as of this turn.
    pub(crate) fn now(&self) -> Now {
        self.shared.turn.now()
    }

    /// When the client is next told that we are still here, if ever. Not all clients at the same moment: who sleeps
    /// with a thousand others should not wake with them.
    pub(crate) fn still_here_at(&self) -> Option<Instant> {
        let interval = self.user.settings.still_here_interval?;
        Some(self.now().instant + self.shared.jitter.shorten(interval))
    }

    /// What the session waits for; it waits for nothing until it says so again.
    pub(crate) fn take_wants(&self) -> Wants {
        self.wants.take()
    }

    /// Whatever it waits for, it is woken at this moment too.
    pub(crate) fn wake_at(&self, moment: Instant) {
        self.wants.set(self.wants.get().or_at(moment));
    }

    /// A mailbox that it watches changed.
    pub(crate) fn notice(&self) {
        self.noticed.set(true);
    }

    /// Has the session woken when a name comes to or goes from one of `directories`; none if that is not possible.
    pub(crate) fn watch<P: AsRef<Path>>(&self, directories: impl IntoIterator<Item = P>) -> Option<Watch> {
        self.shared.watches.add(self.seat, directories)
    }

    /// Whether that was so since the last call.
    pub(crate) fn take_notice(&self) -> bool {
        self.noticed.take()
    }

    /// What it does from now on, for whoever asks.
    pub(crate) fn set_doing(&self, command: &'static str) {
        self.doing.set(command);
    }

    /// Which mailbox it has open from now on.
    pub(crate) fn set_mailbox(&self, name: Option<&str>) {
        *self.mailbox.borrow_mut() = name.map(Box::from);
    }

    /// What it does; none for a client without a connection id.
    pub(crate) fn state(&self, now: Instant) -> Option<ClientState> {
        Some(ClientState {
            id: self.id?,
            user: self.user.name.to_string(),
            mailbox: self.mailbox.borrow().as_deref().unwrap_or_default().as_bytes().to_vec(),
            doing: self.doing.get().to_owned(),
            idle: now.saturating_duration_since(self.heard.get()).as_secs(),
            input: self.received.get(),
            output: self.sent.get(),
        })
    }

    /// The same for the log.
    pub(crate) fn describe(&self, now: Instant) -> String {
        let mailbox = self.mailbox.borrow();
        let idle = now.saturating_duration_since(self.heard.get()).as_secs();
        let (address, doing) = (self.address(), self.doing.get());
        let mailbox = mailbox.as_deref().unwrap_or("none");
        format!("from {address}, mailbox {mailbox}, {doing}, idle {idle} s")
    }

    /// Where it is.
    pub(crate) fn address(&self) -> Cow<'_, str> {
        self.variables.get("IP").map_or("here".into(), String::from_utf8_lossy)
    }

    /// Bytes from the client and to it.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.received.get(), self.sent.get())
    }

    /// What the log says of a session that ends: the logout format of its protocol, filled in.
    pub(crate) fn summary(&self) -> String {
        let (input, output) = self.traffic();
        let none = Tally::default();
        let tally = self.tally.get().map_or(&none, |tally| tally);
        tally.fill(&self.user.settings.logout_format, input, output)
    }

    /// What this session did so far.
    pub(crate) fn tally(&self) -> &Tally {
        self.tally.get_or_init(Box::default)
    }

    /// Lends out what is to be watched.
    pub(crate) fn with_descriptor<T>(&self, work: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        work(self.stream.borrow().as_fd())
    }
}

// Waiting.
impl Client {
    /// Waits for one of `wants`. It may wake for less: look again.
    pub(crate) fn rest(&self, wants: Wants) -> Rest<'_> {
        Rest { client: self, wants: Some(wants) }
    }

    /// Waits for the disk. Now and then it wakes before, to touch the locks that it holds.
    fn until_written(&self, ticket: Ticket) -> Rest<'_> {
        self.rest(Wants::disk(ticket).or_at(self.now().instant + TOUCH))
    }

    /// Has what was expunged stay so. If it cannot, it is gone all the same.
    pub(crate) async fn seal(&self, view: &mut View) {
        let sealed = match view.seal_expunges() {
            Ok(mut flushes) => self.carry_out(Duration::ZERO, |_| flushes.step()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sealed {
            log::warn!("{self}{error}");
        }
    }

    /// For long work: sends what has collected if that is much, and lets the neighbours work if the turn is over.
    pub(crate) async fn breathe(&self) -> Result<(), Ending> {
        if self.output.borrow().len() >= MUCH {
            self.flush().await?;
        }
        self.pause().await;
        Ok(())
    }

    /// For long work without output: lets the neighbours work if the turn is over.
    pub(crate) async fn pause(&self) {
        if self.shared.turn.is_over() {
            self.rest(Wants::turn()).await;
        }
    }

    /// Brings `mailbox` up to date with the disk. A lock that another program holds is waited for until `patience`
    /// is over; then some of what is new stays unknown for now. Where all is unknown, that is an error: a client that is
    /// shown an empty mailbox forgets what it knows.
    pub(crate) async fn sync(&self, mailbox: &Mailbox, patience: Duration) -> Result<Synced, Error> {
        let limit = self.now().instant + patience;
        let _driver = mailbox.drive();
        loop {
            match mailbox.sync(self.now(), NAMES_A_TURN)? {
                Step::Done(()) => return Ok(Synced::All),
                Step::More => self.rest(Wants::turn()).await,
                Step::Disk(ticket) => self.until_written(ticket).await,
                Step::Busy { retry_after } if self.now().instant >= limit => {
                    return match mailbox.status().uid_validity {
                        0 => Err(Error::Locked),
                        _ => Ok(Synced::Known { retry_after }),
                    };
                }
                Step::Busy { retry_after } => {
                    self.rest(Wants::default().or_at(self.now().instant + retry_after)).await;
                }
            }
        }
    }

    /// Does a piece of work in turns. A lock that another program holds is waited for until `patience` is over.
    pub(crate) async fn carry_out<T>(
        &self,
        patience: Duration,
        mut turn: impl FnMut(Now) -> Result<Step<T>, Error>,
    ) -> Result<T, Error> {
        let mut limit = self.now().instant + patience;
        loop {
            match turn(self.now())? {
                Step::Done(done) => return Ok(done),
                Step::More => {
                    limit = self.now().instant + patience;
                    self.rest(Wants::turn()).await;
                }
                Step::Disk(ticket) => {
                    self.until_written(ticket).await;
                    limit = self.now().instant + patience;
                }
                Step::Busy { .. } if self.now().instant >= limit => return Err(Error::Locked),
                Step::Busy { retry_after } => {
                    self.rest(Wants::default().or_at(self.now().instant + retry_after)).await;
                }
            }
        }
    }
}

/// See [`Client::rest`]. Every session at rest holds one.
pub(crate) struct Rest<'a> {
    client: &'a Client,
    /// Until it has been said.
    wants: Option<Wants>,
}

impl Future for Rest<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.wants.take() {
            Some(wants) => {
                self.client.wants.set(wants);
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

/// What is known of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Synced {
    /// All that there is.
    All,
    /// All that was known before, and perhaps more.
    Known {
        /// When it makes sense to try again.
        retry_after: Duration,
    },
}

impl fmt::Display for Client {
    /// What begins each of its lines in the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = self.id {
            write!(f, "{id} ")?;
        }
        write!(f, "{}: ", self.user.name)
    }
}

/// How often a session that waits for the disk looks after its locks.
const TOUCH: Duration = Duration::from_secs(5);
/// So much output is sent before more is made.
const MUCH: usize = 16 * 1024;
/// Names of files looked at in one turn: about a millisecond.
pub(crate) const NAMES_A_TURN: usize = 500;
