//! Where a user's mail is: `maildir:<root>[:INBOX=dir][:CONTROL=dir][:INDEX=dir][:LAYOUT=fs]`.

use std::path::{Path, PathBuf};

use crate::Error;

/// How mailbox names become directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Maildir++: mailbox A/B is the directory `.A.B` in the root.
    MaildirPlusPlus,
    /// Mailbox A/B is the directory `A/B` in the root.
    Fs,
}

/// Where derived files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Index {
    /// Beside the mail.
    Beside,
    /// There are none (`INDEX=MEMORY`).
    Nowhere,
    /// In this directory.
    At(PathBuf),
}

/// A parsed location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The Maildir itself.
    pub root: PathBuf,
    /// INBOX, where it is not the root.
    pub inbox: Option<PathBuf>,
    /// Where uidlists, keywords and subscriptions are, if not beside the mail.
    pub control: Option<PathBuf>,
    /// Where caches are.
    pub index: Index,
    /// How names become directories.
    pub layout: Layout,
    /// What stands between the levels of a name on the wire.
    pub separator: u8,
}

impl Location {
    /// Reads a location. An empty one means `~/Maildir`, whether it is there already or not. `home` is what a leading
    /// `~/` stands for. The separator is `.` for Maildir++ and `/` for LAYOUT=fs; [`Location::separated_by`] changes
    /// it.
    pub fn parse(text: &str, home: &Path) -> Result<Location, Error> {
        let wrong = |why: String| Error::Location { text: text.to_owned(), why };
        let rest = match text.split_once(':') {
            _ if text.is_empty() => "~/Maildir",
            Some(("maildir", rest)) => rest,
            Some((kind, _)) if !kind.contains(['/', '~']) => {
                return Err(wrong(format!("{kind} is not supported, only maildir:<directory>")));
            }
            _ if text.starts_with(['/', '~']) => text,
            _ => return Err(wrong("write maildir:<directory>".to_owned())),
        };
        let path = |path: &str| absolute(path, home).map_err(wrong);
        let mut parts = rest.split(':');
        let mut location = Location {
            root: path(parts.next().unwrap_or_default())?,
            inbox: None,
            control: None,
            index: Index::Beside,
            layout: Layout::MaildirPlusPlus,
            separator: b'.',
        };
        for part in parts {
            match part.split_once('=') {
                Some(("INBOX", value)) => location.inbox = Some(path(value)?),
                Some(("CONTROL", value)) => location.control = Some(path(value)?),
                Some(("INDEX", "MEMORY")) => location.index = Index::Nowhere,
                Some(("INDEX", value)) => location.index = Index::At(path(value)?),
                Some(("LAYOUT", "maildir++")) => {}
                Some(("LAYOUT", "fs")) => (location.layout, location.separator) = (Layout::Fs, b'/'),
                Some(("LAYOUT", _)) => return Err(wrong("LAYOUT is maildir++ or fs".to_owned())),
                _ => {
                    let known = "INBOX=, CONTROL=, INDEX= and LAYOUT= are known";
                    return Err(wrong(format!("unknown part {part:?}; {known}")));
                }
            }
        }
        Ok(location)
    }

    /// Where caches are, if not beside the mail.
    pub(crate) fn index_root(&self) -> Option<&Path> {
        match &self.index {
            Index::At(index) => Some(index),
            Index::Beside | Index::Nowhere => None,
        }
    }

    /// The same, with this separator between levels: `.` or `/`.
    pub fn separated_by(self, separator: u8) -> Result<Location, Error> {
        match separator {
            b'.' | b'/' => Ok(Location { separator, ..self }),
            _ => Err(Error::BadName("the separator is . or /")),
        }
    }
}

fn absolute(path: &str, home: &Path) -> Result<PathBuf, String> {
    match path.strip_prefix("~/") {
        Some(rest) if home.is_absolute() => Ok(home.join(rest)),
        Some(_) => Err("~/ needs a home directory".to_owned()),
        None if path == "~" && home.is_absolute() => Ok(home.to_owned()),
        None if path.starts_with('/') => Ok(PathBuf::from(path)),
        None if path.is_empty() => Err("the directory is missing".to_owned()),
        None => Err(format!("{path:?} must begin with / or ~/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Location, String> {
        Location::parse(text, Path::new("/home/alice")).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_means_the_maildir_at_home() {
        assert_eq!(parse("").unwrap().root, Path::new("/home/alice/Maildir"));
        assert_eq!(parse(""), parse("maildir:~/Maildir"));
        assert_eq!(parse("~/Maildir"), parse("maildir:/home/alice/Maildir"));
    }

    #[test]
    fn all_parts_are_read() {
        let location = parse("maildir:/m:INBOX=~/in:CONTROL=/c:INDEX=MEMORY:LAYOUT=fs").unwrap();
        assert_eq!(location.inbox.as_deref(), Some(Path::new("/home/alice/in")));
        assert_eq!(location.control.as_deref(), Some(Path::new("/c")));
        assert_eq!(location.index, Index::Nowhere);
        assert_eq!(parse("/m:INDEX=~/i").unwrap().index, Index::At("/home/alice/i".into()));
        assert_eq!(parse("/m").unwrap().index, Index::Beside);
        assert_eq!((location.layout, location.separator), (Layout::Fs, b'/'));
    }

    #[test]
    fn errors_say_what_to_write() {
        let error = |text| parse(text).unwrap_err();
        assert!(error("mbox:~/mail").ends_with("mbox is not supported, only maildir:<directory>"));
        assert!(error("Maildir").ends_with("write maildir:<directory>"));
        assert!(error("maildir:Maildir").ends_with("must begin with / or ~/"));
        assert!(error("maildir:").ends_with("the directory is missing"));
        assert!(error("maildir:/m:LAYOUT=flat").ends_with("LAYOUT is maildir++ or fs"));
        assert!(error("maildir:/m:COLOUR=red").contains("unknown part \"COLOUR=red\""));
    }
}
