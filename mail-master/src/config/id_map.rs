//! Whom a process that all users share may become, and nobody else: what stands in its user namespace, or in its filter.
//!
//! Users within first_valid_uid and last_valid_uid and groups within their like, but none of the server's own and not
//! `nobody`, whom the kernel shows in place of everybody who is not in a namespace. Groups that the administrator names in
//! mail_access_groups are in it, whatever their numbers.

use confine::Ranges;

use crate::config::{ProtocolSettings, ServerSettings};

/// See above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdMap {
    pub(crate) uids: Ranges,
    pub(crate) gids: Ranges,
}

impl IdMap {
    /// The one for processes of a protocol.
    pub(crate) fn new(server: &ServerSettings, protocol: &ProtocolSettings) -> Self {
        let ours = server.own_accounts().map(|(_, account)| account.ids);
        let groups = protocol.mail_access_groups.0.iter().map(|gid| gid.as_raw());
        let uids = between(server.first_valid_uid, server.last_valid_uid)
            .without(ours.map(|ids| ids.uid.as_raw()))
            .without(NEVER);
        let gids = between(server.first_valid_gid, server.last_valid_gid)
            .with(groups)
            .without(ours.map(|ids| ids.gid.as_raw()))
            .without(NEVER);
        Self { uids, gids }
    }
}

/// A last one of 0 is no limit.
fn between(first: u32, last: u32) -> Ranges {
    Ranges::new([first..=if last == 0 { u32::MAX } else { last }])
}

/// Root, and who has no name in a user namespace.
const NEVER: [u32; 2] = [0, 65534];

#[cfg(test)]
mod tests {
    use crate::config::fixture_of_root;

    use super::*;

    fn map(settings: &str) -> IdMap {
        let config = fixture_of_root(settings);
        IdMap::new(&config.server, &config.imap)
    }

    #[test]
    fn it_has_the_mail_users_and_none_of_ours() {
        let map = map("first_valid_uid = 1000\nlast_valid_uid = 60000\nfirst_valid_gid = 1000\n\
                       last_valid_gid = 70000\nlogin_user = 1000\nauth_user = 2000\nmail_base_user = 60000\n");
        assert_eq!(map.uids.to_string(), "1001-1999,2001-59999");
        assert_eq!(map.gids.to_string(), "1001-1999,2001-59999,60001-65533,65535-70000");
        for (id, inside) in
            [(0, false), (1000, false), (1001, true), (1999, true), (2000, false), (60000, false)]
        {
            assert_eq!(map.uids.contains(id), inside, "{id}");
        }
    }

    #[test]
    fn groups_that_the_administrator_names_are_in_it() {
        let map = map("first_valid_gid = 1000\nlast_valid_gid = 2000\n\
                       mail_access_groups = 8, 999, 2002, 1500, 103\n");
        // 103 is that of mail_base_user.
        assert_eq!(map.gids.to_string(), "8,999-2000,2002");
    }

    #[test]
    fn without_a_limit_it_ends_before_the_number_that_is_none() {
        let map = map("first_valid_uid = 1\n");
        assert_eq!(map.uids.to_string(), "1-100,104-65533,65535-4294967294");
        assert_eq!(map.gids.to_string(), map.uids.to_string());
        assert!(!map.uids.contains(u32::MAX) && !map.uids.contains(0));
    }
}
