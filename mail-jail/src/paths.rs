//! The files that can still be opened: landlock(7). What is open already stays so.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use landlock::{
    ABI, Access, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus,
};
use thiserror::Error;

/// All empty: all files, as far as their modes go.
#[derive(Args, Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    /// A file, or a directory with all that is below it, to read; may be given several times
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// One to read and write, where files may be made, renamed and removed
    #[arg(long, value_name = "PATH")]
    write: Vec<PathBuf>,
    /// One to read and execute
    #[arg(long, value_name = "PATH")]
    execute: Vec<PathBuf>,
}

/// A path that cannot be opened.
#[derive(Debug, Error)]
#[error("{}: {why}", .path.display())]
pub(crate) struct NoPath {
    path: PathBuf,
    why: landlock::PathFdError,
}

/// Why the paths are not in force.
#[derive(Debug, Error)]
pub(crate) enum NotWalled {
    #[error("{0}")]
    Refused(#[from] RulesetError),
    #[error("this kernel has it not, or was started without it")]
    Unknown,
}

/// How much of it this kernel knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Walled {
    Fully,
    /// An older kernel: it does not watch all ways to a file.
    Partly,
}

/// The paths while they can still be reached.
#[derive(Debug)]
pub(crate) struct Opened(Vec<(PathFd, BitFlags<AccessFs>)>);

impl Opened {
    /// All files: what that leaves of it is a wall between the processes inside and all others, of whom none can be
    /// looked into, whoever's it is.
    pub(crate) fn all() -> Result<Self, NoPath> {
        let root = PathBuf::from("/");
        let opened = PathFd::new(&root).map_err(|why| NoPath { path: root, why })?;
        Ok(Self(vec![(opened, AccessFs::from_all(KNOWN))]))
    }

    /// Puts them in force for good. No-new-privs has to be set.
    pub(crate) fn wall(self) -> Result<Walled, NotWalled> {
        let mut rules = Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?.create()?;
        for (path, access) in self.0 {
            rules = rules.add_rule(PathBeneath::new(path, access))?;
        }
        match rules.restrict_self()?.ruleset {
            RulesetStatus::FullyEnforced => Ok(Walled::Fully),
            RulesetStatus::PartiallyEnforced => Ok(Walled::Partly),
            RulesetStatus::NotEnforced => Err(NotWalled::Unknown),
        }
    }
}

impl Paths {
    pub(crate) fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty() && self.execute.is_empty()
    }

    /// Opens each, which has to be done as root: later there may be no way to what a user owns. None if there is none.
    pub(crate) fn open(&self) -> Result<Option<Opened>, NoPath> {
        let open = |(path, access): (&PathBuf, BitFlags<AccessFs>)| {
            let opened = PathFd::new(path).map_err(|why| NoPath { path: path.clone(), why })?;
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
            Ok((opened, access))
        };
        let opened: Vec<_> = self.each().map(open).collect::<Result<_, _>>()?;
        Ok(if opened.is_empty() { None } else { Some(Opened(opened)) })
    }

    fn each(&self) -> impl Iterator<Item = (&PathBuf, BitFlags<AccessFs>)> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        // Devices are for none; REFER lets a mail go from tmp to new.
        let never = AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock;
        let write = AccessFs::from_all(KNOWN) & !never;
        self.read
            .iter()
            .map(move |path| (path, read))
            .chain(self.write.iter().map(move |path| (path, write)))
            .chain(self.execute.iter().map(move |path| (path, read | AccessFs::Execute)))
    }
}

/// All that Linux 6.10 has; older kernels do what they can of it.
const KNOWN: ABI = ABI::V5;

impl fmt::Display for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = [("read", &self.read), ("write", &self.write), ("execute", &self.execute)];
        for (word, paths) in each.into_iter().filter(|(_, paths)| !paths.is_empty()) {
            let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
            writeln!(f, "paths to {word}: {}", paths.join(" "))?;
        }
        Ok(())
    }
}
