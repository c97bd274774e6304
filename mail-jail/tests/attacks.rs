//! An attacker's code in the jail: each attempt has to be refused by the kernel, in both forms that hold identities,
//! and what a mail process needs has to go on working.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::fmt::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};

const BASE: [&str; 6] = ["--user", "19001", "--group", "19001", "--keep-cap", "setuid,setgid"];
const MAPS: [&str; 4] = ["--map-uids", "20000-20099,20500", "--map-gids", "20000-20099"];
const FORMS: [&str; 2] = ["namespace", "filter"];

fn mail_jail(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mail-jail"));
    command.args(BASE).args(MAPS).args(arguments);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Only root can be jailed like this, and a namespace only where there can be one.
fn possible(test: &str, form: &str) -> bool {
    if !nix::unistd::geteuid().is_root() {
        return tests::skipped(test, "not root");
    }
    let tried = mail_jail(&["--identity", form, "--dry-run", "true"]).output().unwrap();
    tried.status.success() || tests::skipped(test, &said(&tried))
}

/// Somebody of the same base user, to be harmed.
struct Neighbour(Child);

impl Neighbour {
    fn start() -> Self {
        let sleep = ["--identity", "filter", "sh", "-c", "echo up; exec sleep 600"];
        let mut child = mail_jail(&sleep).stdout(Stdio::piped()).spawn().unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        Self(child)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A process outside, of somebody who can be become.
struct Outsider(Child);

impl Outsider {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").gid(20001).uid(20001).spawn().unwrap())
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A system call in Perl; `$buffer` is some memory.
fn call(number: i64, arguments: &str) -> String {
    format!("syscall({number}, {arguments})")
}

/// Runs each attempt in a child of its own in the jail; the error that each came to, 0 where it worked.
fn attempts(options: &[&str], attempts: &[(&str, String)]) -> Vec<(String, i32)> {
    let mut script = "my $buffer = \"\\0\" x 256; $| = 1;\n".to_owned();
    for (name, code) in attempts {
        writeln!(
            script,
            "if (!fork) {{ $! = 0; my $done = {code}; \
             print q({name} ), (defined $done && $done >= 0 ? 0 : $! + 0), \"\\n\"; exec 'true'; }} wait;"
        )
        .unwrap();
    }
    let output = mail_jail(&[options, &["perl", "-e", &script]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let results = said(&output);
    let line = |line: &str| {
        let (name, error) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        (name.to_owned(), error.parse().unwrap_or_else(|_| panic!("{line}")))
    };
    results.lines().map(line).collect()
}

fn each_comes_to(options: &[&str], wanted: &[(&str, String, &[i32])]) {
    let list: Vec<_> = wanted.iter().map(|(name, code, _)| (*name, code.clone())).collect();
    let found = attempts(options, &list);
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    for ((name, error), (wanted_name, _, errors)) in found.iter().zip(wanted) {
        assert_eq!(name, wanted_name);
        assert!(errors.contains(error), "{options:?}: {name}: error {error}, should be {errors:?}");
    }
}

/// The filter's word, and the namespace's.
const NOBODY: &[i32] = &[libc::EPERM, libc::EINVAL];
const REFUSED: &[i32] = &[libc::EPERM];
const DONE: &[i32] = &[0];

#[test]
fn nobody_outside_of_the_ranges_can_be_become() {
    use libc as c;
    for form in FORMS {
        if !possible("nobody_outside_of_the_ranges_can_be_become", form) {
            continue;
        }
        each_comes_to(
            &["--identity", form],
            &[
                ("a user", call(c::SYS_setresuid, "-1, 20001, -1"), DONE),
                ("a user with a range of his own", call(c::SYS_setresuid, "20500, 20500, 20500"), DONE),
                ("a user by setreuid", call(c::SYS_setreuid, "-1, 20001"), DONE),
                ("a group", call(c::SYS_setresgid, "-1, 20099, -1"), DONE),
                ("no groups", call(c::SYS_setgroups, "0, 0"), DONE),
                ("root", call(c::SYS_setresuid, "0, 0, 0"), NOBODY),
                ("root as effective user", call(c::SYS_setresuid, "-1, 0, -1"), NOBODY),
                ("root as saved user", call(c::SYS_setresuid, "-1, -1, 0"), NOBODY),
                ("root by setuid", call(c::SYS_setuid, "0"), NOBODY),
                ("root by setreuid", call(c::SYS_setreuid, "0, -1"), NOBODY),
                ("root by 64 bits", call(c::SYS_setuid, "0x100000000"), NOBODY),
                ("a system account", call(c::SYS_setresuid, "1, 1, 1"), NOBODY),
                ("the login's user", call(c::SYS_setresuid, "-1, 19002, -1"), NOBODY),
                ("the one behind the last", call(c::SYS_setresuid, "-1, 20100, -1"), NOBODY),
                ("nobody", call(c::SYS_setresuid, "-1, 65534, -1"), NOBODY),
                ("root's group", call(c::SYS_setresgid, "0, 0, 0"), NOBODY),
                ("shadow", call(c::SYS_setresgid, "-1, 42, -1"), NOBODY),
                ("disk by setregid", call(c::SYS_setregid, "-1, 6"), NOBODY),
                ("shadow by setgid", call(c::SYS_setgid, "42"), NOBODY),
                ("a user as a group", call(c::SYS_setresgid, "-1, 20500, -1"), NOBODY),
                ("shadow among others", call(c::SYS_setgroups, "2, my $a = pack('L2', 20001, 42)"), NOBODY),
                ("/etc/shadow", "(open(my $file, '<', '/etc/shadow') ? 0 : -1)".to_owned(), &[c::EACCES]),
            ],
        );
        let groups = [("groups of users", call(c::SYS_setgroups, "2, my $a = pack('L2', 20001, 20002)"))];
        let error = if form == "namespace" { 0 } else { c::EPERM };
        assert_eq!(attempts(&["--identity", form], &groups), [("groups of users".to_owned(), error)]);
    }
}

/// setfsuid never fails: what counts is who one is after it.
#[test]
fn the_user_for_files_cannot_be_root_either() {
    for form in FORMS {
        if !possible("the_user_for_files_cannot_be_root_either", form) {
            continue;
        }
        let script = format!(
            "syscall({0}, $_), print syscall({0}, -1), ' ' for 20001, 0, 1, 20002",
            libc::SYS_setfsuid
        );
        let output = mail_jail(&["--identity", form, "perl", "-e", &script]).output().unwrap();
        assert_eq!(said(&output), "20001 20001 20001 20002 ");
    }
}

#[test]
fn what_leads_out_is_refused() {
    use libc as c;
    for form in FORMS {
        if !possible("what_leads_out_is_refused", form) {
            continue;
        }
        each_comes_to(
            &["--identity", form],
            &[
                ("a user namespace", call(c::SYS_unshare, "0x10000000"), REFUSED),
                ("a mount namespace", call(c::SYS_unshare, "0x20000"), REFUSED),
                ("a time namespace", call(c::SYS_unshare, "0x80"), REFUSED),
                ("a child in a user namespace", call(c::SYS_clone, "0x10000011, 0, 0, 0, 0"), REFUSED),
                ("a child in a network namespace", call(c::SYS_clone, "0x40000011, 0, 0, 0, 0"), REFUSED),
                ("a child for the parent", call(c::SYS_clone, "0x8011, 0, 0, 0, 0"), REFUSED),
                ("clone3", call(c::SYS_clone3, "$buffer, 64"), &[c::ENOSYS]),
                ("another's namespace", call(c::SYS_setns, "0, 0"), REFUSED),
                (
                    "a mount",
                    call(c::SYS_mount, "my $a = 'none', my $b = '/mnt', my $c = 'tmpfs', 0, 0"),
                    REFUSED,
                ),
                ("a new mount", call(c::SYS_fsopen, "my $a = 'tmpfs', 0"), REFUSED),
                ("another root", call(c::SYS_chroot, "my $a = '/tmp'"), REFUSED),
                ("a traced parent", call(c::SYS_ptrace, "16, getppid(), 0, 0"), REFUSED),
                ("memory of the parent", call(c::SYS_process_vm_readv, "getppid(), 0, 0, 0, 0, 0"), REFUSED),
                ("a descriptor of another", call(c::SYS_pidfd_getfd, "0, 0, 0"), REFUSED),
                ("bpf", call(c::SYS_bpf, "0, $buffer, 64"), REFUSED),
                ("keys", call(c::SYS_keyctl, "0, -1, 0"), REFUSED),
                ("io_uring", call(c::SYS_io_uring_setup, "1, $buffer"), REFUSED),
                ("perf", call(c::SYS_perf_event_open, "$buffer, 0, -1, -1, 0"), REFUSED),
                ("userfaultfd", call(c::SYS_userfaultfd, "1"), REFUSED),
                ("a file by its handle", call(c::SYS_open_by_handle_at, "0, $buffer, 0"), REFUSED),
                ("no random addresses", call(c::SYS_personality, "0x40000"), REFUSED),
                ("what personality there is", call(c::SYS_personality, "0xffffffff"), DONE),
                ("typing into a terminal", call(c::SYS_ioctl, "0, 0x5412, $buffer"), REFUSED),
                ("netlink", call(c::SYS_socket, "16, 3, 0"), &[c::EAFNOSUPPORT]),
                ("vsock", call(c::SYS_socket, "40, 1, 0"), &[c::EAFNOSUPPORT]),
                ("the kernel's ciphers", call(c::SYS_socket, "38, 5, 0"), &[c::EAFNOSUPPORT]),
                ("a socket", call(c::SYS_socket, "1, 1, 0"), DONE),
            ],
        );
    }
}

#[test]
fn neighbours_are_left_alone() {
    use libc as c;
    if !possible("neighbours_are_left_alone", "filter") {
        return;
    }
    let neighbour = Neighbour::start();
    let pid = neighbour.0.id();
    // What it would be without: they are of one user.
    let kill = || call(c::SYS_kill, &format!("{pid}, 23"));
    each_comes_to(&["--identity", "filter"], &[("kill", kill(), DONE)]);
    for form in FORMS.iter().filter(|form| possible("neighbours_are_left_alone", form)) {
        each_comes_to(
            &["--identity", form, "--signal-self"],
            &[
                ("kill", kill(), REFUSED),
                ("kill all", call(c::SYS_kill, "-1, 23"), REFUSED),
                ("tkill", call(c::SYS_tkill, &format!("{pid}, 0")), REFUSED),
                ("tgkill", call(c::SYS_tgkill, &format!("{pid}, {pid}, 0")), REFUSED),
                ("pidfd_open", call(c::SYS_pidfd_open, &format!("{pid}, 0")), REFUSED),
                ("by a descriptor", call(c::SYS_fcntl, &format!("0, {}, {pid}", c::F_SETOWN)), REFUSED),
                ("by a limit", call(c::SYS_prlimit64, &format!("{pid}, 0, $buffer, 0")), REFUSED),
                ("by its turns", call(c::SYS_sched_setscheduler, &format!("{pid}, 5, $buffer")), REFUSED),
                ("by all its user's turns", call(c::SYS_setpriority, "2, 0, 19"), REFUSED),
                ("one's own limit", call(c::SYS_prlimit64, "0, 7, 0, $buffer"), DONE),
            ],
        );
        let oneself = ["--identity", form, "--signal-self", "perl", "-e", "kill 'KILL', $$"];
        let status = mail_jail(&oneself).status().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(c::SIGKILL));
    }
}

/// exit(7) in the calls of 32 bits, as a whole program: its headers, and `mov bl, 7; mov al, 1; int 0x80`.
#[cfg(target_arch = "x86_64")]
const PROGRAM_OF_32_BITS: &[u8] =
    b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0\x54\x80\x04\x08\
    \x34\0\0\0\0\0\0\0\0\0\0\0\x34\0\x20\0\x01\0\0\0\0\0\0\0\
    \x01\0\0\0\0\0\0\0\0\x80\x04\x08\0\x80\x04\x08\x5a\0\0\0\x5a\0\0\0\x05\0\0\0\0\x10\0\0\
    \xb3\x07\xb0\x01\xcd\x80";

#[test]
#[cfg(target_arch = "x86_64")]
fn another_abi_is_the_end() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;
    const TEST: &str = "another_abi_is_the_end";
    if !possible(TEST, "filter") {
        return;
    }
    let x32 = ["--identity", "filter", "perl", "-e", "syscall(0x40000000 + 39)"];
    assert_eq!(mail_jail(&x32).status().unwrap().signal(), Some(libc::SIGSYS));
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let (bytes, program) = (folder.path().join("bytes"), folder.path().join("program"));
    std::fs::write(&bytes, PROGRAM_OF_32_BITS).unwrap();
    // By another process: a child of another test could still hold what this one writes, and that is busy.
    assert!(Command::new("install").args(["-m", "755"]).args([&bytes, &program]).status().unwrap().success());
    match Command::new(&program).status() {
        Ok(status) => assert_eq!(status.code(), Some(7)),
        Err(why) => {
            tests::skipped(TEST, &format!("no programs of 32 bits: {why}"));
            return;
        }
    }
    let status = mail_jail(&["--identity", "filter", program.to_str().unwrap()]).status().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGSYS));
}

#[test]
fn processes_of_those_who_can_be_become_are_not_looked_into() {
    use libc as c;
    let outsider = Outsider::start();
    for form in FORMS {
        if !possible("processes_of_those_who_can_be_become_are_not_looked_into", form) {
            continue;
        }
        let become_him = format!(
            "syscall({}, 20001, 20001, 20001), syscall({}, 20001, 20001, 20001)",
            c::SYS_setresgid,
            c::SYS_setresuid
        );
        let open = |mode, file| {
            let path = format!("/proc/{}/{file}", outsider.0.id());
            format!("({become_him}, $! = 0, open(my $file, '{mode}', '{path}') ? 0 : -1)[-1]")
        };
        each_comes_to(
            &["--identity", form],
            &[
                ("his environment", open("<", "environ"), &[libc::EACCES]),
                ("his memory", open("+<", "mem"), &[libc::EACCES]),
                ("what may be read", open("<", "status"), DONE),
                (
                    "his mail",
                    format!(
                        "({become_him}, open(my $file, '+>', \"/tmp/attack.$$\") && unlink(\"/tmp/attack.$$\") ? 0 : -1)[-1]"
                    ),
                    DONE,
                ),
            ],
        );
    }
}
