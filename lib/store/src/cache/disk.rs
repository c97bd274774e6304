//! The cache's file: found block by block, and written at its end.
//!
//! Who writes holds its lock, and who does not get that at once does not write. A reader takes none: what is changed
//! under him does not bear the checksums that he goes by. A file that another user owns or may write is not believed.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

use super::block::{FILE_HEAD, HEAD, Head, file_head};

/// An open one.
#[derive(Debug)]
pub(super) struct Disk {
    file: File,
    uid_validity: u32,
    size: u64,
    /// All up to here is sound; 0 if not even the header is.
    end: u64,
    blocks: usize,
}

/// What follows so many blocks is not looked for: the next writer cuts it off.
pub(super) const BLOCKS_MAX: usize = 1 << 16;

/// So many blocks others may have written since we looked.
const NEWS_MAX: usize = 1024;

impl Disk {
    /// Opens what is there; to write it too where that is allowed.
    pub(super) fn open(path: &Path, uid_validity: u32) -> io::Result<Disk> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
        let file = options.clone().append(true).open(path).or_else(|error| match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => options.open(path),
            _ => Err(error),
        })?;
        Disk::of(file, uid_validity)
    }

    /// The same, and makes it if it is not there.
    pub(super) fn open_or_create(path: &Path, uid_validity: u32) -> io::Result<Disk> {
        match Disk::open(path, uid_validity) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
        let file = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(path)?;
        Disk::of(file, uid_validity)
    }

    fn of(file: File, uid_validity: u32) -> io::Result<Disk> {
        let meta = file.metadata()?;
        if !meta.is_file() || meta.uid() != geteuid().as_raw() || meta.mode() & 0o022 != 0 {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let mut disk = Disk { file, uid_validity, size: meta.len(), end: 0, blocks: 0 };
        let mut head = [0; FILE_HEAD];
        if disk.file.read_exact_at(&mut head, 0).is_ok() && head == file_head(uid_validity) {
            disk.end = FILE_HEAD as u64;
        }
        Ok(disk)
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The next block's header, and where its bytes are. None after the last sound one.
    pub(super) fn next(&mut self) -> Option<(Head, u64)> {
        if self.end == 0 || self.blocks >= BLOCKS_MAX {
            return None;
        }
        let mut head = [0; HEAD];
        self.file.read_exact_at(&mut head, self.end).ok()?;
        let head = Head::parse(&head)?;
        let start = self.end + HEAD as u64;
        let end = start + u64::from(head.length);
        // What is cut off, another may still be writing.
        if end > self.size {
            return None;
        }
        (self.end, self.blocks) = (end, self.blocks + 1);
        Some((head, start))
    }

    /// `length` bytes from `offset`, into `buffer`.
    pub(super) fn read(&self, offset: u64, length: u32, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        buffer.resize(length as usize, 0);
        self.file.read_exact_at(&mut buffer, offset)?;
        Ok(buffer)
    }

    /// Lets nobody else write as long as this is open.
    pub(super) fn lock(&self) -> io::Result<()> {
        self.file.try_lock().map_err(Into::into)
    }

    /// Writes blocks at the end, over what is not sound.
    pub(super) fn append(&mut self, path: &Path, blocks: &[u8]) -> io::Result<()> {
        self.lock()?;
        let written = self.append_locked(path, blocks);
        let unlocked = self.file.unlock();
        written.and(unlocked)
    }

    fn append_locked(&mut self, path: &Path, blocks: &[u8]) -> io::Result<()> {
        let (ours, there) = (self.file.metadata()?, std::fs::symlink_metadata(path)?);
        if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
            return Err(ErrorKind::NotFound.into());
        }
        self.size = ours.len();
        if self.end == 0 && self.size >= FILE_HEAD as u64 {
            // Another may have begun it meanwhile.
            let again = Disk::of(self.file.try_clone()?, self.uid_validity)?;
            self.end = again.end;
        }
        // What others wrote since; not all that somebody might.
        if (0..NEWS_MAX).all(|_| self.next().is_some()) {
            return Err(ErrorKind::ResourceBusy.into());
        }
        if self.size > self.end {
            self.file.set_len(self.end)?;
        }
        let sound = self.end;
        let write = |mut file: &File| {
            if sound == 0 {
                file.write_all(&file_head(self.uid_validity))?;
            }
            file.write_all(blocks)
        };
        let written = write(&self.file);
        if written.is_err() {
            // Where this fails too, the next writer does it.
            let _ = self.file.set_len(sound);
        }
        self.size = self.file.metadata()?.len();
        written?;
        self.end = self.size;
        Ok(())
    }
}
