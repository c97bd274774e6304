//! One line of a passwd-file.

use thiserror::Error;

use crate::fields::{self, BadFields, Pattern};

/// A user's line, its parts as they stand there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// `{SCHEME}text`, to be understood when it is needed.
    pub(crate) password: &'a str,
    /// A number or a name; may be empty.
    pub(crate) uid: &'a str,
    /// Numbers or names, separated by commas: the primary group, then the supplementary ones; may be empty.
    pub(crate) gid: &'a str,
    home: &'a str,
    /// All that follows the shell.
    pub(crate) extra: Vec<Pattern>,
}

/// Why a line is none.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum BadEntry {
    #[error("no colon behind the user's name")]
    NoColon,
    #[error("no user name before the first colon")]
    NoName,
    #[error("the line has a NUL byte or is not UTF-8")]
    NotText,
    #[error("uid or gid has a blank, or is too large to be one")]
    Id,
    #[error(transparent)]
    Extra(#[from] BadFields),
}

/// A line's user name, and what follows its colon. None for an empty line and for a comment.
pub(super) fn name(line: &str) -> Option<Result<(&str, &str), BadEntry>> {
    if line.trim().is_empty() || line.starts_with('#') {
        return None;
    }
    Some(match line.split_once(':') {
        None => Err(BadEntry::NoColon),
        Some(("", _)) => Err(BadEntry::NoName),
        Some(_) if line.contains('\0') => Err(BadEntry::NotText),
        Some(parts) => Ok(parts),
    })
}

impl<'a> Entry<'a> {
    /// Reads what follows a user's name and its colon.
    pub(super) fn parse(rest: &'a str) -> Result<Self, BadEntry> {
        let mut parts = rest.splitn(7, ':');
        let mut next = || parts.next().unwrap_or_default();
        let (password, uid, gid, _gecos, home, _shell, extra) =
            (next(), next(), next(), next(), next(), next(), next());
        if !std::iter::once(uid).chain(gid.split(',')).all(is_id) {
            return Err(BadEntry::Id);
        }
        Ok(Self { password, uid, gid, home, extra: fields::parse(extra)? })
    }

    /// The home, if the line has one.
    pub(crate) fn home(&self) -> Option<&'a str> {
        Some(self.home).filter(|home| !home.is_empty())
    }
}

/// Nothing, a number that fits, or a name.
fn is_id(text: &str) -> bool {
    !text.contains(|c: char| c.is_whitespace() || c.is_control())
        && (!text.starts_with(|c: char| c.is_ascii_digit() || c == '-') || text.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_has_eight_parts_and_the_last_keeps_its_colons() {
        let line = "alice:{PLAIN}secret:20001:20001,mail::/home/alice:/bin/sh:userdb_mail=maildir:~/M a=b:c";
        let (user, rest) = name(line).unwrap().unwrap();
        let entry = Entry::parse(rest).unwrap();
        assert_eq!(user, "alice");
        assert_eq!((entry.password, entry.uid, entry.gid), ("{PLAIN}secret", "20001", "20001,mail"));
        assert_eq!(entry.home, "/home/alice");
        assert_eq!(entry.extra.len(), 2);
    }

    #[test]
    fn what_is_left_out_is_empty() {
        let entry = Entry::parse("secret").unwrap();
        assert_eq!((entry.password, entry.uid, entry.gid, entry.home), ("secret", "", "", ""));
        assert_eq!(name("   "), None);
        assert_eq!(name("# alice:x"), None);
    }

    #[test]
    fn a_broken_line_says_why() {
        assert_eq!(name("alice"), Some(Err(BadEntry::NoColon)));
        assert_eq!(name(":x"), Some(Err(BadEntry::NoName)));
        assert_eq!(name("a:\0"), Some(Err(BadEntry::NotText)));
        for rest in ["x:4294967296:1", "x:-1:1", "x:1:12x", "x: 1:1", "x:1:1,99999999999"] {
            assert_eq!(Entry::parse(rest), Err(BadEntry::Id), "{rest}");
        }
        assert!(matches!(Entry::parse("x:1:1::::a=\"b"), Err(BadEntry::Extra(BadFields::Open(_)))));
        assert!(matches!(Entry::parse("x:1:1::::a=%q"), Err(BadEntry::Extra(BadFields::Variable(..)))));
    }

    proptest! {
        #[test]
        fn no_text_panics(line in "[a:{}\"%,\\PC]*") {
            if let Some(Ok((_, rest))) = name(&line) {
                let _ = Entry::parse(rest);
            }
        }

        #[test]
        fn parts_come_out_as_they_went_in(
            user in "[^:#\\s\\x00][^:\\x00]{0,9}", password in "[^:\\x00]{0,9}", home in "[^:\\x00]{0,9}", uid: u32,
        ) {
            let line = format!("{user}:{password}:{uid}:::{home}::");
            let (name, rest) = name(&line).unwrap().unwrap();
            let entry = Entry::parse(rest).unwrap();
            prop_assert_eq!((name, entry.password, entry.home), (&*user, &*password, &*home));
            prop_assert_eq!(entry.uid, uid.to_string());
        }
    }
}
