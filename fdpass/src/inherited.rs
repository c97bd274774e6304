//! Descriptors that a process was born with, by their numbers. The crate's one fence for `unsafe`.
//!
//! Two owners of one number would close it under each other. What tells them apart is close-on-exec: a
//! descriptor that came through exec(3) does not have it, and all that this process makes or takes afterwards
//! does.
#![allow(unsafe_code)]

use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Takes over the descriptor that this process was born with as `number`, and makes it close-on-exec.
/// Each can be taken once; 0, 1 and 2 belong to [`std::io`], which can clone them.
///
/// # Errors `InvalidInput` for 0, 1, 2 and below, EBADF where nothing is open under that number,
/// `AlreadyExists` where what is open there was not inherited, or is taken.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the standard streams cannot be taken"));
    }
    // SAFETY: borrowed for these two calls only; if the number is not open, both answer EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfd(borrowed)?;
    if flags.contains(FdFlags::CLOEXEC) {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "not inherited, or taken already"));
    }
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and nobody's: it came through exec, and no earlier call took it, since it was not
    // close-on-exec until now.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::{AsRawFd, IntoRawFd};

    #[test]
    fn an_inherited_descriptor_is_taken_once_and_close_on_exec() {
        // Without close-on-exec, as if it had come through exec.
        let number = rustix::io::dup(File::open("/dev/null").unwrap()).unwrap().into_raw_fd();
        let taken = inherited(number).unwrap();
        assert!(fcntl_getfd(&taken).unwrap().contains(FdFlags::CLOEXEC));
        assert_eq!(inherited(number).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(taken.as_raw_fd(), number);
    }

    #[test]
    fn what_is_our_own_or_not_there_cannot_be_taken() {
        let own = File::open("/dev/null").unwrap();
        assert_eq!(inherited(own.as_raw_fd()).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(inherited(987_654).unwrap_err().raw_os_error(), Some(9));
        for number in [-1, 0, 2] {
            assert_eq!(inherited(number).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
