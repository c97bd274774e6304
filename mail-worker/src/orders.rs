//! What the master says, done: mail-handoff(7). Each client that it names is answered for, once and in order.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use envdump::Environment;
use thiserror::Error;
use wire::ConnectionId;
use wire::handoff::{FromWorker, ToWorker};

use crate::client::Client;
use crate::greeting::Greeting;
use crate::identity::NotThatUser;
use crate::seat::{Seat, Seated, Stage};
use crate::session::Ending;
use crate::stream::Stream;
use crate::user::Refused;
use crate::worker::{LINK, Worker};
use crate::{imap, pop3};

/// Why a client is not taken.
#[derive(Debug, Error)]
enum NotTaken {
    #[error("this process ends")]
    Stopping,
    #[error("another client has that id")]
    Twice,
    #[error("IMAPLOGINTAG is no tag")]
    Tag,
    #[error("{0}")]
    Environment(#[from] Refused),
    #[error("{0}")]
    Descriptor(#[from] std::io::Error),
    #[error("{0}")]
    User(#[from] NotThatUser),
}

impl Worker {
    /// Says what this process is.
    ///
    /// # Errors
    /// A variable that cannot be understood.
    pub(crate) fn introduce(&mut self, environment: &Environment) -> Result<(), std::num::ParseIntError> {
        let program = format!("mail-worker {}", env!("CARGO_PKG_VERSION"));
        let clients = environment.text("MAIL_MAX_CONNECTIONS").map_or(Ok(0), str::parse)?;
        let identity = self.identity.to_string();
        self.say(&FromWorker::Hello { program, clients, identity });
        Ok(())
    }

    /// Does all that the master said up to now.
    pub(crate) fn hear_master(&mut self) {
        let Some(link) = &mut self.link else { return };
        let mut orders = Vec::new();
        let heard = link.hear(&mut orders);
        for (order, descriptor) in orders {
            self.obey(order, descriptor);
        }
        self.identity.base();
        match heard {
            Ok(true) => {}
            Ok(false) => self.lose_master("it is gone"),
            Err(why) => self.lose_master(why),
        }
    }

    /// Says something to the master, if there still is one.
    pub(crate) fn say(&mut self, what: &FromWorker) {
        if let Some(link) = &mut self.link {
            link.say(what);
        }
    }

    /// Sends what was said.
    pub(crate) fn flush_link(&mut self) {
        if let Some(link) = &mut self.link
            && let Err(why) = link.flush(LINK, &self.io)
        {
            self.lose_master(why);
        }
    }

    /// From now on there is no master; who is served already is served on.
    fn lose_master(&mut self, why: impl std::fmt::Display) {
        let Some(link) = self.link.take() else { return };
        log::warn!("lost the link to the master: {why}; {} clients are served on", self.seats.len());
        // It is closed here, and nobody else holds it.
        let _ = self.io.unwatch(&link);
        // Nobody will say that these are ours.
        let prepared = |(seat, it): (Seat, &Seated)| matches!(it.stage, Stage::Prepared(_)).then_some(seat);
        for seat in self.seats.iter().filter_map(prepared).collect::<Vec<_>>() {
            self.dismiss(seat, Ending::Withdrawn);
        }
    }

    fn obey(&mut self, order: ToWorker, descriptor: Option<OwnedFd>) {
        match order {
            ToWorker::Client { id, environment } => {
                if let Some(descriptor) = descriptor {
                    self.take(id, &environment, descriptor);
                }
            }
            ToWorker::Serve(id) => self.begin(id),
            ToWorker::Withdraw(id) => match self.seat_of(id) {
                Some((seat, Stage::Prepared(_))) => self.dismiss(seat, Ending::Withdrawn),
                _ => log::warn!("withdraw {id}: no client that waits"),
            },
            ToWorker::Retire => log::debug!("retired"),
            ToWorker::Report => self.report(),
            ToWorker::Kick { id, text } => match self.seat_of(id) {
                Some((seat, _)) => self.dismiss(seat, Ending::Kicked(text)),
                None => log::warn!("kick {id}: no such client"),
            },
            ToWorker::Stop => self.stop(),
            ToWorker::Ping(number) => self.say(&FromWorker::Pong(number)),
        }
    }

    fn seat_of(&self, id: ConnectionId) -> Option<(Seat, &Stage)> {
        let seat = *self.by_id.get(&id)?;
        Some((seat, &self.seats.get(seat)?.stage))
    }

    /// Prepares a client, and says whether it can be served. Its descriptor is not touched.
    pub(crate) fn take(&mut self, id: ConnectionId, environment: &Environment, descriptor: OwnedFd) {
        self.marker.set(Some(id));
        match self.prepare(id, environment, descriptor) {
            Ok(()) => self.say(&FromWorker::Ready(id)),
            Err(why) => {
                log::error!("{id} {}: not taken: {why}", environment.text("USER").unwrap_or_default());
                self.say(&FromWorker::Refused { id, text: why.to_string() });
            }
        }
    }

    fn prepare(
        &mut self,
        id: ConnectionId,
        environment: &Environment,
        descriptor: OwnedFd,
    ) -> Result<(), NotTaken> {
        if self.stopping.is_some() {
            return Err(NotTaken::Stopping);
        }
        if self.by_id.contains_key(&id) {
            return Err(NotTaken::Twice);
        }
        let greeting = Greeting::answer(environment).ok_or(NotTaken::Tag)?;
        let stream = Stream::socket(descriptor)?;
        let seat = self.seat(Some(id), environment, stream, greeting)?;
        self.by_id.insert(id, seat);
        Ok(())
    }

    /// Gives a client a place, having been its user once to see whether that is possible.
    fn seat(
        &mut self,
        id: Option<ConnectionId>,
        environment: &Environment,
        stream: Stream,
        greeting: Greeting,
    ) -> Result<Seat, NotTaken> {
        let (user, variables) = self.users.admit(environment)?;
        let variables = Rc::new(variables);
        self.identity.as_client(&user.credentials, &variables, || ())?;
        let shared = Rc::clone(&self.shared);
        Ok(self.seats.insert_with_key(|seat| {
            Seated::new(Rc::new(Client::new(id, user, variables, stream, seat, shared)), greeting)
        }))
    }

    /// Serves the one client of a process without master.
    ///
    /// # Errors
    /// Why that is not possible, in a sentence.
    pub(crate) fn take_single(
        &mut self,
        environment: &Environment,
        stream: Stream,
    ) -> Result<(), impl std::error::Error + use<>> {
        let id = environment.text("CONNECTION_ID").and_then(|id| id.parse().ok());
        let greeting = Greeting::of_single(environment).ok_or(NotTaken::Tag);
        let seat = greeting.and_then(|greeting| self.seat(id, environment, stream, greeting));
        seat.map(|seat| self.start(seat))
    }

    fn begin(&mut self, id: ConnectionId) {
        match self.seat_of(id) {
            Some((seat, Stage::Prepared(_))) => self.start(seat),
            Some(_) => log::warn!("serve {id}: that client is served already"),
            None => log::warn!("serve {id}: no such client"),
        }
    }

    fn start(&mut self, seat: Seat) {
        let Some(Seated { client, stage, .. }) = self.seats.get_mut(seat) else { return };
        let Stage::Prepared(greeting) = &*stage else { return };
        log::info!("{client}connected from {}", client.address());
        let (client, greeting) = (Rc::clone(client), greeting.clone());
        *stage = Stage::Serving(match client.user.settings.protocol {
            wire::Protocol::Imap => Box::pin(imap::serve(client, greeting)),
            wire::Protocol::Pop3 => Box::pin(pop3::serve(client, greeting)),
        });
        self.enqueue(seat);
    }

    fn report(&mut self) {
        let now = self.shared.turn.now().instant;
        let states: Vec<_> = self.seats.values().filter_map(|it| it.client.state(now)).collect();
        for state in states {
            self.say(&FromWorker::State(state));
        }
        self.say(&FromWorker::Reported);
    }

    /// Tells everybody goodbye.
    pub(crate) fn stop(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(self.shared.turn.now().instant + STOP);
            for seat in self.seats.keys().collect::<Vec<_>>() {
                self.dismiss(seat, Ending::Stopped);
            }
        }
    }
}

/// How long all the goodbyes may take.
const STOP: Duration = Duration::from_secs(8);
