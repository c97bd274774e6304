//! The auth process: its link (who may speak to it), and our own connection, on which a login's success becomes a
//! user (mail-auth(7)). After a reload that changes what it was started with there is a new one; the old one stays until
//! the last login process that uses it is gone.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Instant, SystemTime};

use ::strangers::{Penalties, Rules};
use envdump::Environment;
use fdpass::Channel;
use ioloop::Ready;
use log::{error, warn};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use slotmap::new_key_type;
use wire::auth::{self, FromAuth, Line, ToAuth};

use crate::admission::AdmissionKey;
use crate::children::Role;
use crate::in_force::Asked;
use crate::jail;
use crate::link::{Lines, Link, Open};
use crate::master::{Master, Source};
use crate::spawn::Spawn;

new_key_type! {
    /// Names one auth process.
    pub(crate) struct AuthKey;
}

/// One auth process.
#[derive(Debug)]
pub(crate) struct AuthProcess {
    pub(crate) pid: Pid,
    pub(crate) since: SystemTime,
    /// What it was started with: whether a reload needs another one.
    environment: Environment,
    /// What its jail was to be.
    pub(crate) asked: Asked,
    link: Link,
    answers: Answers,
    pub(crate) retired: bool,
}

/// Our connection to its master side, in the authentication protocol's own lines.
#[derive(Debug)]
struct Answers {
    lines: Lines,
    greeted: bool,
    last_request: u32,
    pending: HashMap<u32, AdmissionKey>,
}

impl Master {
    /// The auth process that new logins are made at.
    pub(crate) fn current_auth(&self) -> Option<AuthKey> {
        self.auths.iter().find(|(_, auth)| !auth.retired).map(|(key, _)| key)
    }

    /// Starts one where there is none, and links the login processes to it.
    pub(crate) fn keep_auth(&mut self) {
        if self.shutdown.is_some() {
            return;
        }
        if self.current_auth().is_none() {
            if !self.children.may_start(Role::Auth, Instant::now()) {
                return;
            }
            if let Err(why) = self.start_auth() {
                self.child_failed(Role::Auth, &why);
                return;
            }
        }
        for login in self.logins.keys().collect::<Vec<_>>() {
            if self.logins.get(login).is_some_and(|login| login.auth.is_none()) {
                self.link_to_auth(login);
            }
        }
    }

    /// Has the auth process replaced if the configuration of now would start it differently.
    pub(crate) fn renew_auth(&mut self) {
        // One that cannot be made is told when the new process is started.
        let wanted = self.config.auth_environment().ok();
        for auth in self.auths.values_mut() {
            auth.retired |= wanted.as_ref() != Some(&auth.environment);
        }
        self.keep_auth();
    }

    fn start_auth(&mut self) -> io::Result<()> {
        let (ours, theirs) = UnixStream::pair()?;
        let environment = self.config.auth_environment().map_err(io::Error::other)?;
        let (program, arguments) = jail::auth(&self.config, &self.host);
        let spawn = Spawn {
            program,
            arguments,
            environment: environment.clone(),
            descriptors: vec![(0, theirs.into())],
            limits: self.config.auth_limits(),
            ..Spawn::default()
        };
        let (asking, answering) = UnixStream::pair()?;
        let mut link =
            self.new_link(ours, auth::assembler(), auth::version_line()).map_err(io::Error::other)?;
        link.send(ToAuth::Master.to_bytes(), Some(answering.into()), &self.io).map_err(io::Error::other)?;
        link.send(told(&self.penalties, Instant::now()), None, &self.io).map_err(io::Error::other)?;
        let mut lines = self.new_lines(asking).map_err(io::Error::other)?;
        lines.queue(Line::new("VERSION").with("1").with("1").to_bytes(), None);
        lines.flush(&self.io).map_err(io::Error::other)?;
        let pid = match self.start_child(Role::Auth, spawn, "auth: ".to_owned(), LOG_RATE) {
            Ok(pid) => pid,
            Err(why) => {
                self.close_link(link);
                self.close_link(lines);
                return Err(why);
            }
        };
        let (link_key, lines_key) = (link.key(), lines.key());
        let answers = Answers { lines, greeted: false, last_request: 0, pending: HashMap::new() };
        let since = SystemTime::now();
        let asked = Asked::with_paths(!self.config.starts_programs_for_passwords());
        let auth = AuthProcess { pid, since, environment, asked, link, answers, retired: false };
        let key = self.auths.insert(auth);
        self.own_source(link_key, Source::AuthLink(key));
        self.own_source(lines_key, Source::AuthMaster(key));
        Ok(())
    }

    /// Tells an auth process something on its link; one that does not take it is ended.
    pub(crate) fn tell_auth(&mut self, key: AuthKey, message: &ToAuth, fd: Option<OwnedFd>) {
        let Some(auth) = self.auths.get_mut(key) else { return };
        if let Err(why) = auth.link.send(message.to_bytes(), fd, &self.io) {
            self.drop_auth(key, &why.to_string());
        }
    }

    /// It tells of failures and successes, or its link ends.
    pub(crate) fn on_auth_link(&mut self, key: AuthKey, ready: Ready) {
        let Some(auth) = self.auths.get_mut(key) else { return };
        let open = auth.link.proceed(ready, &self.io).and_then(|open| {
            while let Some(record) = auth.link.next()? {
                if let Some(message) = FromAuth::parse(&record)? {
                    keep(&mut self.penalties, &message, Instant::now());
                }
            }
            Ok(open)
        });
        match open {
            Ok(Open::Yes) => {}
            Ok(Open::No) => self.forget_auth(key),
            Err(why) => self.drop_auth(key, &why.to_string()),
        }
    }

    /// Asks what a login's authentication ended in. False: auth cannot be asked.
    pub(crate) fn ask_auth(
        &mut self,
        key: AuthKey,
        login: Pid,
        auth_id: u32,
        admission: AdmissionKey,
    ) -> bool {
        let Some(auth) = self.auths.get_mut(key) else { return false };
        let answers = &mut auth.answers;
        answers.last_request = answers.last_request.wrapping_add(1);
        let request = answers.last_request;
        let line =
            Line::new("REQUEST").with(request.to_string()).with(login.to_string()).with(auth_id.to_string());
        answers.pending.insert(request, admission);
        answers.lines.queue(line.to_bytes(), None);
        if answers.lines.backlog() > Channel::FULL {
            self.drop_auth(key, "it does not read our requests");
            return false;
        }
        if let Err(why) = answers.lines.flush(&self.io) {
            self.drop_auth(key, &why.to_string());
            return false;
        }
        true
    }

    /// Answers have come, or requests can be sent again.
    pub(crate) fn on_auth_answers(&mut self, key: AuthKey, ready: Ready) {
        let Some(auth) = self.auths.get_mut(key) else { return };
        let open = match auth.answers.lines.proceed(ready, &self.io) {
            Ok(open) => open,
            Err(why) => return self.drop_auth(key, &why.to_string()),
        };
        loop {
            let Some(auth) = self.auths.get_mut(key) else { return };
            match auth.answers.lines.next_line() {
                Ok(Some(line)) => {
                    if let Err(why) = self.auth_says(key, &Line::parse(&line)) {
                        return self.drop_auth(key, why);
                    }
                }
                Ok(None) => break,
                Err(why) => return self.drop_auth(key, &why.to_string()),
            }
        }
        if open == Open::No {
            self.drop_auth(key, "it closed our connection");
        }
    }

    fn auth_says(&mut self, key: AuthKey, line: &Line) -> Result<(), &'static str> {
        let Some(auth) = self.auths.get_mut(key) else { return Ok(()) };
        match line.word() {
            "VERSION" if line.number(1) == Some(auth::VERSION.0) => {
                auth.answers.greeted = true;
                let (pid, asked) = (auth.pid, auth.asked);
                self.look_at(Role::Auth, self.generation, pid, asked);
            }
            "VERSION" => return Err("it speaks another version of the authentication protocol"),
            _ if !auth.answers.greeted => return Err("it did not begin with its version"),
            "USER" | "NOTFOUND" | "FAIL" => {
                let request = line.number(1).ok_or("its answer has no number")?;
                // An answer for one whose login is gone meanwhile is nobody's.
                if let Some(admission) = auth.answers.pending.remove(&request) {
                    self.identified(admission, line);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends an auth process that does not keep to the protocol.
    fn drop_auth(&mut self, key: AuthKey, why: &str) {
        let Some(auth) = self.auths.get(key) else { return };
        if self.shutdown.is_none() {
            error!("mail-auth, pid {}: {why}; ending it", auth.pid);
        }
        self.signal_child(auth.pid, Signal::SIGKILL);
        self.forget_auth(key);
    }

    /// An auth process is no more.
    pub(crate) fn auth_ended(&mut self, pid: Pid) {
        let key = self.auths.iter().find(|(_, auth)| auth.pid == pid).map(|(key, _)| key);
        if let Some(key) = key {
            self.forget_auth(key);
        }
    }

    /// Who waits for it is refused. The login processes get another one when they have said that they lost this one: what
    /// one says of the old link is never taken to be of the new.
    fn forget_auth(&mut self, key: AuthKey) {
        let Some(auth) = self.auths.remove(key) else { return };
        self.close_link(auth.link);
        self.close_link(auth.answers.lines);
        if !auth.answers.pending.is_empty() {
            warn!("mail-auth is gone, {} logins wait for it in vain", auth.answers.pending.len());
        }
        for admission in auth.answers.pending.into_values() {
            self.refuse_internal(admission);
        }
    }

    /// Lets go of auth processes of earlier configurations that no login uses any more: they end by themselves.
    pub(crate) fn stop_unused_auths(&mut self) {
        let unused: Vec<AuthKey> = self
            .auths
            .iter()
            .filter(|(key, auth)| {
                auth.retired
                    && auth.answers.pending.is_empty()
                    && !self.logins.values().any(|login| login.auth == Some(*key))
            })
            .map(|(key, _)| key)
            .collect();
        for key in unused {
            self.forget_auth(key);
        }
    }
}

/// Keeps what an auth tells of for the next one. What is trusted and what counts is said by its settings.
fn keep(penalties: &mut Penalties, message: &FromAuth, now: Instant) {
    match message {
        FromAuth::Failed { user, remote } => {
            penalties.failed(user, *remote, None, &Rules::default(), now);
        }
        FromAuth::Succeeded { user, remote } => {
            penalties.succeeded(user, *remote, now);
        }
    }
}

/// What a new auth is told of what those before it have told of: the newest, as much as fits well into a link.
fn told(penalties: &Penalties, now: Instant) -> Vec<u8> {
    let mut all: Vec<_> = penalties.all(now).collect();
    all.sort_by_key(|it| it.age);
    let mut lines = Vec::new();
    for it in all {
        let (user, remote, failures) = (it.user, it.address, it.failures);
        let line = ToAuth::Penalty { user, remote, failures, age: it.age.as_secs() }.to_bytes();
        if lines.len() + line.len() > Channel::FULL / 2 {
            break;
        }
        lines.extend(line);
    }
    lines
}

/// Log lines a second of a process that answers for everybody.
const LOG_RATE: u32 = 1000;
