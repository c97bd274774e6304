//! The users of this process, and how a client's environment becomes one: all clients of a user share what is his.
//!
//! An environment is not believed: ids must be numbers and never root's, the name and the home must make sense. What
//! does not is refused with a sentence, and nothing of it has been done then.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

use envdump::Environment;
use store::{Location, Saving};
use thiserror::Error;

use crate::environ::{Variables, push_variable};
use crate::identity::Credentials;
use crate::settings::{BadSetting, Settings};

/// A user's own, in this process.
pub(crate) struct User {
    pub(crate) name: Rc<str>,
    pub(crate) credentials: Rc<Credentials>,
    pub(crate) settings: Rc<Settings>,
    process: Rc<store::Process>,
    mail: RefCell<Rc<store::User>>,
    /// A session has let go of something of his that is kept for a while.
    pub(crate) stirred: Cell<bool>,
    /// A timer is set for what is kept.
    pub(crate) minded: Cell<bool>,
}

impl User {
    /// His mail, as it is known so far.
    pub(crate) fn mail(&self) -> Rc<store::User> {
        Rc::clone(&self.mail.borrow())
    }

    /// Forgets all that is known: a panic may have left it half-changed.
    pub(crate) fn start_over(&self) {
        let location = self.mail().location().clone();
        *self.mail.borrow_mut() = open(&self.process, location, self.settings.saving);
    }
}

fn open(process: &Rc<store::Process>, location: Location, saving: Saving) -> Rc<store::User> {
    Rc::new(store::User::new(Rc::clone(process), location, Vec::new()).with_saving(saving))
}

/// Why an environment is no client's.
#[derive(Debug, Error)]
pub(crate) enum Refused {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is not valid")]
    Invalid(&'static str),
    #[error("{0}")]
    Setting(#[from] BadSetting),
    #[error("{0}")]
    Mail(#[from] store::Error),
}

/// Every user who has a client here, or had one a moment ago.
#[derive(Debug)]
pub(crate) struct Users {
    process: Rc<store::Process>,
    /// Whom ids are to be taken for that are not in the environment.
    own: Rc<Credentials>,
    /// The latest of each name.
    by_name: HashMap<Rc<str>, Weak<User>>,
    settings: HashMap<Rc<[u8]>, Weak<Settings>>,
}

impl Users {
    pub(crate) fn new(process: Rc<store::Process>, own: Rc<Credentials>) -> Self {
        Self { process, own, by_name: HashMap::new(), settings: HashMap::new() }
    }

    /// Makes of an environment a user and what the client's `environ` is to be.
    ///
    /// # Errors
    /// [`Refused`]
    pub(crate) fn admit(&mut self, environment: &Environment) -> Result<(Rc<User>, Variables), Refused> {
        let name = environment.text("USER").ok_or(Refused::Missing("USER"))?;
        if name.is_empty() {
            return Err(Refused::Invalid("USER"));
        }
        let credentials = self.credentials(environment)?;
        let (settings, variables) = self.settings(environment)?;
        let location = location(environment)?;
        if let Some(user) = self.by_name.get(name).and_then(Weak::upgrade)
            && user.credentials == credentials
            && Rc::ptr_eq(&user.settings, &settings)
            && *user.mail().location() == location
        {
            return Ok((user, variables));
        }
        let user = Rc::new(User {
            name: name.into(),
            credentials,
            mail: RefCell::new(open(&self.process, location, settings.saving)),
            settings,
            process: Rc::clone(&self.process),
            stirred: Cell::default(),
            minded: Cell::default(),
        });
        if self.by_name.len() == self.by_name.capacity() {
            self.by_name.retain(|_, user| user.strong_count() > 0);
        }
        self.by_name.insert(Rc::clone(&user.name), Rc::downgrade(&user));
        Ok((user, variables))
    }

    fn credentials(&self, environment: &Environment) -> Result<Rc<Credentials>, Refused> {
        for [uid, gid, groups] in ID_VARIABLES {
            if !environment.is_set(uid) {
                continue;
            }
            let number = |variable| {
                let value = environment.text(variable).and_then(|value| value.parse().ok());
                value.ok_or(Refused::Invalid(variable))
            };
            let groups = match environment.text(groups).unwrap_or_default() {
                "" => Vec::new(),
                list => list
                    .split(',')
                    .map(str::parse)
                    .collect::<Result<_, _>>()
                    .map_err(|_| Refused::Invalid(groups))?,
            };
            let credentials = Credentials::new(number(uid)?, number(gid)?, groups);
            return Ok(Rc::new(credentials.ok_or(Refused::Invalid(uid))?));
        }
        Ok(Rc::clone(&self.own))
    }

    /// Parts an environment into what is settings, which it shares with others, and what is the client's own.
    fn settings(&mut self, environment: &Environment) -> Result<(Rc<Settings>, Variables), BadSetting> {
        let (mut common, mut own) = (Vec::new(), Vec::new());
        for (key, value) in environment.iter() {
            let is_own = OWN_VARIABLES.iter().any(|own| own.as_bytes() == key);
            push_variable(if is_own { &mut own } else { &mut common }, key, value);
        }
        let known = self.settings.get_key_value(&common[..]);
        if let Some((common, settings)) = known.and_then(|(key, value)| Some((key, value.upgrade()?))) {
            return Ok((settings, Variables { common: Rc::clone(common), own: own.into() }));
        }
        let settings = Rc::new(Settings::parse(environment)?);
        if self.settings.len() == self.settings.capacity() {
            self.settings.retain(|_, settings| settings.strong_count() > 0);
        }
        let common: Rc<[u8]> = common.into();
        self.settings.insert(Rc::clone(&common), Rc::downgrade(&settings));
        Ok((settings, Variables { common, own: own.into() }))
    }
}

fn location(environment: &Environment) -> Result<Location, Refused> {
    let mail = match environment.is_set("MAIL") {
        true => environment.text("MAIL").ok_or(Refused::Invalid("MAIL"))?,
        false => "",
    };
    let home = match environment.get("HOME") {
        Some(home) => Some(path(home)).filter(|home| home.is_absolute()).ok_or(Refused::Invalid("HOME"))?,
        None if mail.is_empty() || mail.contains('~') => return Err(Refused::Missing("HOME")),
        None => PathBuf::from("/"),
    };
    Ok(Location::parse(mail, &home)?)
}

fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes)).to_owned()
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("User").field(&self.name).finish()
    }
}

/// Who a client is to be: what to become, or what whoever started this process has become for good.
const ID_VARIABLES: [[&str; 3]; 2] = [
    ["ADVISE_SETUID", "ADVISE_SETGID", "ADVISE_SETEXTRAGROUPS"],
    ["RESTRICT_SETUID", "RESTRICT_SETGID", "RESTRICT_SETEXTRAGROUPS"],
];

/// Variables that differ from client to client. All others are the same for many.
const OWN_VARIABLES: [&str; 15] = [
    "ADVISE_SETEXTRAGROUPS",
    "ADVISE_SETGID",
    "ADVISE_SETUID",
    "CONNECTION_ID",
    "HOME",
    "IMAPLOGINTAG",
    "IP",
    "LOCAL_IP",
    "LOCAL_PORT",
    "MAIL",
    "MASTER_USER",
    "REMOTE_PORT",
    "RESTRICT_SETGID",
    "RESTRICT_SETUID",
    "USER",
];
