//! One client's turn: it speaks, it is answered, it leaves. What the loop watches of it follows from its
//! state.

use std::io;
use std::time::Instant;

use ioloop::{Interest, Ready};
use wire::login::FromLogin;

use super::{Due, Login, Source, number};
use crate::client::{Client, ClientKey, HungUp, State};
use crate::conversation::{Departure, Next};

impl Login {
    /// Does what the loop said is possible.
    pub(super) fn client_ready(&mut self, key: ClientKey, ready: Ready, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if ready.readable && client.state == State::Talking && client.is_flushed() {
            match client.converse(&mut self.scratch) {
                Ok(Next::More | Next::Disallowed) => {}
                Ok(Next::Authenticate(attempt)) => self.ask(key, &attempt, now),
                Ok(Next::Leave(why)) => self.leaves(key, why, now),
                Err(HungUp) => {
                    self.leaves(key, Departure::HungUp, now);
                    self.remove(key);
                }
            }
        }
        self.settle(key, now);
    }

    /// Sends what there is to be sent, and goes on with what waited for that.
    pub(super) fn settle(&mut self, key: ClientKey, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let open = client.flush();
        let watch = match (client.state, open, client.is_flushed()) {
            (State::Greeting { request }, Err(HungUp), _) | (State::Greeting { request }, Ok(()), true) => {
                return self.greeted(key, request);
            }
            (State::Leaving, Err(HungUp), _) | (State::Leaving, Ok(()), true) => return self.remove(key),
            (_, Err(HungUp), _) => {
                self.leaves(key, Departure::HungUp, now);
                return self.remove(key);
            }
            (State::Proven { auth_id }, Ok(()), true) => return self.request(key, auth_id, now),
            (State::Talking, Ok(()), true) => Some(Interest::Read),
            (State::Asking { .. } | State::HandedOver { .. }, Ok(()), true) => None,
            (_, Ok(()), false) => Some(Interest::Write),
        };
        if let Err(why) = self.watch(key, watch) {
            log::error!("watching a client, closing it: {why}");
            self.remove(key);
        }
    }

    /// Has the loop tell this of a client, and nothing else. One that rests is unwatched: its end would be
    /// told again and again.
    pub(super) fn watch(&mut self, key: ClientKey, interest: Option<Interest>) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(key) else { return Ok(()) };
        let number = Source::Client(key).key();
        match interest {
            same if same == client.watched => {}
            Some(wanted) if client.watched.is_none() => self.io.watch(&*client, number, wanted)?,
            Some(wanted) => self.io.rewatch(&*client, number, wanted)?,
            None => self.io.unwatch(&*client)?,
        }
        client.watched = interest;
        Ok(())
    }

    /// Its time is over.
    pub(super) fn client_due(&mut self, key: ClientKey, now: Instant) {
        match self.clients.get(key).map(|client| client.state) {
            None | Some(State::HandedOver { .. }) => {}
            Some(State::Greeting { request }) => self.greeted(key, request),
            Some(State::Leaving) => self.remove(key),
            Some(State::Talking | State::Asking { .. } | State::Proven { .. }) => {
                self.send_away(key, Departure::Inactivity, now);
                self.remove(key);
            }
        }
    }

    /// Says a last word to one who did not ask for it.
    pub(super) fn send_away(&mut self, key: ClientKey, why: Departure, now: Instant) {
        if let Some(client) = self.clients.get_mut(key).filter(|client| client.state != State::Leaving) {
            client.bye(why);
            self.leaves(key, why, now);
            if let Some(client) = self.clients.get_mut(key) {
                // One that is gone is found to be so when it is closed.
                let _ = client.flush();
            }
        }
    }

    /// While all ends: sends a client away that is no business of the master's.
    pub(super) fn send_away_if_stopping(&mut self, key: ClientKey, now: Instant) {
        let state = self.clients.get(key).map(|client| client.state);
        if self.stopping
            && matches!(state, Some(State::Talking | State::Asking { .. } | State::Proven { .. }))
        {
            self.send_away(key, Departure::ShuttingDown, now);
            self.settle(key, now);
        }
    }

    /// From now on it only reads what we still have to say.
    pub(super) fn leaves(&mut self, key: ClientKey, why: Departure, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let logged = if client.has_tried() { Some(0) } else { self.passers.admit(now) };
        if let Some(unsaid @ 1..) = logged {
            log::info!("{unsaid} clients more have come and gone without an attempt to log in");
        }
        if logged.is_some() {
            log::info!("Disconnected{} ({}): {}", why.reason(), client.summary(now), client.facts());
        }
        if let State::Asking { id, timer } = std::mem::replace(&mut client.state, State::Leaving) {
            self.timers.cancel(timer);
            self.auth.cancel(id);
        }
    }

    /// Closes the connection.
    pub(super) fn remove(&mut self, key: ClientKey) {
        if let Some(client) = self.forget(key) {
            client.hang_up(&mut self.scratch);
        }
    }

    /// Drops our side of a client: the connection stays where another process has it, too.
    pub(super) fn forget(&mut self, key: ClientKey) -> Option<Client> {
        // It fails only where the loop has nothing to forget.
        let _ = self.watch(key, None);
        let client = self.clients.remove(key)?;
        self.timers.cancel(client.timer);
        let is_known = matches!(client.state, State::HandedOver { .. } | State::Greeting { .. });
        if let Some(master) = self.master.as_mut().filter(|_| !is_known) {
            master.say(&FromLogin::Left(number(key)), None);
        }
        Some(client)
    }

    /// Gives a client as much time as one that has just come.
    pub(super) fn be_patient(&mut self, key: ClientKey, now: Instant) {
        if let Some(client) = self.clients.get_mut(key) {
            self.timers.cancel(client.timer);
            client.timer = self.timers.set(now + self.settings.timeout, Due::Client(key));
        }
    }
}
