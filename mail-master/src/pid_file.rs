//! `master.pid` below base_dir: who runs there, and that there is one only. The lock on it goes with the process that
//! holds it, so that a file that was left behind never keeps anybody from starting.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// Held as long as the master runs.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    file: Flock<File>,
}

impl PidFile {
    /// Takes it.
    ///
    /// # Errors
    /// In words: it cannot be made, or another master has it.
    pub(crate) fn take(base_dir: &Path) -> Result<Self, String> {
        let path = base_dir.join("master.pid");
        let named = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(&path)
            .map_err(|why| named(&why))?;
        let mut pid = String::new();
        // What cannot be read names nobody; the lock decides.
        let _ = file.read_to_string(&mut pid);
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| named(&format!("a mail-master runs here already, pid {}", pid.trim())))?;
        Ok(Self { path, file })
    }

    /// Writes our pid; after the process has gone into the background, since it is another one then.
    pub(crate) fn write(&mut self) -> Result<(), String> {
        let named = |why: std::io::Error| format!("{}: {why}", self.path.display());
        self.file.set_len(0).map_err(named)?;
        self.file.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(named)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_only_and_it_can_come_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = PidFile::take(dir.path()).unwrap();
        first.write().unwrap();
        let refused = PidFile::take(dir.path()).unwrap_err();
        assert!(refused.ends_with(&format!("pid {}", std::process::id())), "{refused}");
        drop(first);
        PidFile::take(dir.path()).unwrap();
    }
}
