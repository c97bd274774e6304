//! Who a client turned out to be: auth's answer, validated. The typed record that identity comes from, and the only one:
//! nothing that decides as whom a process runs is ever read from an environment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use log::warn;
use thiserror::Error;
use wire::auth::Line;

use crate::config::{IdMap, ProtocolSettings, ServerSettings, Share};
use crate::spawn::Credentials;

/// A user who may have a mail process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) user: String,
    pub(crate) credentials: Credentials,
    pub(crate) home: Option<Vec<u8>>,
    pub(crate) mail: Option<Vec<u8>>,
    pub(crate) chroot: Option<Vec<u8>>,
    pub(crate) nice: Option<i32>,
    /// Who logged in as this user.
    pub(crate) master_user: Option<String>,
    /// All else that the user database said.
    pub(crate) extra: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why auth's answer makes no mail user. For the log; the client is told that the server is at fault.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Unfit {
    #[error("auth's answer names no user")]
    NoUser,
    #[error("the user database says no {0}, and mail_{0} is not set")]
    Missing(&'static str),
    #[error("the user database says {field}={value}, which is not a number")]
    NotANumber { field: &'static str, value: String },
    #[error("the user database says {0} twice")]
    Twice(&'static str),
    #[error("{0} 0 is never a mail user's")]
    Root(&'static str),
    #[error("{field} {id} is outside of first_valid_{field} and last_valid_{field}: {first} to {last}")]
    OutOfRange { field: &'static str, id: u32, first: u32, last: String },
    #[error("{field} {id} is that of {setting}")]
    OurOwn { field: &'static str, id: u32, setting: &'static str },
    #[error("{field} {id} is not among those that a shared process may become, which mail-master -a prints")]
    NotInMap { field: &'static str, id: u32 },
    #[error("chroot {0} is in none of valid_chroot_dirs")]
    Chroot(String),
    #[error("home is not an absolute path")]
    RelativeHome,
}

/// What makes a person of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) server: &'a ServerSettings,
    pub(crate) protocol: &'a ProtocolSettings,
    /// Without root every user is the one who started the master.
    pub(crate) invoker: Option<(u32, u32)>,
}

impl Person {
    /// Reads a `USER <id> <name> key=value ...` line.
    pub(crate) fn from_answer(line: &Line, rules: Rules<'_>) -> Result<Self, Unfit> {
        let user = line.at(2).and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty());
        let mut person = Self {
            user: user.ok_or(Unfit::NoUser)?.to_owned(),
            credentials: Credentials { uid: 0, gid: 0, groups: Vec::new() },
            home: None,
            mail: None,
            chroot: None,
            nice: None,
            master_user: None,
            extra: Vec::new(),
        };
        let (mut uid, mut gids) = (None, Vec::new());
        for (key, value) in line.values(3) {
            match key {
                b"uid" if uid.is_some() => return Err(Unfit::Twice("uid")),
                b"uid" => uid = Some(parsed("uid", value)?),
                b"gid" if !gids.is_empty() => return Err(Unfit::Twice("gid")),
                b"gid" => gids = numbers("gid", value)?,
                b"groups" => person.credentials.groups.extend(numbers("groups", value)?),
                b"home" if !value.is_empty() => person.home = Some(value.to_vec()),
                b"mail" if !value.is_empty() => person.mail = Some(value.to_vec()),
                b"chroot" if !value.is_empty() => person.chroot = Some(value.to_vec()),
                b"nice" => person.nice = Some(parsed("nice", value)?),
                b"master_user" => person.master_user = Some(String::from_utf8_lossy(value).into_owned()),
                b"home" | b"mail" | b"chroot" | b"system_user" | b"" => {}
                _ => person.extra.push((key.to_vec(), value.to_vec())),
            }
        }
        if person.home.as_ref().is_some_and(|home| !home.starts_with(b"/")) {
            return Err(Unfit::RelativeHome);
        }
        if let Some(chroot) = &person.chroot
            && !is_below(chroot, &rules.protocol.valid_chroot_dirs)
        {
            return Err(Unfit::Chroot(String::from_utf8_lossy(chroot).into_owned()));
        }
        if let Some((uid, gid)) = rules.invoker {
            person.credentials = Credentials { uid, gid, groups: Vec::new() };
            return Ok(person);
        }
        let default_uid = rules.protocol.mail_uid.as_ref().map(|user| user.0.as_raw());
        let default_gid = rules.protocol.mail_gid.as_ref().map(|group| group.0.as_raw());
        person.credentials.uid = uid.or(default_uid).ok_or(Unfit::Missing("uid"))?;
        let mut gids = gids.into_iter();
        person.credentials.gid = gids.next().or(default_gid).ok_or(Unfit::Missing("gid"))?;
        person.credentials.groups.extend(gids);
        let map = IdMap::new(rules.server, rules.protocol);
        person.leave_foreign_groups(rules.server, &map);
        person.credentials.groups.extend(rules.protocol.mail_access_groups.0.iter().map(|gid| gid.as_raw()));
        person.credentials.validate(rules.server)?;
        if rules.protocol.share() == Some(Share::All) {
            person.credentials.within(&map)?;
        }
        Ok(person)
    }
}

impl Person {
    /// Whatever a user database says: nobody reads mail as shadow, disk or docker. Groups that the administrator names
    /// in mail_access_groups are not asked for their numbers.
    ///
    /// Root's and our own programs' are left to be refused.
    fn leave_foreign_groups(&mut self, server: &ServerSettings, map: &IdMap) {
        let ours = server.own_accounts().map(|(_, account)| account.ids.gid.as_raw());
        let refused = |gid: u32| gid == 0 || ours.contains(&gid);
        let (below, rest): (Vec<u32>, Vec<u32>) =
            self.credentials.groups.iter().partition(|gid| **gid < server.first_valid_gid && !refused(**gid));
        let (kept, other): (Vec<u32>, Vec<u32>) =
            rest.into_iter().partition(|gid| map.gids.contains(*gid) || refused(*gid));
        if !below.is_empty() {
            warn!("{}: groups {below:?} are below first_valid_gid and left out", self.user);
        }
        if !other.is_empty() {
            warn!("{}: groups {other:?} are above last_valid_gid, or nobody's, and left out", self.user);
        }
        self.credentials.groups = kept;
    }
}

impl Credentials {
    /// Refuses what no mail user may be, and puts the groups in order.
    fn validate(&mut self, server: &ServerSettings) -> Result<(), Unfit> {
        in_range("uid", self.uid, server.first_valid_uid, server.last_valid_uid)?;
        in_range("gid", self.gid, server.first_valid_gid, server.last_valid_gid)?;
        for (setting, account) in server.own_accounts() {
            if account.ids.uid.as_raw() == self.uid {
                return Err(Unfit::OurOwn { field: "uid", id: self.uid, setting });
            }
            let gid = account.ids.gid.as_raw();
            if gid == self.gid || self.groups.contains(&gid) {
                return Err(Unfit::OurOwn { field: "gid", id: gid, setting });
            }
        }
        if self.groups.contains(&0) {
            return Err(Unfit::Root("gid"));
        }
        self.groups.sort_unstable();
        self.groups.dedup();
        Ok(())
    }

    /// Refuses whom a process that all share could not become.
    fn within(&self, map: &IdMap) -> Result<(), Unfit> {
        if !map.uids.contains(self.uid) {
            return Err(Unfit::NotInMap { field: "uid", id: self.uid });
        }
        let mut gids = self.groups.iter().copied().chain([self.gid]);
        gids.find(|gid| !map.gids.contains(*gid))
            .map_or(Ok(()), |id| Err(Unfit::NotInMap { field: "gid", id }))
    }
}

fn in_range(field: &'static str, id: u32, first: u32, last: u32) -> Result<(), Unfit> {
    // The last one means "no change" to the kernel.
    if id == 0 || id == u32::MAX {
        return Err(Unfit::Root(field));
    }
    if id < first || (last != 0 && id > last) {
        let last = if last == 0 { "no limit".to_owned() } else { last.to_string() };
        return Err(Unfit::OutOfRange { field, id, first, last });
    }
    Ok(())
}

fn parsed<T: FromStr>(field: &'static str, value: &[u8]) -> Result<T, Unfit> {
    let text = std::str::from_utf8(value).ok().filter(|text| !text.starts_with('+'));
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Unfit::NotANumber { field, value: String::from_utf8_lossy(value).into_owned() })
}

fn numbers(field: &'static str, value: &[u8]) -> Result<Vec<u32>, Unfit> {
    value.split(|&b| b == b',').filter(|part| !part.is_empty()).map(|part| parsed(field, part)).collect()
}

/// Whether a directory is one of `dirs` or below it, by whole names and without ways back up.
fn is_below(path: &[u8], dirs: &[PathBuf]) -> bool {
    let path = Path::new(OsStr::from_bytes(path));
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    plain && path.is_absolute() && dirs.iter().any(|dir| path.starts_with(dir))
}

#[cfg(test)]
mod tests;
