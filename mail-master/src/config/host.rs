//! What a configuration depends on and does not say: who we are, and the names that this machine knows.
//!
//! A value that is handed in, so that tests need neither root nor an account called `maillogin`.

use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, Gid, Group, Uid, User, access};

/// The machine as the configuration sees it.
#[derive(Clone)]
pub(crate) struct Host {
    /// Who runs the master. Anybody but root serves all users as himself, and names in settings are not looked up.
    pub(crate) invoker: Ids,
    /// Where the programs are unless libexec_dir says otherwise.
    pub(crate) libexec_dir: PathBuf,
    /// Where the ranges of ordinary users' ids are written down; proposed where they are missing.
    pub(crate) login_defs: PathBuf,
    /// Looks a user's ids up, by his name or his number.
    pub(crate) user: fn(&str) -> Option<Ids>,
    /// Looks a group up.
    pub(crate) group: fn(&str) -> Option<Gid>,
    /// Whether a file can be run.
    pub(crate) executable: fn(&Path) -> bool,
}

/// A user's two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

impl Host {
    /// This machine, and whoever runs this process. `libexec_dir` is where our own program stands.
    pub(crate) fn this(libexec_dir: PathBuf) -> Self {
        Self {
            invoker: Ids { uid: Uid::effective(), gid: Gid::effective() },
            libexec_dir,
            login_defs: PathBuf::from("/etc/login.defs"),
            user: |name| {
                let user = match name.parse() {
                    Ok(number) => User::from_uid(Uid::from_raw(number)),
                    Err(_) => User::from_name(name),
                };
                let user = user.ok().flatten()?;
                Some(Ids { uid: user.uid, gid: user.gid })
            },
            group: |name| Some(Group::from_name(name).ok().flatten()?.gid),
            executable: |path| path.is_file() && access(path, AccessFlags::X_OK).is_ok(),
        }
    }

    /// Whom every user is where the master cannot become others.
    pub(crate) fn invoker_unless_root(&self) -> Option<(u32, u32)> {
        (!self.is_root()).then(|| (self.invoker.uid.as_raw(), self.invoker.gid.as_raw()))
    }

    /// Whether the master can become other users at all.
    pub(crate) fn is_root(&self) -> bool {
        self.invoker.uid.is_root()
    }
}
