//! The files, as they were when last read. Each lookup asks the file system once whether they still are.
//!
//! A line that is broken is logged when it is read and costs its own user only. What a file held before it changed is
//! never used again: a user who was taken out can't log in a moment later.

use std::collections::HashMap;
use std::collections::hash_map;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use expand::NoHome;
use thiserror::Error;

use super::entry::{self, BadEntry, Entry};

/// All passwd-files that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Files {
    tables: HashMap<String, Table>,
}

/// Why a file does not say whether it has a user.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    #[error("{path} line {line}: {why}")]
    Line { path: String, line: usize, why: BadEntry },
    #[error("{path}: {error}")]
    Read { path: String, error: io::Error },
    #[error(transparent)]
    NoHome(#[from] NoHome),
}

#[derive(Debug)]
struct Table {
    stamp: Stamp,
    /// By user: the line's number, and what follows the user's name.
    lines: Lines,
}

/// What differs when a file was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Files {
    /// The line of `user` in the file at `path`; none if he has none.
    pub(super) fn find(&mut self, path: &str, user: &str) -> Result<Option<Entry<'_>>, Problem> {
        let table = self.table(path).map_err(|error| Problem::Read { path: path.to_owned(), error })?;
        let Some((line, rest)) = table.lines.get(user) else {
            return Ok(None);
        };
        let entry = Entry::parse(rest);
        entry.map(Some).map_err(|why| Problem::Line { path: path.to_owned(), line: *line, why })
    }

    fn table(&mut self, path: &str) -> io::Result<&Table> {
        let stamp = match fs::metadata(path) {
            Ok(metadata) => Stamp::of(&metadata),
            Err(error) => {
                self.tables.remove(path);
                return Err(error);
            }
        };
        match self.tables.entry(path.to_owned()) {
            hash_map::Entry::Occupied(mut known) => {
                if known.get().stamp != stamp {
                    match Table::read(path) {
                        Ok(table) => drop(known.insert(table)),
                        Err(error) => {
                            known.remove();
                            return Err(error);
                        }
                    }
                }
                Ok(known.into_mut())
            }
            hash_map::Entry::Vacant(space) => Ok(space.insert(Table::read(path)?)),
        }
    }
}

impl Table {
    fn read(path: &str) -> io::Result<Self> {
        let mut file = open(path.as_ref())?;
        // Taken before the first byte is read: who writes meanwhile makes the next lookup read again.
        let stamp = Stamp::of(&file.metadata()?);
        let mut bytes = Vec::new();
        file.by_ref().take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(io::Error::other(format!("larger than {} MiB", MAX_SIZE >> 20)));
        }
        let (lines, broken) = parse(&bytes);
        for (number, why) in broken.iter().take(MAX_LOGGED) {
            log::error!("passwd-file: {path} line {number}: {why}");
        }
        if let Some(more) = broken.len().checked_sub(MAX_LOGGED).filter(|more| *more > 0) {
            log::error!("passwd-file: {path}: {more} more broken lines");
        }
        if lines.is_empty() {
            log::warn!("passwd-file: {path} has no users: nobody can log in by it");
        } else {
            log::debug!("passwd-file: {path}: read {} users", lines.len());
        }
        Ok(Self { stamp, lines })
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Looked at before it is opened, since opening something else than a file can wait for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(path)
}

type Lines = HashMap<Box<str>, (usize, Box<str>)>;

/// The lines by their users, and those that are broken by their numbers. A line whose user is known is in both; the
/// first of two lines of one user counts.
fn parse(bytes: &[u8]) -> (Lines, Vec<(usize, String)>) {
    let mut lines = Lines::new();
    let mut broken = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|&b| b == b'\n')) {
        let Ok(line) = std::str::from_utf8(line) else {
            broken.push((number, BadEntry::NotText.to_string()));
            continue;
        };
        let (user, rest) = match entry::name(line.strip_suffix('\r').unwrap_or(line)) {
            None => continue,
            Some(Ok(parts)) => parts,
            Some(Err(why)) => {
                broken.push((number, why.to_string()));
                continue;
            }
        };
        match lines.entry(user.into()) {
            hash_map::Entry::Occupied(first) => {
                let (first, _) = first.get();
                broken.push((number, format!("{user:?} has line {first} already, which counts")));
            }
            hash_map::Entry::Vacant(space) => {
                space.insert((number, rest.into()));
                if let Err(why) = Entry::parse(rest) {
                    broken.push((number, why.to_string()));
                }
            }
        }
    }
    (lines, broken)
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            place: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The largest file that is read: a million users.
const MAX_SIZE: u64 = 256 << 20;

/// How many broken lines of one file are told one by one.
const MAX_LOGGED: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn password(files: &mut Files, path: &Path, user: &str) -> Option<String> {
        files.find(path.to_str().unwrap(), user).unwrap().map(|entry| entry.password.to_owned())
    }

    #[test]
    fn a_broken_line_costs_its_own_user_only() {
        let text =
            b"alice:a\nnonsense\nbob:b:99999999999\n\xff:c\n# carol:c\n\ndave:d\nalice:second\r\nlast:l";
        let (lines, broken) = parse(text);
        assert_eq!(broken.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 3, 4, 8]);
        let mut users: Vec<_> = lines.keys().map(|user| &**user).collect();
        users.sort_unstable();
        assert_eq!(users, ["alice", "bob", "dave", "last"]);
        assert_eq!(&*lines["alice"].1, "a");
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let mut files = Files::default();
        assert!(files.find(path.to_str().unwrap(), "alice").is_err());
        fs::write(&path, "alice:one\n").unwrap();
        assert_eq!(password(&mut files, &path, "alice").unwrap(), "one");
        // In place, of the same size.
        fs::write(&path, "alice:two\n").unwrap();
        assert_eq!(password(&mut files, &path, "alice").unwrap(), "two");
        // Another file in its place.
        let other = folder.path().join("other");
        fs::write(&other, "bobby:six\n").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(password(&mut files, &path, "alice"), None);
        assert_eq!(password(&mut files, &path, "bobby").unwrap(), "six");
        // Written bit by bit, asked in between.
        let mut file = File::create(&path).unwrap();
        assert_eq!(password(&mut files, &path, "bobby"), None);
        file.write_all(b"alice:1\nbob").unwrap();
        assert_eq!(password(&mut files, &path, "alice").unwrap(), "1");
        file.write_all(b"by:2\n").unwrap();
        assert_eq!(password(&mut files, &path, "bobby").unwrap(), "2");
        fs::remove_file(&path).unwrap();
        assert!(files.find(path.to_str().unwrap(), "alice").is_err());
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        for path in [folder.path(), &path] {
            let lookup = Files::default().table(path.to_str().unwrap()).map(|_| ());
            assert_eq!(lookup.unwrap_err().to_string(), "not a regular file");
        }
    }

    #[test]
    fn the_broken_line_of_a_user_is_named_when_he_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        fs::write(&path, "alice:a\nbob:b:1:x y\n").unwrap();
        let error = Files::default().find(path.to_str().unwrap(), "bob").unwrap_err().to_string();
        assert!(error.contains("users line 2: "), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
