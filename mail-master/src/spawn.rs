//! Starting a child: the one place of the master with code between fork and exec, and the one that gives root up.
//!
//! A child starts in `/` unless a directory of ours is named: the master waits for its exec, and a home may be on a file
//! system that does not answer.
//! It gets exactly the descriptors that are named, an environment of its own, its own session (so that a terminal's
//! Ctrl-C reaches the master alone, and no child reaches the terminal), and, where a mail user is named, that user's
//! identity for good before it runs any code.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use confine::Filter;
use envdump::Environment;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl::set_no_new_privs;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Pid, Uid, chdir, chroot, dup, setgroups, setresgid, setresuid, setsid};

/// Numbers below this are for children's descriptors: the master has none of its own there, so that none is in
/// the way when a child's are put in place.
pub(crate) const FIRST_OWN_DESCRIPTOR: RawFd = 64;

/// Who a child is to be, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Sorted, without doubles.
    pub(crate) groups: Vec<u32>,
}

/// A child that is to be.
#[derive(Debug, Default)]
pub(crate) struct Spawn {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Environment,
    /// What it finds under which number; 0, 1 and 2 are /dev/null unless named.
    pub(crate) descriptors: Vec<(RawFd, OwnedFd)>,
    /// None: as the master is.
    pub(crate) credentials: Option<Credentials>,
    pub(crate) umask: Option<u32>,
    pub(crate) chroot: Option<PathBuf>,
    /// Where it starts; none: in `/`.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) nice: Option<i32>,
    pub(crate) limits: Limits,
    /// None: as the master is.
    pub(crate) confinement: Option<Confinement>,
}

/// What a child gives up besides, for good: new privileges, and the system calls that lead out of a jail.
#[derive(Debug)]
pub(crate) struct Confinement {
    pub(crate) filter: Filter,
    /// It is not started where the kernel has no such filters.
    pub(crate) required: bool,
}

/// How much a child may have; nothing said is as the master has it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// Memory that it maps, in bytes.
    pub(crate) memory: Option<u64>,
    /// Memory that it can write to: for a program of many threads, each of which reserves much that it never uses.
    pub(crate) data: Option<u64>,
    pub(crate) descriptors: Option<u64>,
}

/// Occupies the numbers that are kept for children's descriptors. To be held as long as children are started.
pub(crate) fn reserve_low_descriptors() -> io::Result<Vec<OwnedFd>> {
    let null = File::open("/dev/null")?;
    let mut held = Vec::new();
    loop {
        let next = dup(&null)?;
        if next.as_raw_fd() >= FIRST_OWN_DESCRIPTOR {
            return Ok(held);
        }
        fcntl(&next, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        held.push(next);
    }
}

impl Spawn {
    /// Starts it; its pid.
    ///
    /// # Errors
    /// What failed, fork or exec or anything between, by its error number.
    pub(crate) fn start(mut self) -> io::Result<Pid> {
        for (_, descriptor) in &mut self.descriptors {
            *descriptor = out_of_the_way(descriptor)?;
        }
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.to_vars())
            .current_dir(self.directory.as_deref().unwrap_or(Path::new("/")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let prepare = move || self.prepare();
        // SAFETY: the master has one thread, so that what runs between fork and exec may do what it likes; it
        // makes system calls only, and allocates nothing that another thread could have locked.
        let child = unsafe { command.pre_exec(prepare) }.spawn()?;
        Ok(Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?))
    }

    /// In the child.
    fn prepare(&self) -> io::Result<()> {
        setsid()?;
        for (number, descriptor) in &self.descriptors {
            // SAFETY: dup2 has no memory to get wrong, and the numbers below FIRST_OWN_DESCRIPTOR are nobody's.
            Errno::result(unsafe { libc::dup2(descriptor.as_raw_fd(), *number) })?;
        }
        self.limits.set()?;
        if let Some(nice) = self.nice {
            // SAFETY: setpriority takes three numbers.
            Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })?;
        }
        if let Some(mask) = self.umask {
            umask(Mode::from_bits_truncate(mask));
        }
        if let Some(root) = &self.chroot {
            chroot(root)?;
            chdir("/")?;
        }
        if let Some(credentials) = &self.credentials {
            give_root_up(credentials)?;
        }
        self.confinement.as_ref().map_or(Ok(()), Confinement::enter)
    }
}

impl Confinement {
    fn enter(&self) -> io::Result<()> {
        set_no_new_privs()?;
        match self.filter.install() {
            Err(why) if self.required => Err(io::Error::new(io::ErrorKind::Unsupported, why)),
            _ => Ok(()),
        }
    }
}

impl Limits {
    fn set(self) -> io::Result<()> {
        // What is in a process's memory, passwords and mail, is for no file.
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        if let Some(bytes) = self.memory {
            setrlimit(Resource::RLIMIT_AS, bytes, bytes)?;
        }
        if let Some(bytes) = self.data {
            setrlimit(Resource::RLIMIT_DATA, bytes, bytes)?;
        }
        if let Some(descriptors) = self.descriptors {
            let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
            setrlimit(Resource::RLIMIT_NOFILE, descriptors.min(most), descriptors.min(most))?;
        }
        Ok(())
    }
}

/// A copy whose number no child's descriptor will have.
fn out_of_the_way(descriptor: &OwnedFd) -> io::Result<OwnedFd> {
    let number = fcntl(descriptor, FcntlArg::F_DUPFD_CLOEXEC(FIRST_OWN_DESCRIPTOR))?;
    // SAFETY: fcntl has just made this number, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Becomes that user for good, and makes sure of it.
fn give_root_up(credentials: &Credentials) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(credentials.uid), Gid::from_raw(credentials.gid));
    if uid.is_root() || gid.as_raw() == 0 {
        return Err(Errno::EPERM.into());
    }
    let groups: Vec<Gid> = credentials.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let root = Uid::from_raw(0);
    if setresuid(root, root, root).is_ok() {
        return Err(Errno::EPERM.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use std::io::Read;

    fn run(script: &str, spawn: Spawn) -> (WaitStatus, String) {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut spawn = spawn;
        spawn.program = "/bin/sh".into();
        spawn.arguments = vec!["-c".into(), script.into()];
        spawn.descriptors.push((1, writer.into()));
        let pid = spawn.start().unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        (waitpid(pid, None).unwrap(), text)
    }

    #[test]
    fn a_child_has_what_is_named_and_nothing_else() {
        let mut environment = Environment::new();
        environment.set("A", "b").unwrap();
        let file: OwnedFd = File::open("/proc/self/stat").unwrap().into();
        let spawn = Spawn { environment, descriptors: vec![(3, file)], ..Spawn::default() };
        let (_, text) = run(
            "echo $A; readlink /proc/$$/cwd; for n in 0 1 2 3 4 5; do readlink /proc/$$/fd/$n; done",
            spawn,
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.get(..3), Some(&["b", "/", "/dev/null"][..]), "{text}");
        assert!(lines.last().is_some_and(|line| line.ends_with("/stat")), "{text}");
        assert_eq!(lines.len(), 6, "{text}");
    }

    #[test]
    fn a_child_has_no_terminal() {
        let (_, text) = run("echo $$ $(cut -d' ' -f5,6,7 /proc/$$/stat)", Spawn::default());
        let words: Vec<&str> = text.split_whitespace().collect();
        // Its own group and session, which begins without one.
        assert_eq!(words, [words[0], words[0], words[0], "0"]);
    }

    #[test]
    fn a_child_has_no_more_than_it_may() {
        let limits = Limits { memory: Some(64 << 20), data: Some(32 << 20), descriptors: Some(99) };
        let (_, text) =
            run("ulimit -c; ulimit -v; ulimit -d; ulimit -n", Spawn { limits, ..Spawn::default() });
        assert_eq!(text, "0\n65536\n32768\n99\n");
    }

    #[test]
    fn a_confined_child_has_no_way_out() {
        let confinement = Some(Confinement { filter: Filter::new(), required: true });
        let (_, text) = run(
            "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status; unshare --user true 2>&1 || echo refused",
            Spawn { confinement, ..Spawn::default() },
        );
        assert!(text.starts_with("NoNewPrivs:\t1\nSeccomp:\t2\nunshare: "), "{text}");
        assert!(text.ends_with("refused\n"), "{text}");
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let spawn = Spawn { program: "/nonexistent".into(), ..Spawn::default() };
        assert_eq!(spawn.start().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_named_user_is_what_it_is_for_good() {
        if !Uid::effective().is_root() {
            eprintln!("skip: needs root");
            return;
        }
        let credentials = Some(Credentials { uid: 20001, gid: 20001, groups: vec![20005] });
        let spawn = Spawn { credentials, umask: Some(0o27), ..Spawn::default() };
        let (_, text) = run("grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status; umask", spawn);
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(
            words,
            [
                "Uid:",
                "20001",
                "20001",
                "20001",
                "20001",
                "Gid:",
                "20001",
                "20001",
                "20001",
                "20001",
                "Groups:",
                "20005",
                "CapEff:",
                "0000000000000000",
                "0027"
            ]
        );
        let root = Some(Credentials { uid: 0, gid: 5, groups: Vec::new() });
        let spawn = Spawn { program: "/bin/true".into(), credentials: root, ..Spawn::default() };
        assert!(spawn.start().is_err());
    }
}
