//! From a name and a password to a client that is somebody else's: auth is asked, then the master, and the
//! client is told what they say.
//!
//! From the request until the verdict nothing is read from the client or written to it, here: it may be
//! another's already.

use std::time::{Duration, Instant};

use wire::login::{FromLogin, Refusal, Request};

use super::{Due, Login, number};
use crate::auth::Answer;
use crate::client::{ClientKey, State};
use crate::conversation::{Attempt, Departure, Verdict};

impl Login {
    /// Asks auth about a client.
    pub(super) fn ask(&mut self, key: ClientKey, attempt: &Attempt, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        client.attempts.claimed(&attempt.credentials.user, attempt.method);
        match self.auth.ask(key, attempt, client.local, client.remote) {
            Ok(id) => {
                let timer = match self.auth.is_ready() {
                    true => self.timers.set(now + ANSWER, Due::Question(key)),
                    false => self.timers.set(now + LINK, Due::Link(key)),
                };
                client.state = State::Asking { id, timer };
            }
            Err(verdict) => self.disappoint(key, &verdict, now),
        }
    }

    /// Auth has said what it knows.
    pub(super) fn answered(&mut self, answer: Answer, now: Instant) {
        let Some(client) = self.clients.get_mut(answer.client) else { return };
        let State::Asking { id, timer } = client.state else { return };
        if id != answer.id {
            return;
        }
        self.timers.cancel(timer);
        match answer.outcome {
            Ok(()) => client.state = State::Proven { auth_id: id },
            Err(verdict) => self.disappoint(answer.client, &verdict, now),
        }
        self.settle(answer.client, now);
    }

    /// There was no auth to ask. Where it has come meanwhile, it gets its time.
    pub(super) fn link_due(&mut self, key: ClientKey, now: Instant) {
        match self.clients.get_mut(key).map(|client| &mut client.state) {
            Some(State::Asking { timer, .. }) if self.auth.is_ready() => {
                *timer = self.timers.set(now + ANSWER, Due::Question(key));
            }
            _ => self.question_due(key, now),
        }
    }

    /// Auth has not answered.
    pub(super) fn question_due(&mut self, key: ClientKey, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let State::Asking { id, .. } = client.state else { return };
        self.auth.cancel(id);
        self.disappoint(key, &Verdict::Temporary, now);
        self.settle(key, now);
    }

    /// Not logged in: the client is told, and may try again, but not for ever.
    fn disappoint(&mut self, key: ClientKey, verdict: &Verdict, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        client.state = State::Talking;
        client.answer(verdict);
        match verdict {
            Verdict::Failed { why, .. } => {
                let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
                log::info!("Login failed{why}: {}", client.facts());
                if client.attempts.failed() >= MOST_FAILURES {
                    self.send_away(key, Departure::FailedLogins, now);
                }
            }
            Verdict::Temporary => log::info!("Login failed temporarily: {}", client.facts()),
            Verdict::Refused { text, .. } => log::info!("Login refused ({text}): {}", client.facts()),
            Verdict::LoggedIn => {}
        }
        self.send_away_if_stopping(key, now);
    }

    /// Asks the master to take a client that has proved who it is. Not before all is sent that we had to say
    /// to it.
    pub(super) fn request(&mut self, key: ClientKey, auth_id: u32, now: Instant) {
        if let Err(why) = self.try_request(key, auth_id) {
            log::error!("handing a client over: {why}");
            let verdict = Verdict::Refused { code: Refusal::Unavailable, text: String::new() };
            self.disappoint(key, &verdict, now);
            self.settle(key, now);
        }
    }

    fn try_request(&mut self, key: ClientKey, auth_id: u32) -> Result<(), String> {
        // The kernel forgets a watched descriptor only with its last copy, and here another comes to be.
        self.watch(key, None).map_err(|why| why.to_string())?;
        let (Some(client), Some(master)) = (self.clients.get_mut(key), &mut self.master) else {
            return Err("no link to the master".to_owned());
        };
        if !master.link().has_room() {
            return Err("the master does not keep up".to_owned());
        }
        let descriptor = client.duplicate().map_err(|why| why.to_string())?;
        self.last_request += 1;
        let request = Request {
            id: self.last_request,
            auth_id,
            protocol: self.settings.protocol,
            local: (client.local.ip(), client.local.port()),
            remote: (client.remote.ip(), client.remote.port()),
            tag: client.tag().to_owned(),
            secured: false,
            stranger: Some(number(key)),
        };
        client.state = State::HandedOver { request: request.id };
        self.requests.insert(request.id, key);
        master.say(&FromLogin::Request(request), Some(descriptor));
        Ok(())
    }

    /// The client is somebody else's.
    pub(super) fn accepted(&mut self, id: u64) {
        if let Some(key) = self.verdict_on(id)
            && let Some(client) = self.forget(key)
        {
            log::info!("Login: {}", client.facts());
        }
    }

    /// The client is somebody else's who will not greet it.
    pub(super) fn greet(&mut self, id: u64, now: Instant) {
        let Some(key) = self.verdict_on(id) else { return };
        // Until it is told, it is one of those that are handed over.
        self.requests.insert(id, key);
        self.be_patient(key, now);
        if let Some(client) = self.clients.get_mut(key) {
            log::info!("Login: {}", client.facts());
            client.state = State::Greeting { request: id };
            client.answer(&Verdict::LoggedIn);
        }
        self.settle(key, now);
    }

    /// The client has been told.
    pub(super) fn greeted(&mut self, key: ClientKey, id: u64) {
        self.requests.remove(&id);
        if let Some(master) = &mut self.master {
            master.say(&FromLogin::Greeted(id), None);
        }
        self.forget(key);
    }

    /// The client is still ours.
    pub(super) fn refused(&mut self, id: u64, code: Refusal, text: String, now: Instant) {
        let Some(key) = self.verdict_on(id) else { return };
        self.be_patient(key, now);
        self.disappoint(key, &Verdict::Refused { code, text }, now);
        self.settle(key, now);
    }

    /// Whom a verdict is about.
    fn verdict_on(&mut self, id: u64) -> Option<ClientKey> {
        let key = self.requests.get(&id).copied();
        let waiting = key.filter(|key| {
            matches!(self.clients.get(*key).map(|client| client.state), Some(State::HandedOver { .. }))
        });
        if waiting.is_none() {
            log::warn!("the master speaks of request {id}, which does not wait");
        }
        waiting.and_then(|_| self.requests.remove(&id))
    }

    /// There will be no more verdicts. What became of those clients is not known, so that nothing may be said
    /// to them: each is closed on our side, and lives on where it was handed over.
    pub(super) fn abandon(&mut self) {
        let keys: Vec<_> = self.requests.values().copied().collect();
        for key in keys {
            let state = self.clients.get(key).map(|client| client.state);
            if let Some(State::HandedOver { request }) = state
                && let Some(client) = self.forget(key)
            {
                self.requests.remove(&request);
                log::error!("Login lost, the master is gone: {}", client.facts());
            }
        }
    }
}

/// How long auth may take for an answer; a little longer than it gives the slowest of its programs.
const ANSWER: Duration = Duration::from_secs(90);

/// How long there may be no auth to ask.
const LINK: Duration = Duration::from_secs(10);

/// So many wrong passwords, and the client has to come again.
const MOST_FAILURES: u32 = 5;
