//! Who this process is: the one place that changes it.
//!
//! A shared worker is its base user, who has nothing, and becomes each client's user for as long as it works for that
//! client: effective ids and supplementary groups, directly from user to user, while real and saved ids stay base.
//! After each change the kernel is asked, and only that is believed. Between two pieces of work for one user nothing
//! is changed. A change that fails half-way fails that client; where base cannot be had back the process ends.
//!
//! It never becomes root, and never leaves a client's `environ` behind. Where ids cannot be changed, it is one user.

use std::fmt;
use std::fs;
use std::io;
use std::rc::Rc;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, getegid, geteuid, getresgid, getresuid, setgroups, setresgid, setresuid};
use thiserror::Error;

use crate::environ::{Environ, Variables};

/// A system user: never root, nor in root's group.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    uid: Uid,
    gid: Gid,
    /// Sorted, each once.
    groups: Box<[Gid]>,
}

impl Credentials {
    /// None if one of them is root's, or no id at all.
    pub(crate) fn new(uid: u32, gid: u32, groups: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut groups: Vec<u32> = groups.into_iter().collect();
        groups.sort_unstable();
        groups.dedup();
        if groups.iter().chain([&uid, &gid]).any(|&id| id == 0 || id == u32::MAX) {
            return None;
        }
        let groups = groups.into_iter().map(Gid::from_raw).collect();
        Some(Self { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), groups })
    }

    /// Those of this process as it is now, whoever that may be.
    pub(crate) fn of_process() -> Result<Self, Errno> {
        Ok(Self { uid: geteuid(), gid: getegid(), groups: groups()? })
    }

    pub(crate) fn is_root(&self) -> bool {
        self.uid.is_root() || self.gid.as_raw() == 0
    }

    /// Whether whoever is this may do all that `other` may, being the same user.
    fn covers(&self, other: &Self) -> bool {
        let mine = |group: &Gid| *group == self.gid || self.groups.contains(group);
        self.uid == other.uid && self.gid == other.gid && other.groups.iter().all(mine)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {} gid {} groups {:?}", self.uid, self.gid, self.groups)
    }
}

/// Why a client's user cannot be had. It ends that client.
#[derive(Debug, Error)]
pub(crate) enum NotThatUser {
    #[error("becoming {0:?}: {1}")]
    Refused(Rc<Credentials>, Errno),
    #[error("becoming {0:?}: the kernel says that this process is someone else")]
    Unlike(Rc<Credentials>),
    #[error("{0:?} is this process's own user")]
    Base(Rc<Credentials>),
    #[error("this process is {own:?} for good, and cannot be {wanted:?}")]
    Fixed {
        /// Whom the client needs.
        wanted: Rc<Credentials>,
        /// Who we are.
        own: Credentials,
    },
}

/// Why a process may not serve clients.
#[derive(Debug, Error)]
pub(crate) enum Unfit {
    #[error(
        "it is root: start it as a user who has nothing, with CAP_SETUID and CAP_SETGID, or as the mail user"
    )]
    Root,
    #[error("it has {0} threads: becoming a user would take place in one of them only")]
    Threads(u32),
    #[error("asking who this process is: {0}")]
    Unknown(#[from] io::Error),
}

/// See above. There is one in a process.
#[derive(Debug)]
pub(crate) struct Identity {
    base: Rc<Credentials>,
    /// Whether it can become others.
    switches: bool,
    /// Who it is now; none between a failure and the way back.
    now: Option<Rc<Credentials>>,
    environ: Environ,
    changes: u64,
    calls: u64,
}

impl Identity {
    /// That of a process that serves handed-over clients.
    ///
    /// # Errors
    /// [`Unfit`]
    pub(crate) fn of_worker() -> Result<Self, Unfit> {
        let status = fs::read_to_string("/proc/self/status")?;
        let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        match value("Threads:").and_then(|count| count.parse().ok()) {
            Some(1) => {}
            count => return Err(Unfit::Threads(count.unwrap_or(0))),
        }
        let effective = value("CapEff:").and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
        let base = Credentials::of_process().map_err(io::Error::from)?;
        if base.is_root() {
            return Err(Unfit::Root);
        }
        Ok(Self::new(base, effective & CAN_SWITCH == CAN_SWITCH))
    }

    /// That of a process with one client.
    ///
    /// # Errors
    /// [`Unfit::Unknown`]
    pub(crate) fn of_single() -> Result<Self, Unfit> {
        Ok(Self::new(Credentials::of_process().map_err(io::Error::from)?, false))
    }

    fn new(base: Credentials, switches: bool) -> Self {
        let base = Rc::new(base);
        let now = Some(Rc::clone(&base));
        Self { base, switches, now, environ: Environ::new(), changes: 0, calls: 0 }
    }

    /// Does `work` as that user, in that environment. They stay until the next call, or [`Identity::base`].
    ///
    /// # Errors
    /// [`NotThatUser`]: the work was not done.
    pub(crate) fn as_client<T>(
        &mut self,
        credentials: &Rc<Credentials>,
        variables: &Rc<Variables>,
        work: impl FnOnce() -> T,
    ) -> Result<T, NotThatUser> {
        self.become_user(credentials)?;
        self.environ.install(variables);
        Ok(work())
    }

    /// Does `work` as that user, for none of its clients.
    ///
    /// # Errors
    /// [`NotThatUser`]: the work was not done.
    pub(crate) fn as_user<T>(
        &mut self,
        credentials: &Rc<Credentials>,
        work: impl FnOnce() -> T,
    ) -> Result<T, NotThatUser> {
        self.become_user(credentials)?;
        self.environ.restore();
        Ok(work())
    }

    /// Is the base user again. Where that fails, the process ends here: nothing may go on as somebody's user.
    pub(crate) fn base(&mut self) {
        self.environ.restore();
        if self.now.as_ref().is_some_and(|now| **now == *self.base) {
            return;
        }
        let base = Rc::clone(&self.base);
        if let Err(why) = self.change(&base) {
            log::error!("this process cannot be itself again and ends: {why}");
            // No destructor may run as that user.
            std::process::exit(1);
        }
    }

    fn become_user(&mut self, user: &Rc<Credentials>) -> Result<(), NotThatUser> {
        if self.now.as_ref().is_some_and(|now| Rc::ptr_eq(now, user) || now == user) {
            return self.allowed(user);
        }
        self.allowed(user)?;
        let changed = if self.switches { self.change(user) } else { Ok(()) };
        if changed.is_err() {
            self.base();
        }
        changed
    }

    /// Whom this process may be for a client.
    fn allowed(&self, user: &Rc<Credentials>) -> Result<(), NotThatUser> {
        if self.switches {
            let own = user.uid == self.base.uid || user.gid == self.base.gid;
            return if own { Err(NotThatUser::Base(Rc::clone(user))) } else { Ok(()) };
        }
        if self.base.covers(user) {
            return Ok(());
        }
        Err(NotThatUser::Fixed { wanted: Rc::clone(user), own: Credentials::clone(&self.base) })
    }

    /// The three calls, as many of them as are needed, and the kernel's word for it.
    fn change(&mut self, to: &Rc<Credentials>) -> Result<(), NotThatUser> {
        let from = self.now.take();
        let refused = |why| NotThatUser::Refused(Rc::clone(to), why);
        self.changes += 1;
        if from.as_ref().is_none_or(|from| from.groups != to.groups) {
            self.calls += 1;
            setgroups(&to.groups).map_err(refused)?;
        }
        if from.as_ref().is_none_or(|from| from.gid != to.gid) {
            self.calls += 1;
            let stays = Gid::from_raw(u32::MAX);
            setresgid(stays, to.gid, stays).map_err(refused)?;
        }
        if from.as_ref().is_none_or(|from| from.uid != to.uid) {
            self.calls += 1;
            let stays = Uid::from_raw(u32::MAX);
            setresuid(stays, to.uid, stays).map_err(refused)?;
        }
        if !self.is(to).map_err(refused)? {
            return Err(NotThatUser::Unlike(Rc::clone(to)));
        }
        self.now = Some(Rc::clone(to));
        Ok(())
    }

    fn is(&self, user: &Credentials) -> Result<bool, Errno> {
        let (uids, gids) = (getresuid()?, getresgid()?);
        let base = &self.base;
        Ok((uids.real, uids.effective, uids.saved) == (base.uid, user.uid, base.uid)
            && (gids.real, gids.effective, gids.saved) == (base.gid, user.gid, base.gid)
            && groups()? == user.groups)
    }
}

impl fmt::Display for Identity {
    /// What the administrator is told of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.switches { "switching" } else { "one uid" })
    }
}

impl Identity {
    /// How often it changed so far, and by how many system calls.
    pub(crate) fn changes(&self) -> (u64, u64) {
        (self.changes, self.calls)
    }
}

/// Sorted, each once. Not by nix, whose getgroups reads a file in /proc each time.
fn groups() -> Result<Box<[Gid]>, Errno> {
    let groups = rustix::process::getgroups().map_err(|why| Errno::from_raw(why.raw_os_error()))?;
    let mut groups: Vec<u32> = groups.into_iter().map(|group| group.as_raw()).collect();
    groups.sort_unstable();
    groups.dedup();
    Ok(groups.into_iter().map(Gid::from_raw).collect())
}

/// CAP_SETGID and CAP_SETUID in a mask of capabilities.
const CAN_SWITCH: u64 = 1 << 6 | 1 << 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_becomes_root() {
        assert!(Credentials::new(0, 5, []).is_none());
        assert!(Credentials::new(5, 0, []).is_none());
        assert!(Credentials::new(5, 5, [7, 0]).is_none());
        assert!(Credentials::new(u32::MAX, 5, []).is_none());
        let groups = Credentials::new(5, 5, [9, 7, 9]).unwrap().groups;
        assert_eq!(*groups, [Gid::from_raw(7), Gid::from_raw(9)]);
    }

    #[test]
    fn a_process_that_cannot_switch_serves_its_own_user_only() {
        let own = Credentials::new(5, 6, [7]).unwrap();
        let mut identity = Identity::new(own, false);
        let variables = Rc::new(Variables { common: Rc::from([]), own: Box::from([]) });
        let mut serves = |uid, gid, group| {
            let user = Rc::new(Credentials::new(uid, gid, [group]).unwrap());
            identity.become_user(&user).is_ok() && identity.as_user(&user, || ()).is_ok()
        };
        assert!(serves(5, 6, 7));
        assert!(serves(5, 6, 6));
        assert!(!serves(5, 6, 8));
        assert!(!serves(5, 7, 7));
        assert!(!serves(6, 6, 7));
        drop(variables);
    }

    #[test]
    fn the_base_user_is_no_clients_user() {
        let identity = Identity::new(Credentials::new(5, 6, []).unwrap(), true);
        for (uid, gid) in [(5, 9), (9, 6)] {
            let user = Rc::new(Credentials::new(uid, gid, []).unwrap());
            assert!(matches!(identity.allowed(&user), Err(NotThatUser::Base(_))));
        }
    }
}
