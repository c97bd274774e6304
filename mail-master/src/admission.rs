//! One client's way from a login's request to the worker that is told to serve it, or back.
//!
//! The master keeps its own copy of the client's descriptor until then, and the place in the ledger is reserved before
//! anybody is offered the client: it is never served twice, never lost in between, and always counted.

mod company;
mod reserve;

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ioloop::TimerId;
use log::{error, warn};
use slotmap::new_key_type;
use wire::ConnectionId;
use wire::auth::Line;
use wire::login::{Refusal, Request, ToLogin};

use crate::children::Role;
use crate::login_process::LoginKey;
use crate::mail_process::Answers;
use crate::master::{Master, Timer};
use crate::person::{Person, Rules};
use crate::pool::{Share, Wanted, WorkerKey};
use crate::quarantine::Standing;
use reserve::Full;

new_key_type! {
    /// Names one admission.
    pub(crate) struct AdmissionKey;
}

/// A client that is on its way.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Who asked; none when that login process is gone.
    login: Option<LoginKey>,
    pub(crate) request: Rc<Request>,
    client: OwnedFd,
    timer: TimerId,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Auth is asked who it is.
    Asking,
    /// As many of its user are there as may be, of whom one may just have gone.
    Full(Full),
    /// It has a place in the ledger.
    Reserved(Reserved),
}

/// A client that has a place in the ledger.
#[derive(Debug, Clone)]
struct Reserved {
    id: ConnectionId,
    person: Rc<Person>,
    waits: Waits,
    /// Those that did not take it.
    tried: Vec<WorkerKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// For a worker's answer.
    Worker,
    /// For the login to tell it that it is logged in.
    Login,
}

/// What a client is offered with.
pub(crate) struct Offer {
    pub(crate) id: ConnectionId,
    pub(crate) person: Rc<Person>,
    pub(crate) request: Rc<Request>,
    pub(crate) client: OwnedFd,
}

impl Master {
    /// A login process asks for a client to be taken.
    pub(crate) fn admit(&mut self, login: LoginKey, request: Request, client: OwnedFd) {
        let Some(process) = self.logins.get(login) else { return };
        let (pid, auth, auth_id) = (process.pid, process.auth, request.auth_id);
        let timers = &mut self.timers;
        let key = self.admissions.insert_with_key(|key| Admission {
            login: Some(login),
            request: Rc::new(request),
            client,
            timer: timers.set(Instant::now() + PATIENCE, Timer::Admission(key)),
            stage: Stage::Asking,
        });
        // Who comes while the server stops would be the first to be cut off.
        let stopping = self.shutdown.is_some();
        if stopping || !auth.is_some_and(|auth| self.ask_auth(auth, pid, auth_id, key)) {
            self.refuse_internal(key);
        }
    }

    /// Auth has answered.
    pub(crate) fn identified(&mut self, key: AdmissionKey, answer: &Line) {
        let Some(admission) = self.admissions.get(key) else { return };
        let request = admission.request.clone();
        let settings = self.config.protocol(request.protocol).clone();
        if answer.word() != "USER" {
            error!(
                "{}: {}: auth does not know of the success that the login reports",
                request.protocol, request.remote.0
            );
            let login = admission.login;
            self.refuse_internal(key);
            return self.excuse_login(login);
        }
        let invoker = self.host.invoker_unless_root();
        let rules = Rules { server: &self.config.server, protocol: &settings, invoker };
        let person = match Person::from_answer(answer, rules) {
            Ok(person) => Rc::new(person),
            Err(why) => {
                let name = String::from_utf8_lossy(answer.at(2).unwrap_or_default()).into_owned();
                error!("{}: {name}, {}: {why}", request.protocol, request.remote.0);
                return self.refuse_internal(key);
            }
        };
        if let Some(why) = company::unfit(&person, &settings, &self.config.server) {
            error!("{}: {}, {}: {why}", request.protocol, person.user, request.remote.0);
            return self.refuse_internal(key);
        }
        self.reserve(key, person, 0);
    }

    /// Finds who serves it: one that is there, or a new one.
    fn place(&mut self, key: AdmissionKey) {
        let Some(Admission { request, stage: Stage::Reserved(reserved), .. }) = self.admissions.get(key)
        else {
            return;
        };
        let (request, reserved) = (request.clone(), reserved.clone());
        if reserved.tried.len() >= TRIES {
            error!("{}: {}: no process takes this client", request.protocol, reserved.person.user);
            return self.refuse_internal(key);
        }
        let settings = self.config.protocol(request.protocol).clone();
        let share = self.share_of(&reserved.person, &settings);
        if share == Share::Private {
            return match self.config.mail_command_answers(request.protocol) {
                true => self.give(key, &request, &reserved),
                false => self.greet(key),
            };
        }
        let alone = self.quarantine.standing(&reserved.person.user, Instant::now()) != Standing::Good;
        let wanted = Wanted { protocol: request.protocol, generation: self.generation, share };
        let most = settings.clients_per_process();
        let offer = match self.offer(key) {
            Ok(offer) => offer,
            Err(why) => {
                error!(
                    "{}: {}: copying the client's descriptor: {why}",
                    request.protocol, reserved.person.user
                );
                return self.refuse_internal(key);
            }
        };
        self.renew_patience(key);
        let there = if alone { None } else { self.pool.choose(&wanted, most, &reserved.tried, &self.ledger) };
        let placed = match there {
            Some(worker) => self.offer_client(worker, offer),
            None if !self.may_start_worker(request.protocol) => {
                return self.refuse(key, Refusal::Unavailable, "Too many mail processes, try again later");
            }
            None => self.start_worker_with(wanted, alone, offer),
        };
        if let Err(why) = placed {
            error!("{}: {}: {why}", request.protocol, reserved.person.user);
            self.refuse_internal(key);
        }
    }

    fn offer(&self, key: AdmissionKey) -> std::io::Result<Offer> {
        match self.admissions.get(key) {
            Some(Admission { request, client, stage: Stage::Reserved(reserved), .. }) => Ok(Offer {
                id: reserved.id,
                person: reserved.person.clone(),
                request: request.clone(),
                client: client.as_fd().try_clone_to_owned()?,
            }),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }

    /// To a process of its own, which answers it: so a maildrop that cannot be opened is a login that fails.
    fn give(&mut self, key: AdmissionKey, request: &Request, reserved: &Reserved) {
        if !self.may_start_worker(request.protocol) {
            return self.refuse(key, Refusal::Unavailable, "Too many mail processes, try again later");
        }
        match self.offer(key).and_then(|offer| self.start_private_worker(offer, Answers::Worker)) {
            Ok(()) => self.handed_over(reserved.id),
            Err(why) => {
                error!("{}: {}: {why}", request.protocol, reserved.person.user);
                self.children.failed(Role::Mail(request.protocol), Instant::now());
                self.refuse_internal(key);
            }
        }
    }

    /// For a program that will not do it itself: the login tells the client, and only then is it given away, so that
    /// nothing can come before.
    fn greet(&mut self, key: AdmissionKey) {
        let Some(Admission { login, request, .. }) = self.admissions.get(key) else { return };
        let (login, request) = (*login, request.clone());
        match login {
            Some(_) if !self.may_start_worker(request.protocol) => {
                self.refuse(key, Refusal::Unavailable, "Too many mail processes, try again later");
            }
            Some(login) => {
                self.await_login(key);
                self.tell_login(login, &ToLogin::Greet(request.id));
            }
            None => self.refuse_internal(key),
        }
    }

    fn await_login(&mut self, key: AdmissionKey) {
        if let Some(Admission { stage: Stage::Reserved(reserved), .. }) = self.admissions.get_mut(key) {
            reserved.waits = Waits::Login;
        }
    }

    /// How many clients are about to be told that they are logged in, and then to have a process.
    pub(crate) fn waiting_for_logins(&self) -> usize {
        let waits = |stage: &Stage| matches!(stage, Stage::Reserved(it) if it.waits == Waits::Login);
        self.admissions.values().filter(|admission| waits(&admission.stage)).count()
    }

    /// The login has told the client: it is given to a process of its own.
    pub(crate) fn greeted(&mut self, login: LoginKey, request: u64) {
        let found = self.admissions.iter().find(|(_, admission)| {
            admission.login == Some(login)
                && admission.request.id == request
                && matches!(&admission.stage, Stage::Reserved(reserved) if reserved.waits == Waits::Login)
        });
        let Some((key, _)) = found else {
            warn!("a login says 'greeted' of request {request}, which it was not asked for");
            return self.excuse_login(Some(login));
        };
        let started = self.offer(key).and_then(|offer| self.start_private_worker(offer, Answers::Login));
        let Some(admission) = self.take_admission(key) else { return };
        self.no_stranger(login, &admission.request);
        if let (Err(why), Stage::Reserved(reserved)) = (started, admission.stage) {
            let protocol = admission.request.protocol;
            error!("{protocol}: {}: {why}; the client is cut off", reserved.person.user);
            self.ledger.close(reserved.id);
            self.children.failed(Role::Mail(protocol), Instant::now());
        }
    }

    fn no_stranger(&mut self, login: LoginKey, request: &Request) {
        if let Some(id) = request.stranger {
            self.strangers.leave((login, id));
        }
    }

    /// Whether it is that worker who may serve it, and has not been told yet.
    pub(crate) fn is_offered(&self, worker: WorkerKey, id: ConnectionId) -> bool {
        let offered_to = self.ledger.entry(id).and_then(|entry| entry.worker);
        offered_to == Some(worker) && self.admitted_as.contains_key(&id)
    }

    /// A worker was told to serve it.
    pub(crate) fn handed_over(&mut self, id: ConnectionId) {
        let Some(key) = self.admitted_as.get(&id).copied() else { return };
        self.ledger.commit(id);
        if let Some(admission) = self.take_admission(key)
            && let Some(login) = admission.login
        {
            self.no_stranger(login, &admission.request);
            self.tell_login(login, &ToLogin::Accepted(admission.request.id));
        }
    }

    /// A worker did not take it: the next one is tried.
    pub(crate) fn not_taken(&mut self, worker: WorkerKey, id: ConnectionId) {
        self.ledger.unassign(id);
        let Some(key) = self.admitted_as.get(&id).copied() else { return };
        if let Some(Admission { stage: Stage::Reserved(reserved), .. }) = self.admissions.get_mut(key) {
            reserved.tried.push(worker);
        }
        self.place(key);
    }

    /// The worker that it was offered to died, and may have died of it: it is tried once more, alone in a fresh one.
    pub(crate) fn worker_died_of(&mut self, worker: WorkerKey, id: ConnectionId) {
        self.ledger.unassign(id);
        let Some(key) = self.admitted_as.get(&id).copied() else { return };
        let Some(Admission { stage: Stage::Reserved(reserved), .. }) = self.admissions.get_mut(key) else {
            return;
        };
        reserved.tried.push(worker);
        let user = reserved.person.user.clone();
        match self.blame(&user) {
            Standing::Quarantined => {
                self.refuse(key, Refusal::Unavailable, "Serving this account has failed, try again later");
            }
            Standing::Good | Standing::Suspect => self.place(key),
        }
    }

    /// A worker died on a user's behalf.
    pub(crate) fn blame(&mut self, user: &str) -> Standing {
        let time = self.config.server.mail_quarantine_time;
        let standing = self.quarantine.blame(user, time, Instant::now());
        match standing {
            Standing::Quarantined => error!(
                "{user}: two mail processes died while they worked for this user: in quarantine, served alone for {} s",
                time.as_secs()
            ),
            _ => warn!("{user}: a mail process died while it worked for this user: served alone for now"),
        }
        standing
    }

    /// It has stood where it stands for too long.
    pub(crate) fn admission_timed_out(&mut self, key: AdmissionKey) {
        match self.admissions.get(key).map(|admission| &admission.stage) {
            Some(Stage::Reserved(reserved)) if reserved.waits == Waits::Worker => {
                let id = reserved.id;
                match self.ledger.entry(id).and_then(|entry| entry.worker) {
                    Some(worker) => self.withdraw(worker, id),
                    None => self.refuse_internal(key),
                }
            }
            Some(_) => self.refuse_internal(key),
            None => {}
        }
    }

    fn renew_patience(&mut self, key: AdmissionKey) {
        let Some(admission) = self.admissions.get_mut(key) else { return };
        self.timers.cancel(admission.timer);
        admission.timer = self.timers.set(Instant::now() + PATIENCE, Timer::Admission(key));
    }

    /// A login process is gone. Whom a worker was offered goes on; who needs the login does not.
    pub(crate) fn login_gone(&mut self, login: LoginKey) {
        let own = self.admissions.iter_mut().filter(|(_, admission)| admission.login == Some(login));
        let lost: Vec<AdmissionKey> = own
            .filter_map(|(key, admission)| {
                admission.login = None;
                let goes_on =
                    matches!(&admission.stage, Stage::Reserved(reserved) if reserved.waits == Waits::Worker);
                (!goes_on).then_some(key)
            })
            .collect();
        for key in lost {
            self.refuse_internal(key);
        }
    }

    /// Something is wrong that is not the client's fault, and that the log tells.
    pub(crate) fn refuse_internal(&mut self, key: AdmissionKey) {
        self.refuse(
            key,
            Refusal::Unavailable,
            "Internal login failure. Refer to server log for more information.",
        );
    }

    fn refuse(&mut self, key: AdmissionKey, code: Refusal, text: &str) {
        let Some(admission) = self.take_admission(key) else { return };
        if let Stage::Reserved(reserved) = admission.stage {
            self.ledger.close(reserved.id);
            self.login_delay.forget(&reserved.person.user);
        }
        if let Some(login) = admission.login {
            let id = admission.request.id;
            self.tell_login(login, &ToLogin::Refused { id, code, text: text.to_owned() });
        }
    }

    fn take_admission(&mut self, key: AdmissionKey) -> Option<Admission> {
        let admission = self.admissions.remove(key)?;
        self.timers.cancel(admission.timer);
        if let Stage::Reserved(reserved) = &admission.stage {
            self.admitted_as.remove(&reserved.id);
        }
        Some(admission)
    }
}

/// How long auth, a worker or a login may take with one client. Auth's and the worker's disks may be slow; a worker that
/// is silent for longer is passed over.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many processes are offered one client.
const TRIES: usize = 4;

#[cfg(test)]
mod tests;
