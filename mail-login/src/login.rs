//! The process: who is waited for, whose turn it is, and how it all ends.
//!
//! One thread, one loop. What a client sends is dealt with in [`turn`], what it is after that in
//! [`handover`], how it came in [`door`].

mod door;
mod handover;
mod turn;

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ioloop::{Interest, Loop, Ready, Signals, Timers};
use journal::Rate;
use protocol::capability::Plaintext;
use slotmap::{Key, KeyData, SlotMap};
use wire::login::{FromLogin, ToLogin};

use crate::auth::Auth;
use crate::client::{Client, ClientKey};
use crate::link::Lost;
use crate::master::Master;
use crate::offers::Offers;
use crate::settings::Settings;

/// All that the process is.
pub(crate) struct Login {
    settings: Settings,
    /// What is offered to clients that may send a password in the clear, and to the others.
    offers: [Rc<Offers>; 2],
    io: Loop,
    timers: Timers<Due>,
    signals: Signals,
    /// None is left once no more clients are taken.
    listeners: Vec<TcpListener>,
    /// The listeners are not watched for a while.
    paused: bool,
    master: Option<Master>,
    auth: Auth,
    clients: SlotMap<ClientKey, Client>,
    /// Whose verdict the master owes, by our numbers.
    requests: HashMap<u64, ClientKey>,
    last_request: u64,
    stopping: bool,
    count: Count,
    /// Who comes and goes without trying to log in costs a line each: without a bound of their own, whoever guesses could
    /// have the lines about him be among those that are left out, and everybody fill the disk with the log.
    passers: Rate,
    /// What is read from clients passes through here, and is wiped.
    scratch: Vec<u8>,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy)]
enum Due {
    /// A client has not logged in.
    Client(ClientKey),
    /// There was no auth to ask about that client.
    Link(ClientKey),
    /// Auth has not answered.
    Question(ClientKey),
    /// There may be descriptors again.
    Listen,
    /// The master may be told how many clients there are.
    Count,
    /// Who is still there when all is over is cut off.
    End,
}

/// How many clients there are, as the master knows it.
#[derive(Debug, Default)]
struct Count {
    told: u32,
    at: Option<Instant>,
    pending: bool,
}

/// What the loop tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Master,
    Auth,
    Signals,
    Listener(usize),
    Client(ClientKey),
}

impl Source {
    /// A client's number is its slot's with the slot's version above, which is never 0: the small ones are
    /// free.
    fn key(self) -> usize {
        match self {
            Self::Master => 0,
            Self::Auth => 1,
            Self::Signals => 2,
            Self::Listener(number) => FIRST_LISTENER + number,
            Self::Client(key) => number(key) as usize,
        }
    }

    fn of(key: usize) -> Self {
        match key {
            0 => Self::Master,
            1 => Self::Auth,
            2 => Self::Signals,
            FIRST_LISTENER..=LAST_LISTENER => Self::Listener(key - FIRST_LISTENER),
            other => Self::Client(KeyData::from_ffi(other as u64).into()),
        }
    }
}

/// What a client is called where numbers are needed: the loop's key, and what the master knows it by.
fn number(key: ClientKey) -> u64 {
    key.data().as_ffi()
}

impl Login {
    /// One with its `master` and the `listeners` that it was born with. `pid` is its own.
    pub(crate) fn new(
        settings: Settings,
        pid: u32,
        master: OwnedFd,
        listeners: Vec<TcpListener>,
        signals: Signals,
    ) -> io::Result<Self> {
        let io = Loop::new()?;
        io.watch(&signals, Source::Signals.key(), Interest::Read)?;
        let master = Master::new(master, Source::Master.key(), &io)?;
        for (number, listener) in listeners.iter().enumerate() {
            listener.set_nonblocking(true)?;
            io.watch(listener, Source::Listener(number).key(), Interest::Read)?;
        }
        let offers = [Plaintext::Allowed, Plaintext::Refused].map(|it| Rc::new(Offers::new(&settings, it)));
        Ok(Self {
            auth: Auth::new(pid, settings.protocol, &settings.mechanisms),
            settings,
            offers,
            io,
            timers: Timers::new(),
            signals,
            listeners,
            paused: false,
            master: Some(master),
            clients: SlotMap::with_key(),
            requests: HashMap::new(),
            last_request: 0,
            stopping: false,
            count: Count::default(),
            passers: Rate::new(PASSERS),
            scratch: vec![0; SCRATCH],
        })
    }

    /// Serves clients until there are none, and there will be no more.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        while !self.is_over() {
            self.io.wait(self.timers.wait(Instant::now()), &mut ready)?;
            let now = Instant::now();
            for &event in &ready {
                self.dispatch(event, now);
            }
            while let Some(due) = self.timers.pop_due(now) {
                self.due(due, now);
            }
            self.end_turn(now);
        }
        Ok(())
    }

    fn is_over(&mut self) -> bool {
        let told = self.master.as_mut().is_none_or(|master| master.link().is_flushed());
        self.listeners.is_empty() && self.clients.is_empty() && told
    }

    fn dispatch(&mut self, ready: Ready, now: Instant) {
        match Source::of(ready.key) {
            Source::Master => self.master_ready(ready, now),
            Source::Auth => self.auth_ready(ready, now),
            Source::Signals => {
                if !self.signals.pending().is_empty() {
                    self.stop(now);
                }
            }
            Source::Listener(number) => self.accept(number, now),
            Source::Client(key) => self.client_ready(key, ready, now),
        }
    }

    fn due(&mut self, due: Due, now: Instant) {
        match due {
            Due::Client(key) => self.client_due(key, now),
            Due::Question(key) => self.question_due(key, now),
            Due::Link(key) => self.link_due(key, now),
            Due::Listen => self.listen(),
            Due::Count => self.count.pending = false,
            Due::End => {
                self.requests.clear();
                self.clients.clear();
                self.master = None;
            }
        }
    }

    /// What was said in this turn is sent.
    fn end_turn(&mut self, now: Instant) {
        self.tell_count(now);
        if let Err(why) = self.auth.flush(&self.io) {
            self.lose_auth(&why);
        }
        if let Some(master) = &mut self.master
            && let Err(why) = master.link().flush(&self.io)
        {
            self.lose_master(&why, now);
        }
    }

    /// How many clients have neither logged in nor are about to.
    fn strangers(&self) -> usize {
        self.clients.len().saturating_sub(self.requests.len())
    }

    /// Tells the master how many clients there are where that has changed, not more than once a second.
    fn tell_count(&mut self, now: Instant) {
        // One that has taken its only client is never free again.
        let taken = self.settings.process_per_connection && self.listeners.is_empty();
        let count = u32::try_from(self.strangers().max(taken.into())).unwrap_or(u32::MAX);
        if count == self.count.told || self.count.pending {
            return;
        }
        let next = self.count.at.map(|at| at + COUNT_INTERVAL);
        match (next.filter(|next| *next > now), &mut self.master) {
            (Some(next), _) => {
                self.timers.set(next, Due::Count);
                self.count.pending = true;
            }
            (None, Some(master)) => {
                master.say(&FromLogin::Clients(count), None);
                self.count.told = count;
                self.count.at = Some(now);
            }
            (None, None) => {}
        }
    }

    fn master_ready(&mut self, ready: Ready, now: Instant) {
        let Some(master) = &mut self.master else { return };
        let proceeded = master.proceed(ready, &self.io);
        if let Err(why) = self.obey(now).and(proceeded) {
            self.lose_master(&why, now);
        }
    }

    /// Does what the master has said.
    fn obey(&mut self, now: Instant) -> Result<(), Lost> {
        while let Some(master) = &mut self.master
            && let Some(message) = master.next()?
        {
            match message {
                ToLogin::Auth => {
                    let socket = master.descriptor("auth")?;
                    if let Err(why) = self.auth.connect(socket, Source::Auth.key(), &self.io) {
                        log::error!("link to auth: {why}");
                    }
                }
                ToLogin::Accepted(id) => self.accepted(id),
                ToLogin::Greet(id) => self.greet(id, now),
                ToLogin::Refused { id, code, text } => self.refused(id, code, text, now),
                ToLogin::Retire => self.close_door(),
                ToLogin::Close { id, code } => self.close(id, code, now),
            }
        }
        Ok(())
    }

    /// Without a master nobody can log in.
    fn lose_master(&mut self, why: &Lost, now: Instant) {
        let Some(master) = self.master.take() else { return };
        master.close(&self.io);
        if !matches!(why, Lost::Closed) {
            log::error!("link to the master: {why}");
        }
        self.stop(now);
        self.abandon();
    }

    fn auth_ready(&mut self, ready: Ready, now: Instant) {
        let proceeded = self.auth.proceed(ready, &self.io);
        let heard = loop {
            match self.auth.next() {
                Ok(Some(answer)) => self.answered(answer, now),
                Ok(None) => break proceeded,
                Err(why) => break Err(why),
            }
        };
        if let Err(why) = heard {
            self.lose_auth(&why);
        }
    }

    /// The master gives us another link when there is an auth again; the questions wait for it.
    fn lose_auth(&mut self, why: &Lost) {
        match why {
            // The master says that auth has ended, once for all.
            Lost::Closed => log::debug!("link to auth: {why}"),
            why => log::error!("link to auth: {why}"),
        }
        self.auth.disconnect(&self.io);
        if let Some(master) = &mut self.master {
            master.say(&FromLogin::AuthLost, None);
        }
    }

    /// Takes no more clients, and sends those away that have not logged in.
    fn stop(&mut self, now: Instant) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.close_door();
        let keys: Vec<_> = self.clients.keys().collect();
        for key in keys {
            self.send_away_if_stopping(key, now);
        }
        self.timers.set(now + LAST_WORDS, Due::End);
    }
}

/// A client's number has to fit into the loop's keys.
const _: () = assert!(size_of::<usize>() >= size_of::<u64>());

/// Keys below are the process's own, from here on its listeners', as many as LISTEN_FDS can name.
const FIRST_LISTENER: usize = 16;
const LAST_LISTENER: usize = FIRST_LISTENER + u8::MAX as usize;

/// As much of what one client has sent is looked at in one turn.
const SCRATCH: usize = 4096;

/// How many of those who come and go are logged in a second.
const PASSERS: u32 = 100;

/// How often the master is told how many clients there are, at most.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// How long those are waited for who do not read our last word, or of whom the master does not say what
/// becomes of them.
const LAST_WORDS: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loop_tells_of_is_never_mistaken() {
        let mut clients: SlotMap<ClientKey, ()> = SlotMap::with_key();
        let first = clients.insert(());
        clients.remove(first);
        let keys = [first, clients.insert(()), clients.insert(())];
        let mut sources = vec![Source::Master, Source::Auth, Source::Signals, Source::Listener(0)];
        sources.push(Source::Listener(usize::from(u8::MAX)));
        sources.extend(keys.map(Source::Client));
        for source in sources {
            assert_eq!(Source::of(source.key()), source);
        }
    }
}
