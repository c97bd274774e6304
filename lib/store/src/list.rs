//! Which mailboxes a user has (LIST), found in bounded turns.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::dir::{Dir, OwningIter, Type};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::name::{Name, is_inbox};
use crate::scan::Budget;
use crate::{Error, Layout, Location, Step};

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name: mUTF-7, with the location's separator, `INBOX` in capitals. Printable ASCII only.
    pub name: String,
    /// False for a level of the hierarchy that is no mailbox itself (`\Noselect`).
    pub selectable: bool,
    /// Is there anything below it? (`\HasChildren`, `\HasNoChildren`)
    pub children: bool,
}

/// A search for mailboxes.
pub struct Listing {
    location: Location,
    /// Directories to be read.
    left: Vec<Level>,
    reading: Option<(Level, OwningIter)>,
    found: BTreeMap<String, Kind>,
}

/// A directory that holds mailboxes.
struct Level {
    /// Its own name; empty for the root.
    name: String,
    dir: PathBuf,
    depth: usize,
}

#[derive(Clone, Copy, Default)]
struct Kind {
    selectable: bool,
    children: bool,
}

/// Levels of directories that are looked into.
const DEPTH_MAX: usize = 32;
/// More names than a person has: a few links that lead back make any number of them, at no cost.
pub(crate) const NAMES_MAX: usize = 100_000;
pub(crate) const TOO_MANY: Error = Error::Impossible("there are too many mailboxes");
/// What looking into a directory costs, where reading a name costs 1.
const LOOK: usize = 5;

impl Listing {
    pub(crate) fn new(location: &Location) -> Listing {
        let root = Level { name: String::new(), dir: location.root.clone(), depth: 0 };
        let inbox = Kind { selectable: true, children: false };
        let found = BTreeMap::from([("INBOX".to_owned(), inbox)]);
        Listing { location: location.clone(), left: vec![root], reading: None, found }
    }

    /// A turn; `budget` bounds the names that it looks at, each of which costs a microsecond or two.
    pub fn step(&mut self, budget: usize) -> Result<Step<()>, Error> {
        let mut budget = Budget(budget.max(1));
        loop {
            let Some((level, mut entries)) = self.reading.take() else {
                let Some(level) = self.left.pop() else { return Ok(Step::Done(())) };
                // One that vanished, or that we may not read, has nothing in it.
                self.reading = entries(&level.dir)?.map(|entries| (level, entries));
                continue;
            };
            loop {
                if !budget.take(1) {
                    self.reading = Some((level, entries));
                    return Ok(Step::More);
                }
                let Some(entry) = entries.next() else { break };
                let entry = entry.map_err(|errno| Error::io("read", &level.dir)(errno.into()))?;
                if let Some(name) = directory(&level.dir, entry.file_name(), entry.file_type()) {
                    match self.location.layout {
                        Layout::MaildirPlusPlus => self.folder(name),
                        Layout::Fs => {
                            budget.take(LOOK);
                            self.level(&level, name);
                        }
                    }
                    if self.found.len() > NAMES_MAX {
                        return Err(TOO_MANY);
                    }
                }
            }
        }
    }

    /// All mailboxes and the gaps between them, INBOX first, then by name. To be called when `step` is done.
    pub fn mailboxes(mut self) -> impl Iterator<Item = Listed> {
        let listed = |(name, kind): (String, Kind)| {
            let Kind { selectable, children } = kind;
            Listed { name, selectable, children }
        };
        let inbox = self.found.remove_entry("INBOX");
        inbox.into_iter().chain(self.found).map(listed)
    }

    /// `.A.B` in the root of a Maildir++.
    fn folder(&mut self, name: &str) {
        let Some(name) = name.strip_prefix('.') else { return };
        let name = match self.location.separator {
            b'.' => name.to_owned(),
            separator => name.replace('.', &char::from(separator).to_string()),
        };
        if !is_inbox(&name) && Name::parse(name.as_bytes(), &self.location).is_ok() {
            self.add(name, true);
        }
    }

    /// A directory in a directory. One without cur/ is a level only.
    fn level(&mut self, above: &Level, name: &str) {
        let separator = char::from(self.location.separator);
        let dir = above.dir.join(name);
        let name =
            if above.name.is_empty() { name.to_owned() } else { format!("{}{separator}{name}", above.name) };
        if name == "INBOX" {
            // INBOX itself is elsewhere; what is below it may be here.
            self.left.push(Level { name, dir, depth: above.depth + 1 });
            return;
        }
        if is_inbox(&name) || Name::parse(name.as_bytes(), &self.location).is_err() {
            return;
        }
        let selectable = dir.join("cur").is_dir();
        if above.depth < DEPTH_MAX {
            self.left.push(Level { name: name.clone(), dir, depth: above.depth + 1 });
        }
        self.add(name, selectable);
    }

    /// A name, and all above it.
    fn add(&mut self, name: String, selectable: bool) {
        let mut rest = name.as_str();
        while let Some((parent, _)) = rest.rsplit_once(char::from(self.location.separator)) {
            let parent_name = if is_inbox(parent) { "INBOX" } else { parent };
            match self.found.get_mut(parent_name) {
                // All above it is known, then.
                Some(Kind { children: true, .. }) => break,
                Some(kind) => kind.children = true,
                None => {
                    self.found.insert(parent_name.to_owned(), Kind { selectable: false, children: true });
                }
            }
            rest = parent;
        }
        self.found.entry(name).or_default().selectable |= selectable;
    }
}

/// What is in a directory; `None` if it vanished or may not be read.
pub(crate) fn entries(dir: &Path) -> Result<Option<OwningIter>, Error> {
    match Dir::open(dir, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()) {
        Ok(dir) => Ok(Some(dir.into_iter())),
        Err(Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
        Err(errno) => Err(Error::io("read", dir)(errno.into())),
    }
}

/// The name of a directory, or of a link to one, if it is text.
fn directory<'a>(above: &Path, name: &'a CStr, kind: Option<Type>) -> Option<&'a str> {
    let text = name.to_str().ok().filter(|name| !matches!(*name, "." | ".."))?;
    let is_dir = match kind {
        Some(Type::Directory) => true,
        Some(Type::Symlink) | None => above.join(std::ffi::OsStr::from_bytes(name.to_bytes())).is_dir(),
        Some(_) => false,
    };
    is_dir.then_some(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn at(dir: &Path, more: &str) -> Location {
        Location::parse(&format!("maildir:{}{more}", dir.display()), Path::new("/")).unwrap()
    }

    fn names(location: &Location) -> Vec<(String, bool, bool)> {
        let mut listing = Listing::new(location);
        while listing.step(1).unwrap() == Step::More {}
        listing.mailboxes().map(|one| (one.name, one.selectable, one.children)).collect()
    }

    fn row(name: &str, selectable: bool, children: bool) -> (String, bool, bool) {
        (name.to_owned(), selectable, children)
    }

    #[test]
    fn gaps_are_listed_and_strangers_are_not() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["cur", ".A.B.C", ".A", ".INBOX.x", "..DOVECOT-TRASHED", ".a..b", ".bad\u{e9}", "plain", ".inbox"]
        {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join(".file"), "").unwrap();
        std::os::unix::fs::symlink(dir.path().join(".A"), dir.path().join(".Link")).unwrap();
        let expected = vec![
            row("INBOX", true, true),
            row("A", true, true),
            row("A.B", false, true),
            row("A.B.C", true, false),
            row("INBOX.x", true, false),
            row("Link", true, false),
        ];
        assert_eq!(names(&at(dir.path(), "")), expected);
        let slashes = at(dir.path(), "").separated_by(b'/').unwrap();
        assert!(names(&slashes).contains(&row("A/B/C", true, false)));
    }

    #[test]
    fn in_fs_a_directory_without_cur_is_a_level() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["cur", "A/B/cur", "A/B/new", "C/cur", ".hidden/cur", "..DOVECOT-TRASHED.1/cur"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let expected = vec![
            row("INBOX", true, false),
            row(".hidden", true, false),
            row("A", false, true),
            row("A/B", true, false),
            row("C", true, false),
        ];
        assert_eq!(names(&at(dir.path(), ":LAYOUT=fs")), expected);
    }

    #[test]
    fn links_that_lead_back_do_not_make_names_without_end() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::os::unix::fs::symlink(".", dir.path().join(name)).unwrap();
        }
        let mut listing = Listing::new(&at(dir.path(), ":LAYOUT=fs"));
        let error = loop {
            match listing.step(1000) {
                Ok(step) => assert_eq!(step, Step::More),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Impossible(_)), "{error}");
        assert!(listing.found.len() <= NAMES_MAX + DEPTH_MAX);
    }

    #[test]
    fn no_directory_has_an_inbox_all_the_same() {
        assert_eq!(names(&at(Path::new("/nonexistent"), "")), vec![row("INBOX", true, false)]);
    }
}
