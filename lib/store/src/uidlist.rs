//! `dovecot-uidlist`: which UID each message has. Version 3 is written, 1 and 3 are read.
//!
//! ```text
//! 3 V<uidvalidity> N<next uid>[ <key><value>...]
//! <uid>[ <key><value>...] :<base name>
//! ```
//!
//! New records are appended; a rewrite goes to a file of its own that then takes the list's place. Whoever writes
//! holds the lock; whoever reads needs none and leaves a last line without its end for later. What we do not know, in
//! the header or in a record, is kept. Nothing here is held in memory but one line.

mod write;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::file::{Stamp, open_regular};
use crate::filename::{decimal, split};
use crate::{Error, Uid};

pub(crate) use write::{Rewrite, Unknown, Written, append};

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u8,
    pub(crate) uid_validity: u32,
    pub(crate) next: u32,
    /// All other keys as they stand there, separated by blanks.
    pub(crate) more: Vec<u8>,
}

/// One further line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) uid: Uid,
    /// Keys and values as they stand there, separated by blanks.
    pub(crate) keys: &'a [u8],
    /// Without the flags that older versions wrote after it.
    pub(crate) base: &'a [u8],
}

/// How far a list was read, and what it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    stamp: Stamp,
    /// End of the last whole line.
    offset: u64,
    pub(crate) version: u8,
    /// The last record's UID.
    last: u32,
    /// Lines after the first.
    pub(crate) records: u32,
}

/// Where a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    identity: u64,
    offset: u64,
}

/// What became of a list since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    Unchanged,
    Appended,
    Replaced,
    Missing,
}

/// Why a list can't be read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is no list: to be made anew.
    Broken(&'static str),
    /// The system said no.
    Io(Error),
}

/// Reads a list, record by record.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    file: File,
    /// `None` when reading goes on where an earlier one ended.
    pub(crate) header: Option<Header>,
    progress: Progress,
    buffer: Vec<u8>,
    /// Start of what is not yet consumed in `buffer`.
    start: usize,
    /// UIDs from here on are impossible (version 1 only).
    bound: u32,
}

const LINE_MAX: usize = 8 * 1024;
/// More than the last line is mostly long.
const WINDOW: usize = 1024;
const CHUNK: usize = 32 * 1024;

impl Header {
    fn parse(line: &[u8]) -> Result<Header, Fault> {
        let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        let mut header = match words.next() {
            Some(b"3") => Header { version: 3, uid_validity: 0, next: 0, more: Vec::new() },
            Some(b"1") => {
                let mut number = || words.next().and_then(decimal).and_then(|n| u32::try_from(n).ok());
                let (uid_validity, next) = (number().unwrap_or(0), number().unwrap_or(0));
                Header { version: 1, uid_validity, next, more: Vec::new() }
            }
            _ => return Err(Fault::Broken("unknown version")),
        };
        if header.version == 3 {
            for word in words {
                let number = word.get(1..).and_then(decimal).and_then(|number| u32::try_from(number).ok());
                match word.first() {
                    Some(b'V') => header.uid_validity = number.unwrap_or(0),
                    Some(b'N') => header.next = number.unwrap_or(0),
                    _ => {
                        header.more.extend_from_slice(if header.more.is_empty() { b"" } else { b" " });
                        header.more.extend_from_slice(word);
                    }
                }
            }
        }
        match header {
            Header { uid_validity: 0, .. } => Err(Fault::Broken("no UIDVALIDITY")),
            Header { next: 0, .. } => Err(Fault::Broken("no next UID")),
            header => Ok(header),
        }
    }

    fn line(&self) -> Vec<u8> {
        let mut line = format!("3 V{} N{}", self.uid_validity, self.next).into_bytes();
        if !self.more.is_empty() {
            line.push(b' ');
            line.extend_from_slice(&self.more);
        }
        line.push(b'\n');
        line
    }
}

impl<'a> Record<'a> {
    fn parse(version: u8, line: &'a [u8]) -> Result<Record<'a>, Fault> {
        let blank = memchr::memchr(b' ', line).ok_or(Fault::Broken("record without a name"))?;
        let (uid, rest) = line.split_at(blank);
        let uid = decimal(uid).and_then(|uid| NonZeroU32::new(u32::try_from(uid).ok()?));
        let uid = Uid(uid.ok_or(Fault::Broken("bad UID"))?);
        let (keys, name) = if version == 1 {
            (&b""[..], rest.get(1..).unwrap_or_default())
        } else {
            let at = memchr::memmem::find(rest, b" :").ok_or(Fault::Broken("record without a name"))?;
            let (keys, name) = rest.split_at(at);
            (keys.trim_ascii(), name.get(2..).unwrap_or_default())
        };
        let (base, _) = split(name);
        if base.is_empty() || memchr::memchr(b'/', name).is_some() {
            return Err(Fault::Broken("bad file name"));
        }
        Ok(Record { uid, keys, base })
    }

    /// The value of a key.
    pub(crate) fn value(&self, key: u8) -> Option<&'a [u8]> {
        self.keys.split(|&byte| byte == b' ').find_map(|word| word.strip_prefix(&[key]))
    }

    /// RFC822.SIZE, if the record has it.
    pub(crate) fn virtual_size(&self) -> Option<u32> {
        self.value(b'W').and_then(decimal).and_then(|size| u32::try_from(size).ok())
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{}", self.uid.0)?;
        if !self.keys.is_empty() {
            out.write_all(b" ")?;
            out.write_all(self.keys)?;
        }
        out.write_all(b" :")?;
        out.write_all(self.base)?;
        out.write_all(b"\n")
    }
}

impl End {
    /// Was it in the list already, when the list was as this stamp says?
    pub(crate) fn is_within(self, list: &Stamp) -> bool {
        self.identity == list.identity && self.offset <= list.size
    }
}

impl Progress {
    /// Compares with what is there now.
    pub(crate) fn since(&self, now: Option<Stamp>) -> Since {
        match now {
            None => Since::Missing,
            Some(now) if now == self.stamp => Since::Unchanged,
            Some(now) if now.identity == self.stamp.identity && now.size > self.stamp.size => Since::Appended,
            Some(_) => Since::Replaced,
        }
    }

    /// Does the last line that was read end where it ended? Not all file systems tell one file from the next.
    fn fits(&self, file: &File) -> io::Result<bool> {
        let mut window = vec![0; usize::try_from(self.offset).map_or(WINDOW, |offset| offset.min(WINDOW))];
        let start = self.offset - window.len() as u64;
        file.read_exact_at(&mut window, start)?;
        let Some(lines) = window.strip_suffix(b"\n") else { return Ok(false) };
        let line = lines.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
        Ok(match self.records {
            0 => Header::parse(line).is_ok(),
            _ => Record::parse(self.version, line).is_ok_and(|record| record.uid.get() == self.last),
        })
    }

    /// Is the last line cut off? Then nothing may be appended to it.
    pub(crate) fn ends_in_mid_line(&self) -> bool {
        self.offset != self.stamp.size
    }
}

impl Reader {
    /// Starts at the head of a list. No list: `None`.
    pub(crate) fn open(path: &Path) -> Result<Option<Reader>, Fault> {
        let file = match open_regular(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::Io(Error::io("open", path)(error))),
        };
        let stamp = Stamp::of(&file.metadata().map_err(Error::io("examine", path)).map_err(Fault::Io)?);
        let progress = Progress { stamp, offset: 0, version: 0, last: 0, records: 0 };
        let mut reader = Reader::new(path, file, progress);
        let header = match reader.line()? {
            Some(range) => Header::parse(reader.slice(range))?,
            None => return Err(Fault::Broken("no header")),
        };
        if header.version == 1 {
            reader.bound = header.next;
        }
        reader.progress.version = header.version;
        reader.header = Some(header);
        Ok(Some(reader))
    }

    /// Goes on where an earlier reading ended; `None` if the list was replaced meanwhile.
    pub(crate) fn resume(path: &Path, progress: Progress) -> Result<Option<Reader>, Fault> {
        let io = |doing| move |error| Fault::Io(Error::io(doing, path)(error));
        let mut file = match open_regular(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("open")(error)),
        };
        let stamp = Stamp::of(&file.metadata().map_err(io("examine"))?);
        let same = stamp.identity == progress.stamp.identity && stamp.size >= progress.offset;
        if !same || !progress.fits(&file).map_err(io("read"))? {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(progress.offset)).map_err(io("read"))?;
        Ok(Some(Reader::new(path, file, Progress { stamp, ..progress })))
    }

    fn new(path: &Path, file: File, progress: Progress) -> Reader {
        let path = path.to_owned();
        Reader { path, file, header: None, progress, buffer: Vec::new(), start: 0, bound: u32::MAX }
    }

    /// The next record, and where it ends. `None` after the last whole line.
    pub(crate) fn next(&mut self) -> Result<Option<(Record<'_>, End)>, Fault> {
        let Some(range) = self.line()? else { return Ok(None) };
        let record = Record::parse(self.progress.version, self.buffer.get(range).unwrap_or_default())?;
        if record.uid.get() <= self.progress.last {
            return Err(Fault::Broken("UIDs do not ascend"));
        }
        if record.uid.get() >= self.bound {
            return Err(Fault::Broken("UID beyond the next one"));
        }
        self.progress.last = record.uid.get();
        self.progress.records = self.progress.records.saturating_add(1);
        let end = End { identity: self.progress.stamp.identity, offset: self.progress.offset };
        Ok(Some((record, end)))
    }

    /// How far it came.
    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// One more than the last UID that was read.
    pub(crate) fn after_last(&self) -> u32 {
        self.progress.last.saturating_add(1)
    }

    fn slice(&self, range: std::ops::Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// Where the next whole line is in the buffer, without its end.
    fn line(&mut self) -> Result<Option<std::ops::Range<usize>>, Fault> {
        let mut searched = self.start;
        loop {
            let rest = self.buffer.get(searched..).unwrap_or_default();
            if let Some(length) = memchr::memchr(b'\n', rest) {
                let range = self.start..searched + length;
                self.start = range.end + 1;
                self.progress.offset += range.len() as u64 + 1;
                return Ok(Some(range));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            searched = self.buffer.len();
            if searched > LINE_MAX {
                return Err(Fault::Broken("endless line"));
            }
            self.buffer.reserve_exact(CHUNK);
            let mut chunk = (&mut self.file).take(CHUNK as u64);
            let read = chunk.read_to_end(&mut self.buffer);
            if read.map_err(Error::io("read", &self.path)).map_err(Fault::Io)? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
