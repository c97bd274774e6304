//! One message each way. A descriptor rides on the first byte; there is no message of no bytes.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use sendfd::SendWithFd;

/// What one [`receive`] brought.
#[derive(Debug)]
pub struct Received {
    /// How many bytes of the buffer were filled; 0 is the end of the stream.
    pub bytes: usize,
    /// The descriptor that came with the first of them, close-on-exec.
    pub fd: Option<OwnedFd>,
}

/// Sends `bytes`, and `fd` with the first of them; how many bytes went.
///
/// # Errors
/// Those of sendmsg(2), `WouldBlock` among them, also where the kernel holds too many descriptors in flight
/// (ETOOMANYREFS): both mean later. `InvalidInput` for no bytes at all, since then the descriptor would be lost.
pub fn send(socket: &UnixStream, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<usize> {
    if bytes.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a descriptor needs a byte to ride on"));
    }
    let fds: &[_] = &fd.map(|fd| fd.as_raw_fd()).into_iter().collect::<Vec<_>>();
    loop {
        match socket.send_with_fd(bytes, fds) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::TOOMANYREFS.raw_os_error()) => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            other => return other,
        }
    }
}

/// Receives into `buffer`: some bytes and at most one descriptor.
///
/// # Errors
/// Those of recvmsg(2). `InvalidData` when more than one descriptor came, or some could not be taken because
/// this process has no number left for them: what had come is closed.
pub fn receive(socket: &UnixStream, buffer: &mut [u8]) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SURPLUS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut fds = ancillary.drain().flat_map(|part| match part {
        RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let fd = fds.next();
    let surplus = fds.count();
    if surplus > 0 || message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "more descriptors than one, or no room for it",
        ));
    }
    Ok(Received { bytes: message.bytes, fd })
}

/// How many descriptors are taken in, only to be closed, when a peer sends more than one; the kernel closes
/// those beyond.
const SURPLUS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    fn open_descriptors() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    #[test]
    fn a_descriptor_arrives_close_on_exec() {
        let (a, b) = UnixStream::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        assert_eq!(send(&a, b"x\n", Some(null.as_fd())).unwrap(), 2);
        let mut buffer = [0; 16];
        let got = receive(&b, &mut buffer).unwrap();
        assert_eq!(got.bytes, 2);
        let flags = rustix::io::fcntl_getfd(got.fd.unwrap()).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn surplus_descriptors_are_an_error_and_closed() {
        let (a, b) = UnixStream::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        let before = open_descriptors();
        for count in [2, 9, 100] {
            a.send_with_fd(b"x", &vec![null.as_raw_fd(); count]).unwrap();
            let error = receive(&b, &mut [0; 16]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        // Other tests of this process may open and close theirs meanwhile; a leak here would be over 10.
        assert!(open_descriptors() < before + 10);
    }

    #[test]
    fn nothing_cannot_be_sent() {
        let (a, _b) = UnixStream::pair().unwrap();
        assert_eq!(send(&a, b"", None).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
