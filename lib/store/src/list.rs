//! Which mailboxes a user has (LIST), and which he subscribed to (LSUB).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::file::open_regular;
use crate::name::{Name, is_inbox};
use crate::{Error, Layout, Location};

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

/// Levels of directories that are looked into.
const DEPTH_MAX: usize = 32;
/// It is read in one turn: some hundredths of a second.
const SUBSCRIPTIONS_MAX: u64 = 512 * 1024;

/// All mailboxes and the gaps between them.
pub(crate) fn list(location: &Location) -> Result<Vec<Listed>, Error> {
    let names = match location.layout {
        Layout::MaildirPlusPlus => plus_plus(location)?,
        Layout::Fs => tree(location)?,
    };
    // To each name: is it a mailbox?
    let mut all: BTreeMap<String, bool> = BTreeMap::from([("INBOX".to_owned(), true)]);
    let mut parents = std::collections::BTreeSet::new();
    let separator = char::from(location.separator);
    for (name, selectable) in names {
        for (at, _) in name.match_indices(separator) {
            let parent = name.get(..at).unwrap_or_default();
            let parent = if is_inbox(parent) { "INBOX" } else { parent };
            all.entry(parent.to_owned()).or_insert(false);
            parents.insert(parent.to_owned());
        }
        let known = all.entry(name).or_insert(false);
        *known |= selectable;
    }
    let listed = |(name, selectable): (String, bool)| {
        let children = parents.contains(&name);
        Listed { name, selectable, children }
    };
    let mut all: Vec<Listed> = all.into_iter().map(listed).collect();
    all.sort_by_key(|listed| listed.name != "INBOX");
    Ok(all)
}

/// What he subscribed to.
pub(crate) fn subscriptions(location: &Location) -> Result<Vec<String>, Error> {
    let path = location.control.as_ref().unwrap_or(&location.root).join("subscriptions");
    let mut text = Vec::new();
    match open_regular(&path) {
        Ok(file) => {
            file.take(SUBSCRIPTIONS_MAX + 1).read_to_end(&mut text).map_err(Error::io("read", &path))?;
            if text.len() as u64 > SUBSCRIPTIONS_MAX {
                let why = io::Error::new(io::ErrorKind::InvalidData, "larger than 512 KiB");
                return Err(Error::io("read", &path)(why));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("open", &path)(error)),
    }
    Ok(parse_subscriptions(&text, location))
}

/// Version 1: names with the disk's separator. Version 2 (`V<TAB>2` and an empty line come first): levels separated by
/// TABs.
fn parse_subscriptions(text: &[u8], location: &Location) -> Vec<String> {
    let on_disk = match location.layout {
        Layout::MaildirPlusPlus => '.',
        Layout::Fs => '/',
    };
    let (text, between) = match text.strip_prefix(b"V\t2\n") {
        Some(rest) => (rest, '\t'),
        None => (text, on_disk),
    };
    let separator = char::from(location.separator).to_string();
    let lines = text.split(|&byte| byte == b'\n').filter_map(|line| str::from_utf8(line).ok());
    let names = lines.filter(|line| !line.is_empty()).map(|line| {
        let levels: Vec<String> = line.split(between).map(unescape).collect();
        levels.join(&separator)
    });
    let mut names: Vec<String> = names
        .filter(|name| Name::parse(name.as_bytes(), location).is_ok())
        .map(|name| if is_inbox(&name) { "INBOX".to_owned() } else { name })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Undoes `\x01` escapes, which hold a TAB, a line break or the escape itself. No name that we serve has one.
fn unescape(level: &str) -> String {
    level.replace("\u{1}t", "\t").replace("\u{1}n", "\n").replace("\u{1}1", "\u{1}")
}

/// Directories `.A.B` in the root.
fn plus_plus(location: &Location) -> Result<Vec<(String, bool)>, Error> {
    let separator = char::from(location.separator).to_string();
    let mut names = Vec::new();
    for (name, _) in directories(&location.root)? {
        let Some(name) = name.strip_prefix('.') else { continue };
        let name = if location.separator == b'.' { name.to_owned() } else { name.replace('.', &separator) };
        if !is_inbox(&name) && Name::parse(name.as_bytes(), location).is_ok() {
            names.push((name, true));
        }
    }
    Ok(names)
}

/// Directories below the root. Those without cur/ are levels only.
fn tree(location: &Location) -> Result<Vec<(String, bool)>, Error> {
    let separator = char::from(location.separator);
    let mut names = Vec::new();
    let mut left = vec![(String::new(), location.root.clone(), 0)];
    while let Some((above, dir, depth)) = left.pop() {
        for (name, path) in directories(&dir)? {
            if name.starts_with('.') || matches!(&*name, "cur" | "new" | "tmp") {
                continue;
            }
            let name = if above.is_empty() { name } else { format!("{above}{separator}{name}") };
            if is_inbox(&name) || Name::parse(name.as_bytes(), location).is_err() {
                continue;
            }
            names.push((name.clone(), path.join("cur").is_dir()));
            if depth < DEPTH_MAX {
                left.push((name, path, depth + 1));
            }
        }
    }
    Ok(names)
}

/// Directories in a directory that have printable names, and links to directories. A directory that vanished or that
/// we may not read has none.
fn directories(dir: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(Error::io("read", dir)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("read", dir))?;
        let is_dir = match entry.file_type() {
            Ok(kind) if kind.is_dir() => true,
            Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
            _ => false,
        };
        if let (true, Ok(name)) = (is_dir, entry.file_name().into_string()) {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(dir: &Path, more: &str) -> Location {
        Location::parse(&format!("maildir:{}{more}", dir.display()), Path::new("/")).unwrap()
    }

    fn names(location: &Location) -> Vec<(String, bool, bool)> {
        list(location).unwrap().into_iter().map(|one| (one.name, one.selectable, one.children)).collect()
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
        for name in ["cur", "A/B/cur", "A/B/new", "C/cur"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let expected = vec![
            row("INBOX", true, false),
            row("A", false, true),
            row("A/B", true, false),
            row("C", true, false),
        ];
        assert_eq!(names(&at(dir.path(), ":LAYOUT=fs")), expected);
    }

    #[test]
    fn no_directory_has_an_inbox_all_the_same() {
        assert_eq!(names(&at(Path::new("/nonexistent"), "")), vec![row("INBOX", true, false)]);
    }

    #[test]
    fn both_versions_of_subscriptions_are_read() {
        let location = at(Path::new("/m"), "").separated_by(b'/').unwrap();
        let read = |text: &str| parse_subscriptions(text.as_bytes(), &location);
        assert_eq!(read("A.B\ninbox\nA.B\n\n../x\n"), ["A/B", "INBOX"]);
        assert_eq!(read("V\t2\n\nA\tB\nINBOX\n"), ["A/B", "INBOX"]);
        assert_eq!(read(""), [""; 0]);
    }
}
