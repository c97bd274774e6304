//! What an attacker tries who has taken a process over, and where he has luck.
//!
//! A script is written as tests/attacker reads it, but with calls by their names and `{names}` for what differs from
//! place to place: it has succeeded if no call of it failed. What it changed it changes back.

use nix::libc;

use super::Place::{self, Jail, JailByFilter, NoRoot, Shared, SharedByFilter};

/// See above.
pub(crate) struct Attack {
    /// What it is about.
    pub(crate) name: &'static str,
    pub(crate) script: &'static str,
    /// Where it succeeds, by the nature of what that place is for.
    pub(crate) allowed: &'static [Place],
}

/// One user among those whom such a process is there for.
const ANY_USER: &[Place] = &[Shared, SharedByFilter, Jail, JailByFilter];
/// A program that nobody here wrote starts others and talks to others, as far as its user may.
const THIRD_PARTY: &[Place] = &[Jail, JailByFilter];
/// One uid has one person's files.
const ONE_UID: &[Place] = &[NoRoot];
const NOWHERE: &[Place] = &[];

const fn attack(name: &'static str, script: &'static str, allowed: &'static [Place]) -> Attack {
    Attack { name, script, allowed }
}

#[rustfmt::skip]
pub(crate) const ATTACKS: &[Attack] = &[
    // Whom it can be.
    attack("another mail user", "setresuid -1 {bob} -1 ; setresuid -1 {alice} -1", ANY_USER),
    attack("another mail user, for good", "setresuid {bob} {bob} {bob} ; setresuid {base} {alice} {base}", ANY_USER),
    attack("another mail user's group", "setresgid -1 {bob} -1 ; setresgid -1 {alice} -1", ANY_USER),
    attack("another mail user's groups", "setgroups 1 {gid:bob} ; setgroups 0 0", &[Shared, Jail]),
    attack("root", "setresuid 0 0 0", NOWHERE),
    attack("root, in effect only", "setresuid -1 0 -1", NOWHERE),
    attack("root, by setuid", "setuid 0", NOWHERE),
    attack("root, by setreuid", "setreuid 0 0", NOWHERE),
    attack("root, for files only", "setfsuid 0 ; openat -100 '{key} 0", NOWHERE),
    attack("a system account", "setresuid -1 {daemon} -1", NOWHERE),
    attack("the user of auth", "setresuid -1 {auth user} -1", NOWHERE),
    attack("the user of login", "setresuid -1 {login user} -1", NOWHERE),
    attack("the user that means nobody", "setresuid -1 65534 -1", NOWHERE),
    attack("a user above the range", "setresuid -1 60001 -1", NOWHERE),
    attack("root's group", "setresgid -1 0 -1", NOWHERE),
    attack("root's group, by setgid", "setgid 0", NOWHERE),
    attack("root's group, by setregid", "setregid 0 0", NOWHERE),
    attack("the group shadow", "setresgid -1 {shadow} -1", NOWHERE),
    attack("the group shadow, for files only", "setfsgid {shadow} ; openat -100 '/etc/shadow 0", NOWHERE),
    attack("the group of auth", "setresgid -1 {auth user} -1", NOWHERE),
    attack("among root's group", "setgroups 1 {gid:root}", NOWHERE),
    attack("among shadow", "setgroups 1 {gid:shadow}", NOWHERE),
    attack("among disk", "setgroups 1 {gid:disk}", NOWHERE),
    attack("among docker", "setgroups 1 {gid:docker}", NOWHERE),
    attack("among shadow, behind one that is allowed", "setgroups 2 {gids:bob shadow}", NOWHERE),
    attack("among a group above the range", "setgroups 1 {gid:above}", NOWHERE),
    attack("all capabilities", "capset x'2205082000000000 x'ffffffffffffffffffffffffffffffffffffffffffffffff", NOWHERE),
    attack("an ambient capability more", "prctl 47 2 1 0 0", NOWHERE),
    attack("securebits", "prctl 28 1 0 0 0", NOWHERE),
    // Namespaces, in which it would have all capabilities.
    attack("a user namespace", "unshare 0x10000000", NOWHERE),
    attack("a mount namespace", "unshare 0x20000", NOWHERE),
    attack("a network namespace", "unshare 0x40000000", NOWHERE),
    attack("a process in a user namespace", "clone 0x10000011 0 0 0 0", NOWHERE),
    attack("a process in a mount namespace", "clone 0x20011 0 0 0 0", NOWHERE),
    attack("the same by clone3", "clone3 {process in a user namespace} 88", NOWHERE),
    attack("the namespace of the master", "openat -100 '/proc/{master}/ns/user 0 ; setns $0 0", NOWHERE),
    attack("the network namespace of init", "openat -100 '/proc/1/ns/net 0 ; setns $0 0", NOWHERE),
    attack("a map of its own", "openat -100 '/proc/self/uid_map 1", NOWHERE),
    // Mail.
    attack("another user's mail, as it is", "openat -100 '{bob's} 0", ONE_UID),
    attack("another user's mail, as him",
        "setresuid -1 {bob} -1 ; openat -100 '{bob's} 0 ; setresuid -1 {alice} -1", ANY_USER),
    attack("another user's mail, as base", "setresuid -1 {base} -1 ; openat -100 '{bob's} 0", ONE_UID),
    attack("another user's mail, by a link", "linkat -100 '{bob's} -100 '{home}/stolen 0", ONE_UID),
    attack("another user's mail, by its handle", "open_by_handle_at 0 x'0800000001000000aaaaaaaaaaaaaaaa 0", NOWHERE),
    // Other programs.
    attack("execve", "execve '/bin/true ['/bin/true|0] [0]", THIRD_PARTY),
    attack("execveat", "openat -100 '/bin/true 0x80000 ; execveat $0 ' ['true|0] [0] 0x1000", THIRD_PARTY),
    attack("a process", "clone 17 0 0 0 0", THIRD_PARTY),
    attack("a program for its user, setuid", "openat -100 '{home}/door 0x41 0o700 ; fchmod $0 0o4755", THIRD_PARTY),
    attack("a program for its group, setgid", "openat -100 '{home}/gate 0x41 0o700 ; fchmod $0 0o2755", THIRD_PARTY),
    // Neighbours.
    attack("tracing a neighbour", "ptrace 0x4206 {neighbour} 0 0", NOWHERE),
    attack("tracing the login", "ptrace 0x4206 {login} 0 0", NOWHERE),
    attack("tracing auth", "ptrace 0x4206 {auth} 0 0", NOWHERE),
    attack("tracing the master", "ptrace 0x4206 {master} 0 0", NOWHERE),
    attack("reading a neighbour", "process_vm_readv {neighbour} [b'8|8] 1 [{neighbour's memory}|8] 1 0", NOWHERE),
    attack("a descriptor of a neighbour", "pidfd_open {neighbour} 0 ; pidfd_getfd $0 0 0", NOWHERE),
    attack("a signal to a neighbour", "kill {neighbour} 23", NOWHERE),
    attack("a signal to a neighbour's thread", "tgkill {neighbour} {neighbour} 0", NOWHERE),
    attack("a signal with a value to a neighbour", "rt_sigqueueinfo {neighbour} 0 b'128", NOWHERE),
    attack("a signal by descriptor", "pidfd_open {neighbour} 0 ; pidfd_send_signal $0 0 0 0", NOWHERE),
    attack("a signal for input, to a neighbour", "fcntl 0 8 {neighbour}", NOWHERE),
    attack("the same by ioctl", "ioctl {socket} 0x8901 {int:neighbour}", NOWHERE),
    attack("a signal to the login", "kill {login} 23", NOWHERE),
    attack("a signal to auth", "kill {auth} 23", NOWHERE),
    attack("a signal to the master", "kill {master} 23", NOWHERE),
    attack("a signal to all", "kill -1 23", NOWHERE),
    attack("a neighbour's limits", "prlimit64 {neighbour} 7 0 b'16 ; prlimit64 {neighbour} 4 b'16 0", NOWHERE),
    attack("a neighbour's priority", "setpriority 0 {neighbour} 19", NOWHERE),
    attack("a neighbour's processors", "sched_setaffinity {neighbour} 8 x'0100000000000000", NOWHERE),
    attack("a neighbour's memory", "openat -100 '/proc/{neighbour}/mem 0", NOWHERE),
    attack("a neighbour's environment", "openat -100 '/proc/{neighbour}/environ 0", NOWHERE),
    attack("a neighbour's descriptors", "openat -100 '/proc/{neighbour}/fd 0x10000", NOWHERE),
    attack("comparing with a neighbour", "kcmp {neighbour} {neighbour} 1 0 0", NOWHERE),
    attack("auth's environment", "openat -100 '/proc/{auth}/environ 0", NOWHERE),
    attack("the master's environment", "openat -100 '/proc/{master}/environ 0", NOWHERE),
    attack("the master's memory", "openat -100 '/proc/{master}/mem 2", NOWHERE),
    // Files of others.
    attack("shadow", "openat -100 '/etc/shadow 0", NOWHERE),
    attack("a key of root's", "openat -100 '{key} 0", NOWHERE),
    attack("the users and their passwords", "openat -100 '{users} 0", ONE_UID),
    attack("the configuration, to be changed", "openat -100 '{configuration} 1", ONE_UID),
    attack("a program, to be changed", "openat -100 '/bin/true 1", NOWHERE),
    attack("a device", "mknodat -100 '{home}/sda 0o60600 0x800", NOWHERE),
    attack("a setting of the kernel", "openat -100 '/proc/sys/kernel/core_pattern 1", NOWHERE),
    attack("capabilities for a file", "setxattr '{bob's} 'security.capability x'0000000200000000000000000000000000000000 20 0",
        NOWHERE),
    // The network, and sockets in the file system.
    attack("a TCP connection", "socket 2 1 0 ; connect $0 {port} 16", THIRD_PARTY),
    attack("a port", "socket 2 1 0 ; bind $0 {any port} 16 ; listen $0 1", THIRD_PARTY),
    attack("packets", "socket 17 3 0", NOWHERE),
    attack("netlink", "socket 16 3 0 ; bind $0 x'100000000000000000000000 12", NOWHERE),
    attack("the control socket", "socket 1 1 0 ; connect $0 {control} 110", NOWHERE),
    attack("somebody's socket", "socket 1 1 0 ; connect $0 {somebody's} 110", THIRD_PARTY),
    attack("somebody's socket, from one that comes in pairs",
        "= b'8 ; socketpair 1 2 0 $0 ; sendto *0 'hello 5 0 {somebody's letters} 110", THIRD_PARTY),
    attack("a virtual machine's host", "socket 40 1 0", NOWHERE),
    attack("a cipher of the kernel's", "socket 38 5 0", NOWHERE),
    // Who may become anybody may say that he is, as far as the kernel is concerned (SCM_CREDENTIALS). What a worker has
    // is its master, who does not ask.
    attack("saying that it is root", "getpid ; = [b'4|4] ; = [28|0x200000001|$0|0] ; sendmsg {link} [0|0|$1|1|$2|32|0] 0",
        &[SharedByFilter, JailByFilter]),
    // More than its share.
    attack("64 GB of memory", "mmap 0 0x1000000000 3 0x22 -1 0", NOWHERE),
    attack("a file in memory", "memfd_create 'hidden 0", THIRD_PARTY),
    attack("a file in memory that grows", "ftruncate {marker} 0x1000000", NOWHERE),
    attack("memory that outlives it", "shmget 0 4096 0o1600", THIRD_PARTY),
    attack("more descriptors", "prlimit64 0 7 x'00000100000000000000010000000000 0", NOWHERE),
    attack("a descriptor beyond the limit", "dup3 0 0x100000 0", NOWHERE),
    attack("core files", "prlimit64 0 4 x'00100000000000000010000000000000 0", NOWHERE),
    attack("being dumped", "prctl 4 1 0 0 0", THIRD_PARTY),
    attack("priority", "setpriority 0 0 -20", NOWHERE),
    attack("real time", "sched_setscheduler 0 1 x'01000000", NOWHERE),
    attack("being spared when memory is short", "openat -100 '/proc/self/oom_score_adj 1", NOWHERE),
    attack("locked memory", "mlockall 3", NOWHERE),
    // The kernel.
    attack("mounting", "mount 'none '/tmp 'tmpfs 0 0", NOWHERE),
    attack("mounting, the new way", "fsopen 'tmpfs 0", NOWHERE),
    attack("unmounting", "umount2 '/proc 2", NOWHERE),
    attack("another root", "chroot '/", NOWHERE),
    attack("another root for all", "pivot_root '/ '/", NOWHERE),
    attack("the time", "clock_adjtime 0 {an offset of nothing}", NOWHERE),
    attack("the host's name", "sethostname 'host 4", NOWHERE),
    attack("the kernel's log", "syslog 3 b'64 64", NOWHERE),
    attack("keys", "add_key 'user 'door 'open 4 -3", NOWHERE),
    attack("keys of others", "keyctl 0 -3 1", NOWHERE),
    attack("bpf", "bpf 0 {bpf map} 72", NOWHERE),
    attack("perf", "perf_event_open {perf clock} 0 -1 -1 0", NOWHERE),
    attack("a program in a socket", "= [0x0004000000000006|0] ; = [1|$0] ; setsockopt {socket} 1 26 $1 16", THIRD_PARTY),
    attack("faults of its own", "userfaultfd 1", NOWHERE),
    attack("io_uring", "io_uring_setup 1 b'120", NOWHERE),
    attack("another personality", "personality 0x40000", NOWHERE),
    attack("typing at a terminal", "ioctl 0 0x5412 'x", NOWHERE),
    attack("typing at a terminal, with more bits", "ioctl 0 0x100005412 'x", NOWHERE),
    attack("watching all files", "fanotify_init 0 0", NOWHERE),
    attack("a module", "finit_module 0 ' 0", NOWHERE),
    attack("another kernel", "kexec_load 0 0 0 0", NOWHERE),
    attack("a kernel's swap", "swapon '{home} 0", NOWHERE),
    attack("process accounting", "acct 0", NOWHERE),
    // It ends the process, so it comes last.
    attack("the numbers of another ABI", "getpid_x32", NOWHERE),
];

/// The number of a call that scripts use.
pub(crate) fn number(name: &str) -> Option<i64> {
    if name == "getpid_x32" {
        return Some(libc::SYS_getpid | 0x4000_0000);
    }
    macro_rules! numbers {
        ($($call:ident $number:ident,)*) => {
            match name { $(stringify!($call) => Some(libc::$number),)* _ => None }
        };
    }
    numbers! {
        acct SYS_acct, add_key SYS_add_key, bind SYS_bind, bpf SYS_bpf, capset SYS_capset, chroot SYS_chroot,
        clock_adjtime SYS_clock_adjtime, clone SYS_clone, clone3 SYS_clone3, connect SYS_connect, dup3 SYS_dup3,
        execve SYS_execve, execveat SYS_execveat, fanotify_init SYS_fanotify_init, fchmod SYS_fchmod, fcntl SYS_fcntl,
        finit_module SYS_finit_module, fsopen SYS_fsopen, io_uring_setup SYS_io_uring_setup, ioctl SYS_ioctl,
        kcmp SYS_kcmp, kexec_load SYS_kexec_load, keyctl SYS_keyctl, kill SYS_kill, linkat SYS_linkat,
        listen SYS_listen, memfd_create SYS_memfd_create, mknodat SYS_mknodat, mlockall SYS_mlockall, mmap SYS_mmap,
        mount SYS_mount, openat SYS_openat, open_by_handle_at SYS_open_by_handle_at,
        perf_event_open SYS_perf_event_open, personality SYS_personality, pidfd_getfd SYS_pidfd_getfd,
        pidfd_open SYS_pidfd_open, pidfd_send_signal SYS_pidfd_send_signal, pivot_root SYS_pivot_root,
        prctl SYS_prctl, prlimit64 SYS_prlimit64, process_vm_readv SYS_process_vm_readv, ptrace SYS_ptrace,
        rt_sigqueueinfo SYS_rt_sigqueueinfo, sched_setaffinity SYS_sched_setaffinity,
        sched_setscheduler SYS_sched_setscheduler, sendmsg SYS_sendmsg, sendto SYS_sendto, setfsgid SYS_setfsgid,
        setfsuid SYS_setfsuid, setgid SYS_setgid, setgroups SYS_setgroups, sethostname SYS_sethostname,
        setns SYS_setns, setpriority SYS_setpriority, setregid SYS_setregid, setresgid SYS_setresgid,
        setresuid SYS_setresuid, setreuid SYS_setreuid, setuid SYS_setuid, setxattr SYS_setxattr, shmget SYS_shmget,
        socket SYS_socket, socketpair SYS_socketpair, swapon SYS_swapon, syslog SYS_syslog, tgkill SYS_tgkill,
        ftruncate SYS_ftruncate, setsockopt SYS_setsockopt, getpid SYS_getpid, umount2 SYS_umount2, unshare SYS_unshare, userfaultfd SYS_userfaultfd,
    }
}
