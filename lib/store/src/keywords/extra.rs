//! `mail-keywords`: the keywords for which there is no letter left, and which messages have them. It is our own file;
//! Dovecot keeps such keywords in its index alone.
//!
//! ```text
//! 1 V<uidvalidity>
//! K26 <name>      keyword 26 has this name
//! 7 +26           the message with UID 7 has it
//! 7 -26           and has it no longer
//! ```
//!
//! Lines are only ever appended, under a shared lock (flock(2)) on the file, each in one write, so that processes need
//! not know of each other. Names are given under the uidlist's lock. A file that has become long is written anew under
//! an exclusive lock on the old one, which then bears the name no more. A file of another UIDVALIDITY says nothing.
//! Whatever else stands there is passed over.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::is_name;
use crate::file::{Stamp, open_regular, open_to_append};
use crate::filename::decimal;
use crate::flags::Extra;
use crate::mode::Creation;
use crate::model::Model;
use crate::scan::Budget;
use crate::{Error, Keyword, Uid};

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// By number, from [`Keyword::LETTERS`] on.
    pub(super) names: Vec<Option<Box<str>>>,
    read: Option<Read>,
    /// What was read and is not yet the model's. Of messages that are not known yet, it stays here.
    draft: BTreeMap<Uid, Extra>,
    draft_names: Vec<Option<Box<str>>>,
    /// The draft began at the head of the file: what it does not have, no message has.
    whole: bool,
    /// Grows with each change of the names.
    pub(super) edition: u32,
}

/// How far the file was read.
#[derive(Clone, Copy, Debug)]
struct Read {
    identity: u64,
    uid_validity: u32,
    offset: u64,
    /// It is not ours to read.
    void: bool,
    lines: usize,
    /// Look at so many lines whether it has become too long.
    review: usize,
}

const CHUNK: usize = 32 * 1024;
const FILE_MAX: u64 = 64 * 1024 * 1024;
/// Records of messages that are not known yet.
const AHEAD_MAX: usize = 10_000;
/// Fewer lines are never too many.
const REVIEW: usize = 4096;

impl Extras {
    /// A turn of bringing `model` into agreement with the file. True when it is.
    pub(crate) fn step(&mut self, dir: &Path, model: &mut Model, budget: &mut Budget) -> Result<bool, Error> {
        let path = path(dir);
        loop {
            let file = match open_regular(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if self.read.take().is_some() {
                        self.begin();
                    }
                    break;
                }
                Err(error) => return Err(Error::io("open", &path)(error)),
            };
            let stamp = Stamp::of(&file.metadata().map_err(Error::io("examine", &path))?);
            let known = self.read.filter(|read| {
                read.identity == stamp.identity
                    && read.offset <= stamp.size
                    && read.uid_validity == model.uid_validity
            });
            let mut read = known.unwrap_or_else(|| {
                self.begin();
                Read {
                    identity: stamp.identity,
                    uid_validity: model.uid_validity,
                    offset: 0,
                    void: stamp.size > FILE_MAX,
                    lines: 0,
                    review: REVIEW,
                }
            });
            let lines = if read.void { None } else { self.chunk(&file, &mut read, model) };
            self.read = Some(read);
            match lines.transpose().map_err(Error::io("read", &path))? {
                None => break,
                Some(lines) if !budget.take(lines) => return Ok(false),
                Some(_) => {}
            }
        }
        Ok(self.settle(dir, model, budget))
    }

    /// Makes the file say less, if it has become long. Others may hold it at the moment; then another time.
    fn compact(&mut self, dir: &Path, model: &Model) -> Result<(), Error> {
        let path = path(dir);
        let old = open_regular(&path).map_err(Error::io("open", &path))?;
        let size = old.metadata().map_err(Error::io("examine", &path))?.len();
        let whole =
            self.read.is_some_and(|read| Some(read.identity) == identity(&path) && read.offset == size);
        if !whole || !self.draft.is_empty() || old.try_lock().is_err() {
            return Ok(());
        }
        // Nobody has written since: or else what he wrote is read first, and this waits.
        if old.metadata().map_err(Error::io("examine", &path))?.len() != size {
            return Ok(());
        }
        let mut text = self.head(model.uid_validity);
        for entry in model.messages.all() {
            append_changes(&mut text, entry.uid, Extra::NONE, model.messages.extra(entry));
        }
        replace(dir, &text)
    }

    /// Header and names.
    fn head(&self, uid_validity: u32) -> Vec<u8> {
        let mut text = format!("1 V{uid_validity}\n").into_bytes();
        for (name, number) in self.names.iter().zip(Keyword::LETTERS..) {
            if let Some(name) = name {
                text.extend_from_slice(format!("K{number} {name}\n").as_bytes());
            }
        }
        text
    }

    /// Names a keyword, under the uidlist's lock, all being read. `None` if there is no number left.
    pub(super) fn add(
        &mut self,
        dir: &Path,
        name: &str,
        uid_validity: u32,
    ) -> Result<Option<Keyword>, Error> {
        let number = u8::try_from(self.names.len()).ok().and_then(|past| past.checked_add(Keyword::LETTERS));
        let Some(keyword) = number.and_then(Keyword::new) else { return Ok(None) };
        self.names.push(Some(name.into()));
        let readable =
            self.read.is_some_and(|read| !read.void && Some(read.identity) == identity(&path(dir)));
        let written = if readable {
            let line = format!("K{} {name}\n", keyword.number());
            append(dir, line.as_bytes()).map_err(Error::io("write", &path(dir)))
        } else {
            replace(dir, &self.head(uid_validity))
        };
        if let Err(error) = written {
            self.names.pop();
            return Err(error);
        }
        self.edition = self.edition.wrapping_add(1);
        Ok(Some(keyword))
    }

    fn begin(&mut self) {
        (self.whole, self.draft, self.draft_names) = (true, BTreeMap::new(), Vec::new());
    }

    /// Reads some lines; how many. `None` at the end.
    fn chunk(&mut self, file: &File, read: &mut Read, model: &Model) -> Option<io::Result<usize>> {
        let mut chunk = vec![0; CHUNK];
        let length = match file.read_at(&mut chunk, read.offset) {
            Ok(length) => length,
            Err(error) => return Some(Err(error)),
        };
        let chunk = chunk.get(..length).unwrap_or_default();
        let end = match memchr::memrchr(b'\n', chunk) {
            Some(end) => end + 1,
            None if length == CHUNK => length,
            // A line that is not yet complete.
            None => return None,
        };
        let mut lines = chunk.get(..end).unwrap_or_default().split(|&byte| byte == b'\n');
        if read.offset == 0 && lines.next() != Some(format!("1 V{}", read.uid_validity).as_bytes()) {
            read.void = true;
            return None;
        }
        if !self.whole && self.draft_names.is_empty() {
            self.draft_names.clone_from(&self.names);
        }
        let before = read.lines;
        for line in lines {
            read.lines += 1;
            // What makes no sense is no line of ours.
            let _ = self.line(line, model);
        }
        read.offset += end as u64;
        Some(Ok(read.lines - before))
    }

    fn line(&mut self, line: &[u8], model: &Model) -> Option<()> {
        let (first, rest) = line.split_at(memchr::memchr(b' ', line)?);
        let rest = rest.get(1..)?;
        if let Some(number) = first.strip_prefix(b"K") {
            let index = usize::from(extra(number)?.number() - Keyword::LETTERS);
            let name = str::from_utf8(rest).ok().filter(|name| is_name(name.as_bytes()))?;
            self.draft_names.resize(self.draft_names.len().max(index + 1), None);
            // The first one holds: messages have it.
            self.draft_names.get_mut(index)?.get_or_insert_with(|| name.into());
            return Some(());
        }
        let uid = Uid(u32::try_from(decimal(first)?).ok()?.try_into().ok()?);
        let (sign, number) = rest.split_first()?;
        let keyword = extra(number)?;
        let entry = model.messages.entry(uid);
        let ahead = uid.get() > model.highest() && self.draft.len() < model.messages.all().len() + AHEAD_MAX;
        if entry.is_none() && !ahead {
            return None;
        }
        let known = entry.filter(|_| !self.whole).map(|entry| model.messages.extra(entry));
        let had = self.draft.get(&uid).copied().or(known).unwrap_or_default();
        let has = match sign {
            b'+' => had.with(keyword),
            b'-' => had.without(Extra::NONE.with(keyword)),
            _ => return None,
        };
        self.draft.insert(uid, has);
        Some(())
    }

    /// What was read becomes the model's. False if the budget does not suffice.
    fn settle(&mut self, dir: &Path, model: &mut Model, budget: &mut Budget) -> bool {
        if self.whole {
            let lost = model.messages.all().iter().filter(|entry| entry.extra != 0).map(|entry| entry.uid);
            let lost: Vec<Uid> = lost.filter(|uid| !self.draft.contains_key(uid)).collect();
            lost.into_iter().for_each(|uid| model.set_extra(uid, Extra::NONE));
        }
        if self.whole || !self.draft_names.is_empty() {
            let names = std::mem::take(&mut self.draft_names);
            if names != self.names {
                self.names = names;
                self.edition = self.edition.wrapping_add(1);
            }
        }
        self.whole = false;
        let highest = model.highest();
        while let Some((uid, extra)) = self.draft.first_key_value().map(|(uid, extra)| (*uid, *extra))
            && uid.get() <= highest
        {
            if !budget.take(1) {
                return false;
            }
            self.draft.remove(&uid);
            model.set_extra(uid, extra);
        }
        if let Some(read) = &mut self.read
            && read.lines >= read.review
            && model.has_writer()
        {
            read.review = read.lines * 2;
            let live: usize =
                model.messages.all().iter().map(|entry| model.messages.extra(entry).len()).sum();
            if read.lines > live * 4 + REVIEW / 2
                && let Err(error) = self.compact(dir, model)
            {
                log::warn!("{error}");
            }
        }
        true
    }
}

/// Appends to `text` what makes of `before` `after`.
pub(crate) fn append_changes(text: &mut Vec<u8>, uid: Uid, before: Extra, after: Extra) {
    for (sign, set) in [('-', before.without(after)), ('+', after.without(before))] {
        for keyword in set.keywords() {
            text.extend_from_slice(format!("{uid} {sign}{}\n", keyword.number()).as_bytes());
        }
    }
}

/// Appends whole lines to the file, which is there.
pub(crate) fn append(dir: &Path, lines: &[u8]) -> io::Result<()> {
    let path = path(dir);
    for _ in 0..TRIES {
        let mut file = open_to_append(&path)?;
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let stamp = Stamp::of(&file.metadata()?);
        if Some(stamp.identity) != identity(&path) {
            // It was written anew before we had the lock.
            continue;
        }
        // After half a line, of one who died.
        let mut last = [b'\n'];
        if stamp.size > 0 {
            open_regular(&path)?.read_exact_at(&mut last, stamp.size - 1)?;
        }
        let gap: &[u8] = if last == *b"\n" { b"" } else { b"\n" };
        return file.write_all(&[gap, lines].concat());
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

/// Gives another mailbox, in which the messages have the same UIDs, what the file says. Each directory with its
/// UIDVALIDITY.
pub(crate) fn carry((from, before): (&Path, u32), (to, after): (&Path, u32)) -> Result<(), Error> {
    let (from, mut text) = (path(from), Vec::new());
    let file = match open_regular(&from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(Error::io("open", &from))?,
    };
    file.take(FILE_MAX).read_to_end(&mut text).map_err(Error::io("read", &from))?;
    match text.strip_prefix(format!("1 V{before}\n").as_bytes()) {
        Some(lines) => replace(to, &[format!("1 V{after}\n").as_bytes(), lines].concat()),
        None => Ok(()),
    }
}

/// Nobody writes the file anew as often.
const TRIES: usize = 5;

fn replace(dir: &Path, text: &[u8]) -> Result<(), Error> {
    let tmp = dir.join("mail-keywords.tmp");
    let mut file = Creation::within(dir).replacement(&tmp).map_err(Error::io("create", &tmp))?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(Error::io("write", &tmp))?;
    fs::rename(&tmp, path(dir)).map_err(Error::io("replace", &path(dir)))
}

fn path(dir: &Path) -> PathBuf {
    dir.join("mail-keywords")
}

fn identity(path: &Path) -> Option<u64> {
    Stamp::at(path).ok().flatten().map(|stamp| stamp.identity)
}

/// The keyword with this number, if it has no letter.
fn extra(number: &[u8]) -> Option<Keyword> {
    let number = u8::try_from(decimal(number)?).ok()?;
    Keyword::new(number).filter(|keyword| !keyword.has_letter())
}

#[cfg(test)]
mod tests;
