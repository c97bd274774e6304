//! Names of mailboxes, and the directories that belong to them. A name is mUTF-7 and stays so on disk.

use std::path::{Path, PathBuf};

use crate::{Error, Index, Layout, Location};

/// A name in its levels, each fit for the disk. INBOX is in capitals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a>(Vec<&'a str>);

/// File systems have no longer names.
const NAME_MAX: usize = 255;

impl<'a> Name<'a> {
    /// Takes a name from the wire apart. What could leave the root, hide there or break the protocol is refused.
    pub(crate) fn parse(name: &'a [u8], location: &Location) -> Result<Name<'a>, Error> {
        let text = str::from_utf8(name).map_err(|_| Error::BadName("it is not ASCII"))?;
        if text.bytes().any(|byte| !(0x20..0x7f).contains(&byte)) {
            return Err(Error::BadName("it is not printable ASCII"));
        }
        if is_inbox(text) {
            return Ok(Name(vec!["INBOX"]));
        }
        let separator = char::from(location.separator);
        let levels: Vec<&str> = text.split(separator).collect();
        let reserved = match location.layout {
            Layout::MaildirPlusPlus => ['.', '/'],
            Layout::Fs => ['/', '/'],
        };
        for level in &levels {
            match *level {
                "" => return Err(Error::BadName("a level is empty")),
                "." | ".." => return Err(Error::BadName("a level is . or ..")),
                _ if level.starts_with("..") => return Err(Error::BadName("a level begins with ..")),
                _ if level.contains(reserved) => return Err(Error::BadName("a level holds / or .")),
                "cur" | "new" | "tmp" if location.layout == Layout::Fs => {
                    return Err(Error::BadName("a level is cur, new or tmp"));
                }
                _ if level.len() > NAME_MAX => return Err(Error::BadName("it is too long")),
                _ => {}
            }
        }
        match text {
            _ if text.starts_with('~') => Err(Error::BadName("it begins with ~")),
            _ if text.len() >= NAME_MAX => Err(Error::BadName("it is too long")),
            _ => Ok(Name(levels)),
        }
    }

    pub(crate) fn levels(&self) -> &[&'a str] {
        &self.0
    }

    pub(crate) fn is_inbox(&self) -> bool {
        self.0 == ["INBOX"]
    }

    /// The mailbox's directory.
    pub(crate) fn root(&self, location: &Location) -> PathBuf {
        match (&location.inbox, self.is_inbox()) {
            (Some(inbox), true) => inbox.clone(),
            (None, true) => location.root.clone(),
            (_, false) => self.below(&location.root, location.layout),
        }
    }

    /// Where its uidlist is, if not there.
    pub(crate) fn control(&self, location: &Location) -> Option<PathBuf> {
        location.control.as_ref().map(|control| self.below(control, location.layout))
    }

    /// Where its cache is; none if that is to be kept in memory, which is not worth it.
    pub(crate) fn index(&self, location: &Location) -> Option<PathBuf> {
        match &location.index {
            Index::Beside => Some(self.root(location)),
            Index::Nowhere => None,
            Index::At(index) => Some(self.below(index, location.layout)),
        }
    }

    fn below(&self, root: &Path, layout: Layout) -> PathBuf {
        match layout {
            Layout::MaildirPlusPlus => root.join(format!(".{}", self.0.join("."))),
            Layout::Fs => self.0.iter().fold(root.to_owned(), |path, level| path.join(level)),
        }
    }
}

/// INBOX is INBOX in any case (RFC 3501, 5.1).
pub(crate) fn is_inbox(name: &str) -> bool {
    name.eq_ignore_ascii_case("INBOX")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn location(layout: &str) -> Location {
        Location::parse(&format!("maildir:/m{layout}"), Path::new("/")).unwrap()
    }

    fn root(name: &str, location: &Location) -> Option<PathBuf> {
        Name::parse(name.as_bytes(), location).ok().map(|name| name.root(location))
    }

    #[test]
    fn levels_are_dots_in_maildir_plus_plus() {
        let dots = location("");
        assert_eq!(root("A.B", &dots), Some("/m/.A.B".into()));
        assert_eq!(root("inbox", &dots), Some("/m".into()));
        assert_eq!(root("INBOX.A", &dots), Some("/m/.INBOX.A".into()));
        let slashes = dots.separated_by(b'/').unwrap();
        assert_eq!(root("A/B", &slashes), Some("/m/.A.B".into()));
        assert_eq!(root("A.B", &slashes), None);
    }

    #[test]
    fn levels_are_directories_in_fs() {
        let fs = location(":LAYOUT=fs:INBOX=/i:CONTROL=/c");
        assert_eq!(root("A/B.c", &fs), Some("/m/A/B.c".into()));
        assert_eq!(root("INBOX", &fs), Some("/i".into()));
        let name = Name::parse(b"A/B", &fs).unwrap();
        assert_eq!(name.control(&fs), Some("/c/A/B".into()));
        assert_eq!(root("A/cur", &fs), None);
    }

    #[test]
    fn what_leads_astray_is_refused() {
        for layout in ["", ":LAYOUT=fs"] {
            let location = location(layout);
            let long = "x".repeat(256);
            for name in
                ["", "..", "/etc", "a//b", "../x", "a/../b", "~", "~root/x", "a..b/", "a\nb", "é", &long]
            {
                assert_eq!(root(name, &location), None, "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_root(name in any::<Vec<u8>>(), fs in any::<bool>()) {
            let location = location(if fs { ":LAYOUT=fs" } else { "" });
            if let Ok(name) = Name::parse(&name, &location) {
                let root = name.root(&location);
                prop_assert!(root.starts_with("/m") && !root.components().any(|part| part.as_os_str() == ".."));
            }
        }
    }
}
