//! What every process of ours gives up: the calls that make namespaces and mounts, look into other processes, load
//! code into the kernel, or reach parts of it that no mail server needs and that broke often.
//!
//! It stays out of the way of whatever a program may need to talk, to read and write files and to run threads and
//! children; mail-jail(8) lists it.

use libc as c;
use nix::errno::Errno;

use crate::filter::{Filter, When};

pub(crate) fn refuse(filter: Filter) -> Filter {
    let filter = filter
        .refuse(&NAMESPACES_AND_MOUNTS)
        .refuse(&OTHER_PROCESSES)
        .refuse(&THE_KERNEL)
        .refuse(&THE_MACHINE)
        .refuse(PORTS)
        // Its flags are behind a pointer, which no filter can follow. The C library then uses clone.
        .refuse_with(Errno::ENOSYS, &[c::SYS_clone3])
        // But asking what it is.
        .refuse_when(c::SYS_personality, &[When::is_not(0, u32::MAX)]);
    let filter = NEW_NAMESPACES
        .iter()
        .fold(filter, |filter, &flag| filter.refuse_when(c::SYS_clone, &[When::has(0, flag.unsigned_abs())]));
    // A child that its own parent has to wait for, and knows nothing of.
    let filter = filter.refuse_when(c::SYS_clone, &[When::has(0, c::CLONE_PARENT.unsigned_abs())]);
    let filter = TERMINALS
        .iter()
        .fold(filter, |filter, &request| filter.refuse_when(c::SYS_ioctl, &[When::is(1, request)]));
    let strange = FAMILIES.map(|family| When::is_not(0, family.unsigned_abs()));
    // As a kernel without those families has it, which is what C libraries and PAM modules are prepared for.
    filter.refuse_with_when(Errno::EAFNOSUPPORT, c::SYS_socket, &strange).refuse_with_when(
        Errno::EAFNOSUPPORT,
        c::SYS_socketpair,
        &strange,
    )
}

/// Not netlink, packet, vsock, alg and all the others.
const FAMILIES: [i32; 3] = [c::AF_UNIX, c::AF_INET, c::AF_INET6];

/// A new time namespace has no flag here: only unshare and clone3 take it.
const NEW_NAMESPACES: [i32; 7] = [
    c::CLONE_NEWNS,
    c::CLONE_NEWCGROUP,
    c::CLONE_NEWUTS,
    c::CLONE_NEWIPC,
    c::CLONE_NEWUSER,
    c::CLONE_NEWPID,
    c::CLONE_NEWNET,
];

/// Type into a terminal, or into that of the console, and change what drives one: TIOCSTI, TIOCLINUX, TIOCSETD.
const TERMINALS: [u32; 3] = [0x5412, 0x541c, 0x5423];

const NAMESPACES_AND_MOUNTS: [i64; 15] = [
    c::SYS_unshare,
    c::SYS_setns,
    c::SYS_mount,
    c::SYS_umount2,
    c::SYS_pivot_root,
    c::SYS_chroot,
    c::SYS_move_mount,
    c::SYS_mount_setattr,
    c::SYS_open_tree,
    // open_tree_attr, which the libc crate has no name for; the number is the same everywhere.
    467,
    c::SYS_fsopen,
    c::SYS_fsconfig,
    c::SYS_fsmount,
    c::SYS_fspick,
    c::SYS_open_by_handle_at,
];

const OTHER_PROCESSES: [i64; 9] = [
    c::SYS_ptrace,
    c::SYS_process_vm_readv,
    c::SYS_process_vm_writev,
    c::SYS_process_madvise,
    c::SYS_process_mrelease,
    c::SYS_kcmp,
    c::SYS_pidfd_getfd,
    c::SYS_move_pages,
    c::SYS_migrate_pages,
];

/// Large and young, or old and forgotten.
const THE_KERNEL: [i64; 18] = [
    c::SYS_bpf,
    c::SYS_perf_event_open,
    c::SYS_userfaultfd,
    c::SYS_io_uring_setup,
    c::SYS_io_uring_enter,
    c::SYS_io_uring_register,
    c::SYS_keyctl,
    c::SYS_add_key,
    c::SYS_request_key,
    c::SYS_fanotify_init,
    c::SYS_fanotify_mark,
    c::SYS_vmsplice,
    c::SYS_lookup_dcookie,
    c::SYS_nfsservctl,
    c::SYS_init_module,
    c::SYS_finit_module,
    c::SYS_delete_module,
    c::SYS_syslog,
];

const THE_MACHINE: [i64; 15] = [
    c::SYS_kexec_load,
    c::SYS_kexec_file_load,
    c::SYS_reboot,
    c::SYS_swapon,
    c::SYS_swapoff,
    c::SYS_acct,
    c::SYS_quotactl,
    c::SYS_quotactl_fd,
    c::SYS_settimeofday,
    c::SYS_clock_settime,
    c::SYS_clock_adjtime,
    c::SYS_adjtimex,
    c::SYS_sethostname,
    c::SYS_setdomainname,
    c::SYS_vhangup,
];

/// What only this architecture has.
#[cfg(target_arch = "x86_64")]
const PORTS: &[i64] =
    &[c::SYS_iopl, c::SYS_ioperm, c::SYS_modify_ldt, c::SYS_uselib, c::SYS_ustat, c::SYS_sysfs];
#[cfg(not(target_arch = "x86_64"))]
const PORTS: &[i64] = &[];
