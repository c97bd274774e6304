//! Mode and group of what we create: those of `dovecot-shared` where there is one, else the directory's own, so that a
//! shared mailbox stays shared and a private one private.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::file::open_directory;

/// How to create things in one directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Creation {
    /// Read and write bits; a directory also gets the search bits that go with them.
    bits: u32,
    /// The group, where others of it may read.
    gid: u32,
}

impl Creation {
    /// For the owner alone.
    pub(crate) const PRIVATE: Creation = Creation { bits: 0o600, gid: 0 };

    /// As the directory says. One that we cannot see says 0600.
    pub(crate) fn within(dir: &Path) -> Creation {
        let model = fs::symlink_metadata(dir.join("dovecot-shared")).or_else(|_| fs::metadata(dir));
        match model {
            Ok(model) => Creation { bits: model.mode() & 0o666 | 0o600, gid: model.gid() },
            Err(_) => Creation::PRIVATE,
        }
    }

    /// Creates a file that is not there, for writing.
    pub(crate) fn new_file(self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        self.share(&file);
        Ok(file)
    }

    /// Creates a file that has no name yet, for writing, where that is possible.
    pub(crate) fn nameless_file(self, dir: &Path) -> io::Result<File> {
        let file =
            OpenOptions::new().write(true).mode(0o600).custom_flags(OFlag::O_TMPFILE.bits()).open(dir)?;
        self.share(&file);
        Ok(file)
    }

    /// Creates a file of which only the lock's holder knows, in place of what an interrupted one left.
    pub(crate) fn replacement(self, path: &Path) -> io::Result<File> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.new_file(path),
        }
    }

    /// Creates a directory and what is missing above it (above it: for the owner only).
    pub(crate) fn directory(self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let dir = open_directory(path)?;
        self.share(&dir);
        Ok(())
    }

    /// Born private, then opened to the group. Where we may not give it to the group, it stays private.
    fn share(self, file: &File) {
        let Ok(born) = file.metadata() else { return };
        let search = if born.is_dir() { self.bits >> 2 & 0o111 } else { 0 };
        if self.bits & 0o077 == 0 {
            return;
        }
        let in_group = born.gid() == self.gid || fchown(file, None, Some(self.gid)).is_ok();
        let allowed = if in_group { 0o777 } else { 0o707 };
        // Less shared than it could be is no reason to fail.
        let _ = file.set_permissions(Permissions::from_mode((self.bits | search) & allowed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_open_as_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        for (of_dir, of_file) in [(0o700, 0o600), (0o770, 0o660), (0o750, 0o640), (0o755, 0o644)] {
            fs::set_permissions(dir.path(), Permissions::from_mode(of_dir)).unwrap();
            let path = dir.path().join("x");
            Creation::within(dir.path()).replacement(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, of_file);
            let sub = dir.path().join("sub");
            Creation::within(dir.path()).directory(&sub).unwrap();
            assert_eq!(fs::metadata(&sub).unwrap().mode() & 0o777, of_dir);
            fs::remove_dir(&sub).unwrap();
        }
    }
}
