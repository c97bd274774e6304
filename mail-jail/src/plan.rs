//! What a jail is made of: the command line, with names looked up and nonsense refused.

use std::fmt;
use std::str::FromStr;

use caps::{Capability, CapsHashSet};
use clap::Args;
use nix::unistd::{Gid, Group, Uid, User};
use thiserror::Error;

/// The jail as it is asked for.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Whom to become for good: a name or a number, never root
    #[arg(long, value_name = "USER")]
    user: String,
    /// The group, a name or a number [default: the user's own]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// The supplementary groups [default: none]
    #[arg(long, value_name = "GROUP,...", value_delimiter = ',')]
    groups: Vec<String>,
    /// A capability that stays, such as setuid; may be given several times
    #[arg(long = "keep-cap", value_name = "CAP", value_delimiter = ',', value_parser = capability)]
    keep: Vec<Capability>,
}

/// What will be left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Real, effective and saved.
    pub(crate) uid: Uid,
    /// Real, effective and saved.
    pub(crate) gid: Gid,
    /// Sorted, each once.
    pub(crate) groups: Vec<Gid>,
    /// Alone in every set.
    pub(crate) keep: CapsHashSet,
}

/// Why no jail can be made of a command line.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Wrong {
    #[error("user {0}: no such user")]
    NoUser(String),
    #[error("group {0}: no such group")]
    NoGroup(String),
    #[error("user {0}: not in the user database, so --group has to say the group")]
    GroupUnknown(String),
    #[error("{0}: root's; a jail is for somebody who is not")]
    Root(String),
    #[error("{0}: the user database cannot be read")]
    Database(String),
}

impl Plan {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, Wrong> {
        let (uid, own_gid) = user(&arguments.user)?;
        let gid = match (&arguments.group, own_gid) {
            (Some(name), _) => group(name)?,
            (None, Some(gid)) => gid,
            (None, None) => return Err(Wrong::GroupUnknown(arguments.user.clone())),
        };
        let mut groups: Vec<_> = arguments.groups.iter().map(|name| group(name)).collect::<Result<_, _>>()?;
        groups.sort_by_key(|gid| gid.as_raw());
        groups.dedup();
        if uid.is_root() {
            return Err(Wrong::Root(format!("user {}", arguments.user)));
        }
        if gid.as_raw() == 0 || groups.iter().any(|gid| gid.as_raw() == 0) {
            return Err(Wrong::Root("group 0".to_owned()));
        }
        Ok(Self { uid, gid, groups, keep: arguments.keep.iter().copied().collect() })
    }

    /// The names of the capabilities that stay, as prctl(2) pages and `--keep-cap` have them.
    fn kept(&self) -> String {
        let mut names: Vec<_> = self.keep.iter().map(Capability::to_string).collect();
        names.sort_unstable();
        if names.is_empty() { "none".to_owned() } else { names.join(" ") }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<_> = self.groups.iter().map(Gid::to_string).collect();
        let groups = if groups.is_empty() { "none".to_owned() } else { groups.join(" ") };
        writeln!(f, "bounding set: {}", self.kept())?;
        writeln!(f, "supplementary groups: {groups}")?;
        writeln!(f, "gid: {}", self.gid)?;
        writeln!(f, "uid: {}", self.uid)?;
        writeln!(f, "permitted, effective, inheritable and ambient set: {}", self.kept())?;
        writeln!(f, "no new privileges: yes")
    }
}

/// The user, and the group that the user database gives it.
fn user(name: &str) -> Result<(Uid, Option<Gid>), Wrong> {
    let broken = |_| Wrong::Database(format!("user {name}"));
    match u32::from_str(name) {
        Ok(number) if number != u32::MAX => {
            let uid = Uid::from_raw(number);
            Ok((uid, User::from_uid(uid).map_err(broken)?.map(|user| user.gid)))
        }
        _ => {
            let user = User::from_name(name).map_err(broken)?;
            user.map(|user| (user.uid, Some(user.gid))).ok_or_else(|| Wrong::NoUser(name.to_owned()))
        }
    }
}

fn group(name: &str) -> Result<Gid, Wrong> {
    match u32::from_str(name) {
        Ok(number) if number != u32::MAX => Ok(Gid::from_raw(number)),
        _ => {
            let group = Group::from_name(name).map_err(|_| Wrong::Database(format!("group {name}")))?;
            group.map(|group| group.gid).ok_or_else(|| Wrong::NoGroup(name.to_owned()))
        }
    }
}

fn capability(name: &str) -> Result<Capability, String> {
    caps::to_canonical(name).parse().map_err(|_| "no such capability; capabilities(7) lists them".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(user: &str, group: Option<&str>, groups: &[&str]) -> Arguments {
        Arguments {
            user: user.to_owned(),
            group: group.map(str::to_owned),
            groups: groups.iter().map(|&name| name.to_owned()).collect(),
            keep: vec![Capability::CAP_SETUID, Capability::CAP_SETGID],
        }
    }

    #[test]
    fn numbers_need_no_user_database() {
        let plan = Plan::new(&arguments("19001", Some("19001"), &["7", "5", "7"])).unwrap();
        assert_eq!((plan.uid, plan.gid), (Uid::from_raw(19001), Gid::from_raw(19001)));
        assert_eq!(plan.groups, [Gid::from_raw(5), Gid::from_raw(7)]);
        let wrong = Plan::new(&arguments("4000000000", None, &[])).unwrap_err();
        assert_eq!(wrong, Wrong::GroupUnknown("4000000000".to_owned()));
    }

    #[test]
    fn root_is_refused_in_every_place() {
        for (user, group, groups) in
            [("0", Some("5"), &[][..]), ("root", None, &[]), ("5", Some("0"), &[]), ("5", Some("5"), &["0"])]
        {
            assert!(matches!(Plan::new(&arguments(user, group, groups)), Err(Wrong::Root(_))));
        }
    }

    #[test]
    fn the_number_that_means_no_change_is_no_user() {
        assert_eq!(
            Plan::new(&arguments("4294967295", Some("5"), &[])).unwrap_err(),
            Wrong::NoUser("4294967295".to_owned())
        );
        assert!(matches!(Plan::new(&arguments("5", Some("4294967295"), &[])), Err(Wrong::NoGroup(_))));
    }

    #[test]
    fn capabilities_are_known_with_and_without_their_prefix() {
        assert_eq!(capability("setuid"), Ok(Capability::CAP_SETUID));
        assert_eq!(capability("CAP_SETGID"), Ok(Capability::CAP_SETGID));
        assert!(capability("everything").is_err());
    }
}
