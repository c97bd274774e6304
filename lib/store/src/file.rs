//! Opening files that a user may have replaced by anything at all, and telling whether they changed.

use std::fs::{File, Metadata, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::libc;

use crate::Error;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Device, inode and birth in one number: inodes are used again at once.
    pub(crate) identity: u64,
    pub(crate) size: u64,
    pub(crate) modified: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(meta: &Metadata) -> Stamp {
        let mut identity = DefaultHasher::new();
        // Where the file system knows no birth, the inode has to do.
        (meta.dev(), meta.ino(), meta.created().ok()).hash(&mut identity);
        Stamp { identity: identity.finish(), size: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) }
    }

    /// Of what is there now, links not followed. Nothing there: `None`.
    pub(crate) fn at(path: &Path) -> io::Result<Option<Stamp>> {
        match std::fs::symlink_metadata(path) {
            Ok(meta) => Ok(Some(Stamp::of(&meta))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Opens a regular file for reading. A link, a fifo or a device is an error and never a wait.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    open_regular_with(path).map(|(file, _)| file)
}

/// The same, and says what it is like.
pub(crate) fn open_regular_with(path: &Path) -> io::Result<(File, Metadata)> {
    regular(OpenOptions::new().read(true), path)
}

/// Opens a regular file to write at its end.
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().append(true), path).map(|(file, _)| file)
}

/// Opens a directory, through links too. A fifo in its place is an error and never a wait.
pub(crate) fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECTORY.bits()).open(path)
}

/// Makes the names in a directory last.
pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    open_directory(path).and_then(|dir| dir.sync_all()).map_err(Error::io("sync", path))
}

fn regular(options: &mut OpenOptions, path: &Path) -> io::Result<(File, Metadata)> {
    let file = options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path)?;
    let meta = file.metadata()?;
    if meta.is_file() { Ok((file, meta)) } else { Err(io::Error::from_raw_os_error(libc::EINVAL)) }
}
