//! Whom a process that all users share may become, and nobody else: what stands in its user namespace, or in its filter.
//!
//! Users within first_valid_uid and last_valid_uid and groups within their like, but none of the server's own and not
//! `nobody`, whom the kernel shows in place of everybody who is not in a namespace. Groups that the administrator names in
//! mail_access_groups are in it, whatever their numbers.

use std::fmt;
use std::ops::RangeInclusive;

use crate::config::{ProtocolSettings, ServerSettings};

/// See above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdMap {
    pub(crate) uids: Ranges,
    pub(crate) gids: Ranges,
}

/// Ids in ascending order, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<RangeInclusive<u32>>);

impl IdMap {
    /// The one for processes of a protocol.
    pub(crate) fn new(server: &ServerSettings, protocol: &ProtocolSettings) -> Self {
        let mut uids = Ranges::default().with(server.first_valid_uid, server.last_valid_uid);
        let mut gids = Ranges::default().with(server.first_valid_gid, server.last_valid_gid);
        for group in &protocol.mail_access_groups.0 {
            gids = gids.with(group.as_raw(), group.as_raw());
        }
        for (_, account) in server.own_accounts() {
            uids = uids.without(account.ids.uid.as_raw());
            gids = gids.without(account.ids.gid.as_raw());
        }
        Self { uids: uids.without(0).without(NOBODY), gids: gids.without(0).without(NOBODY) }
    }
}

impl Ranges {
    /// These too; a last one of 0 is no limit.
    fn with(mut self, first: u32, last: u32) -> Self {
        // The last number means "no change" to the kernel.
        let last = if last == 0 { u32::MAX - 1 } else { last.min(u32::MAX - 1) };
        if first <= last {
            self.0.push(first..=last);
        }
        self.0.sort_by_key(|range| *range.start());
        let mut merged: Vec<RangeInclusive<u32>> = Vec::new();
        for range in self.0 {
            match merged.last_mut() {
                Some(before) if *range.start() <= before.end().saturating_add(1) => {
                    *before = *before.start()..=*range.end().max(before.end());
                }
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    fn without(self, id: u32) -> Self {
        let mut rest = Vec::new();
        for range in self.0 {
            let (first, last) = range.clone().into_inner();
            if !range.contains(&id) {
                rest.push(range);
                continue;
            }
            rest.extend(id.checked_sub(1).filter(|before| first <= *before).map(|before| first..=before));
            rest.extend(id.checked_add(1).filter(|after| *after <= last).map(|after| after..=last));
        }
        Self(rest)
    }

    /// Whether an id is in it.
    pub(crate) fn contains(&self, id: u32) -> bool {
        self.0.iter().any(|range| range.contains(&id))
    }
}

/// As mail-jail(8) takes it: `1000-19000,19004-60000`.
impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, range) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// Who has no name in a user namespace.
const NOBODY: u32 = 65534;

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
