//! Filters in force: each in a thread of its own, since a thread is what the kernel puts them on.

use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::{Gid, Pid, Uid, chroot, getpid, getppid, setfsgid, setfsuid};

use super::*;
use crate::Ranges;

/// What `act` comes to under that filter.
fn under<T: Send + 'static>(filter: Filter, act: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(move || {
        filter.install().unwrap();
        act()
    })
    .join()
    .unwrap()
}

#[test]
fn the_base_refuses_namespaces_mounts_and_roots() {
    let tried = || {
        let root = "/";
        let none: Option<&str> = None;
        [
            unshare(CloneFlags::CLONE_NEWUSER),
            unshare(CloneFlags::CLONE_NEWNS),
            nix::mount::mount(Some("none"), "/mnt", Some("tmpfs"), nix::mount::MsFlags::empty(), none),
            chroot(root),
        ]
    };
    assert_eq!(under(Filter::new(), tried), [Err(Errno::EPERM); 4]);
}

#[test]
fn the_base_leaves_threads_and_children_and_files() {
    let tried = || {
        let child = std::process::Command::new("cat").arg("/proc/self/status").output().unwrap();
        let thread = thread::spawn(|| std::fs::read("/proc/self/status").unwrap().len());
        (String::from_utf8(child.stdout).unwrap(), thread.join().unwrap())
    };
    let (status, length) = under(Filter::new(), tried);
    assert!(status.contains("Seccomp:\t2\n") && status.contains("NoNewPrivs:\t1\n"), "{status}");
    assert!(length > 0);
}

#[test]
fn only_local_and_internet_sockets_are_left() {
    let open = |family| socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).map(drop);
    let tried = move || [AddressFamily::Unix, AddressFamily::Inet, AddressFamily::Netlink].map(open);
    assert_eq!(under(Filter::new(), tried), [Ok(()), Ok(()), Err(Errno::EAFNOSUPPORT)]);
}

#[test]
fn what_is_allowed_after_all_passes_again() {
    let filter = Filter::new().allow(&[libc::SYS_chroot]);
    let outcome = under(filter, || chroot("/no/such/folder"));
    assert!(matches!(outcome, Err(Errno::ENOENT | Errno::EPERM)), "{outcome:?}");
    if Uid::effective().is_root() {
        assert_eq!(outcome, Err(Errno::ENOENT));
    }
}

#[test]
fn signals_reach_only_oneself() {
    let filter = Filter::new().signals_to_self(getpid().as_raw().unsigned_abs());
    // One that nobody minds.
    let all = || [getpid(), getppid(), Pid::from_raw(0), Pid::from_raw(-1)];
    let tried = move || all().map(|pid| kill(pid, Signal::SIGURG));
    assert_eq!(
        under(filter.clone(), tried),
        [Ok(()), Err(Errno::EPERM), Err(Errno::EPERM), Err(Errno::EPERM)]
    );
    // Whether there is such a process may be asked.
    assert_eq!(under(filter, move || all().map(|pid| kill(pid, None::<Signal>))), [Ok(()); 4]);
}

#[test]
fn descriptors_signal_nobody_on_ones_behalf() {
    let filter = Filter::new().signals_to_self(getpid().as_raw().unsigned_abs());
    let tried = || {
        let (end, _other) = std::io::pipe().unwrap();
        let flags = nix::fcntl::fcntl(&end, nix::fcntl::FcntlArg::F_GETFD);
        // nix has no F_SETOWN; perl does it by its number.
        let script = "use Fcntl; exit(fcntl(STDIN, F_SETOWN, getppid()) ? 1 : 0)";
        let perl = std::process::Command::new("perl").args(["-e", script]).stdin(end).status();
        (flags.is_ok(), perl.unwrap().success())
    };
    assert_eq!(under(filter, tried), (true, true));
}

#[test]
fn ids_outside_of_the_ranges_cannot_be_had() {
    if !Uid::effective().is_root() {
        eprintln!("skip: needs root");
        return;
    }
    // The only calls of their kind that the C library leaves to the one thread.
    let uids: Ranges = "20001-20005,30000".parse().unwrap();
    let gids: Ranges = "20001,40000-50000".parse().unwrap();
    let tried = || {
        let user = |id| {
            setfsuid(Uid::from_raw(id));
            setfsuid(Uid::from_raw(u32::MAX)).as_raw()
        };
        let group = |id| {
            setfsgid(Gid::from_raw(id));
            setfsgid(Gid::from_raw(u32::MAX)).as_raw()
        };
        (
            [20001, 0, 20000, 20005, 20006, 30000, 4_294_967_294].map(user),
            [20001, 0, 42, 40000, 50001].map(group),
        )
    };
    assert_eq!(
        under(Filter::new().identities(&uids, &gids), tried),
        ([20001, 20001, 20001, 20005, 20005, 30000, 30000], [20001, 20001, 20001, 40000, 40000])
    );
}

#[test]
fn some_hundred_ranges_fit() {
    let ranges = |count: u32| Ranges::new((0..count).map(|n| 1000 + n * 100..=1050 + n * 100));
    assert!(Filter::new().identities(&ranges(100), &ranges(100)).programs().is_ok());
    under(Filter::new().identities(&ranges(100), &ranges(100)), || ());
    assert!(Filter::new().identities(&ranges(900), &ranges(1)).programs().is_err());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_foreign_abi_kills() {
    // getpid by its number in the x32 ABI.
    let x32 = "syscall(0x40000000 + 39)";
    let status =
        under(Filter::new(), move || std::process::Command::new("perl").args(["-e", x32]).status().unwrap());
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGSYS));
}
