//! What a child is confined by, as the kernel says: asked whenever somebody wants to know, and never remembered.

use std::fs;
use std::io;

use nix::unistd::Pid;

use crate::config::{Jail, ServerSettings};

/// What a child was started with, so that it can be said what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What was to keep it to the mail users, if it can become others.
    pub(crate) jail: Jail,
    /// Whether it was to see some paths only.
    pub(crate) paths: bool,
}

impl Asked {
    /// Of a program that is not for mail.
    pub(crate) fn with_paths(paths: bool) -> Self {
        Self { jail: Jail::Auto, paths }
    }

    /// Of a mail process.
    pub(crate) fn of_mail(server: &ServerSettings) -> Self {
        Self {
            jail: server.mail_jail,
            paths: server.mail_jail != Jail::No && !server.mail_jail_paths.is_empty(),
        }
    }
}

/// Whether this process can lock a child into a directory, and then take even the right to it away. Root in a container
/// may not.
pub(crate) fn can_lock_in() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let own = Seen { status: &status, uid_map: "", environ: None };
    own.number("CapEff", 16) & CHROOT_AND_SETPCAP == CHROOT_AND_SETPCAP
}

/// How a child is kept to whom it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// It becomes others, of whom its user namespace has the mail users only.
    Namespace,
    /// It becomes others, and a filter lets it ask for mail users only.
    Filter,
    /// It becomes others, and nothing says whom.
    AnyUser,
    /// It is one user for good.
    Dropped,
    /// It is root.
    Root,
    /// It is who started the master, as everything is.
    OneUid,
}

/// See above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InForce {
    pub(crate) form: Form,
    seccomp: bool,
    /// The kernel does not tell: what mail-jail told the program at its start. None: that cannot be read.
    landlock: Option<bool>,
    no_new_privs: bool,
}

impl InForce {
    /// What holds for a child that was started with `jail`.
    ///
    /// # Errors
    /// The kernel's: above all, that there is no such process.
    pub(crate) fn of(pid: Pid, asked: Asked) -> io::Result<Self> {
        let read = |pid: &str, name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
        let own =
            Seen { status: &read("self", "status")?, uid_map: &read("self", "uid_map")?, environ: None };
        let environ = fs::read(format!("/proc/{pid}/environ")).ok();
        let pid = pid.to_string();
        let child = Seen {
            status: &read(&pid, "status")?,
            uid_map: &read(&pid, "uid_map")?,
            environ: environ.as_deref().filter(|_| asked.paths),
        };
        Ok(Self::judged(&child, &own, asked))
    }

    fn judged(child: &Seen<'_>, own: &Seen<'_>, asked: Asked) -> Self {
        let becomes_others = child.number("CapPrm", 16) & SETUID_AND_SETGID != 0;
        let seccomp = child.number("Seccomp", 10) == FILTERED;
        let form = if own.uid() != 0 {
            Form::OneUid
        } else if child.uid_map != own.uid_map {
            Form::Namespace
        } else if child.uid() == 0 {
            Form::Root
        } else if !becomes_others {
            Form::Dropped
        } else if seccomp && asked.jail != Jail::No {
            Form::Filter
        } else {
            Form::AnyUser
        };
        let no_new_privs = child.number("NoNewPrivs", 10) == 1;
        Self { form, seccomp, landlock: child.landlock(), no_new_privs }
    }

    /// What there is, as it is shown.
    pub(crate) fn words(&self) -> String {
        let form = match self.form {
            Form::Namespace => "namespace",
            Form::Filter => "filter",
            Form::AnyUser => "any user",
            Form::Dropped => "dropped",
            Form::Root => "root",
            Form::OneUid => "one uid",
        };
        let parts = [
            (true, form),
            (self.seccomp, "seccomp"),
            (self.landlock == Some(true), "landlock"),
            (self.no_new_privs, "no-new-privs"),
        ];
        listed(parts.into_iter())
    }

    /// What there could be and is not, as it is shown.
    pub(crate) fn missing(&self, asked: Asked) -> String {
        let shared = matches!(self.form, Form::Namespace | Form::Filter | Form::AnyUser);
        let parts = [
            (shared && self.form != Form::Namespace && asked.jail != Jail::Filter, "namespace"),
            (self.form == Form::AnyUser, "identity"),
            (!self.seccomp, "seccomp"),
            (asked.paths && self.landlock == Some(false), "landlock"),
            (!self.no_new_privs, "no-new-privs"),
        ];
        listed(parts.into_iter())
    }
}

fn listed(parts: impl Iterator<Item = (bool, &'static str)>) -> String {
    let words: Vec<&str> = parts.filter(|(there, _)| *there).map(|(_, word)| word).collect();
    words.join(", ")
}

/// What /proc says of a process.
struct Seen<'a> {
    status: &'a str,
    uid_map: &'a str,
    /// The environment that it was started with.
    environ: Option<&'a [u8]>,
}

impl Seen<'_> {
    /// The first number of a line of its status; 0 where there is none.
    fn number(&self, name: &str, radix: u32) -> u64 {
        let line = self.status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let word = line.and_then(|line| line.split_whitespace().next());
        word.and_then(|word| u64::from_str_radix(word, radix).ok()).unwrap_or(0)
    }

    /// Whether it was told that it sees some paths only.
    fn landlock(&self) -> Option<bool> {
        let mut variables = self.environ?.split(|&b| b == 0);
        let parts = variables.find_map(|variable| variable.strip_prefix(b"MAIL_JAIL=")).unwrap_or_default();
        Some(parts.split(|&b| b == b' ').any(|part| part == b"landlock"))
    }

    /// Its real uid.
    fn uid(&self) -> u64 {
        self.number("Uid", 10)
    }
}

/// CAP_SETGID and CAP_SETUID.
const SETUID_AND_SETGID: u64 = 1 << 6 | 1 << 7;
/// CAP_SETPCAP and CAP_SYS_CHROOT.
const CHROOT_AND_SETPCAP: u64 = 1 << 8 | 1 << 18;
/// The mode of seccomp in which filters decide.
const FILTERED: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "         0          0 4294967295\n";
    const SOME: &str = "     19001      19001          1\n     20001      20001      19999\n";

    fn status(uid: u32, capabilities: &str, seccomp: u8, no_new_privs: u8) -> String {
        format!(
            "Name:\tx\nUid:\t{uid}\t5\t5\t5\nCapPrm:\t00000000000000{capabilities}\n\
             NoNewPrivs:\t{no_new_privs}\nSeccomp:\t{seccomp}\nSeccomp_filters:\t3\n"
        )
    }

    fn shown(child: &str, uid_map: &str, own: u32, jail: Jail) -> (String, String) {
        let own = status(own, "ff", 0, 0);
        let own = Seen { status: &own, uid_map: ALL, environ: None };
        let asked = Asked { jail, paths: false };
        let seen = InForce::judged(&Seen { status: child, uid_map, environ: None }, &own, asked);
        (seen.words(), seen.missing(asked))
    }

    #[test]
    fn each_form_is_told_by_what_the_kernel_says() {
        for (child, uid_map, own, jail, words, missing) in [
            (status(19001, "c0", 2, 1), SOME, 0, Jail::Auto, "namespace, seccomp, no-new-privs", ""),
            (status(19001, "c0", 0, 1), SOME, 0, Jail::Auto, "namespace, no-new-privs", "seccomp"),
            (status(19001, "c0", 2, 1), ALL, 0, Jail::Auto, "filter, seccomp, no-new-privs", "namespace"),
            (status(19001, "c0", 2, 1), ALL, 0, Jail::Filter, "filter, seccomp, no-new-privs", ""),
            (
                status(19001, "c0", 2, 1),
                ALL,
                0,
                Jail::No,
                "any user, seccomp, no-new-privs",
                "namespace, identity",
            ),
            (status(20001, "00", 2, 1), ALL, 0, Jail::Auto, "dropped, seccomp, no-new-privs", ""),
            (status(20001, "00", 0, 0), ALL, 0, Jail::No, "dropped", "seccomp, no-new-privs"),
            (status(0, "ff", 2, 1), ALL, 0, Jail::Auto, "root, seccomp, no-new-privs", ""),
            (status(1000, "00", 2, 1), ALL, 1000, Jail::Auto, "one uid, seccomp, no-new-privs", ""),
        ] {
            assert_eq!(shown(&child, uid_map, own, jail), (words.to_owned(), missing.to_owned()));
        }
    }

    #[test]
    fn paths_are_what_the_program_was_told() {
        let status = status(19001, "00", 2, 1);
        for (environ, words, missing) in [
            (
                Some(&b"A=b\0MAIL_JAIL=seccomp landlock no-new-privs\0"[..]),
                "dropped, seccomp, landlock, no-new-privs",
                "",
            ),
            (
                Some(b"MAIL_JAIL=seccomp no-new-privs\0X=landlock\0"),
                "dropped, seccomp, no-new-privs",
                "landlock",
            ),
            (Some(b""), "dropped, seccomp, no-new-privs", "landlock"),
            (None, "dropped, seccomp, no-new-privs", ""),
        ] {
            let seen = Seen { status: &status, uid_map: ALL, environ };
            let own = Seen { status: "Uid:\t0\n", uid_map: ALL, environ: None };
            let asked = Asked::with_paths(true);
            let seen = InForce::judged(&seen, &own, asked);
            assert_eq!((seen.words().as_str(), seen.missing(asked).as_str()), (words, missing));
        }
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let own = InForce::of(nix::unistd::getpid(), Asked::with_paths(false)).unwrap();
        assert!(matches!(own.form, Form::Root | Form::OneUid), "{own:?}");
        assert!(InForce::of(Pid::from_raw(i32::MAX), Asked::with_paths(false)).is_err());
    }
}
