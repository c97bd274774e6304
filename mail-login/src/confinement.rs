//! What a login gives up when it has all that it needs, and before it hears the first stranger: all files, the right to
//! lock itself in, and all system calls but those by which it takes clients and talks.
//!
//! It must never take a client before this is done.

use std::error::Error;
use std::ffi::OsString;

use caps::{CapSet, Capability};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{chdir, chroot};

/// Gives it up, for good. `root` is an empty directory, which can be entered with CAP_SYS_CHROOT; without that right
/// files are out of reach by the system calls alone.
///
/// # Errors
/// What could not be given up, and why.
pub(crate) fn enter(root: Option<OsString>, pid: u32) -> Result<(), Box<dyn Error>> {
    let named = |what: &str, why: &dyn Error| format!("{what}: {why}");
    // Passwords of strangers stand in this memory.
    set_dumpable(false).map_err(|why| named("protecting memory", &why))?;
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_CHROOT)?
        && let Some(root) = root
    {
        chroot(root.as_os_str()).map_err(|why| named("entering an empty root", &why))?;
        chdir("/").map_err(|why| named("entering an empty root", &why))?;
    }
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in [Capability::CAP_SYS_CHROOT, Capability::CAP_SETPCAP] {
            caps::drop(None, CapSet::Bounding, capability)
                .map_err(|why| named("dropping capabilities from the bounding set", &why))?;
        }
    }
    for set in [CapSet::Ambient, CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set).map_err(|why| named("dropping capabilities", &why))?;
    }
    for limit in [Resource::RLIMIT_FSIZE, Resource::RLIMIT_NPROC, Resource::RLIMIT_CORE] {
        setrlimit(limit, 0, 0).map_err(|why| named("lowering limits", &why))?;
    }
    Ok(confine::login_filter(pid).install()?)
}
