//! From what a userdb says to numbers: uid, primary gid and supplementary groups.
//!
//! Names are looked up here (in the system's own databases, which can block), so that the master gets numbers only.
//! Whether these ids are allowed is not decided here.

use std::collections::BTreeSet;
use std::ffi::CString;

use nix::unistd::{Gid, Group, User, getgrouplist};
use thiserror::Error;

use crate::fields::{self, Field};

/// Why the fields name no identity.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum BadIdentity {
    #[error("{field}: no user or group {name:?} in this system")]
    NoName { field: &'static str, name: String },
    #[error("{field}: looking {name:?} up: {error}")]
    LookUp { field: &'static str, name: String, error: nix::Error },
    #[error("{0} without a gid to begin with")]
    NoGid(&'static str),
    #[error("looking names up panicked")]
    Panicked,
    #[error("too many requests at once")]
    Busy,
}

/// Whether [`resolve`] has to look names up.
pub(crate) fn has_names(fields: &[Field]) -> bool {
    fields.iter().any(|Field { name, value }| match &**name {
        "uid" | "gid" | "groups" => list(value.as_deref()).any(|id| id.parse::<u32>().is_err()),
        name => SYSTEM_USER.contains(&name),
    })
}

/// Puts `uid=`, `gid=` and `groups=` as numbers in front of the other fields. `gid` may list several groups, of which
/// the first is the primary one; `groups` adds to the others, and so do those that the system has for `system_user`.
///
/// # Errors
/// [`BadIdentity`]
pub(crate) fn resolve(mut facts: Vec<Field>) -> Result<Vec<Field>, BadIdentity> {
    let uid = fields::take(&mut facts, "uid");
    let gid = fields::take(&mut facts, "gid");
    let groups = fields::take(&mut facts, "groups");
    let uid = match list(uid.as_ref().and_then(|field| field.value.as_deref())).next() {
        Some(name) => {
            Some(number("uid", name, |name| Ok(User::from_name(name)?.map(|user| user.uid.as_raw())))?)
        }
        None => None,
    };
    let mut gids = Vec::new();
    for name in list(gid.as_ref().and_then(|field| field.value.as_deref())) {
        gids.push(number("gid", name, group)?);
    }
    let mut gids = gids.into_iter();
    let primary = gids.next();
    let mut others: BTreeSet<u32> = gids.collect();
    for name in list(groups.as_ref().and_then(|field| field.value.as_deref())) {
        others.insert(number("groups", name, group)?);
    }
    for field in SYSTEM_USER {
        if let Some(user) =
            fields::take(&mut facts, field).and_then(|field| field.value).filter(|v| !v.is_empty())
        {
            others.extend(groups_of(field, &user, primary.ok_or(BadIdentity::NoGid(field))?)?);
        }
    }
    if let Some(primary) = primary {
        others.remove(&primary);
    }
    let others: Vec<String> = others.iter().map(u32::to_string).collect();
    let ids = [
        ("uid", uid.map(|uid| uid.to_string())),
        ("gid", primary.map(|gid| gid.to_string())),
        ("groups", Some(others.join(",")).filter(|groups| !groups.is_empty())),
    ];
    let ids = ids.into_iter().filter(|(_, value)| value.is_some());
    let mut resolved: Vec<Field> = ids.map(|(name, value)| Field { name: name.to_owned(), value }).collect();
    resolved.append(&mut facts);
    Ok(resolved)
}

fn list(value: Option<&str>) -> impl Iterator<Item = &str> {
    let separators = |c: char| c == ',' || c.is_ascii_whitespace();
    value.unwrap_or_default().split(separators).filter(|part| !part.is_empty())
}

fn group(name: &str) -> nix::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}

fn number(
    field: &'static str,
    name: &str,
    look_up: impl FnOnce(&str) -> nix::Result<Option<u32>>,
) -> Result<u32, BadIdentity> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match look_up(name) {
        Ok(Some(number)) => Ok(number),
        Ok(None) => Err(BadIdentity::NoName { field, name: name.to_owned() }),
        Err(error) => Err(BadIdentity::LookUp { field, name: name.to_owned(), error }),
    }
}

fn groups_of(field: &'static str, user: &str, primary: u32) -> Result<Vec<u32>, BadIdentity> {
    let no_name = || BadIdentity::NoName { field, name: user.to_owned() };
    let look_up = |error| BadIdentity::LookUp { field, name: user.to_owned(), error };
    let name = CString::new(user).map_err(|_| no_name())?;
    // getgrouplist(3) does not tell an unknown user from one without groups.
    User::from_name(user).map_err(look_up)?.ok_or_else(no_name)?;
    let groups = getgrouplist(&name, Gid::from_raw(primary)).map_err(look_up)?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}

/// The fields that name a user whose groups the system knows, in the older and the newer spelling.
const SYSTEM_USER: [&str; 2] = ["system_user", "system_groups_user"];

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Vec<Field> {
        let field = |part: &str| {
            let (name, value) = part.split_once('=').unwrap();
            Field { name: name.to_owned(), value: Some(value.to_owned()) }
        };
        text.split(' ').filter(|part| !part.is_empty()).map(field).collect()
    }

    fn resolved(text: &str) -> Result<String, BadIdentity> {
        Ok(resolve(facts(text))?.iter().map(Field::text).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn numbers_stay_and_come_first() {
        let text = "home=/h gid=7,9,8 mail=m uid=5 groups=9,10,7";
        assert!(!has_names(&facts(text)));
        assert_eq!(resolved(text).unwrap(), "uid=5 gid=7 groups=8,9,10 home=/h mail=m");
        assert_eq!(resolved("home=/h uid= gid=").unwrap(), "home=/h");
        assert_eq!(resolved("").unwrap(), "");
    }

    #[test]
    fn names_of_the_system_become_numbers() {
        assert!(has_names(&facts("uid=root")));
        assert!(has_names(&facts("uid=0 gid=0,root")));
        assert!(has_names(&facts("uid=0 gid=0 system_user=root")));
        assert_eq!(resolved("uid=root gid=7 groups=root").unwrap(), "uid=0 gid=7 groups=0");
        let of_root = resolved("uid=1 gid=7 home=/h system_user=root").unwrap();
        assert!(of_root.starts_with("uid=1 gid=7") && of_root.ends_with("home=/h"), "{of_root}");
    }

    #[test]
    fn what_the_system_does_not_know_is_an_error() {
        let nobody = "no-such-name-here";
        let error = |field| Err(BadIdentity::NoName { field, name: nobody.to_owned() });
        assert_eq!(resolved(&format!("uid={nobody}")), error("uid"));
        assert_eq!(resolved(&format!("gid=1,{nobody}")), error("gid"));
        assert_eq!(resolved(&format!("groups={nobody}")), error("groups"));
        assert_eq!(resolved(&format!("gid=1 system_user={nobody}")), error("system_user"));
        assert_eq!(resolved("system_user=root"), Err(BadIdentity::NoGid("system_user")));
        assert!(matches!(resolved("uid=4294967296"), Err(BadIdentity::NoName { .. })));
        assert!(matches!(resolved("uid=-1"), Err(BadIdentity::NoName { .. })));
    }
}
