//! The identity filter: who may be become, by the arguments of the calls that change it. What a user namespace's map
//! does better, for where there is none.
//!
//! The list of setgroups lies in memory, where no filter can look, so that only the empty one passes.

use crate::filter::{Filter, When};
use crate::ranges::Ranges;

impl Filter {
    /// Each id that is given to a call has to be in the ranges, or to mean "no change"; supplementary groups can only
    /// be dropped.
    #[must_use]
    pub fn identities(self, uids: &Ranges, gids: &Ranges) -> Self {
        let filter = USERS.iter().fold(self, |filter, call| outside(filter, call, uids));
        let filter = GROUPS.iter().fold(filter, |filter, call| outside(filter, call, gids));
        filter.refuse_when(libc::SYS_setgroups, &[When::is_not(0, 0)])
    }
}

/// A call, and how many ids it takes.
type Call = (i64, u8);

const USERS: [Call; 4] =
    [(libc::SYS_setuid, 1), (libc::SYS_setreuid, 2), (libc::SYS_setresuid, 3), (libc::SYS_setfsuid, 1)];

const GROUPS: [Call; 4] =
    [(libc::SYS_setgid, 1), (libc::SYS_setregid, 2), (libc::SYS_setresgid, 3), (libc::SYS_setfsgid, 1)];

fn outside(mut filter: Filter, &(call, arguments): &Call, ids: &Ranges) -> Filter {
    for argument in 0..arguments {
        for gap in ids.gaps() {
            let conditions = [When::at_least(argument, *gap.start()), When::at_most(argument, *gap.end())];
            filter = filter.refuse_when(call, &conditions);
        }
    }
    filter
}
