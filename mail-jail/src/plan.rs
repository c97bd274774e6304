//! What a jail is made of: the command line, with names looked up and nonsense refused.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use caps::{Capability, CapsHashSet};
use clap::{Args, ValueEnum};
use confine::Ranges;
use nix::unistd::{Gid, Group, Uid, User};
use thiserror::Error;

use crate::limits::Limits;
use crate::paths::Paths;

/// The jail as it is asked for.
#[derive(Args, Debug, Default)]
pub(crate) struct Arguments {
    /// Whom to become for good: a name or a number, never root [default: ids stay as they are]
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// The group, a name or a number [default: the user's own]
    #[arg(long, value_name = "GROUP", requires = "user")]
    pub(crate) group: Option<String>,
    /// The supplementary groups [default: none]
    #[arg(long, value_name = "GROUP,...", value_delimiter = ',', requires = "user")]
    pub(crate) groups: Vec<String>,
    /// A capability that stays, such as setuid; may be given several times
    #[arg(long = "keep-cap", value_name = "CAP", value_delimiter = ',', value_parser = capability)]
    pub(crate) keep: Vec<Capability>,
    /// The users that may be become, such as 1000-59999,60001, beside USER
    #[arg(long, value_name = "RANGES")]
    pub(crate) map_uids: Option<Ranges>,
    /// The groups that may be become, beside GROUP
    #[arg(long, value_name = "RANGES")]
    pub(crate) map_gids: Option<Ranges>,
    /// What holds the program to them
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Identity::Auto)]
    pub(crate) identity: Identity,
    /// No signals to any other process
    #[arg(long)]
    pub(crate) signal_self: bool,
    #[command(flatten)]
    pub(crate) paths: Paths,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// A part without which nothing is started [default: seccomp, and identity where --map-uids or --map-gids is given]
    #[arg(long, value_enum, value_name = "PART,...", value_delimiter = ',')]
    pub(crate) require: Option<Vec<Part>>,
}

/// What can be missing on a machine. (Comments on the values would be in `--help`.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Part {
    Namespace,
    // That, or the filter in its place.
    Identity,
    Seccomp,
    Landlock,
    /// None of them
    None,
}

/// What holds a process to its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Identity {
    // A namespace where there can be one, else the filter.
    #[default]
    Auto,
    Namespace,
    Filter,
}

/// What will be left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// None: whoever this is.
    pub(crate) base: Option<Base>,
    /// Alone in every set.
    pub(crate) keep: CapsHashSet,
    /// Base is in them. None: nothing holds the program but its capabilities.
    pub(crate) maps: Option<Maps>,
    pub(crate) identity: Identity,
    pub(crate) signal_self: bool,
    pub(crate) paths: Paths,
    pub(crate) limits: Limits,
    pub(crate) required: BTreeSet<Part>,
}

/// Whom the program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// Real, effective and saved.
    pub(crate) uid: Uid,
    /// Real, effective and saved.
    pub(crate) gid: Gid,
    /// Sorted, each once.
    pub(crate) groups: Vec<Gid>,
}

/// Whom the program can become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Maps {
    pub(crate) uids: Ranges,
    pub(crate) gids: Ranges,
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
    #[error("--map-uids and --map-gids need --user, whose ids they add to")]
    NoBase,
    #[error("--require {0}: nothing here asks for that part")]
    NotAsked(&'static str),
    #[error("{0}: the user database cannot be read")]
    Database(String),
}

impl Plan {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, Wrong> {
        let base = arguments.user.as_deref().map(|name| Base::new(name, arguments)).transpose()?;
        let maps = match (&base, &arguments.map_uids, &arguments.map_gids) {
            (_, None, None) => None,
            (None, ..) => return Err(Wrong::NoBase),
            (Some(base), uids, gids) => Some(Maps::new(base, uids.clone(), gids.clone())?),
        };
        let asked = |part| match part {
            Part::Namespace => maps.is_some() && arguments.identity != Identity::Filter,
            Part::Identity => maps.is_some(),
            Part::Seccomp => true,
            Part::Landlock => !arguments.paths.is_empty(),
            Part::None => false,
        };
        let required: BTreeSet<_> = match &arguments.require {
            None => [Part::Identity, Part::Seccomp].into_iter().filter(|&part| asked(part)).collect(),
            Some(parts) => parts.iter().copied().filter(|&part| part != Part::None).collect(),
        };
        if let Some(part) = required.iter().find(|&&part| !asked(part)) {
            return Err(Wrong::NotAsked(part.word()));
        }
        Ok(Self {
            base,
            keep: arguments.keep.iter().copied().collect(),
            maps,
            identity: arguments.identity,
            signal_self: arguments.signal_self,
            paths: arguments.paths.clone(),
            limits: arguments.limits,
            required,
        })
    }

    /// The names of the capabilities that stay, as prctl(2) pages and `--keep-cap` have them.
    fn kept(&self) -> String {
        let mut names: Vec<_> = self.keep.iter().map(Capability::to_string).collect();
        names.sort_unstable();
        or_none(&names)
    }
}

impl Base {
    fn new(name: &str, arguments: &Arguments) -> Result<Self, Wrong> {
        let (uid, own_gid) = user(name)?;
        let gid = match (&arguments.group, own_gid) {
            (Some(name), _) => group(name)?,
            (None, Some(gid)) => gid,
            (None, None) => return Err(Wrong::GroupUnknown(name.to_owned())),
        };
        let mut groups: Vec<_> = arguments.groups.iter().map(|name| group(name)).collect::<Result<_, _>>()?;
        groups.sort_by_key(|gid| gid.as_raw());
        groups.dedup();
        if uid.is_root() {
            return Err(Wrong::Root(format!("user {name}")));
        }
        if gid.as_raw() == 0 || groups.iter().any(|gid| gid.as_raw() == 0) {
            return Err(Wrong::Root("group 0".to_owned()));
        }
        Ok(Self { uid, gid, groups })
    }
}

impl Maps {
    fn new(base: &Base, uids: Option<Ranges>, gids: Option<Ranges>) -> Result<Self, Wrong> {
        let uids = uids.unwrap_or_default().with([base.uid.as_raw()]);
        let own = base.groups.iter().chain([&base.gid]).map(|gid| gid.as_raw());
        let gids = gids.unwrap_or_default().with(own);
        match (uids.contains(0), gids.contains(0)) {
            (true, _) => Err(Wrong::Root("--map-uids 0".to_owned())),
            (_, true) => Err(Wrong::Root("--map-gids 0".to_owned())),
            _ => Ok(Self { uids, gids }),
        }
    }
}

impl Part {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Identity => "identity",
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(maps) = &self.maps {
            let form = match self.identity {
                Identity::Auto => "a user namespace, or else a filter",
                Identity::Namespace => "a user namespace",
                Identity::Filter => "a filter",
            };
            writeln!(f, "ids, held by {form}: uids {}; gids {}", maps.uids, maps.gids)?;
        }
        writeln!(f, "bounding set: {}", self.kept())?;
        if let Some(base) = &self.base {
            let groups: Vec<_> = base.groups.iter().map(Gid::to_string).collect();
            writeln!(f, "supplementary groups: {}", or_none(&groups))?;
            writeln!(f, "gid: {}", base.gid)?;
            writeln!(f, "uid: {}", base.uid)?;
        }
        writeln!(f, "permitted, effective, inheritable and ambient set: {}", self.kept())?;
        writeln!(f, "no new privileges: yes")?;
        write!(f, "{}{}", self.paths, self.limits)?;
        let signals = if self.signal_self { ", signals to others" } else { "" };
        writeln!(f, "system calls refused: those of mail-jail(8){signals}")
    }
}

fn or_none(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(" ") }
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
            user: Some(user.to_owned()),
            group: group.map(str::to_owned),
            groups: groups.iter().map(|&name| name.to_owned()).collect(),
            keep: vec![Capability::CAP_SETUID, Capability::CAP_SETGID],
            ..Arguments::default()
        }
    }

    fn with_maps(uids: &str, gids: &str) -> Arguments {
        let (map_uids, map_gids) = (uids.parse().ok(), gids.parse().ok());
        Arguments { map_uids, map_gids, ..arguments("19001", Some("19001"), &["7"]) }
    }

    #[test]
    fn numbers_need_no_user_database() {
        let base = Plan::new(&arguments("19001", Some("19001"), &["7", "5", "7"])).unwrap().base.unwrap();
        assert_eq!((base.uid, base.gid), (Uid::from_raw(19001), Gid::from_raw(19001)));
        assert_eq!(base.groups, [Gid::from_raw(5), Gid::from_raw(7)]);
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
        for (uids, gids) in [("0-5", "5"), ("5", "0"), ("0", "0")] {
            assert!(matches!(Plan::new(&with_maps(uids, gids)), Err(Wrong::Root(_))));
        }
    }

    #[test]
    fn base_is_in_the_maps() {
        let maps = Plan::new(&with_maps("20000-20005", "30000")).unwrap().maps.unwrap();
        assert_eq!(
            (maps.uids.to_string(), maps.gids.to_string()),
            ("19001,20000-20005".into(), "7,19001,30000".into())
        );
        let no_base = Arguments { user: None, ..with_maps("5", "5") };
        assert_eq!(Plan::new(&no_base).unwrap_err(), Wrong::NoBase);
    }

    #[test]
    fn what_is_asked_for_by_maps_is_required_unless_said_otherwise() {
        let required = |arguments: &Arguments| Plan::new(arguments).map(|plan| Vec::from_iter(plan.required));
        assert_eq!(required(&with_maps("5", "5")), Ok(vec![Part::Identity, Part::Seccomp]));
        assert_eq!(required(&arguments("5", Some("5"), &[])), Ok(vec![Part::Seccomp]));
        let landlock = Arguments { require: Some(vec![Part::Landlock]), ..with_maps("5", "5") };
        assert_eq!(required(&landlock), Err(Wrong::NotAsked("landlock")));
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
