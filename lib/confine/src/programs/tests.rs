use super::*;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{self, MsgFlags, Shutdown, SockaddrIn, setsockopt, sockopt};

/// In a thread of its own, which the filter ends with.
fn under<T: Send + 'static>(only: fn(u32) -> Only, work: impl FnOnce() -> T + Send + 'static) -> T {
    let filtered = move || {
        only(std::process::id()).install().unwrap();
        work()
    };
    thread::spawn(filtered).join().unwrap()
}

fn is_absent<T>(outcome: io::Result<T>) -> bool {
    outcome.is_err_and(|why| why.raw_os_error() == Some(libc::ENOSYS))
}

#[test]
fn a_login_takes_clients_and_talks_and_does_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.write_all(b"x").unwrap();
    under(login_filter, move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        socket.set_nodelay(true).unwrap();
        assert_eq!(byte, *b"x");
        assert!(is_absent(File::open("/dev/null")));
        assert!(is_absent(fs::read_dir("/")));
        assert!(is_absent(TcpStream::connect(listener.local_addr().unwrap())));
        assert!(is_absent(UnixStream::pair()));
        assert!(is_absent(Command::new("/bin/true").spawn()));
    });
}

/// Other logins have the same listeners, and the master.
#[test]
fn a_login_can_spoil_no_socket_for_others() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let own = listener.try_clone().unwrap();
    under(login_filter, move || {
        let fd = own.as_raw_fd();
        let absent = |outcome: nix::Result<()>| outcome == Err(Errno::ENOSYS);
        assert!(absent(socket::shutdown(fd, Shutdown::Read)));
        assert!(absent(socket::shutdown(fd, Shutdown::Both)));
        let to = SockaddrIn::new(127, 0, 0, 1, 1);
        let connecting = MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
        assert!(absent(socket::sendto(fd, b"x", &to, connecting).map(drop)));
        assert!(absent(socket::sendmsg(fd, &[], &[], connecting, Some(&to)).map(drop)));
        assert!(absent(setsockopt(&own, sockopt::ReuseAddr, &false)));
        assert!(absent(setsockopt(&own, sockopt::RcvBuf, &0)));
        assert!(is_absent(own.set_nonblocking(false)));
        assert!(absent(fcntl(&own, FcntlArg::F_SETFL(OFlag::empty())).map(drop)));
        fcntl(&own, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    });
    let _client = TcpStream::connect(address).unwrap();
}

#[test]
fn a_worker_has_files_and_starts_and_connects_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("message");
    under(worker_filter, move || {
        fs::write(&path, "text").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(is_absent(fs::set_permissions(&path, Permissions::from_mode(0o4700))));
        assert!(is_absent(fs::set_permissions(&path, Permissions::from_mode(0o2700))));
        assert!(is_absent(TcpListener::bind("127.0.0.1:0")));
        assert!(is_absent(TcpStream::connect("127.0.0.1:1")));
        assert!(is_absent(UnixStream::connect("/nonexistent")));
        assert!(is_absent(Command::new("/bin/true").spawn()));
        // Its own limits it may lower.
        let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_CORE).unwrap();
        assert!(soft <= hard);
    });
}

#[test]
fn auth_has_files_threads_and_this_host_and_starts_nothing() {
    let work = || {
        auth_filter(std::process::id()).install().unwrap();
        assert!(File::open("/etc/passwd").is_ok());
        assert!(thread::spawn(|| true).join().unwrap());
        let socket = std::env::temp_dir().join("nobody-listens-here");
        assert_eq!(UnixStream::connect(socket).unwrap_err().kind(), io::ErrorKind::NotFound);
        for refused in [
            TcpStream::connect("127.0.0.1:1").map(drop),
            TcpStream::connect("[::1]:1").map(drop),
            Command::new("/bin/true").spawn().map(drop),
        ] {
            assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EPERM));
        }
    };
    thread::spawn(work).join().unwrap();
}
