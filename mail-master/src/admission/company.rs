//! With whom a person may be in a process, and what stands in the way of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use log::info;

use crate::config::{self, Jail, ProtocolSettings, ServerSettings};
use crate::master::Master;
use crate::person::Person;
use crate::pool::Share;

impl Master {
    /// With whom this person may be.
    pub(super) fn share_of(&mut self, person: &Person, settings: &ProtocolSettings) -> Share {
        let groups = &person.credentials.groups;
        match settings.share() {
            None => Share::Private,
            Some(config::Share::All) if self.pool.apart.is_for(settings.protocol, groups) => {
                if self.pool.apart.is_to_tell(&person.user) {
                    info!(
                        "{}: {}: is in further groups, which the filter that replaces a namespace \
                         cannot let a shared process take up: has processes of his own",
                        settings.protocol, person.user
                    );
                }
                Share::of_uid(person)
            }
            Some(config::Share::All) => Share::All,
            Some(config::Share::Uid) => Share::of_uid(person),
            Some(config::Share::User) => Share::User(person.user.clone()),
        }
    }
}

/// Why these settings cannot be kept for this person, if they cannot.
pub(super) fn unfit(
    person: &Person,
    settings: &ProtocolSettings,
    server: &ServerSettings,
) -> Option<&'static str> {
    let all = settings.share() == Some(config::Share::All);
    if all && person.chroot.is_some() {
        return Some(
            "the user database says chroot, which a process that all share cannot do: use mail_process_share = uid",
        );
    }
    if all && person.nice.is_some() {
        return Some(
            "the user database says nice, which a process that all share cannot do: use mail_process_share = uid",
        );
    }
    let home = Path::new(OsStr::from_bytes(person.home.as_deref()?));
    let paths = &server.mail_jail_paths;
    let walled = server.mail_jail != Jail::No && !paths.is_empty();
    (walled && !paths.iter().any(|path| home.starts_with(path)))
        .then_some("home is in none of mail_jail_paths")
}
