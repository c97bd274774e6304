//! A mailbox's keywords. The names of the letters a to z are in `dovecot-keywords`, a line `<0-25> <name>` each; all
//! others are in [`Extras`].
//!
//! Written under the uidlist's lock, to a file of its own that then takes the old one's place; its time stamp grows
//! with each write, because readers compare it in whole seconds.

mod extra;

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::file::{Stamp, open_regular};
use crate::filename::decimal;
use crate::mode::Creation;
use crate::model::Edition;
use crate::{Error, Flags, Keyword, Now};

pub(crate) use extra::{Extras, append, append_changes, carry};

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct Keywords {
    names: Vec<Option<Box<str>>>,
    stamp: Option<Stamp>,
    /// Grows with each change.
    edition: u32,
    pub(crate) extras: Extras,
}

/// What a letter without a name is called, with its number.
const UNKNOWN: &str = "unknown-";
const LETTERS: usize = Keyword::LETTERS as usize;
const FILE_MAX: u64 = 64 * 1024;
const NAME_MAX: usize = 255;

impl Keywords {
    /// Reads the file if it changed.
    pub(crate) fn refresh(&mut self, control: &Path) -> Result<(), Error> {
        let path = control.join("dovecot-keywords");
        let stamp = Stamp::at(&path).map_err(Error::io("examine", &path))?;
        if stamp == self.stamp {
            return Ok(());
        }
        let mut text = Vec::new();
        match open_regular(&path) {
            Ok(file) => {
                file.take(FILE_MAX).read_to_end(&mut text).map_err(Error::io("read", &path))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("open", &path)(error)),
        }
        self.stamp = stamp;
        let names = parse(&text);
        if names != self.names {
            self.names = names;
            self.edition = self.edition.wrapping_add(1);
        }
        Ok(())
    }

    /// All names up to the last one that the file or a message has.
    pub(crate) fn names(&self, used: Flags) -> impl Iterator<Item = String> {
        (0..self.count(used)).map(|number| match self.name(number) {
            Some(name) => name.to_owned(),
            None => format!("{UNKNOWN}{number}"),
        })
    }

    /// Differs whenever `names` does.
    pub(crate) fn edition(&self, used: Flags) -> Edition {
        let edition = self.edition.wrapping_add(self.extras.edition);
        (edition, u8::try_from(self.count(used)).unwrap_or(Keyword::COUNT))
    }

    fn name(&self, number: usize) -> Option<&str> {
        let names = match number.checked_sub(LETTERS) {
            None => self.names.get(number),
            Some(past) => self.extras.names.get(past),
        };
        names?.as_deref()
    }

    fn count(&self, used: Flags) -> usize {
        let used = used.keywords().last().map_or(0, |keyword| usize::from(keyword.number()) + 1);
        let extras = self.extras.names.len();
        let named = if extras > 0 { LETTERS + extras } else { self.names.len() };
        named.max(used)
    }

    /// The keyword of this name; case does not matter.
    pub(crate) fn find(&self, name: &str) -> Option<Keyword> {
        if let Some(number) = name.strip_prefix(UNKNOWN).and_then(|number| decimal(number.as_bytes())) {
            let number = u8::try_from(number).ok()?;
            return Keyword::new(number).filter(|_| self.name(usize::from(number)).is_none());
        }
        let same = |&number: &usize| self.name(number).is_some_and(|known| known.eq_ignore_ascii_case(name));
        (0..self.count(Flags::NONE)).find(same).and_then(|number| Keyword::new(u8::try_from(number).ok()?))
    }

    /// Are all letters taken?
    pub(crate) fn is_full(&self) -> bool {
        self.names.len() >= LETTERS && self.names.iter().all(Option::is_some)
    }

    /// Gives a name a letter, or a number past the letters, and writes the file. `None` if there is none left. A letter
    /// without a name may yet stand in names of messages, so such a one comes last.
    pub(crate) fn add(
        &mut self,
        control: &Path,
        name: &str,
        uid_validity: u32,
        now: Now,
    ) -> Result<Option<Keyword>, Error> {
        if self.is_full() {
            return self.extras.add(control, name, uid_validity);
        }
        let mut free = self.names.len();
        if free >= LETTERS {
            free = self.names.iter().position(Option::is_none).unwrap_or(free);
        }
        let Some(keyword) = u8::try_from(free).ok().and_then(Keyword::new) else { return Ok(None) };
        let mut names = self.names.clone();
        names.resize(names.len().max(free + 1), None);
        if let Some(place) = names.get_mut(free) {
            *place = Some(name.into());
        }
        self.stamp = Some(write(control, &names, self.stamp, now)?);
        self.names = names;
        self.edition = self.edition.wrapping_add(1);
        Ok(Some(keyword))
    }
}

/// May a keyword have this name? An atom (RFC 3501) of bearable length.
pub(crate) fn is_name(name: &[u8]) -> bool {
    let atom = |byte: &u8| byte.is_ascii_graphic() && !br#"(){%*"\]"#.contains(byte);
    !name.is_empty() && name.len() <= NAME_MAX && name.iter().all(atom)
}

/// Lines that say nothing are ignored. Names that would not survive the wire are none.
fn parse(text: &[u8]) -> Vec<Option<Box<str>>> {
    let mut names: Vec<Option<Box<str>>> = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let mut parts = line.splitn(2, |&byte| byte == b' ');
        let number = parts.next().and_then(decimal).and_then(|number| u8::try_from(number).ok());
        let Some(keyword) = number.and_then(Keyword::new).filter(|keyword| keyword.has_letter()) else {
            continue;
        };
        let Some(name) = parts.next().filter(|name| is_name(name)) else { continue };
        let index = usize::from(keyword.number());
        names.resize(names.len().max(index + 1), None);
        if let (Some(place), Ok(name)) = (names.get_mut(index), str::from_utf8(name)) {
            *place = Some(name.into());
        }
    }
    names
}

fn write(control: &Path, names: &[Option<Box<str>>], old: Option<Stamp>, now: Now) -> Result<Stamp, Error> {
    let path = control.join("dovecot-keywords");
    let tmp: PathBuf = control.join("dovecot-keywords.lock");
    let mut text = Vec::new();
    for (number, name) in names.iter().enumerate() {
        if let Some(name) = name {
            text.extend_from_slice(format!("{number} {name}\n").as_bytes());
        }
    }
    let io = |doing| Error::io(doing, &tmp);
    let mut file = Creation::within(control).replacement(&tmp).map_err(io("create"))?;
    file.write_all(&text).map_err(io("write"))?;
    let after_old = old.and_then(|old| u64::try_from(old.modified.0 + 1).ok()).unwrap_or(0);
    let after_old = UNIX_EPOCH + Duration::from_secs(after_old);
    let modified: SystemTime = now.wall.max(after_old);
    file.set_modified(modified).map_err(io("touch"))?;
    file.sync_all().map_err(io("sync"))?;
    let stamp = Stamp::of(&file.metadata().map_err(io("examine"))?);
    fs::rename(&tmp, &path).map_err(Error::io("replace", &path))?;
    Ok(stamp)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_come_back_and_time_grows() {
        let dir = tempfile::tempdir().unwrap();
        let mut keywords = Keywords::default();
        let now = Now::read();
        for (number, name) in ["$Junk", "Work", "$Forwarded"].iter().enumerate() {
            let before = keywords.stamp;
            let keyword = keywords.add(dir.path(), name, 7, now).unwrap().unwrap();
            assert_eq!(usize::from(keyword.number()), number);
            assert!(before.is_none_or(|before| before.modified.0 < keywords.stamp.unwrap().modified.0));
        }
        let mut others = Keywords::default();
        others.refresh(dir.path()).unwrap();
        assert_eq!(others.names(Flags::NONE).collect::<Vec<_>>(), ["$Junk", "Work", "$Forwarded"]);
        assert_eq!(others.find("work"), Keyword::new(1));
    }

    #[test]
    fn the_27th_has_no_letter_and_the_251st_is_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let mut keywords = Keywords::default();
        for number in 0..250 {
            let keyword = keywords.add(dir.path(), &format!("k{number}"), 7, Now::read()).unwrap();
            assert_eq!(keyword, Keyword::new(number));
        }
        assert_eq!(keywords.add(dir.path(), "one-more", 7, Now::read()).unwrap(), None);
        assert_eq!((keywords.find("K249"), keywords.names(Flags::NONE).count()), (Keyword::new(249), 250));
        assert_eq!(fs::read_to_string(dir.path().join("dovecot-keywords")).unwrap().lines().count(), 26);
    }

    #[test]
    fn what_is_no_name_has_a_number() {
        let names = parse(b"2 Fine\nrubbish\n0 two words\n99 High\n\n1 \"quoted\n");
        let keywords = Keywords { names, ..Keywords::default() };
        assert_eq!(keywords.names(Flags::NONE).collect::<Vec<_>>(), ["unknown-0", "unknown-1", "Fine"]);
    }

    #[test]
    fn a_letter_that_only_messages_have_has_a_number() {
        let keywords = Keywords { names: parse(b"0 Work\n"), ..Keywords::default() };
        let used = Flags::NONE.with_keyword(Keyword::new(2).unwrap());
        assert_eq!(keywords.names(used).collect::<Vec<_>>(), ["Work", "unknown-1", "unknown-2"]);
        assert_ne!(keywords.edition(used), keywords.edition(Flags::NONE));
        assert_eq!((keywords.find("unknown-2"), keywords.find("unknown-0")), (Keyword::new(2), None));
    }

    #[test]
    fn a_removed_file_has_no_names() {
        let dir = tempfile::tempdir().unwrap();
        let mut keywords = Keywords::default();
        keywords.add(dir.path(), "Work", 7, Now::read()).unwrap();
        fs::remove_file(dir.path().join("dovecot-keywords")).unwrap();
        keywords.refresh(dir.path()).unwrap();
        assert_eq!(keywords.names(Flags::NONE).count(), 0);
    }

    proptest! {
        #[test]
        fn no_file_is_too_odd(text in any::<Vec<u8>>()) {
            prop_assert!(parse(&text).len() <= 26);
        }
    }
}
