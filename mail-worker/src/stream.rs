//! A client's bytes: one socket, or two streams of whatever kind when started by hand. Nothing here waits for input.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send, setsockopt, sockopt};
use nix::sys::stat::{SFlag, fstat};

/// Where a client is.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Both ways over one socket. Its file status flags stay as they are: others may hold it, too.
    Socket(OwnedFd),
    /// Pipes, terminals, files. Output blocks, which is nobody's harm: such a client is alone in its process.
    Pair {
        /// What the client says.
        input: File,
        /// What it is told.
        output: File,
    },
}

impl Stream {
    /// The client that the master handed over.
    ///
    /// # Errors
    /// `InvalidInput` if it is no socket.
    pub(crate) fn socket(socket: OwnedFd) -> io::Result<Self> {
        if kind(&socket)? != SFlag::S_IFSOCK {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the client's descriptor is no socket"));
        }
        // A unix socket has no such option, and needs none.
        let _ = setsockopt(&socket, sockopt::TcpNoDelay, &true);
        Ok(Self::Socket(socket))
    }

    /// The client on two streams, which may be the same socket.
    pub(crate) fn pair(input: OwnedFd, output: OwnedFd) -> io::Result<Self> {
        let (one, other) = (fstat(&input)?, fstat(&output)?);
        if kind(&input)? == SFlag::S_IFSOCK && (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino) {
            return Self::socket(input);
        }
        Ok(Self::Pair { input: input.into(), output: output.into() })
    }

    /// Reads what is there; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there yet.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = match self {
                Self::Socket(socket) => {
                    recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).map_err(io::Error::from)
                }
                Self::Pair { input, .. } if !is_readable(input)? => Err(ErrorKind::WouldBlock.into()),
                Self::Pair { input, .. } => input.read(buffer),
            };
            if !matches!(&result, Err(error) if error.kind() == ErrorKind::Interrupted) {
                return result;
            }
        }
    }

    /// Writes what fits.
    ///
    /// # Errors
    /// `WouldBlock` where nothing fits.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let result = match self {
                Self::Socket(socket) => {
                    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                    send(socket.as_raw_fd(), bytes, flags).map_err(io::Error::from)
                }
                Self::Pair { output, .. } => output.write(bytes),
            };
            if !matches!(&result, Err(error) if error.kind() == ErrorKind::Interrupted) {
                return result;
            }
        }
    }
}

impl AsFd for Stream {
    /// What is to be watched: output to a pair is never waited for.
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(socket) => socket.as_fd(),
            Self::Pair { input, .. } => input.as_fd(),
        }
    }
}

fn kind(fd: &OwnedFd) -> io::Result<SFlag> {
    Ok(SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT)
}

fn is_readable(file: &File) -> io::Result<bool> {
    match poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) {
        Err(Errno::EINTR) => Ok(false),
        other => Ok(other? > 0),
    }
}
