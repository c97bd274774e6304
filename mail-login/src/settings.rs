//! What a login is to do, as mail-environ(7) has it: read once, from a lookup that `main` provides.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use strangers::Networks;
use thiserror::Error;
use wire::Protocol;

use crate::conversation::Method;

/// All that the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// What is spoken on all listeners.
    pub(crate) protocol: Protocol,
    /// How many listening sockets there are, from descriptor 3 on.
    pub(crate) listeners: u8,
    pub(crate) greeting: String,
    /// IMAP: what is said instead of our own capabilities.
    pub(crate) capability: Option<String>,
    /// POP3: for how many seconds after a login the next one is refused, by the master.
    pub(crate) login_delay: Option<NonZeroU32>,
    /// In the order in which they are offered.
    pub(crate) mechanisms: Vec<Method>,
    /// Take no password from other hosts in the clear.
    pub(crate) disable_plaintext_auth: bool,
    /// Other hosts that are treated as this one.
    pub(crate) trusted: Networks,
    /// Take one client, and no other after it.
    pub(crate) process_per_connection: bool,
    /// Clients that have not logged in; at least 1.
    pub(crate) max_connections: usize,
    /// From the connection until the client has logged in.
    pub(crate) timeout: Duration,
    pub(crate) debug: bool,
}

/// Why an environment is none for a login.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Wrong {
    #[error("reading the environment: {0} is not set")]
    Missing(&'static str),
    #[error("reading the environment: {0} cannot be {1:?}")]
    Value(&'static str, String),
}

impl Settings {
    /// Reads them; `lookup` knows the variables.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Wrong> {
        let flag = |name| lookup(name).is_some();
        let settings = Self {
            protocol: value("PROTOCOL", &lookup)?.ok_or(Wrong::Missing("PROTOCOL"))?,
            listeners: value("LISTEN_FDS", &lookup)?.ok_or(Wrong::Missing("LISTEN_FDS"))?,
            greeting: lookup("GREETING").unwrap_or_else(|| "Mail server ready.".to_owned()),
            capability: lookup("IMAP_CAPABILITY"),
            login_delay: value("POP3_LOGIN_DELAY", &lookup)?.and_then(NonZeroU32::new),
            mechanisms: mechanisms(&lookup("AUTH_MECHANISMS").unwrap_or_else(|| "plain login".to_owned()))?,
            disable_plaintext_auth: flag("DISABLE_PLAINTEXT_AUTH"),
            trusted: value("LOGIN_TRUSTED_NETWORKS", &lookup)?.unwrap_or_default(),
            process_per_connection: flag("PROCESS_PER_CONNECTION"),
            max_connections: value("LOGIN_MAX_CONNECTIONS", &lookup)?.unwrap_or(256),
            timeout: Duration::from_secs(value("LOGIN_TIMEOUT", &lookup)?.unwrap_or(180)),
            debug: flag("DEBUG"),
        };
        if settings.listeners == 0 {
            return Err(Wrong::Value("LISTEN_FDS", "0".to_owned()));
        }
        if settings.max_connections == 0 {
            return Err(Wrong::Value("LOGIN_MAX_CONNECTIONS", "0".to_owned()));
        }
        Ok(settings)
    }
}

fn value<T: FromStr>(
    name: &'static str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<T>, Wrong> {
    lookup(name).map(|text| text.parse().map_err(|_| Wrong::Value(name, text))).transpose()
}

fn mechanisms(names: &str) -> Result<Vec<Method>, Wrong> {
    let methods: Vec<_> = names.split_whitespace().filter_map(Method::named).collect();
    if methods.is_empty() { Err(Wrong::Value("AUTH_MECHANISMS", names.to_owned())) } else { Ok(methods) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Wrong> {
        Settings::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn protocol_and_listeners_are_needed_and_the_rest_has_defaults() {
        assert_eq!(read(&[("LISTEN_FDS", "1")]), Err(Wrong::Missing("PROTOCOL")));
        assert_eq!(read(&[("PROTOCOL", "imap")]), Err(Wrong::Missing("LISTEN_FDS")));
        let settings = read(&[("PROTOCOL", "pop3"), ("LISTEN_FDS", "2")]).unwrap();
        assert_eq!((settings.protocol, settings.listeners), (Protocol::Pop3, 2));
        assert_eq!(settings.mechanisms, [Method::Plain, Method::Login]);
        assert_eq!((settings.max_connections, settings.timeout), (256, Duration::from_secs(180)));
        assert!(!settings.disable_plaintext_auth && !settings.process_per_connection);
    }

    #[test]
    fn what_cannot_be_is_named() {
        let with = |name, value| read(&[("PROTOCOL", "imap"), ("LISTEN_FDS", "1"), (name, value)]);
        for (name, value) in [
            ("LOGIN_MAX_CONNECTIONS", "0"),
            ("LOGIN_MAX_CONNECTIONS", "many"),
            ("LOGIN_TIMEOUT", "-1"),
            ("LOGIN_TRUSTED_NETWORKS", "10.0.0.0/33"),
            ("AUTH_MECHANISMS", "gssapi"),
        ] {
            assert_eq!(with(name, value), Err(Wrong::Value(name, value.to_owned())));
        }
        assert_eq!(with("AUTH_MECHANISMS", "LOGIN gssapi").unwrap().mechanisms, [Method::Login]);
    }
}
