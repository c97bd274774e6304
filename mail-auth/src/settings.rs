//! What the master has put into the environment: databases, mechanisms, names, times (mail-environ(7)).

use std::path::PathBuf;
use std::time::Duration;

use expand::{Template, Wrong};
use strangers::{NotANetwork, Rules};
use thiserror::Error;

use crate::checkpassword::{Checkpassword, NoProgram};
use crate::mechanism::Mechanism;
use crate::passdb::Passdb;
use crate::passwd_file::{self, PasswdFile};
use crate::query::Names;
use crate::static_users::{self, StaticPassdb, StaticUserdb};
use crate::userdb::Userdb;

/// All that can be set.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Asked in this order.
    pub(crate) passdbs: Vec<Passdb>,
    /// Asked in this order.
    pub(crate) userdbs: Vec<Userdb>,
    /// What is offered and taken.
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) names: Names,
    /// How long answers are held back.
    pub(crate) penalty: Rules,
    /// Other programs, and look-ups that can block, at once.
    pub(crate) waiting: usize,
}

/// Why there is nothing to begin with.
#[derive(Debug, Error)]
pub(crate) enum BadSettings {
    #[error("no passdb (PASSDB_1_DRIVER)")]
    NoPassdb,
    #[error("no userdb (USERDB_1_DRIVER)")]
    NoUserdb,
    #[error("{0}: unknown driver {1:?}")]
    Driver(String, String),
    #[error("{0}: {1}")]
    Arguments(String, BadArguments),
    #[error("{0}: not a number: {1:?}")]
    Number(&'static str, String),
    #[error("AUTH_MECHANISMS: unknown mechanism {0:?}")]
    Mechanism(String),
    #[error("LOGIN_TRUSTED_NETWORKS: {0}")]
    Networks(#[from] NotANetwork),
    #[error("AUTH_USERNAME_FORMAT: {0}")]
    Format(#[from] Wrong),
}

/// What is wrong with a driver's arguments.
#[derive(Debug, Error)]
pub(crate) enum BadArguments {
    #[error(transparent)]
    PasswdFile(#[from] passwd_file::BadArguments),
    #[error(transparent)]
    Static(#[from] static_users::BadArguments),
    #[error(transparent)]
    Checkpassword(#[from] NoProgram),
}

impl Settings {
    /// Reads an environment, here a function from a variable's name to its value. `program` is this one, which
    /// checkpassword programs become.
    ///
    /// # Errors
    /// [`BadSettings`]
    pub(crate) fn read(
        variable: impl Fn(&str) -> Option<String>,
        program: impl Into<PathBuf>,
    ) -> Result<Self, BadSettings> {
        let program = program.into();
        let passdbs = databases(&variable, "PASSDB", |driver, arguments| {
            Ok(Some(match driver {
                "passwd-file" => Passdb::PasswdFile(PasswdFile::parse(arguments)?),
                "static" => Passdb::Static(StaticPassdb::parse(arguments)?),
                "checkpassword" => Passdb::Checkpassword(Checkpassword::parse(arguments, program.clone())?),
                _ => return Ok(None),
            }))
        })?;
        let userdbs = databases(&variable, "USERDB", |driver, arguments| {
            Ok(Some(match driver {
                "passwd-file" => Userdb::PasswdFile(PasswdFile::parse(arguments)?),
                "static" => Userdb::Static(StaticUserdb::parse(arguments)?),
                "checkpassword" => Userdb::Checkpassword(Checkpassword::parse(arguments, program.clone())?),
                "prefetch" => Userdb::Prefetch,
                _ => return Ok(None),
            }))
        })?;
        if passdbs.is_empty() {
            return Err(BadSettings::NoPassdb);
        }
        if userdbs.is_empty() {
            return Err(BadSettings::NoUserdb);
        }
        let mechanisms = variable("AUTH_MECHANISMS").unwrap_or_else(|| "plain login".to_owned());
        let mechanism =
            |name: &str| Mechanism::named(name).ok_or_else(|| BadSettings::Mechanism(name.to_owned()));
        let format = variable("AUTH_USERNAME_FORMAT").filter(|format| !format.is_empty());
        Ok(Self {
            passdbs,
            userdbs,
            mechanisms: mechanisms.split_ascii_whitespace().map(mechanism).collect::<Result<_, _>>()?,
            names: Names {
                characters: variable("AUTH_USERNAME_CHARS").filter(|characters| !characters.is_empty()),
                format: format.map(|format| Template::parse(&format)).transpose()?,
            },
            penalty: Rules {
                first: Duration::from_secs(number(&variable, "AUTH_FAILURE_DELAY", 2)?.into()),
                most: Duration::from_secs(number(&variable, "AUTH_FAILURE_MAX_DELAY", 15)?.into())
                    .min(LONGEST_DELAY),
                per_minute: number(&variable, "AUTH_MAX_ATTEMPTS_PER_MINUTE", 60)?.into(),
                trusted: variable("LOGIN_TRUSTED_NETWORKS").unwrap_or_default().parse()?,
            },
            waiting: usize::from(number(&variable, "AUTH_WORKER_MAX_COUNT", 30)?).max(1),
        })
    }
}

impl Settings {
    /// Whether a database is another program.
    pub(crate) fn start_programs(&self) -> bool {
        self.passdbs.iter().any(|database| matches!(database, Passdb::Checkpassword(_)))
            || self.userdbs.iter().any(|database| matches!(database, Userdb::Checkpassword(_)))
    }
}

/// Those who ask do not wait for ever.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

fn databases<T>(
    variable: impl Fn(&str) -> Option<String>,
    kind: &str,
    parse: impl Fn(&str, &str) -> Result<Option<T>, BadArguments>,
) -> Result<Vec<T>, BadSettings> {
    let mut databases = Vec::new();
    for number in 1.. {
        let Some(driver) = variable(&format!("{kind}_{number}_DRIVER")) else { break };
        let name = format!("{kind}_{number}_ARGS");
        match parse(&driver, &variable(&name).unwrap_or_default()) {
            Ok(Some(database)) => databases.push(database),
            Ok(None) => return Err(BadSettings::Driver(format!("{kind}_{number}_DRIVER"), driver)),
            Err(error) => return Err(BadSettings::Arguments(name, error)),
        }
    }
    Ok(databases)
}

fn number(
    variable: impl Fn(&str) -> Option<String>,
    name: &'static str,
    otherwise: u16,
) -> Result<u16, BadSettings> {
    match variable(name) {
        None => Ok(otherwise),
        Some(text) => text.parse().map_err(|_| BadSettings::Number(name, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, BadSettings> {
        let variable =
            |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Settings::read(variable, "/libexec/mail-auth")
    }

    const LEAST: [(&str, &str); 4] = [
        ("PASSDB_1_DRIVER", "passwd-file"),
        ("PASSDB_1_ARGS", "scheme=plain username_format=%n /etc/my users"),
        ("USERDB_1_DRIVER", "prefetch"),
        ("USERDB_3_DRIVER", "not read: there is no second one"),
    ];

    #[test]
    fn what_is_not_set_has_its_default() {
        let settings = read(&LEAST).unwrap();
        assert_eq!((settings.passdbs.len(), settings.userdbs.len()), (1, 1));
        assert_eq!(settings.mechanisms, Mechanism::ALL);
        assert_eq!(settings.penalty.first, Duration::from_secs(2));
        assert_eq!(settings.waiting, 30);
        assert!(settings.names.characters.is_none());
        assert!(!settings.start_programs());
    }

    #[test]
    fn all_drivers_are_known_and_asked_in_their_order() {
        let settings = read(&[
            ("PASSDB_1_DRIVER", "static"),
            ("PASSDB_1_ARGS", "password=50%% uid=1 allow_all_users=yes"),
            ("PASSDB_2_DRIVER", "checkpassword"),
            ("PASSDB_2_ARGS", "/usr/bin/checkpw a"),
            ("USERDB_1_DRIVER", "static"),
            ("USERDB_1_ARGS", "uid=500 gid=500 home=/home/%u"),
            ("USERDB_2_DRIVER", "passwd-file"),
            ("USERDB_2_ARGS", "/etc/%d/users"),
            ("USERDB_3_DRIVER", "checkpassword"),
            ("USERDB_3_ARGS", "/usr/bin/checkpw"),
            ("AUTH_MECHANISMS", "login"),
            ("AUTH_FAILURE_DELAY", "0"),
            ("AUTH_WORKER_MAX_COUNT", "0"),
        ])
        .unwrap();
        let names: Vec<_> = settings.passdbs.iter().map(Passdb::name).collect();
        assert_eq!(names, ["static", "checkpassword"]);
        let names: Vec<_> = settings.userdbs.iter().map(Userdb::name).collect();
        assert_eq!(names, ["static", "passwd-file", "checkpassword"]);
        assert_eq!(settings.mechanisms, [Mechanism::Login]);
        assert_eq!((settings.penalty.first, settings.waiting), (Duration::ZERO, 1));
        assert!(settings.start_programs());
    }

    #[test]
    fn mistakes_name_their_variable() {
        for (name, value, expected) in [
            ("PASSDB_1_DRIVER", "ldap", "PASSDB_1_DRIVER: unknown driver \"ldap\""),
            ("PASSDB_1_ARGS", "", "PASSDB_1_ARGS: the path of the file is missing"),
            ("PASSDB_1_ARGS", "scheme=rot13 /x", "PASSDB_1_ARGS: unknown password scheme \"rot13\""),
            ("PASSDB_1_ARGS", "/etc/%q", "PASSDB_1_ARGS: '%q' names no variable"),
            ("USERDB_1_DRIVER", "x", "USERDB_1_DRIVER: unknown driver \"x\""),
            ("AUTH_FAILURE_DELAY", "2s", "AUTH_FAILURE_DELAY: not a number: \"2s\""),
            ("LOGIN_TRUSTED_NETWORKS", "10.0.0.0/8 here", "LOGIN_TRUSTED_NETWORKS: 'here' is no"),
            ("AUTH_MECHANISMS", "plain gssapi", "AUTH_MECHANISMS: unknown mechanism \"gssapi\""),
            ("AUTH_USERNAME_FORMAT", "%", "AUTH_USERNAME_FORMAT: "),
        ] {
            let pairs: Vec<_> = [(name, value)].into_iter().chain(LEAST).collect();
            let error = read(&pairs).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(matches!(read(&[]), Err(BadSettings::NoPassdb)));
        assert!(matches!(read(&LEAST[..2]), Err(BadSettings::NoUserdb)));
    }

    #[test]
    fn a_static_passdb_needs_a_password_or_says_that_it_has_none() {
        let error = read(&[("PASSDB_1_DRIVER", "static"), ("PASSDB_1_ARGS", "uid=1")]).unwrap_err();
        assert_eq!(error.to_string(), "PASSDB_1_ARGS: neither password= nor nopassword");
    }
}
