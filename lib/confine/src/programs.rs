//! What our own programs need when they are up, and nothing that they do not.
//!
//! Login and worker have by then what they talk through, and neither executes, starts or connects to anything again. What
//! auth needs the system's databases of users decide, so that it gives up only what none of them can want.

use libc as c;

use crate::filter::{Filter, When};
use crate::only::Only;

/// For mail-login: to take clients and to talk. It opens no file, old or new.
#[must_use]
pub fn login_filter(own: u32) -> Only {
    talking(own).and(&[c::SYS_accept4])
}

/// For mail-worker: to talk, to work with files, and to be one user after the other where it may.
#[must_use]
pub fn worker_filter(own: u32) -> Only {
    // Signal 0 is none: it asks whether the process that left a lock is still there.
    let talking = talking(own).and_when(c::SYS_kill, &[When::is(1, 0)]);
    let only = talking.and(&FILES).and(OLD_FILES).and(&WAITING_FOR_FILES).and(&BEING_SOMEBODY);
    // A file that makes whoever executes it its owner, or one of its group, would be a door that stays open.
    let doors = c::S_ISUID | c::S_ISGID;
    MODES.iter().fold(only, |only, &(call, mode)| only.and_when(call, &[When::has_none(mode, doors)]))
}

/// For the process that waits for the disk in a worker's place: by descriptors that it is sent, and no others.
#[must_use]
pub fn disk_filter(own: u32) -> Only {
    talking(own).and(&[c::SYS_fsync, c::SYS_fdatasync])
}

/// For mail-auth where no database of its own is another program: to read files and ask services of this host, by
/// threads. It starts no process, and talks to no network.
#[must_use]
pub fn auth_filter(own: u32) -> Filter {
    let filter = Filter::new()
        .signals_to_self(own)
        .refuse(&[c::SYS_execve, c::SYS_execveat])
        .refuse_when(c::SYS_clone, &[When::has_none(0, c::CLONE_THREAD.unsigned_abs())])
        .refuse(OLD_FORKS);
    NETWORKS.iter().fold(filter, |filter, &family| {
        filter.refuse_when(c::SYS_socket, &[When::is(0, family.unsigned_abs())])
    })
}

const NETWORKS: [i32; 2] = [c::AF_INET, c::AF_INET6];

/// What newer architectures have no number for.
#[cfg(target_arch = "x86_64")]
const OLD_FORKS: &[i64] = &[c::SYS_fork, c::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const OLD_FORKS: &[i64] = &[];

/// What every program does: by what it has, in memory, in time, and to itself.
fn talking(own: u32) -> Only {
    let only = Only::nothing().and(&TALK).and(&WAIT).and(OLD_WAIT).and(&MEMORY).and(&ITSELF).and(&TIME);
    // Memory is never to be executed that was written here.
    let only = [(c::SYS_mmap, 2), (c::SYS_mprotect, 2)]
        .iter()
        .fold(only, |only, &(call, protection)| only.and_when(call, &[When::has_none(protection, EXECUTE)]));
    let only = COMMANDS
        .iter()
        .fold(only, |only, &command| only.and_when(c::SYS_fcntl, &[When::is(1, command.unsigned_abs())]));
    let only = on_shared_sockets(only);
    let only =
        REQUESTS.iter().fold(only, |only, &request| only.and_when(c::SYS_ioctl, &[When::is(1, request)]));
    // abort(3) signals itself.
    let only = [c::SYS_kill, c::SYS_tgkill]
        .iter()
        .fold(only, |only, &call| only.and_when(call, &[When::is(0, own)]));
    // Limits of its own can only be lowered.
    only.and_when(c::SYS_prlimit64, &[When::is(0, 0)])
}

/// What is done to a socket is done to it in all processes that have it: a listener could be closed, made deaf by a filter
/// of its own, or have whoever accepts from it wait, and a client's socket whoever serves it now. Others put programs
/// and whole protocols into sockets.
fn on_shared_sockets(only: Only) -> Only {
    // Sending can also connect, for one that listens no more.
    let connecting = c::MSG_FASTOPEN.unsigned_abs();
    only.and_when(c::SYS_sendto, &[When::has_none(3, connecting)])
        .and_when(c::SYS_sendmsg, &[When::has_none(2, connecting)])
        .and_when(c::SYS_shutdown, &[option(1, c::SHUT_WR)])
        .and_when(c::SYS_setsockopt, &[option(1, c::IPPROTO_TCP), option(2, c::TCP_NODELAY)])
        .and_when(c::SYS_fcntl, &[option(1, c::F_SETFL), When::has(2, c::O_NONBLOCK.unsigned_abs())])
}

fn option(argument: u8, value: i32) -> When {
    When::is(argument, value.unsigned_abs())
}

const EXECUTE: u32 = c::PROT_EXEC.unsigned_abs();

const TALK: [i64; 13] = [
    c::SYS_read,
    c::SYS_readv,
    c::SYS_write,
    c::SYS_writev,
    c::SYS_recvfrom,
    c::SYS_recvmsg,
    c::SYS_getsockname,
    c::SYS_getpeername,
    c::SYS_getsockopt,
    c::SYS_close,
    c::SYS_dup,
    c::SYS_dup3,
    c::SYS_fstat,
];

const WAIT: [i64; 6] = [
    c::SYS_epoll_ctl,
    c::SYS_epoll_pwait,
    c::SYS_epoll_pwait2,
    c::SYS_ppoll,
    c::SYS_timerfd_settime,
    c::SYS_restart_syscall,
];

/// What newer architectures have no number for.
#[cfg(target_arch = "x86_64")]
const OLD_WAIT: &[i64] = &[c::SYS_epoll_wait, c::SYS_poll, c::SYS_dup2];
#[cfg(not(target_arch = "x86_64"))]
const OLD_WAIT: &[i64] = &[];

const MEMORY: [i64; 8] = [
    c::SYS_brk,
    c::SYS_mremap,
    c::SYS_munmap,
    c::SYS_madvise,
    c::SYS_futex,
    c::SYS_membarrier,
    c::SYS_rseq,
    c::SYS_getrandom,
];

const ITSELF: [i64; 25] = [
    c::SYS_exit,
    c::SYS_exit_group,
    c::SYS_getpid,
    c::SYS_gettid,
    c::SYS_getppid,
    c::SYS_getuid,
    c::SYS_geteuid,
    c::SYS_getgid,
    c::SYS_getegid,
    c::SYS_getresuid,
    c::SYS_getresgid,
    c::SYS_getgroups,
    c::SYS_getrusage,
    c::SYS_sched_yield,
    c::SYS_sched_getaffinity,
    c::SYS_sysinfo,
    c::SYS_uname,
    c::SYS_rt_sigaction,
    c::SYS_rt_sigprocmask,
    c::SYS_rt_sigreturn,
    c::SYS_sigaltstack,
    c::SYS_set_robust_list,
    c::SYS_set_tid_address,
    c::SYS_wait4,
    c::SYS_waitid,
];

const TIME: [i64; 5] = [
    c::SYS_clock_gettime,
    c::SYS_clock_getres,
    c::SYS_clock_nanosleep,
    c::SYS_nanosleep,
    c::SYS_gettimeofday,
];

/// Not whom it signals, nor by what.
const COMMANDS: [i32; 10] = [
    c::F_DUPFD,
    c::F_DUPFD_CLOEXEC,
    c::F_GETFD,
    c::F_SETFD,
    c::F_GETFL,
    c::F_GETLK,
    c::F_SETLK,
    c::F_SETLKW,
    c::F_OFD_GETLK,
    c::F_OFD_SETLK,
];

/// How much there is to be read, and whether it is a terminal: FIONREAD, TCGETS.
const REQUESTS: [u32; 2] = [0x541b, 0x5401];

const FILES: [i64; 35] = [
    c::SYS_pread64,
    c::SYS_preadv,
    c::SYS_preadv2,
    c::SYS_pwrite64,
    c::SYS_pwritev,
    c::SYS_pwritev2,
    c::SYS_lseek,
    c::SYS_newfstatat,
    c::SYS_statx,
    c::SYS_statfs,
    c::SYS_fstatfs,
    c::SYS_faccessat,
    c::SYS_faccessat2,
    c::SYS_readlinkat,
    c::SYS_getdents64,
    c::SYS_getcwd,
    c::SYS_mkdirat,
    c::SYS_unlinkat,
    c::SYS_linkat,
    c::SYS_symlinkat,
    c::SYS_renameat,
    c::SYS_renameat2,
    c::SYS_fchown,
    c::SYS_fchownat,
    c::SYS_utimensat,
    c::SYS_truncate,
    c::SYS_ftruncate,
    c::SYS_fallocate,
    c::SYS_fadvise64,
    c::SYS_flock,
    c::SYS_fsync,
    c::SYS_fdatasync,
    c::SYS_syncfs,
    c::SYS_sync_file_range,
    c::SYS_umask,
];

/// Calls that give a file its mode, and which argument that is. The last is fchmodat2, which the libc crate has no name
/// for; the number is the same everywhere.
#[cfg(target_arch = "x86_64")]
const MODES: &[(i64, u8)] = &[
    (c::SYS_openat, 3),
    (c::SYS_open, 2),
    (c::SYS_creat, 1),
    (c::SYS_fchmod, 1),
    (c::SYS_fchmodat, 2),
    (c::SYS_chmod, 1),
    (452, 2),
];
#[cfg(not(target_arch = "x86_64"))]
const MODES: &[(i64, u8)] = &[(c::SYS_openat, 3), (c::SYS_fchmod, 1), (c::SYS_fchmodat, 2), (452, 2)];

/// What newer architectures have no number for.
#[cfg(target_arch = "x86_64")]
const OLD_FILES: &[i64] = &[
    c::SYS_stat,
    c::SYS_lstat,
    c::SYS_access,
    c::SYS_readlink,
    c::SYS_mkdir,
    c::SYS_rmdir,
    c::SYS_unlink,
    c::SYS_link,
    c::SYS_symlink,
    c::SYS_rename,
    c::SYS_chown,
    c::SYS_lchown,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_FILES: &[i64] = &[];

const WAITING_FOR_FILES: [i64; 3] = [c::SYS_inotify_init1, c::SYS_inotify_add_watch, c::SYS_inotify_rm_watch];

/// Whom it may be, others have seen to.
const BEING_SOMEBODY: [i64; 3] = [c::SYS_setresuid, c::SYS_setresgid, c::SYS_setgroups];

#[cfg(test)]
mod tests;
