//! Who is asked about, and what is known of how he came: what %-variables and `allow_nets` look at.

use std::net::IpAddr;

use expand::{Template, Variables};
use strangers::Network;
use thiserror::Error;

use crate::fields::text;

/// One question's circumstances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Query {
    /// The name as the databases are asked for it.
    pub(crate) user: String,
    /// The service, in lower case as it came.
    pub(crate) service: String,
    /// Where the client is.
    pub(crate) remote: Option<IpAddr>,
    /// Which of our addresses it came to.
    pub(crate) local: Option<IpAddr>,
}

impl Query {
    /// Calls `use_them` with what %-variables stand for here; `home` is not known from the start.
    pub(crate) fn with_variables<T>(
        &self,
        home: Option<&str>,
        use_them: impl FnOnce(&Variables<'_>) -> T,
    ) -> T {
        let text = |address: Option<IpAddr>| address.map(|address| address.to_string()).unwrap_or_default();
        use_them(&Variables {
            user: self.user.as_bytes(),
            home: home.map(str::as_bytes),
            service: self.service.to_uppercase().as_bytes(),
            local_ip: text(self.local).as_bytes(),
            remote_ip: text(self.remote).as_bytes(),
            pid: b"",
            uid: b"",
        })
    }

    /// Whether the client is in one of `nets`: addresses and `address/bits`, separated by commas.
    /// None if one of them is neither. A client without an address is in none but `local`.
    pub(crate) fn is_within(&self, nets: &str) -> Option<bool> {
        let mut within = false;
        for net in nets.split(',').map(str::trim).filter(|net| !net.is_empty()) {
            within |= match (net, self.remote) {
                ("local", remote) => remote.is_none(),
                (net, remote) => {
                    let net: Network = net.parse().ok()?;
                    remote.is_some_and(|remote| net.contains(remote))
                }
            };
        }
        Some(within)
    }

    /// How log lines name it, with nothing in the name that could stand behind it.
    pub(crate) fn who(&self) -> String {
        let shown: String = self.user.chars().take(MAX_SHOWN).collect();
        let shown = journal::name(shown.as_bytes()).replace(['(', ')', ','], "?");
        match self.remote {
            Some(remote) => format!("{shown},{remote}"),
            None => shown,
        }
    }
}

/// What user names there may be, and how they are written before a database is asked.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The bytes that a name may have; none: all but NUL, controls and `/`.
    pub(crate) characters: Option<String>,
    /// How a name is written; none: as it came.
    pub(crate) format: Option<Template>,
}

/// Why a name is none.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum BadName {
    #[error("empty user name")]
    Empty,
    #[error("user name with a character that auth_username_chars does not have")]
    Character,
    #[error("user name that is . or .. as part of a path")]
    Dots,
}

impl Names {
    /// Gives `query` the name `user` as it is to be asked for.
    pub(crate) fn admit(&self, mut query: Query, user: &str) -> Result<Query, (Query, BadName)> {
        user.clone_into(&mut query.user);
        if let Err(bad) = self.check(user) {
            return Err((query, bad));
        }
        if let Some(format) = &self.format {
            let Ok(name) = query.with_variables(None, |variables| format.expand(variables)) else {
                return Err((query, BadName::Empty));
            };
            query.user = text(name);
            if let Err(bad) = self.check(&query.user) {
                return Err((query, bad));
            }
        }
        Ok(query)
    }

    fn check(&self, user: &str) -> Result<(), BadName> {
        let allowed = |c: char| match &self.characters {
            Some(characters) => characters.contains(c),
            None => !c.is_control() && c != '/',
        };
        if user.is_empty() {
            Err(BadName::Empty)
        } else if !user.chars().all(allowed) {
            Err(BadName::Character)
        } else if user == "." || user == ".." || user.split('@').any(|part| part == "." || part == "..") {
            Err(BadName::Dots)
        } else {
            Ok(())
        }
    }
}

/// How much of a name a log line shows: people type their passwords there, and worse.
const MAX_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn from(remote: &str) -> Query {
        Query { remote: remote.parse().ok(), ..Query::default() }
    }

    #[test]
    fn a_client_is_within_the_nets_that_have_its_address() {
        for (nets, inside, outside) in
            [("192.168.0.0/16, 10.0.0.7", "10.0.0.7", "10.0.0.8"), ("local", "", "127.0.0.1")]
        {
            assert_eq!(from(inside).is_within(nets), Some(true), "{inside} in {nets}");
            assert_eq!(from(outside).is_within(nets), Some(false), "{outside} in {nets}");
        }
        assert_eq!(from("10.0.0.1").is_within("10.0.0.0/33"), None);
    }

    #[test]
    fn names_that_could_leave_a_directory_or_have_strange_bytes_are_refused() {
        let names = Names { characters: None, format: None };
        for (user, bad) in [
            ("", BadName::Empty),
            ("a/b", BadName::Character),
            ("a\0", BadName::Character),
            ("..", BadName::Dots),
            ("x@..", BadName::Dots),
            (".@example.org", BadName::Dots),
        ] {
            assert_eq!(names.admit(Query::default(), user).unwrap_err().1, bad, "{user}");
        }
        assert!(names.admit(Query::default(), "jörg.x@example.org").is_ok());
        let names = Names { characters: Some("abc".to_owned()), format: None };
        assert!(names.admit(Query::default(), "abba").is_ok());
        assert!(names.admit(Query::default(), "abbA").is_err());
    }

    #[test]
    fn a_format_rewrites_the_name_before_it_is_looked_up() {
        let names = Names { characters: None, format: Template::parse("%Ln").ok() };
        assert_eq!(names.admit(Query::default(), "Alice@Example.org").unwrap().user, "alice");
        assert_eq!(names.admit(Query::default(), "@example.org").unwrap_err().1, BadName::Empty);
    }

    #[test]
    fn log_lines_name_user_and_address_and_are_short() {
        assert_eq!(Query { user: "alice".into(), ..from("127.0.0.1") }.who(), "alice,127.0.0.1");
        assert!(Query { user: "x".repeat(9000), ..from("") }.who().len() < 100);
    }
}
