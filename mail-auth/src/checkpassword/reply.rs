//! What a checkpassword program has found out, told by the program that it becomes to the one that started it.
//!
//! It is one line on descriptor 4, which that one has opened: the word `mail-auth-reply` and fields, as in mail-auth(7).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::RawFd;

use nix::unistd::{getgid, getuid};
use wire::auth::Line;

use crate::fields::{self, Field};

/// The verb of `mail-auth` that prints the reply.
pub(crate) const VERB: &str = "checkpassword-reply";

/// Where it prints.
pub(crate) const DESCRIPTOR: RawFd = 4;

/// What was found out about a user.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Reply {
    /// His name, if the program gave him another one.
    pub(crate) user: Option<String>,
    /// Fields for the userdb.
    pub(crate) userdb: Vec<Field>,
    /// All other fields.
    pub(crate) told: Vec<Field>,
    /// The program understood that no password was to be checked (`AUTHORIZED=2`).
    pub(crate) authorized: bool,
}

/// Prints who this process is: `USER`, `HOME`, `userdb_uid` and `userdb_gid` of `environment` (or else the ids that it
/// has), and the variables whose names stand in `EXTRA`.
///
/// # Errors
/// There is no descriptor 4, or those of write(2).
pub(crate) fn print(environment: impl Iterator<Item = (OsString, OsString)>) -> io::Result<()> {
    let environment: Vec<(String, Vec<u8>)> = environment
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_encoded_bytes())))
        .collect();
    let ids = (getuid().as_raw(), getgid().as_raw());
    File::from(fdpass::inherited(DESCRIPTOR)?).write_all(&line(&environment, ids).to_bytes())
}

fn line(environment: &[(String, Vec<u8>)], (uid, gid): (u32, u32)) -> Line {
    let find =
        |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let uid = find("userdb_uid").unwrap_or_else(|| uid.to_string().into_bytes());
    let gid = find("userdb_gid").unwrap_or_else(|| gid.to_string().into_bytes());
    let mut line = Line::new(WORD).with_value("userdb_uid", uid).with_value("userdb_gid", gid);
    for (key, name) in [("user", "USER"), ("userdb_home", "HOME"), ("authorized", "AUTHORIZED")] {
        if let Some(value) = find(name) {
            line = line.with_value(key, value);
        }
    }
    let extra = String::from_utf8(find("EXTRA").unwrap_or_default()).unwrap_or_default();
    for name in extra.split_ascii_whitespace().filter(|name| !["userdb_uid", "userdb_gid"].contains(name)) {
        if let Some(value) = find(name) {
            line = line.with_value(name, value);
        }
    }
    line
}

impl Reply {
    /// Finds the reply in what a program has written; none if there is none.
    pub(crate) fn parse(said: &[u8]) -> Option<Self> {
        // Only a line with its end was written whole.
        let line = said.strip_suffix(b"\n").map(Line::parse).filter(|line| line.word() == WORD)?;
        let mut reply = Self::default();
        for (name, value) in line.values(1) {
            let (name, value) =
                (std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?.to_owned());
            match name.strip_prefix("userdb_") {
                Some(name) => fields::set(&mut reply.userdb, name, Some(value)),
                None if name == "user" => reply.user = Some(value).filter(|user| !user.is_empty()),
                None if name == "authorized" => reply.authorized = value == "2",
                None => fields::set(&mut reply.told, name, Some(value)),
            }
        }
        Some(reply)
    }
}

const WORD: &str = "mail-auth-reply";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn the_environment_goes_there_and_back() {
        let environment = environment(&[
            ("USER", "alice"),
            ("HOME", "/home/al\tice"),
            ("EXTRA", "userdb_uid userdb_mail nologin none"),
            ("userdb_uid", "20001"),
            ("userdb_mail", "maildir:~/Maildir"),
            ("nologin", "y"),
            ("SHELL", "/bin/sh"),
        ]);
        let reply = Reply::parse(&line(&environment, (7, 8)).to_bytes()).unwrap();
        assert_eq!(reply.user.as_deref(), Some("alice"));
        assert_eq!(
            reply.userdb.iter().map(Field::text).collect::<Vec<_>>(),
            ["uid=20001", "gid=8", "home=/home/al\tice", "mail=maildir:~/Maildir"]
        );
        assert_eq!(reply.told.iter().map(Field::text).collect::<Vec<_>>(), ["nologin=y"]);
        assert!(!reply.authorized);
    }

    #[test]
    fn half_a_reply_is_none() {
        let said = line(&environment(&[("USER", "alice")]), (7, 8)).to_bytes();
        assert!(Reply::parse(&said).is_some());
        for length in 0..said.len() {
            assert_eq!(Reply::parse(&said[..length]), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(said: Vec<u8>) {
            Reply::parse(&said);
            Reply::parse(&[b"mail-auth-reply\t", &said[..], b"\n"].concat());
        }
    }
}
