//! A message on its way into a mailbox: a file in tmp/, which nobody takes for a message yet.
//!
//! It costs one buffer, however long the message is. The disk begins to take what was written while more comes, so
//! that the wait for it at the end is short. Dropped before it is saved, it leaves nothing.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::SystemTime;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::lines::{LineEnds, Lines};
use crate::disk::Flushes;
use crate::mode::Creation;
use crate::{Error, Extent, Mailbox, MessageFile, Now, Process};

/// See above.
#[derive(Debug)]
pub struct Draft {
    temporary: Temporary,
    file: File,
    buffer: Vec<u8>,
    lines: Lines,
    /// Bytes that are in the file.
    size: u64,
    /// Up to here the disk was told to begin.
    begun: u64,
    fsync: bool,
}

/// A file in tmp/ that goes when this is dropped.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) path: PathBuf,
    /// Its name, and the beginning of that which it will have in the mailbox.
    pub(super) name: Vec<u8>,
    /// Is it there?
    pub(super) exists: bool,
}

/// So much is written at once.
const PIECE: usize = 64 * 1024;
/// So much more, and the disk is told to begin.
const STRETCH: u64 = 1024 * 1024;

impl Draft {
    pub(super) fn new(mailbox: &Mailbox, ends: LineEnds, now: Now) -> Result<Draft, Error> {
        let mut temporary = Temporary::new(mailbox, now);
        let file = match Creation::within(&mailbox.root).new_file(&temporary.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoSuchMailbox(mailbox.path()));
            }
            file => file.map_err(Error::io("create", &temporary.path))?,
        };
        temporary.exists = true;
        let (buffer, lines, fsync) = (Vec::new(), Lines::new(ends), mailbox.saving.fsync);
        Ok(Draft { temporary, file, buffer, lines, size: 0, begun: 0, fsync })
    }

    /// Adds to it.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.lines.push(piece, &mut self.buffer);
        if self.buffer.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    /// Adds the next piece of another message. False at its end.
    pub fn copy(&mut self, message: &mut MessageFile) -> Result<bool, Error> {
        let mut piece = Vec::new();
        let read = (&mut message.file).take(PIECE as u64).read_to_end(&mut piece);
        read.map_err(Error::io("read a copy for", &self.temporary.path))?;
        self.write(&piece)?;
        Ok(!piece.is_empty())
    }

    /// Completes the file, which is to be brought to the disk. Returns its size there, and that with CRLF.
    pub(super) fn finish(
        mut self,
        received: Option<SystemTime>,
        process: &Process,
        flushes: &mut Flushes,
    ) -> Result<(Temporary, u64, u64), Error> {
        self.lines.finish(&mut self.buffer);
        self.flush()?;
        let path = &self.temporary.path;
        if let Some(received) = received {
            self.file.set_modified(received).map_err(Error::io("set the date of", path))?;
        }
        if self.fsync {
            flushes.add(process, path, self.file, Extent::All)?;
        }
        Ok((self.temporary, self.size, self.size + self.lines.bare()))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.write_all(&self.buffer).map_err(Error::io("write", &self.temporary.path))?;
        self.size += self.buffer.len() as u64;
        self.buffer.clear();
        let stretch = self.size - self.begun;
        if self.fsync && stretch >= STRETCH {
            // "Not needed in memory any more" makes Linux write it, and does not wait. Elsewhere the end takes longer.
            let (from, length) = (i64::try_from(self.begun), i64::try_from(stretch));
            if let (Ok(from), Ok(length)) = (from, length) {
                let _ = posix_fadvise(&self.file, from, length, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
            }
            self.begun = self.size;
        }
        Ok(())
    }
}

impl Temporary {
    /// A name for one; the file is the caller's to make.
    pub(super) fn new(mailbox: &Mailbox, now: Now) -> Temporary {
        let name = mailbox.state.borrow().process.unique_name(now);
        let path = mailbox.root.join("tmp").join(OsStr::from_bytes(&name));
        Temporary { path, name, exists: false }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.exists
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}
