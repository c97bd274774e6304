//! Removing directories with all that is in them, in bounded turns. Links are removed, never followed.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::dir::OwningIter;

use crate::filename;
use crate::list::entries;
use crate::scan::Budget;

/// What is to be removed.
#[derive(Default)]
pub(super) struct Removal {
    /// The innermost last.
    left: Vec<PathBuf>,
    reading: Option<OwningIter>,
    /// How often the innermost one was not empty at its end.
    missed: u8,
    /// Of what was removed, files in new/ and cur/.
    pub(super) messages: u64,
    /// And their bytes.
    pub(super) bytes: u64,
}

/// What removing a file costs, where reading a name costs 1.
const REMOVE: usize = 10;
/// A directory may pass names over while others are removed from it.
const MISSED_MAX: u8 = 3;

impl Removal {
    pub(super) fn add(&mut self, path: PathBuf) {
        self.left.push(path);
    }

    /// A turn; true when nothing is left. What cannot be removed stays, and the log says so: it has no mailbox's name.
    pub(super) fn step(&mut self, budget: &mut Budget) -> bool {
        while let Some(path) = self.left.last() {
            if !budget.take(REMOVE) {
                return false;
            }
            let Some(reading) = &mut self.reading else {
                match fs::symlink_metadata(path) {
                    Ok(meta) if meta.is_dir() => self.reading = entries(path).ok().flatten(),
                    _ => {}
                }
                if self.reading.is_none() {
                    // A file, a link, or a directory that we cannot read.
                    let removed = fs::remove_file(path);
                    self.done(removed);
                }
                continue;
            };
            let Some(Ok(entry)) = reading.next() else {
                self.reading = None;
                match fs::remove_dir(path) {
                    Err(error)
                        if error.kind() == io::ErrorKind::DirectoryNotEmpty && self.missed < MISSED_MAX =>
                    {
                        self.missed += 1;
                    }
                    removed => self.done(removed),
                }
                continue;
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let inner = path.join(OsStr::from_bytes(name));
            let size = if is_message(&inner) { size(&inner) } else { None };
            // Directories first say that they are none.
            match fs::remove_file(&inner) {
                Ok(()) => {
                    self.messages += u64::from(size.is_some());
                    self.bytes += size.unwrap_or(0);
                }
                Err(_) if fs::symlink_metadata(&inner).is_ok_and(|meta| meta.is_dir()) => {
                    self.reading = None;
                    self.left.push(inner);
                }
                Err(_) => {}
            }
        }
        true
    }

    fn done(&mut self, removed: io::Result<()>) {
        self.missed = 0;
        match (self.left.pop(), removed) {
            (Some(path), Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("cannot remove {}: {error}", path.display());
                // Nor what it lies in.
                while self.left.last().is_some_and(|above| path.starts_with(above)) {
                    self.left.pop();
                }
            }
            _ => {}
        }
    }
}

/// Does it lie where messages do?
fn is_message(path: &Path) -> bool {
    let dir = path.parent().and_then(Path::file_name);
    dir.is_some_and(|dir| dir == "new" || dir == "cur")
}

/// Its bytes on disk, if it is a file: by its name, or else by a look.
fn size(path: &Path) -> Option<u64> {
    let name = path.file_name()?.as_bytes();
    let (base, _) = filename::split(name);
    let told = filename::number(base, b'S').filter(|_| name.first() != Some(&b'.'));
    told.or_else(|| Some(fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?.len()))
}
