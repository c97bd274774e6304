//! passdb and userdb: who is asked whether a password is right, and who a user is.
//!
//! The programs behind them are mail-auth's affair; here it is only seen to that what it will be told makes sense.

use std::fmt;
use std::path::Path;

use crate::config::foreign;
use crate::config::host::Host;
use crate::config::problem::{Place, Problem, Report};
use crate::config::table::{Written, within};
use expand::Template;

/// A database, by what mail-auth knows of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Database {
    /// Which kind.
    pub(crate) driver: &'static str,
    /// What the driver is told, with its %-variables as they are.
    pub(crate) args: String,
}

/// A database as it was written.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    name: String,
    place: Place,
    pub(super) driver: Option<Written>,
    pub(super) args: Option<Written>,
}

/// What a database is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Passdb,
    Userdb,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Passdb => "passdb",
            Self::Userdb => "userdb",
        }
    }

    fn drivers(self) -> &'static [&'static str] {
        match self {
            Self::Passdb => &["passwd-file", "static", "checkpassword"],
            Self::Userdb => &["passwd-file", "static", "prefetch", "checkpassword"],
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.driver, self.shown_args())
    }
}

impl Database {
    /// The arguments without what a password is.
    pub(crate) fn shown_args(&self) -> String {
        let words = self.args.split(' ').map(|word| match word.split_once('=') {
            Some(("password", _)) => "password=<secret>",
            _ => word,
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Draft {
    pub(super) fn new(name: &str, place: &Place) -> Self {
        Self { name: name.to_owned(), place: place.clone(), driver: None, args: None }
    }

    /// The database, if it is one; what is wrong with it is in `report`.
    pub(super) fn finish(&self, kind: Kind, host: &Host, report: &mut Report) -> Option<Database> {
        let (name, place) = match &self.driver {
            Some(written) => (written.text.as_str(), &written.place),
            None => (self.name.as_str(), &self.place),
        };
        let known = kind.drivers().iter().find(|driver| **driver == name);
        let Some(driver) = known.copied() else {
            report.add(foreign::driver(kind.name(), name, kind.drivers()).at(place));
            return None;
        };
        let database =
            Database { driver, args: self.args.as_ref().map(|args| args.text.clone()).unwrap_or_default() };
        // The line of a static passdb may hold a password: it is not shown.
        let secret = kind == Kind::Passdb && driver == "static";
        let args = self.args.as_ref().filter(|_| !secret);
        let place = args.map_or(&self.place, |args| &args.place);
        match complaint(kind, &database, host) {
            Ok(()) => {}
            Err(Complaint { what, help, part, fatal }) => {
                let what = format!("{} {driver}: {what}", kind.name());
                let problem = if fatal { Problem::error(what) } else { Problem::warning(what) };
                report.add(problem.at(&within(place, part.as_deref(), report)).help(help));
            }
        }
        Some(database)
    }
}

struct Complaint {
    what: String,
    help: String,
    part: Option<String>,
    fatal: bool,
}

impl Complaint {
    fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: help.into(), part: None, fatal: true }
    }

    fn of(self, part: &str) -> Self {
        Self { part: Some(part.to_owned()), ..self }
    }
}

fn complaint(kind: Kind, database: &Database, host: &Host) -> Result<(), Complaint> {
    let args = database.args.as_str();
    if let Err(wrong) = Template::parse(args) {
        return Err(Complaint::new(wrong.to_string(), "the variables here are %u, %n and %d"));
    }
    match database.driver {
        "passwd-file" => passwd_file(args),
        "static" => static_words(kind, args),
        "checkpassword" => checkpassword(args, host),
        _ if args.is_empty() => Ok(()),
        driver => Err(Complaint::new("it takes no args", format!("write 'userdb {driver} {{', and '}}'"))),
    }
}

/// `[scheme=..] [username_format=..] path`
fn passwd_file(args: &str) -> Result<(), Complaint> {
    let mut words: Vec<&str> = args.split_whitespace().collect();
    let path = words.pop().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(Complaint::new(
            "its args end with the absolute path of the file",
            "write 'args = /etc/mail/users', for example",
        ));
    }
    let option = |word: &&str| ["scheme=", "username_format="].iter().any(|option| word.starts_with(option));
    if let Some(word) = words.into_iter().find(|word| !option(word)) {
        return Err(Complaint::new(
            format!("'{word}' is no option of it"),
            "its options are scheme= and username_format=",
        )
        .of(word));
    }
    if !path.contains('%') && !Path::new(path).exists() {
        let complaint =
            Complaint::new(format!("there is no file {path}"), "until it is there, nobody in it can log in");
        return Err(Complaint { fatal: false, ..complaint.of(path) });
    }
    Ok(())
}

/// `key=value` words, and `nopassword` and the like without a value.
fn static_words(kind: Kind, args: &str) -> Result<(), Complaint> {
    let has = |key: &str| args.split_whitespace().any(|word| word.split('=').next() == Some(key));
    match kind {
        Kind::Passdb if !has("password") && !has("nopassword") => {
            Err(Complaint::new("it says no password", "write 'args = password=...'"))
        }
        Kind::Userdb if args.is_empty() => Err(Complaint::new(
            "it says nothing of the users",
            "write 'args = uid=vmail gid=vmail home=/home/%u', for example",
        )),
        _ => Ok(()),
    }
}

/// `path [arguments]`
fn checkpassword(args: &str, host: &Host) -> Result<(), Complaint> {
    let program = args.split_whitespace().next().unwrap_or_default();
    if !program.starts_with('/') {
        return Err(Complaint::new(
            "its args are the absolute path of a program",
            "write 'args = /usr/bin/checkpassword', for example",
        ));
    }
    if !program.contains('%') && !(host.executable)(Path::new(program)) {
        return Err(Complaint::new(format!("{program} cannot be executed"), "install it, or write another")
            .of(program));
    }
    Ok(())
}
