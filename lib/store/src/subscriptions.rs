//! `subscriptions`: what a user subscribed to, one name a line, beside his mail or in his control directory.
//!
//! ```text
//! version 1    names with the disk's separator (`.`, with LAYOUT=fs `/`)
//! version 2    V<TAB>2, an empty line, then names whose levels are separated by TABs
//! ```
//!
//! A file keeps the version that it has; a new one is version 1, which all servers read. It is changed under its own
//! dotlock by a copy that takes its place, so that whoever reads needs no lock. Both happen in bounded turns. A client may
//! leave more names here than are ever held in memory; then they cannot be listed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::file::{open_regular, sync_directory};
use crate::list::{NAMES_MAX, TOO_MANY};
use crate::lock::{Attempt, Lock, RETRY, Waiting};
use crate::mode::Creation;
use crate::name::{Name, is_inbox};
use crate::{Error, Layout, Location, Now, Process, Step, User};

/// Reads the names.
pub struct Subscriptions {
    location: Location,
    lines: Lines,
    names: BTreeSet<String>,
}

/// What to do with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribe {
    /// Put it in.
    Add,
    /// Take it out.
    Remove,
}

/// Changes the file.
pub struct Subscription {
    process: Rc<Process>,
    path: PathBuf,
    location: Location,
    fsync: bool,
    /// In its levels.
    name: Vec<String>,
    wanted: Subscribe,
    waiting: Option<Box<Waiting>>,
    copying: Option<Copying>,
}

/// A change under way.
struct Copying {
    lock: Lock,
    lines: Lines,
    out: BufWriter<File>,
    tmp: PathBuf,
    found: bool,
}

/// The lines of a file, a piece a turn.
struct Lines {
    path: PathBuf,
    file: Option<File>,
    /// The separator of levels, once the first line was seen.
    version: Option<Version>,
    on_disk: char,
    read: u64,
    rest: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// What is read in a turn: some tenths of a millisecond.
const CHUNK: u64 = 8 * 1024;
/// A longer line is no name.
const LINE_MAX: usize = 4 * 1024;
/// A larger file is not ours.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

impl Subscriptions {
    pub(crate) fn new(location: &Location) -> Result<Subscriptions, Error> {
        let lines = Lines::open(location)?;
        Ok(Subscriptions { location: location.clone(), lines, names: BTreeSet::new() })
    }

    /// A turn.
    pub fn step(&mut self) -> Result<Step<()>, Error> {
        let Subscriptions { location, lines, names } = self;
        let separator = char::from(location.separator).to_string();
        lines.turn(|line, version, on_disk| {
            let name = levels(line, version, on_disk).map(|levels| levels.join(&separator));
            if let Some(name) = name.filter(|name| Name::parse(name.as_bytes(), location).is_ok()) {
                names.insert(if is_inbox(&name) { "INBOX".to_owned() } else { name });
            }
            if names.len() > NAMES_MAX { Err(TOO_MANY) } else { Ok(()) }
        })
    }

    /// The names, as on the wire, in order. To be called when `step` is done.
    pub fn names(self) -> BTreeSet<String> {
        self.names
    }
}

impl Subscription {
    pub(crate) fn new(user: &User, name: &Name<'_>, wanted: Subscribe) -> Subscription {
        Subscription {
            process: user.process.clone(),
            path: path(&user.location),
            location: user.location.clone(),
            fsync: user.saving.fsync,
            name: name.levels().iter().map(|level| (*level).to_owned()).collect(),
            wanted,
            waiting: None,
            copying: None,
        }
    }

    /// A turn. Done is done: the file is on disk.
    pub fn step(&mut self, now: Now) -> Result<Step<()>, Error> {
        let mut copying = match self.copying.take() {
            Some(copying) => copying,
            None => match Lock::attempt(&self.process, &self.path, &mut self.waiting, now)? {
                Attempt::Busy => return Ok(Step::Busy { retry_after: RETRY }),
                Attempt::Denied(errno) => {
                    return Err(Error::io("lock", &self.path)(errno.into()));
                }
                Attempt::Held(lock) => self.begin(lock)?,
            },
        };
        copying.lock.touch(now);
        let Copying { lines, out, found, tmp, .. } = &mut copying;
        let step = lines.turn(|line, version, on_disk| {
            if levels(line, version, on_disk).is_some_and(|levels| levels == self.name) {
                *found = true;
                if self.wanted == Subscribe::Remove {
                    return Ok(());
                }
            }
            out.write_all(line).and_then(|()| out.write_all(b"\n")).map_err(Error::io("write", tmp))
        })?;
        if step == Step::More {
            self.copying = Some(copying);
            return Ok(Step::More);
        }
        self.finish(copying)?;
        Ok(Step::Done(()))
    }

    fn begin(&self, lock: Lock) -> Result<Copying, Error> {
        let mut tmp = self.path.as_os_str().to_owned();
        tmp.push(".tmp");
        let tmp = PathBuf::from(tmp);
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        let file = Creation::within(dir).replacement(&tmp).map_err(Error::io("create", &tmp))?;
        let lines = Lines::open(&self.location)?;
        Ok(Copying { lock, lines, out: BufWriter::new(file), tmp, found: false })
    }

    fn finish(&self, copying: Copying) -> Result<(), Error> {
        let Copying { lock: _lock, lines, mut out, tmp, found } = copying;
        if found == (self.wanted == Subscribe::Add) {
            return fs::remove_file(&tmp).map_err(Error::io("remove", &tmp));
        }
        if self.wanted == Subscribe::Add {
            let line = match lines.version {
                Some(Version::Two) => self.name.join("\t"),
                Some(Version::One) | None => self.name.join(&lines.on_disk.to_string()),
            };
            writeln!(out, "{line}").map_err(Error::io("write", &tmp))?;
        }
        let file = out.into_inner().map_err(|error| Error::io("write", &tmp)(error.into_error()))?;
        if self.fsync {
            file.sync_all().map_err(Error::io("sync", &tmp))?;
        }
        fs::rename(&tmp, &self.path).map_err(Error::io("replace", &self.path))?;
        if self.fsync {
            sync_directory(self.path.parent().unwrap_or(Path::new("/")))?;
        }
        Ok(())
    }
}

impl Lines {
    /// A file that is not there has none.
    fn open(location: &Location) -> Result<Lines, Error> {
        let path = path(location);
        let file = match open_regular(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        let on_disk = match location.layout {
            Layout::MaildirPlusPlus => '.',
            Layout::Fs => '/',
        };
        Ok(Lines { path, file, version: None, on_disk, read: 0, rest: Vec::new() })
    }

    /// Reads a piece, and shows its lines, the first ones of version 2 too.
    fn turn(
        &mut self,
        mut show: impl FnMut(&[u8], Version, char) -> Result<(), Error>,
    ) -> Result<Step<()>, Error> {
        let Some(file) = &mut self.file else { return Ok(Step::Done(())) };
        let read = file.take(CHUNK).read_to_end(&mut self.rest).map_err(Error::io("read", &self.path))?;
        self.read += read as u64;
        if self.read > SIZE_MAX {
            let why = io::Error::new(io::ErrorKind::InvalidData, "larger than 64 MiB");
            return Err(Error::io("read", &self.path)(why));
        }
        if read == 0 && !self.rest.is_empty() {
            // The last line lacks its end.
            self.rest.push(b'\n');
        }
        let mut start = 0;
        while let Some(rest) = self.rest.get(start..)
            && let Some(length) = memchr::memchr(b'\n', rest)
        {
            let line = rest.get(..length).unwrap_or_default();
            let version = *self.version.get_or_insert(match line {
                b"V\t2" => Version::Two,
                _ => Version::One,
            });
            show(line, version, self.on_disk)?;
            start += length + 1;
        }
        self.rest.drain(..start);
        if self.rest.len() > LINE_MAX + CHUNK as usize {
            let why = io::Error::new(io::ErrorKind::InvalidData, "it has an endless line");
            return Err(Error::io("read", &self.path)(why));
        }
        Ok(if read == 0 { Step::Done(()) } else { Step::More })
    }
}

/// The levels of a name; none of what is no name.
fn levels(line: &[u8], version: Version, on_disk: char) -> Option<Vec<String>> {
    let line = str::from_utf8(line).ok().filter(|line| !line.is_empty())?;
    let mut levels: Vec<String> = match version {
        Version::One => line.split(on_disk).map(str::to_owned).collect(),
        Version::Two if line == "V\t2" => return None,
        Version::Two => line.split('\t').map(unescape).collect(),
    };
    if let [inbox] = &mut *levels
        && is_inbox(inbox)
    {
        inbox.make_ascii_uppercase();
    }
    Some(levels)
}

/// Undoes `\x01` escapes, which hold a TAB, a line break or the escape itself. No name that we serve has one.
fn unescape(level: &str) -> String {
    level.replace("\u{1}t", "\t").replace("\u{1}n", "\n").replace("\u{1}1", "\u{1}")
}

fn path(location: &Location) -> PathBuf {
    location.control.as_ref().unwrap_or(&location.root).join("subscriptions")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(separator: u8) -> (tempfile::TempDir, Location) {
        let dir = tempfile::tempdir().unwrap();
        let location = Location::parse(&format!("maildir:{}", dir.path().display()), Path::new("/")).unwrap();
        (dir, location.separated_by(separator).unwrap())
    }

    fn read(location: &Location) -> Vec<String> {
        let mut reading = Subscriptions::new(location).unwrap();
        while reading.step().unwrap() == Step::More {}
        reading.names().into_iter().collect()
    }

    fn user(location: &Location) -> User {
        User::new(Process::new(std::process::id(), b"here"), location.clone(), Vec::new())
    }

    fn change(location: &Location, name: &str, wanted: Subscribe) {
        let name = Name::parse(name.as_bytes(), location).unwrap();
        let mut change = Subscription::new(&user(location), &name, wanted);
        while change.step(Now::read()).unwrap() == Step::More {}
    }

    #[test]
    fn both_versions_are_read() {
        let (dir, location) = place(b'/');
        let file = dir.path().join("subscriptions");
        assert_eq!(read(&location), [""; 0]);
        fs::write(&file, "A.B\ninbox\nA.B\n\n../x\nlast").unwrap();
        assert_eq!(read(&location), ["A/B", "INBOX", "last"]);
        fs::write(&file, "V\t2\n\nA\tB\nINBOX\n").unwrap();
        assert_eq!(read(&location), ["A/B", "INBOX"]);
        fs::write(&file, "").unwrap();
        assert_eq!(read(&location), [""; 0]);
    }

    #[test]
    fn a_file_keeps_its_version_and_what_else_is_in_it() {
        let (dir, location) = place(b'/');
        let file = dir.path().join("subscriptions");
        let text = || fs::read_to_string(&file).unwrap();
        change(&location, "A/B", Subscribe::Add);
        change(&location, "inbox", Subscribe::Add);
        change(&location, "A/B", Subscribe::Add);
        assert_eq!(text(), "A.B\nINBOX\n");
        change(&location, "A/B", Subscribe::Remove);
        change(&location, "A/B", Subscribe::Remove);
        assert_eq!(text(), "INBOX\n");
        fs::write(&file, "V\t2\n\nA\tB\nodd\u{1}tone\n").unwrap();
        change(&location, "c/d", Subscribe::Add);
        assert_eq!(text(), "V\t2\n\nA\tB\nodd\u{1}tone\nc\td\n");
        change(&location, "A/B", Subscribe::Remove);
        assert_eq!(text(), "V\t2\n\nodd\u{1}tone\nc\td\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_large_file_is_read_and_changed_in_turns() {
        let (dir, location) = place(b'.');
        let file = dir.path().join("subscriptions");
        let names: Vec<String> = (0..100_000).map(|number| format!("box.{number}")).collect();
        fs::write(&file, names.join("\n") + "\n").unwrap();
        assert_eq!(read(&location).len(), 100_000);
        change(&location, "box.77777", Subscribe::Remove);
        assert_eq!(read(&location).len(), 99_999);
        fs::write(&file, (names.join("\n") + "\n").replace("box", "more") + &names.join("\n")).unwrap();
        let mut reading = Subscriptions::new(&location).unwrap();
        while reading.step().is_ok() {}
        assert_eq!(reading.names.len(), NAMES_MAX + 1);
        fs::write(&file, "x".repeat(100_000)).unwrap();
        let mut reading = Subscriptions::new(&location).unwrap();
        assert!(std::iter::repeat_with(|| reading.step()).take(100).any(|step| step.is_err()));
    }

    #[test]
    fn a_lock_is_waited_for() {
        let (dir, location) = place(b'.');
        fs::write(dir.path().join("subscriptions.lock"), "1:elsewhere").unwrap();
        let name = Name::parse(b"A", &location).unwrap();
        let mut change = Subscription::new(&user(&location), &name, Subscribe::Add);
        assert!(matches!(change.step(Now::read()).unwrap(), Step::Busy { .. }));
        fs::remove_file(dir.path().join("subscriptions.lock")).unwrap();
        assert_eq!(change.step(Now::read()).unwrap(), Step::Done(()));
        assert_eq!(read(&location), ["A"]);
    }
}
