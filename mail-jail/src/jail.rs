//! Going into the jail: each step once, in the one order that works, and the kernel's word for it at the end.

use std::io;

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};
use confine::{Filter, Ranges};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use thiserror::Error;

use crate::namespace;
use crate::paths::{NoPath, Opened, Walled};
use crate::plan::{Base, Identity, Part, Plan};
use crate::status::{Kernel, Unlike};

/// Why the jail was not entered. The process must not go on.
#[derive(Debug, Error)]
pub(crate) enum NotConfined {
    #[error("changing user and group needs root, or the capabilities setuid and setgid")]
    NeedsRoot,
    #[error("{0}: {1}")]
    Refused(&'static str, Errno),
    #[error("{0}: {1}")]
    Capabilities(&'static str, CapsError),
    #[error("reading /proc/self, which must confirm the jail: {0}")]
    NoProof(#[from] io::Error),
    #[error("the kernel does not confirm the jail: {0}")]
    Unlike(#[from] Unlike),
    #[error("the jail does not hold: {0} went well")]
    NotForGood(&'static str),
    #[error("{0}")]
    NoPath(#[from] NoPath),
    #[error("no {}, which is required: {why}", .part.word())]
    Missing { part: Part, why: String },
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Confined {
    pub(crate) form: Form,
    pub(crate) seccomp: bool,
    landlock: bool,
    signal_self: bool,
    /// A sentence each.
    pub(crate) missing: Vec<String>,
}

/// What holds the program to its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Form {
    Namespace,
    Filter,
    /// They were not asked for, or could not be had.
    #[default]
    Nothing,
}

impl Confined {
    /// The parts in force, as MAIL_JAIL has them.
    pub(crate) fn words(&self) -> String {
        let words = [
            (self.form == Form::Namespace, "namespace"),
            (self.form == Form::Filter, "filter"),
            (self.seccomp, "seccomp"),
            (self.signal_self, "signal-self"),
            (self.landlock, "landlock"),
            (true, "no-new-privs"),
        ];
        words
            .into_iter()
            .filter_map(|(in_force, word)| in_force.then_some(word))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn lacks(&mut self, plan: &Plan, part: Part, why: impl ToString) -> Result<(), NotConfined> {
        let why = why.to_string();
        if plan.required.contains(&part) {
            return Err(NotConfined::Missing { part, why });
        }
        self.missing.push(format!("no {}: {why}", part.word()));
        Ok(())
    }
}

/// Gives up all that `plan` does not leave.
pub(crate) fn enter(plan: &Plan) -> Result<Confined, NotConfined> {
    let mut confined = Confined::default();
    // Nobody looks into this process while it has both root and the way down.
    prctl::set_dumpable(false).map_err(refused("becoming opaque to other processes"))?;
    let mut paths = plan.paths.open()?;
    hold(plan, &mut confined)?;
    if confined.form == Form::Filter && paths.is_none() {
        // Who can become somebody could look into his other processes, which a namespace does not let him.
        paths = Some(Opened::all()?);
    }
    // Not where there is no right to it; no-new-privs comes to the same then.
    let bounded = may(Capability::CAP_SETPCAP);
    if bounded {
        bound(&plan.keep).map_err(capabilities("dropping capabilities from the bounding set"))?;
    } else if plan.base.is_some() {
        confined.missing.push("bounding set: changing it needs the capability setpcap".to_owned());
    }
    if let Some(base) = &plan.base {
        be(base)?;
    }
    leave(&plan.keep).map_err(capabilities("leaving only the kept capabilities"))?;
    prctl::set_no_new_privs().map_err(refused("setting no-new-privs"))?;
    // Read at the end, when there may be no way to open them.
    let mut kernel = Kernel::open()?;
    if let Some(paths) = paths {
        wall(plan, paths, &mut confined)?;
    }
    filter(plan, &mut confined)?;
    plan.limits.impose().map_err(refused("setting limits"))?;
    kernel.check(plan, &confined, bounded)?;
    try_what_must_fail(plan, &confined)?;
    Ok(confined)
}

fn refused(step: &'static str) -> impl Fn(Errno) -> NotConfined {
    move |why| NotConfined::Refused(step, why)
}

fn capabilities(step: &'static str) -> impl Fn(CapsError) -> NotConfined {
    move |why| NotConfined::Capabilities(step, why)
}

fn may(right: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, right).unwrap_or(false)
}

/// Enters a namespace, or notes that a filter has to do instead.
fn hold(plan: &Plan, confined: &mut Confined) -> Result<(), NotConfined> {
    let Some(base) = &plan.base else { return Ok(()) };
    if !may(Capability::CAP_SETUID) || !may(Capability::CAP_SETGID) {
        return Err(NotConfined::NeedsRoot);
    }
    let Some(maps) = &plan.maps else { return Ok(()) };
    let in_vain = match plan.identity {
        Identity::Auto => namespace::can_be_had(base, maps).err(),
        Identity::Namespace | Identity::Filter => None,
    };
    if let Some(why) = &in_vain {
        confined.lacks(plan, Part::Namespace, why)?;
    }
    if in_vain.is_some() || plan.identity == Identity::Filter {
        confined.form = Form::Filter;
        return Ok(());
    }
    match namespace::enter(maps) {
        Ok(()) => confined.form = Form::Namespace,
        Err(why) => {
            confined.lacks(plan, Part::Namespace, &why)?;
            confined.lacks(plan, Part::Identity, &why)?;
        }
    }
    Ok(())
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

/// Becomes base, for good as far as capabilities go.
fn be(base: &Base) -> Result<(), NotConfined> {
    // Becoming the user would clear the permitted set, from which the kept ones are raised again.
    prctl::set_keepcaps(true).map_err(refused("keeping capabilities"))?;
    setgroups(&base.groups).map_err(refused("setting the supplementary groups"))?;
    setresgid(base.gid, base.gid, base.gid).map_err(refused("setting the group"))?;
    setresuid(base.uid, base.uid, base.uid).map_err(refused("setting the user"))
}

fn leave(keep: &CapsHashSet) -> Result<(), CapsError> {
    for set in [CapSet::Effective, CapSet::Inheritable, CapSet::Permitted, CapSet::Ambient] {
        caps::set(None, set, keep)?;
    }
    Ok(())
}

fn wall(plan: &Plan, paths: Opened, confined: &mut Confined) -> Result<(), NotConfined> {
    match paths.wall() {
        Ok(walled) => {
            confined.landlock = true;
            if walled == Walled::Partly {
                confined.missing.push("landlock: this kernel knows only a part of it".to_owned());
            }
            Ok(())
        }
        Err(why) => confined.lacks(plan, Part::Landlock, why),
    }
}

fn filter(plan: &Plan, confined: &mut Confined) -> Result<(), NotConfined> {
    let mut filter = Filter::new();
    if plan.keep.contains(&Capability::CAP_SYS_CHROOT) {
        filter = filter.allow(&[libc::SYS_chroot]);
    }
    if plan.signal_self {
        filter = filter.signals_to_self(std::process::id());
    }
    if let (Form::Filter, Some(maps)) = (confined.form, &plan.maps) {
        filter = filter.identities(&maps.uids, &maps.gids);
    }
    if let Err(why) = filter.install() {
        if confined.form == Form::Filter {
            confined.form = Form::Nothing;
            confined.lacks(plan, Part::Identity, &why)?;
        }
        return confined.lacks(plan, Part::Seccomp, why);
    }
    confined.seccomp = true;
    confined.signal_self = plan.signal_self;
    Ok(())
}

/// Tried, not believed.
fn try_what_must_fail(plan: &Plan, confined: &Confined) -> Result<(), NotConfined> {
    let worked = |what| Err(NotConfined::NotForGood(what));
    let held = confined.form != Form::Nothing;
    if plan.base.is_some() {
        if (held || !plan.keep.contains(&Capability::CAP_SETUID)) && becomes_user(0) {
            return worked("becoming root");
        }
        if (held || !plan.keep.contains(&Capability::CAP_SETGID)) && becomes_group(0) {
            return worked("becoming root's group");
        }
    }
    if let (true, Some(maps)) = (held, &plan.maps) {
        if outside(&maps.uids).is_some_and(becomes_user) {
            return worked("becoming a user outside of the ranges");
        }
        if outside(&maps.gids).is_some_and(becomes_group) {
            return worked("becoming a group outside of the ranges");
        }
    }
    if confined.seccomp && unshare(CloneFlags::CLONE_NEWUSER).is_ok() {
        return worked("making a namespace");
    }
    Ok(())
}

fn becomes_user(id: u32) -> bool {
    let id = Uid::from_raw(id);
    setresuid(id, id, id).is_ok()
}

fn becomes_group(id: u32) -> bool {
    let id = Gid::from_raw(id);
    setresgid(id, id, id).is_ok()
}

/// An id, not root's, that is in none of the ranges.
fn outside(ids: &Ranges) -> Option<u32> {
    ids.gaps().map(|gap| *gap.end()).find(|&id| id != 0)
}
