//! Whose turn it is, and what becomes of sessions that end: all that is done as a client's user.

use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use store::IDLE_MODEL;
use wire::Protocol;
use wire::handoff::FromWorker;

use crate::client::Client;
use crate::identity::NotThatUser;
use crate::seat::{Seat, Stage};
use crate::session::{self, Ending, Session};
use crate::user::User;
use crate::worker::{What, Worker};
use crate::{imap, pop3};

impl Worker {
    /// Serves all who can go on, one user's together.
    pub(crate) fn serve(&mut self) {
        let begun = self.shared.turn.now().instant;
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_by_cached_key(|seat| self.seats.get(*seat).map(|seated| Rc::as_ptr(&seated.client.user)));
        let mut fresh = fresh.into_iter();
        for seat in fresh.by_ref() {
            self.advance(seat);
            if self.shared.turn.now().instant - begun > LONG_TURN {
                break;
            }
        }
        // The others come next, but not before the master was heard.
        self.fresh.splice(..0, fresh);
        let end = self.shared.turn.now().instant + LONG_WORK;
        // Those who have their turn now queue up behind those who had not.
        for _ in 0..self.busy.len() {
            let Some(seat) = self.busy.pop_front() else { break };
            self.advance(seat);
            if Instant::now() >= end {
                break;
            }
        }
    }

    /// Runs a session until it waits.
    fn advance(&mut self, seat: Seat) {
        let Some(seated) = self.seats.get_mut(seat) else { return };
        seated.queued = false;
        let (Stage::Serving(session) | Stage::Leaving(session)) = &mut seated.stage else { return };
        let client = Rc::clone(&seated.client);
        self.marker.set(client.id);
        self.shared.turn.begin();
        let user = &client.user;
        let polled = self.identity.as_client(&user.credentials, &client.variables, || session::poll(session));
        match polled {
            Ok(Poll::Pending) => {
                if let Err(why) = seated.arrange(seat, &self.io, &mut self.timers) {
                    log::error!("{client}watching: {why}");
                    self.dismiss(seat, Ending::Failed(INTERNAL));
                } else if seated.wants.turn {
                    seated.queued = true;
                    self.busy.push_back(seat);
                } else if let (Some(ticket), Some(disk)) = (seated.wants.disk, &self.disk) {
                    disk.wait(ticket, seat);
                }
            }
            Ok(Poll::Ready(ending)) => self.dismiss(seat, ending),
            Err(why) => {
                log::error!("{client}{why}");
                self.dismiss(seat, Ending::Failed(INTERNAL));
            }
        }
        self.look_after(&client.user);
    }

    /// Ends a session, wherever it is; its client is told why.
    pub(crate) fn dismiss(&mut self, seat: Seat, ending: Ending) {
        let Some(seated) = self.seats.get_mut(seat) else { return };
        let client = Rc::clone(&seated.client);
        self.marker.set(client.id);
        let is_heard = ending.is_heard() && matches!(seated.stage, Stage::Serving(_));
        let leaving: Session = Box::pin(leave(Rc::clone(&client), ending.clone()));
        match std::mem::replace(&mut seated.stage, Stage::Leaving(leaving)) {
            Stage::Prepared(_) => {}
            Stage::Serving(session) | Stage::Leaving(session) => self.cancel(&client, session),
        }
        if ending == Ending::Panicked {
            self.start_over(&client.user);
        }
        if is_heard && let Some(text) = ending.farewell() {
            client.write_farewell(|out| match client.user.settings.protocol {
                Protocol::Imap => imap::farewell(out, &text),
                Protocol::Pop3 => pop3::farewell(out, &text),
            });
        }
        // Most of the time the last words are gone at once.
        let flush = || client.flush_now();
        let is_said = !is_heard
            || self.identity.as_client(&client.user.credentials, &client.variables, flush).unwrap_or(true);
        if is_said { self.release(seat, &ending) } else { self.enqueue(seat) }
    }

    /// Drops a session as its user. Where that cannot be, base may do it, who can touch nothing.
    fn cancel(&mut self, client: &Client, session: Session) {
        let mut session = Some(session);
        let mut drop_it = || session::contain(|| drop(session.take())).is_some();
        let dropped = self.identity.as_client(&client.user.credentials, &client.variables, &mut drop_it);
        if !dropped.unwrap_or_else(|_: NotThatUser| drop_it()) {
            self.start_over(&client.user);
        }
    }

    /// What a panic may have left half-changed is thrown away; the user's other clients find out when they look.
    fn start_over(&mut self, user: &Rc<User>) {
        user.start_over();
        let others: Vec<Seat> = self
            .seats
            .iter()
            .filter(|(_, it)| Rc::ptr_eq(&it.client.user, user))
            .map(|(seat, _)| seat)
            .collect();
        for seat in others {
            let Some(seated) = self.seats.get_mut(seat) else { continue };
            seated.client.notice();
            if seated.wants.notice {
                self.enqueue(seat);
            }
        }
    }

    /// Lets a client go.
    fn release(&mut self, seat: Seat, ending: &Ending) {
        let Some(mut seated) = self.seats.remove(seat) else { return };
        let client = &seated.client;
        if *ending != Ending::Withdrawn {
            log::info!("{client}{ending}, {}", client.summary());
        }
        if let Some(id) = client.id {
            self.by_id.remove(&id);
            let (input, output) = client.traffic();
            self.say(&FromWorker::Gone { id, reason: ending.gone(), input, output });
        }
        client.user.stirred.set(true);
        self.look_after(&Rc::clone(&client.user));
        if let Err(why) = seated.leave(seat, &self.io, &mut self.timers) {
            log::error!("{}unwatching: {why}", seated.client);
        }
    }

    /// Remembers to forget what is kept of a user, when he has let go of something. Until then he is kept, too.
    fn look_after(&mut self, user: &Rc<User>) {
        if user.stirred.take() && !user.minded.replace(true) {
            let at = self.shared.turn.now().instant + IDLE_MODEL;
            self.timers.set(at, What::User(Rc::clone(user)));
        }
    }

    /// Lets go of what he has not needed for a while.
    pub(crate) fn mind(&mut self, user: Rc<User>) {
        self.marker.set(None);
        let now = self.shared.turn.now();
        let credentials = Rc::clone(&user.credentials);
        let again = self.identity.as_user(&credentials, || {
            let again = session::contain(|| user.mail().forget_idle(now)).unwrap_or_else(|| {
                user.start_over();
                None
            });
            user.minded.set(again.is_some());
            // If nobody else has him he goes now, as himself.
            again.map(|at| (at, user))
        });
        match again {
            Ok(Some((at, user))) => {
                self.timers.set(at, What::User(user));
            }
            Ok(None) => {}
            Err(why) => log::error!("{why}"),
        }
    }
}

/// Ends with that once the last words are sent.
async fn leave(client: Rc<Client>, ending: Ending) -> Ending {
    // Whether the last words arrive is not ours to care for any more.
    let _ = client.flush_until(client.now().instant + FAREWELL).await;
    ending
}

/// After this the master is heard again, whoever else waits.
const LONG_TURN: Duration = Duration::from_millis(20);
/// What those with long work have of a turn, all together.
const LONG_WORK: Duration = Duration::from_millis(2);
/// How long the last words to a client may take.
const FAREWELL: Duration = Duration::from_secs(5);
const INTERNAL: &str = "Internal error.";
