//! One authentication, from a client's AUTH to its success or failure.
//!
//! A success waits, for a while and for as long as its client's connection lasts, until a master takes it, once. A
//! failure is told a time after the request began that does not depend on the reason, so that nobody is told by the clock
//! which names exist, and that grows, so that nobody who guesses gets far; a success waits as long where somebody has
//! guessed.

use std::time::{Duration, Instant};

use ioloop::TimerId;
use wire::auth::Line;

use crate::account::Account;
use crate::auth::{Auth, Done, Due, RequestKey, SourceKey};
use crate::client::query;
use crate::mechanism::{BadResponse, Exchange, Mechanism, Step, decode};
use crate::passdb::{Answer, Verdict, Work};
use crate::peer::Side;
use crate::query::Query;
use crate::secret::Secret;

/// One authentication.
#[derive(Debug)]
pub(crate) struct Request {
    client: SourceKey,
    id: u32,
    query: Query,
    pub(crate) began: Instant,
    /// No master will ask for it.
    no_login: bool,
    /// What is tried, so that the same thing is known again.
    print: Option<u64>,
    /// Why it fails, if it does: for the log only.
    why: &'static str,
    stage: Stage,
    timer: Option<TimerId>,
}

/// How far it is, and what its timer is for.
#[derive(Debug)]
enum Stage {
    /// The client has to respond; the timer says for how long.
    Talking(Exchange),
    /// A passdb has to answer.
    Checking { passdb: usize, password: Secret, trouble: bool },
    /// It has failed; the timer says when to tell.
    Failed(Vec<u8>),
    /// It will have succeeded; the timer says when.
    Held(Account),
    /// It has succeeded; the timer says until when that counts.
    Succeeded(Account),
}

/// Why a request fails, as the client is told it.
#[derive(Debug)]
enum Failure {
    Wrong,
    Temporary,
    TooMany,
    Authorization,
    Malformed,
    NoMechanism,
}

impl Request {
    /// It waits for nothing but a master.
    pub(crate) fn has_succeeded(&self) -> bool {
        matches!(self.stage, Stage::Succeeded(_))
    }
}

impl Auth {
    /// Begins one, by a line AUTH and its initial response.
    pub(crate) fn begin(&mut self, key: SourceKey, id: u32, line: &Line, response: Option<&[u8]>) {
        // Without a master nobody can ask what a new one ended in.
        if self.control.is_none() || !self.has_room(key) {
            self.send(key, &failure_line(id, "", &Failure::Temporary).to_bytes());
            return;
        }
        let request = self.requests.insert(Request {
            client: key,
            id,
            query: query(line),
            began: Instant::now(),
            no_login: line.get("nologin").is_some(),
            print: None,
            why: "",
            // What it is until the mechanism has said otherwise.
            stage: Stage::Talking(Exchange::Plain),
            timer: None,
        });
        if let Some(Side::Client(client)) = self.peer(key).map(|peer| &mut peer.side) {
            client.requests.insert(id, request);
        }
        let name = line.at(2).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        let Some(mechanism) = Mechanism::named(name).filter(|m| self.settings.mechanisms.contains(m)) else {
            self.fail(request, &Failure::NoMechanism);
            return;
        };
        match response.map(decode) {
            None => self.step(request, mechanism.begin(None)),
            Some(Some(response)) => self.step(request, mechanism.begin(Some(&response))),
            Some(None) => self.fail(request, &Failure::Malformed),
        }
    }

    /// Goes on with a client's response to a challenge.
    pub(crate) fn go_on(&mut self, key: RequestKey, response: &[u8]) {
        let Some(request) = self.requests.get_mut(key) else { return };
        let Stage::Talking(exchange) = &request.stage else { return };
        let exchange = exchange.clone();
        match decode(response) {
            Some(response) => self.step(key, exchange.respond(&response)),
            None => self.fail(key, &Failure::Malformed),
        }
    }

    /// Nothing is checked, and so nothing is found out.
    fn too_many(&mut self, key: RequestKey, query: Query) {
        if let Some(request) = self.requests.get_mut(key) {
            log::info!("auth({}): too many attempts", query.who());
            request.query = query;
            request.why = "too many attempts";
            self.fail(key, &Failure::TooMany);
        }
    }

    fn step(&mut self, key: RequestKey, step: Result<Step, BadResponse>) {
        let Some(request) = self.requests.get_mut(key) else { return };
        match step {
            Ok(Step::Challenge(challenge, exchange)) => {
                use base64::Engine as _;
                request.stage = Stage::Talking(exchange);
                let challenge = base64::engine::general_purpose::STANDARD.encode(challenge);
                let line = Line::new("CONT").with(request.id.to_string()).with(challenge).to_bytes();
                let (client, until) = (request.client, request.began + MAX_TALK);
                self.set_timer(key, until);
                self.send(client, &line);
            }
            Ok(Step::Done { name, password }) => {
                let query = std::mem::take(&mut request.query);
                if !self.may_attempt(&query) {
                    return self.too_many(key, Query { user: name, ..query });
                }
                let print = self.print(&password);
                let Some(request) = self.requests.get_mut(key) else { return };
                match self.settings.names.admit(query, &name) {
                    Ok(query) => {
                        request.query = query;
                        request.print = Some(print);
                        request.stage = Stage::Checking { passdb: 0, password, trouble: false };
                        self.check(key);
                    }
                    Err((query, bad)) => {
                        log::info!("auth({}): {bad}", query.who());
                        request.query = query;
                        request.why = "no user name";
                        self.fail(key, &Failure::Wrong);
                    }
                }
            }
            Err(bad) => {
                let failure = match &bad {
                    BadResponse::Authorization { name } => {
                        name.clone_into(&mut request.query.user);
                        request.why = "not allowed to act for another user";
                        Failure::Authorization
                    }
                    BadResponse::Password => Failure::Wrong,
                    BadResponse::Form | BadResponse::NotText => Failure::Malformed,
                };
                log::info!("auth({}): {bad}", request.query.who());
                self.fail(key, &failure);
            }
        }
    }

    /// Asks the passdbs from the next one on, until one knows or has to be waited for.
    fn check(&mut self, key: RequestKey) {
        loop {
            let Some(request) = self.requests.get_mut(key) else { return };
            let Stage::Checking { passdb, password, trouble } = &request.stage else { return };
            let Some(passdb) = self.settings.passdbs.get(*passdb) else {
                let failure = if *trouble { Failure::Temporary } else { Failure::Wrong };
                return self.fail(key, &failure);
            };
            let verdict = match passdb.check(&mut self.files, &request.query, password) {
                Answer::Now(verdict) => verdict,
                Answer::Later(work) => {
                    let pool = match &work {
                        Work::Hash { .. } => &self.computing,
                        Work::Program { .. } => &self.waiting,
                    };
                    let panicked = Done::Checked(key, Verdict::panicked());
                    match pool.submit(move || Done::Checked(key, work.verdict()), panicked) {
                        Ok(()) => {
                            self.cancel_timer(key);
                            return;
                        }
                        Err(full) => Verdict::Trouble(full.to_string()),
                    }
                }
            };
            self.judge(key, verdict);
        }
    }

    /// A passdb that had to be waited for has answered.
    pub(crate) fn checked(&mut self, key: RequestKey, verdict: Verdict) {
        self.judge(key, verdict);
        self.check(key);
    }

    /// What follows from the answer of the passdb that was asked.
    fn judge(&mut self, key: RequestKey, verdict: Verdict) {
        let Some(request) = self.requests.get_mut(key) else { return };
        let Stage::Checking { passdb, trouble, .. } = &mut request.stage else { return };
        let name = self.settings.passdbs.get(*passdb).map_or("auth", |passdb| passdb.name());
        *passdb += 1;
        match verdict {
            Verdict::Match(account) => self.hold(key, account),
            Verdict::Mismatch(why) => {
                log::info!("{name}({}): {why}", request.query.who());
                request.why = why;
            }
            Verdict::Unknown => {
                log::info!("{name}({}): unknown user", request.query.who());
                if request.why.is_empty() {
                    request.why = UNKNOWN;
                }
            }
            Verdict::Trouble(why) => {
                log::error!("{name}({}): {why}", request.query.who());
                *trouble = true;
            }
        }
    }

    /// The password is right. Where somebody has guessed, that is told as late as that one is wrong.
    fn hold(&mut self, key: RequestKey, account: Account) {
        let Some(request) = self.requests.get_mut(key) else { return };
        let (query, began) = (request.query.clone(), request.began);
        request.stage = Stage::Held(account);
        let at = began + self.count_success(&query);
        self.at(key, at);
    }

    fn succeed(&mut self, key: RequestKey, account: Account) {
        let Some(request) = self.requests.get_mut(key) else { return };
        let mut line = Line::new("OK").with(request.id.to_string()).with_value("user", &account.user);
        for field in &account.told {
            line = line.with(field.text());
        }
        let (client, no_login) = (request.client, request.no_login);
        request.stage = Stage::Succeeded(account);
        if no_login {
            self.end(key);
        } else {
            self.set_timer(key, Instant::now() + MAX_SUCCESS);
        }
        self.send(client, &line.to_bytes());
    }

    fn fail(&mut self, key: RequestKey, failure: &Failure) {
        let Some(request) = self.requests.get_mut(key) else { return };
        let (query, print, began) = (request.query.clone(), request.print, request.began);
        let line = failure_line(request.id, &query.user, failure);
        // What comes by itself, as Postfix does, may tell everything to its own clients.
        let (client, why) = (request.client, request.why);
        let vouched_for = matches!(
            self.peer(client).map(|peer| &peer.side),
            Some(Side::Client(client)) if client.is_vouched_for()
        );
        let line = if vouched_for && !why.is_empty() { line.with_value("why", why) } else { line };
        if let Some(request) = self.requests.get_mut(key) {
            request.stage = Stage::Failed(line.to_bytes());
        }
        let after = match failure {
            Failure::Wrong | Failure::Authorization => self.count_failure(&query, print),
            _ => self.settings.penalty.first,
        };
        self.at(key, began + after);
    }

    /// Goes on at that time, which may have passed.
    fn at(&mut self, key: RequestKey, at: Instant) {
        if at > Instant::now() {
            self.set_timer(key, at);
        } else {
            self.request_due(key);
        }
    }

    /// The time of a request has come.
    pub(crate) fn request_due(&mut self, key: RequestKey) {
        let Some(request) = self.requests.get_mut(key) else { return };
        let client = request.client;
        match &mut request.stage {
            Stage::Talking(_) => self.fail(key, &Failure::Wrong),
            Stage::Checking { .. } => {}
            Stage::Failed(line) => {
                let line = std::mem::take(line);
                self.end(key);
                self.send(client, &line);
            }
            Stage::Held(account) => {
                let account = std::mem::take(account);
                self.succeed(key, account);
            }
            Stage::Succeeded(_) => drop(self.end(key)),
        }
    }

    /// Takes the success of request `id` of the client that is process `pid`, once. Where `cookie` is given, only of the
    /// connection that it belongs to; none if there is no such success, or more than one.
    pub(crate) fn consume(&mut self, pid: u32, id: u32, cookie: Option<Secret>) -> Option<(Query, Account)> {
        let clients = self.clients.get(&pid)?;
        let succeeded = |key: &SourceKey| {
            let Side::Client(client) = &self.sources.get(*key)?.peer()?.side else { return None };
            let key = *client.requests.get(&id)?;
            let right = cookie.as_ref().is_none_or(|cookie| cookie.is(&client.cookie));
            (right && self.requests.get(key)?.has_succeeded()).then_some(key)
        };
        let mut found = clients.iter().filter_map(succeeded);
        let (Some(key), None) = (found.next(), found.next()) else { return None };
        let request = self.end(key)?;
        match request.stage {
            Stage::Succeeded(account) => Some((request.query, account)),
            _ => None,
        }
    }

    /// Forgets a request, also where its client knows it.
    pub(crate) fn end(&mut self, key: RequestKey) -> Option<Request> {
        let request = self.drop_request(key)?;
        if let Some(Side::Client(client)) = self.peer(request.client).map(|peer| &mut peer.side) {
            client.requests.remove(&request.id);
        }
        Some(request)
    }

    /// Forgets a request that its client does not know any more.
    pub(crate) fn drop_request(&mut self, key: RequestKey) -> Option<Request> {
        let request = self.requests.remove(key)?;
        if let Some(timer) = request.timer {
            self.timers.cancel(timer);
        }
        Some(request)
    }

    fn set_timer(&mut self, key: RequestKey, at: Instant) {
        self.cancel_timer(key);
        if let Some(request) = self.requests.get_mut(key) {
            request.timer = Some(self.timers.set(at, Due::Request(key)));
        }
    }

    fn cancel_timer(&mut self, key: RequestKey) {
        if let Some(timer) = self.requests.get_mut(key).and_then(|request| request.timer.take()) {
            self.timers.cancel(timer);
        }
    }
}

fn failure_line(id: u32, user: &str, failure: &Failure) -> Line {
    let mut line = Line::new("FAIL").with(id.to_string());
    if !user.is_empty() {
        line = line.with_value("user", user);
    }
    match failure {
        Failure::Wrong => line,
        Failure::Temporary => line.with("temp").with("code=temp_fail"),
        Failure::TooMany => {
            line.with("temp").with("code=temp_fail").with("reason=Too many login attempts, try again later.")
        }
        Failure::Authorization => line.with("authz").with("code=authz_fail"),
        Failure::Malformed => line.with("reason=Invalid response to a challenge").with("code=invalid_base64"),
        Failure::NoMechanism => {
            line.with("reason=Unsupported authentication mechanism").with("code=auth_mech_invalid")
        }
    }
}

/// What the log says of a name that no database has.
const UNKNOWN: &str = "unknown user";

/// How long a client may take for an exchange.
const MAX_TALK: Duration = Duration::from_secs(150);

/// How long a success waits for a master.
const MAX_SUCCESS: Duration = Duration::from_secs(30);
