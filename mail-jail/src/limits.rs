//! How much of the machine a process may use: setrlimit(2).
//!
//! Limits are only ever lowered, so that no privilege is needed for them.

use std::fmt;

use clap::Args;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// None: as it is.
#[derive(Args, Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The most memory that the program may map
    #[arg(long, value_name = "BYTES")]
    memory: Option<u64>,
    /// The number that its descriptors stay below
    #[arg(long, value_name = "N")]
    files: Option<u64>,
    /// The most processes and threads that its user may have for it to start another
    #[arg(long, value_name = "N")]
    processes: Option<u64>,
}

impl Limits {
    /// Puts them in force, hard and soft.
    pub(crate) fn impose(&self) -> Result<(), Errno> {
        for (_, resource, most) in self.each() {
            let (_, hard) = getrlimit(resource)?;
            let most = most.min(hard);
            setrlimit(resource, most, most)?;
        }
        Ok(())
    }

    /// No memory of mail is ever written to disk by the kernel.
    fn each(&self) -> impl Iterator<Item = (&'static str, Resource, u64)> {
        [
            ("memory", Resource::RLIMIT_AS, self.memory),
            ("files", Resource::RLIMIT_NOFILE, self.files),
            ("processes", Resource::RLIMIT_NPROC, self.processes),
            ("core", Resource::RLIMIT_CORE, Some(0)),
        ]
        .into_iter()
        .filter_map(|(word, resource, most)| Some((word, resource, most?)))
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits: Vec<_> = self.each().map(|(word, _, most)| format!("{word} {most}")).collect();
        writeln!(f, "limits: {}", limits.join(", "))
    }
}
