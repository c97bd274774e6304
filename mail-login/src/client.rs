//! One client that has not logged in: its socket, and what we have to say to it.
//!
//! The socket's modes are left as they are for whoever comes next: each call says for itself that it must not
//! wait. What a client sends is looked at, and only what belongs to the current command is taken.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use ioloop::{Interest, TimerId};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use zeroize::Zeroize;

use crate::conversation::{Conversation, Departure, Method, Next, Verdict};

slotmap::new_key_type! {
    /// Names a client of this process, and no other after it.
    pub(crate) struct ClientKey;
}

/// See above.
pub(crate) struct Client {
    socket: TcpStream,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) since: Instant,
    pub(crate) state: State,
    /// What the loop tells of it.
    pub(crate) watched: Option<Interest>,
    /// When our patience ends.
    pub(crate) timer: TimerId,
    pub(crate) attempts: Attempts,
    conversation: Box<dyn Conversation>,
    output: Vec<u8>,
}

/// What a client and we are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It may speak.
    Talking,
    /// Auth is asked.
    Asking {
        /// The question's number.
        id: u32,
        /// When it is as good as answered.
        timer: TimerId,
    },
    /// It is who it says; when our last word is out, the master is asked.
    Proven {
        /// The question's number.
        auth_id: u32,
    },
    /// The master has it, and will say what becomes of it.
    HandedOver {
        /// Our number of the request.
        request: u64,
    },
    /// The master has it, and we tell it that it is logged in.
    Greeting {
        /// Our number of the request.
        request: u64,
    },
    /// When our last word is out, it is closed.
    Leaving,
}

/// What the log says of a client's attempts.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// Who it said it was, last, as it may be logged; and by which method.
    claim: Option<(String, Method)>,
    made: u32,
    failed: u32,
    disallowed: bool,
}

/// The connection is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HungUp;

impl Client {
    /// One that has just come, and is greeted.
    pub(crate) fn new(
        socket: TcpStream,
        (local, remote): (SocketAddr, SocketAddr),
        conversation: Box<dyn Conversation>,
        since: Instant,
        timer: TimerId,
    ) -> Self {
        let mut output = Vec::new();
        conversation.greet(&mut output);
        Self {
            socket,
            local,
            remote,
            since,
            state: State::Talking,
            watched: None,
            timer,
            attempts: Attempts::default(),
            conversation,
            output,
        }
    }

    /// Reads commands until there are no more, or one has to be waited for. `scratch` is wiped.
    pub(crate) fn converse(&mut self, scratch: &mut [u8]) -> Result<Next, HungUp> {
        let there = self.receive(scratch, MsgFlags::MSG_PEEK)?;
        let mut taken = 0;
        let mut next = Next::More;
        while taken < there && next.goes_on() && self.output.len() < MOST_OUTPUT {
            let rest = scratch.get(taken..there).unwrap_or_default();
            let (bytes, then) = self.feed(rest);
            self.attempts.disallowed |= then == Next::Disallowed;
            taken += bytes;
            next = then;
        }
        let outcome = self.take(scratch, taken);
        scratch.get_mut(..there).unwrap_or_default().zeroize();
        outcome.map(|()| next)
    }

    /// A fault in reading what one client sent costs that client.
    fn feed(&mut self, input: &[u8]) -> (usize, Next) {
        let Self { conversation, output, .. } = self;
        catch_unwind(AssertUnwindSafe(|| conversation.feed(input, output))).unwrap_or_else(|_| {
            conversation.bye(Departure::Panicked, output);
            (input.len(), Next::Leave(Departure::Panicked))
        })
    }

    /// Removes from the socket what was only looked at.
    fn take(&self, scratch: &mut [u8], mut count: usize) -> Result<(), HungUp> {
        while count > 0 {
            let room = scratch.get_mut(..count).ok_or(HungUp)?;
            match self.receive(room, MsgFlags::empty())? {
                0 => return Err(HungUp),
                got => count -= got,
            }
        }
        Ok(())
    }

    /// How many bytes were received; none is none for now.
    fn receive(&self, room: &mut [u8], flags: MsgFlags) -> Result<usize, HungUp> {
        loop {
            match recv(self.socket.as_raw_fd(), room, flags | MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Err(HungUp),
                Ok(got) => return Ok(got),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(0),
                Err(_) => return Err(HungUp),
            }
        }
    }

    /// Sends what it can.
    pub(crate) fn flush(&mut self) -> Result<(), HungUp> {
        let mut sent = 0;
        while let Some(rest) = self.output.get(sent..).filter(|rest| !rest.is_empty()) {
            match send(self.socket.as_raw_fd(), rest, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
                Ok(bytes) => sent += bytes,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    self.output.drain(..sent);
                    return Ok(());
                }
                Err(_) => return Err(HungUp),
            }
        }
        self.output = Vec::new();
        Ok(())
    }

    /// Whether all that was said has been sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.output.is_empty()
    }

    /// Answers the command that asked for authentication.
    pub(crate) fn answer(&mut self, verdict: &Verdict) {
        self.conversation.answer(verdict, &mut self.output);
    }

    /// Says a last word.
    pub(crate) fn bye(&mut self, why: Departure) {
        self.conversation.bye(why, &mut self.output);
    }

    /// The tag of the command that waits for an answer.
    pub(crate) fn tag(&self) -> &str {
        self.conversation.tag()
    }

    /// One more descriptor of the connection, to be given away.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }

    /// Ends the connection for both sides. What the client has sent is read first: where something unread is
    /// thrown away, the kernel resets the connection, and our last word may be lost with it.
    pub(crate) fn hang_up(self, scratch: &mut [u8]) {
        // A connection that is gone needs no end.
        let _ = self.socket.shutdown(Shutdown::Write);
        for _ in 0..LAST_READS {
            if !matches!(self.receive(scratch, MsgFlags::empty()), Ok(1..)) {
                break;
            }
        }
        scratch.zeroize();
    }

    /// Where it comes from, as log lines end.
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts(self)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Next {
    fn goes_on(&self) -> bool {
        matches!(self, Self::More | Self::Disallowed)
    }
}

impl Attempts {
    /// It says that it is `user`.
    pub(crate) fn claimed(&mut self, user: &[u8], method: Method) {
        self.claim = Some((journal::name(user), method));
        self.made += 1;
    }

    /// It is not. How often that was so.
    pub(crate) fn failed(&mut self) -> u32 {
        self.failed += 1;
        self.failed
    }
}

/// `user=<alice>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.9`
pub(crate) struct Facts<'a>(&'a Client);

impl fmt::Display for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((user, method)) = &self.0.attempts.claim {
            write!(f, "user=<{user}>, method={}, ", method.name())?;
        }
        write!(f, "rip={}, lip={}", self.0.remote.ip(), self.0.local.ip())
    }
}

impl Client {
    /// Whether it has tried to log in.
    pub(crate) fn has_tried(&self) -> bool {
        self.attempts.made > 0
    }

    /// What it has achieved by `now`, as log lines put it in parentheses.
    pub(crate) fn summary(&self, now: Instant) -> String {
        let seconds = now.saturating_duration_since(self.since).as_secs();
        let Attempts { made, failed, disallowed, .. } = self.attempts;
        match (made, failed) {
            (0, _) if disallowed => "tried to use disallowed plaintext auth".to_owned(),
            (0, _) => format!("no auth attempts in {seconds} secs"),
            (_, 0) => format!("{made} auth attempts in {seconds} secs"),
            _ => format!("auth failed, {failed} attempts in {seconds} secs"),
        }
    }
}

/// How much is said before what was said is sent.
const MOST_OUTPUT: usize = 4096;
/// How many buffers are read of one who is sent away.
const LAST_READS: usize = 4;
