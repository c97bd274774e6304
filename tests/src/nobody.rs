//! Tests that must not run as root: permissions mean nothing to it, and Dovecot refuses to serve it.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Runs the test of this name: here, or if we are root in a process of its own as nobody.
///
/// # Panics
/// If the test fails there.
pub fn as_nobody(name: &str, test: impl FnOnce()) {
    as_uid(NOBODY, name, test);
}

/// The same as this user, in the group of the same number, whether or not there is one.
///
/// # Panics
/// If the test fails there.
pub fn as_uid(uid: u32, name: &str, test: impl FnOnce()) {
    if !nix::unistd::geteuid().is_root() {
        return test();
    }
    let program = std::env::current_exe().unwrap();
    let child = Command::new(program).args(["--exact", name]).current_dir("/").uid(uid).gid(uid).output();
    match child {
        Ok(done) => assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout)),
        Err(error) => {
            crate::skipped(name, &format!("uid {uid} may not run the test program: {error}"));
        }
    }
}

const NOBODY: u32 = 65534;
