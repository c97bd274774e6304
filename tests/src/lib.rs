//! What the tests share: a server of their own to each, clients that show every byte, and how a test says that this
//! machine lacks what it needs.
//!
//! A server here is the real programs in a scratch directory, on a loopback address that no other test has, so that all
//! tests can run at once. Whatever waits here waits for an event, and gives up loudly.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

pub mod dovecot;
pub mod files;
pub mod held;
pub mod imap;
pub mod letters;
pub mod nobody;
pub mod pop3;
pub mod process;
pub mod server;
pub mod site;
pub mod transcript;

mod stream;

pub use dovecot::Dovecot;
pub use imap::Imap;
pub use nobody::as_nobody;
pub use pop3::Pop3;
pub use server::Server;
pub use site::{Site, User};

use std::io::Write;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The settings that put clients of all users into shared processes.
pub const SHARED: &str = "mail_process_per_connection = no\n";
/// The settings that give each client a process of its own.
pub const PRIVATE: &str = "mail_process_per_connection = yes\n";

/// Says that `test` does not run here, and `why`; to be returned from at once. Always false.
///
/// # Panics
/// With `CI=true` where tests/may-skip does not list the test: there a skip is a failure.
pub fn skipped(test: &str, why: &str) -> bool {
    // Not by a print macro: the test runner would keep it to itself.
    let mut stderr = std::io::stderr();
    // If this cannot be said there is nobody to tell.
    let _ = writeln!(stderr, "skipped: {test}: {why}");
    let listed = MAY_SKIP.lines().any(|line| line.split(':').next() == Some(test));
    assert!(
        listed || std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{test} was skipped ({why}), and tests/may-skip does not list it"
    );
    false
}

/// Whether `test` can have real users; if not, it has been said.
pub fn root(test: &str) -> bool {
    nix::unistd::geteuid().is_root() || skipped(test, "not root")
}

/// Whether `test` can use `program`; if not, it has been said.
pub fn installed(test: &str, program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
        || skipped(test, &format!("no {program}"))
}

/// Looks again and again until there is something.
///
/// # Panics
/// After a minute, with `what` was waited for.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        sleep(STEP);
    }
}

/// Runs a client program, for a minute at most; what it said.
///
/// # Panics
/// If it fails.
pub fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new("timeout").arg("60").arg(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// How long an event may take on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(5);

/// One test a line, with the reason behind a colon.
const MAY_SKIP: &str = include_str!("../may-skip");
