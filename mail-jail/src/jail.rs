//! Going into the jail: each step once, in the one order that works, and the kernel's word for it at the end.

use std::fs;
use std::io;

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use thiserror::Error;

use crate::plan::Plan;
use crate::status::{Unlike, check};

/// Why the jail was not entered. The process must not go on.
#[derive(Debug, Error)]
pub(crate) enum NotConfined {
    #[error("{0}: {1}")]
    Refused(&'static str, Errno),
    #[error("{0}: {1}")]
    Capabilities(&'static str, CapsError),
    #[error("reading /proc/self/status, which must confirm the jail: {0}")]
    NoProof(io::Error),
    #[error("the kernel does not confirm the jail: {0}")]
    Unlike(#[from] Unlike),
    #[error("root could be had back")]
    NotForGood,
}

/// Gives up all that `plan` does not leave.
pub(crate) fn enter(plan: &Plan) -> Result<(), NotConfined> {
    let refused = |step| move |why| NotConfined::Refused(step, why);
    let capabilities = |step| move |why| NotConfined::Capabilities(step, why);
    // Becoming the user would clear the permitted set, from which the kept ones are raised again below.
    prctl::set_keepcaps(true).map_err(refused("keeping capabilities"))?;
    bound(&plan.keep).map_err(capabilities("dropping capabilities from the bounding set"))?;
    setgroups(&plan.groups).map_err(refused("setting the supplementary groups"))?;
    setresgid(plan.gid, plan.gid, plan.gid).map_err(refused("setting the group"))?;
    setresuid(plan.uid, plan.uid, plan.uid).map_err(refused("setting the user"))?;
    leave(&plan.keep).map_err(capabilities("leaving only the kept capabilities"))?;
    prctl::set_no_new_privs().map_err(refused("setting no-new-privs"))?;
    let status = fs::read_to_string("/proc/self/status").map_err(NotConfined::NoProof)?;
    check(&status, plan)?;
    for_good(plan)
}

/// Drops all capabilities but `keep` from the bounding set. One that this library has no name for yet stays, and
/// is found when the kernel is asked.
fn bound(keep: &CapsHashSet) -> Result<(), CapsError> {
    for capability in caps::runtime::thread_all_supported().difference(keep) {
        if caps::has_cap(None, CapSet::Bounding, *capability)? {
            caps::drop(None, CapSet::Bounding, *capability)?;
        }
    }
    Ok(())
}

fn leave(keep: &CapsHashSet) -> Result<(), CapsError> {
    for set in [CapSet::Effective, CapSet::Inheritable, CapSet::Permitted, CapSet::Ambient] {
        caps::set(None, set, keep)?;
    }
    Ok(())
}

/// Where the right to become somebody is not kept, root must be out of reach: tried, not believed.
fn for_good(plan: &Plan) -> Result<(), NotConfined> {
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    let users = !plan.keep.contains(&Capability::CAP_SETUID) && setresuid(uid, uid, uid).is_ok();
    let groups = !plan.keep.contains(&Capability::CAP_SETGID) && setresgid(gid, gid, gid).is_ok();
    if users || groups { Err(NotConfined::NotForGood) } else { Ok(()) }
}
