//! The login processes: enough of them that listen, each linked to the master and to auth (mail-login(7)).
//!
//! They speak to strangers, so nothing that one says is believed beyond what it may do: a malformed line ends that
//! process, and whose authentication a request names is asked of auth under the pid that the master knows.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use ioloop::Ready;
use log::{error, warn};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use slotmap::new_key_type;
use wire::auth::ToAuth;
use wire::login::{FromLogin, ToLogin};
use wire::{Protocol, login};

use crate::auth_process::AuthKey;
use crate::children::Role;
use crate::in_force::{self, Asked};
use crate::jail;
use crate::link::{Link, Lost, Open};
use crate::master::{Master, Source, Timer};
use crate::spawn::Spawn;

new_key_type! {
    /// Names one login process.
    pub(crate) struct LoginKey;
}

/// One login process.
#[derive(Debug)]
pub(crate) struct LoginProcess {
    pub(crate) pid: Pid,
    pub(crate) protocol: Protocol,
    pub(crate) generation: u32,
    pub(crate) link: Link,
    /// The auth process that its authentications are made at, which may be no more until it has said that it knows.
    pub(crate) auth: Option<AuthKey>,
    pub(crate) retired: bool,
    /// How many clients it has that have not logged in, as it says.
    pub(crate) clients: u32,
    pub(crate) since: SystemTime,
}

impl Master {
    /// Starts login processes until enough of them listen.
    pub(crate) fn keep_logins(&mut self) {
        if self.shutdown.is_some() || self.reload.as_ref().is_some_and(|reload| reload.is_first()) {
            return;
        }
        for settings in self.config.clone().served() {
            let protocol = settings.protocol;
            let alone = settings.login_process_per_connection;
            while self.children.may_start(Role::Login(protocol), Instant::now()) {
                let own = || self.logins.iter().filter(|(_, login)| login.protocol == protocol);
                let listening =
                    own().filter(|(_, login)| !login.retired && (login.clients == 0 || !alone)).count();
                if listening >= settings.login_processes_count.get() as usize {
                    break;
                }
                if own().count() >= settings.login_max_processes_count.get() as usize {
                    if listening == 0 {
                        self.end_oldest_login(protocol);
                    }
                    break;
                }
                if let Err(why) = self.start_login(protocol) {
                    self.child_failed(Role::Login(protocol), &why);
                }
            }
        }
    }

    fn start_login(&mut self, protocol: Protocol) -> io::Result<()> {
        let (ours, theirs) = UnixStream::pair()?;
        let listeners = self.listeners.of(protocol)?;
        let mut environment = self.config.login_environment(protocol).map_err(io::Error::other)?;
        environment.set("LISTEN_FDS", listeners.len().to_string()).map_err(io::Error::other)?;
        let mut descriptors = vec![(0, theirs.into())];
        descriptors.extend((3..).zip(listeners));
        // It starts there, since its user may have no way to it.
        let locked = self.host.is_root() && in_force::can_lock_in();
        let directory = locked.then(|| self.config.server.base_dir.join(EMPTY));
        if directory.is_some() {
            environment.set("EMPTY_ROOT", ".").map_err(io::Error::other)?;
        }
        let (program, arguments) = jail::login(&self.config, &self.host, locked);
        let limits = self.config.protocol(protocol).login_limits();
        let spawn =
            Spawn { program, arguments, environment, descriptors, directory, limits, ..Spawn::default() };
        let link =
            self.new_link(ours, login::assembler(), login::version_line()).map_err(io::Error::other)?;
        let prefix = format!("{protocol}-login: ");
        let pid = match self.start_child(Role::Login(protocol), spawn, prefix, LOG_RATE) {
            Ok(pid) => pid,
            Err(why) => {
                self.close_link(link);
                return Err(why);
            }
        };
        let key = link.key();
        let login = self.logins.insert(LoginProcess {
            pid,
            protocol,
            generation: self.generation,
            link,
            auth: None,
            retired: false,
            clients: 0,
            since: SystemTime::now(),
        });
        self.own_source(key, Source::Login(login));
        self.link_to_auth(login);
        Ok(())
    }

    /// Gives a login process a connection to the auth process of now, in place of the one that it had.
    pub(crate) fn link_to_auth(&mut self, key: LoginKey) {
        let Some(auth) = self.current_auth() else { return };
        let Some(login) = self.logins.get_mut(key) else { return };
        let pid = login.pid;
        let given = UnixStream::pair().map_err(Lost::from).and_then(|(ours, theirs)| {
            login.link.send(ToLogin::Auth.to_bytes(), Some(ours.into()), &self.io)?;
            login.auth = Some(auth);
            Ok(theirs)
        });
        match given {
            Ok(theirs) => {
                let message = ToAuth::Client { pid: pid.as_raw().unsigned_abs() };
                self.tell_auth(auth, &message, Some(theirs.into()));
            }
            Err(why) => self.drop_login(key, &why),
        }
    }

    /// A login process has said something, or reads again.
    pub(crate) fn on_login(&mut self, key: LoginKey, ready: Ready) {
        let Some(login) = self.logins.get_mut(key) else { return };
        let open = login.link.proceed(ready, &self.io);
        let heard = self.hear_login(key);
        match (open, heard) {
            (Ok(Open::Yes), Ok(())) => {}
            // Its end is told when it is reaped; until then there is nothing more to hear.
            (Ok(Open::No), Ok(())) => self.forget_login(key),
            (Err(why), _) | (_, Err(why)) => self.drop_login(key, &why),
        }
    }

    /// Takes what has come of a login process.
    fn hear_login(&mut self, key: LoginKey) -> Result<(), Lost> {
        let up = self.logins.get(key).map(|login| (login.protocol, login.generation, login.pid));
        if let Some((protocol, generation, pid)) = up {
            self.look_at(Role::Login(protocol), generation, pid, Asked::with_paths(false));
        }
        while let Some(login) = self.logins.get_mut(key) {
            let Some(record) = login.link.next()? else { break };
            match FromLogin::parse(&record)? {
                Some(FromLogin::Request(request)) => {
                    let client = login.link.descriptor("request")?;
                    self.admit(key, request, client);
                }
                Some(FromLogin::Greeted(id)) => self.greeted(key, id),
                Some(FromLogin::AuthLost) => match login.auth.take() {
                    // Not at once: it may be about to end, or may not like this login.
                    Some(auth) if self.auths.contains_key(auth) => {
                        self.after(AUTH_WAIT, Timer::Children);
                    }
                    _ => self.keep_auth(),
                },
                Some(FromLogin::Stranger { id, remote }) => self.stranger_came(key, id, remote),
                Some(FromLogin::Left(id)) => self.strangers.leave((key, id)),
                Some(FromLogin::Clients(count)) => {
                    login.clients = count;
                    self.keep_logins();
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Tells a login process something; one that does not take it is ended.
    pub(crate) fn tell_login(&mut self, key: LoginKey, message: &ToLogin) {
        let Some(login) = self.logins.get_mut(key) else { return };
        if let Err(why) = login.link.send(message.to_bytes(), None, &self.io) {
            self.drop_login(key, &why);
        }
    }

    /// Excuses a login that spoke of what it does not have; not for ever.
    pub(crate) fn excuse_login(&mut self, key: Option<LoginKey>) {
        if let Some(key) = key
            && let Some(login) = self.logins.get_mut(key)
            && let Err(why) = login.link.excuse()
        {
            self.drop_login(key, &why);
        }
    }

    /// Ends a login process that does not keep to the protocol.
    fn drop_login(&mut self, key: LoginKey, why: &Lost) {
        let Some(login) = self.logins.get(key) else { return };
        // One whose only client has gone ends by itself, whatever it was about to be told.
        let has_ended = matches!(why, Lost::Io(error) if error.kind() == io::ErrorKind::BrokenPipe);
        if self.shutdown.is_none() && !has_ended {
            error!("{}-login, pid {}: {why}; ending it", login.protocol, login.pid);
        }
        self.signal_child(login.pid, Signal::SIGKILL);
        self.forget_login(key);
    }

    /// Where no more can be started and none listens, the one that has waited longest makes room.
    fn end_oldest_login(&mut self, protocol: Protocol) {
        let own = self.logins.iter().filter(|(_, login)| login.protocol == protocol);
        let Some((_, oldest)) = own.min_by_key(|(_, login)| login.since) else { return };
        warn!("{}-login: login_max_processes_count is reached, ending pid {}", protocol, oldest.pid);
        self.signal_child(oldest.pid, Signal::SIGTERM);
    }

    /// Lets the login processes of earlier configurations finish what they have.
    pub(crate) fn retire_logins(&mut self) {
        let old: Vec<LoginKey> = self.logins.keys().collect();
        for key in old {
            if let Some(login) = self.logins.get_mut(key) {
                login.retired = true;
            }
            self.tell_login(key, &ToLogin::Retire);
        }
    }

    /// A login process is no more: all that it had achieved at auth is void.
    pub(crate) fn login_ended(&mut self, pid: Pid) {
        let key = self.logins.iter().find(|(_, login)| login.pid == pid).map(|(key, _)| key);
        if let Some(key) = key {
            // What it said before is heard first: it may have told a client that it is logged in.
            if let Some(login) = self.logins.get_mut(key) {
                login.link.drain();
            }
            if let Err(why) = self.hear_login(key) {
                error!("mail-login, pid {pid}: {why}");
            }
            self.forget_login(key);
        }
        let message = ToAuth::Gone { pid: pid.as_raw().unsigned_abs() };
        for auth in self.auths.keys().collect::<Vec<_>>() {
            self.tell_auth(auth, &message, None);
        }
    }

    fn forget_login(&mut self, key: LoginKey) {
        let Some(login) = self.logins.remove(key) else { return };
        self.close_link(login.link);
        self.strangers.forget_login(key);
        self.login_gone(key);
        self.stop_unused_auths();
    }
}

/// Makes the directory that login processes lock themselves into.
///
/// # Errors
/// What cannot be made, or is something else, in words for the administrator.
pub(crate) fn make_empty(base_dir: &Path) -> Result<(), String> {
    let path = base_dir.join(EMPTY);
    let said = |why: io::Error| format!("making {}: {why}", path.display());
    match fs::create_dir(&path) {
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(said(why)),
        _ => {}
    }
    let meta = fs::symlink_metadata(&path).map_err(said)?;
    if !meta.is_dir() || meta.uid() != 0 || fs::read_dir(&path).map_err(said)?.next().is_some() {
        return Err(format!("{} is not an empty directory of root's: remove it", path.display()));
    }
    fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(said)
}

/// The directory below base_dir that login processes are locked into: nothing is in it.
const EMPTY: &str = "empty";
/// How long a login whose link to auth was lost waits for the next.
const AUTH_WAIT: Duration = Duration::from_millis(200);
/// Log lines a second of a process that may have hundreds of clients.
const LOG_RATE: u32 = 1000;
