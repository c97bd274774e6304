//! Writing the list: whole, to a file of its own that then takes the list's place, or new records at its end. Both only
//! under the lock.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Header, Progress, Reader, Record, Since};
use crate::file::{Stamp, open_to_append};
use crate::mode::Creation;
use crate::scan::Budget;
use crate::{Error, Uid};

/// Writes a list anew, record by record.
#[derive(Debug)]
pub(crate) struct Rewrite {
    path: PathBuf,
    tmp: PathBuf,
    out: BufWriter<File>,
    old: Option<Reader>,
    /// A record of the old list that was read too early.
    ahead: Option<Kept>,
    /// Do records that the model does not know stay?
    unknown: Unknown,
    last: u32,
    records: u32,
}

/// A list that is complete, beside the one that it is to replace.
#[derive(Debug)]
pub(crate) struct Written {
    path: PathBuf,
    pub(crate) tmp: PathBuf,
    progress: Progress,
}

/// What a rewrite does with records that nobody claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Their messages are gone.
    Drop,
    /// Their messages may only have been overlooked.
    Keep,
}

#[derive(Debug)]
struct Kept {
    uid: Uid,
    keys: Vec<u8>,
    base: Vec<u8>,
}

const CHUNK: usize = 32 * 1024;

impl Rewrite {
    /// Starts a list in place of `path`. What the old one has of unknown keys is kept.
    pub(crate) fn begin(
        path: &Path,
        uid_validity: u32,
        next: u32,
        unknown: Unknown,
    ) -> Result<Rewrite, Error> {
        // A list that can't be read has nothing to give.
        let old = Reader::open(path).ok().flatten();
        let more = old.as_ref().and_then(|old| old.header.as_ref()).map(|header| header.more.clone());
        let header = Header { version: 3, uid_validity, next, more: more.unwrap_or_default() };
        Rewrite::new(path, &header, old, unknown)
    }

    /// Starts a list at `path` with all the records of another one. Of its header only the next UID is taken: the rest
    /// tells that mailbox from others.
    pub(crate) fn of(other: Reader, path: &Path, uid_validity: u32) -> Result<Rewrite, Error> {
        let next = other.header.as_ref().map_or(1, |header| header.next);
        let header = Header { version: 3, uid_validity, next, more: Vec::new() };
        Rewrite::new(path, &header, Some(other), Unknown::Keep)
    }

    fn new(path: &Path, header: &Header, old: Option<Reader>, unknown: Unknown) -> Result<Rewrite, Error> {
        let mut tmp = path.as_os_str().to_owned();
        tmp.push(".tmp");
        let tmp = PathBuf::from(tmp);
        let dir = path.parent().unwrap_or(Path::new("/"));
        let file = Creation::within(dir).replacement(&tmp).map_err(Error::io("create", &tmp))?;
        let mut out = BufWriter::with_capacity(CHUNK, file);
        out.write_all(&header.line()).map_err(Error::io("write", &tmp))?;
        Ok(Rewrite { path: path.to_owned(), tmp, out, old, ahead: None, unknown, last: 0, records: 0 })
    }

    /// Writes one record. UIDs must ascend.
    pub(crate) fn put(&mut self, uid: Uid, base: &[u8]) -> Result<(), Error> {
        let mut keys = Vec::new();
        while let Some(old) = self.old_record() {
            if old.uid > uid {
                self.ahead = Some(old);
                break;
            }
            if old.uid == uid && old.base == base {
                keys = old.keys;
            } else if old.uid < uid {
                self.keep(&old)?;
            }
        }
        self.write(&Record { uid, keys: &keys, base })
    }

    /// Takes more of the old records. True when there are no others.
    pub(crate) fn keep_some(&mut self, budget: &mut Budget) -> Result<bool, Error> {
        while budget.take(1) {
            match self.old_record() {
                Some(old) => self.keep(&old)?,
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Makes it the list. With `fsync`, not before it is on the disk, for which it waits here.
    pub(crate) fn finish(self, fsync: bool) -> Result<Progress, Error> {
        let (written, file) = self.write_out()?;
        if fsync {
            file.sync_data().map_err(Error::io("sync", &written.tmp))?;
        }
        written.install()
    }

    /// Completes it, beside the list; the file is what should be on the disk before it takes its place.
    pub(crate) fn write_out(mut self) -> Result<(Written, File), Error> {
        while let Some(old) = self.old_record() {
            self.keep(&old)?;
        }
        let Rewrite { path, tmp, mut out, last, records, .. } = self;
        out.flush().map_err(Error::io("write", &tmp))?;
        let file = out.into_inner().map_err(|error| Error::io("write", &tmp)(error.into_error()))?;
        let stamp = Stamp::of(&file.metadata().map_err(Error::io("examine", &tmp))?);
        let progress = Progress { stamp, offset: stamp.size, version: 3, last, records };
        Ok((Written { path, tmp, progress }, file))
    }

    fn keep(&mut self, old: &Kept) -> Result<(), Error> {
        match self.unknown {
            Unknown::Keep => self.write(&Record { uid: old.uid, keys: &old.keys, base: &old.base }),
            Unknown::Drop => Ok(()),
        }
    }

    fn write(&mut self, record: &Record<'_>) -> Result<(), Error> {
        (self.last, self.records) = (record.uid.get(), self.records.saturating_add(1));
        record.write(&mut self.out).map_err(Error::io("write", &self.tmp))
    }

    fn old_record(&mut self) -> Option<Kept> {
        if let Some(ahead) = self.ahead.take() {
            return Some(ahead);
        }
        // What follows a broken line is lost, as all of a broken list is.
        let (record, _) = self.old.as_mut()?.next().ok().flatten()?;
        Some(Kept { uid: record.uid, keys: record.keys.to_vec(), base: record.base.to_vec() })
    }
}

impl Written {
    /// Makes it the list.
    pub(crate) fn install(self) -> Result<Progress, Error> {
        fs::rename(&self.tmp, &self.path).map_err(Error::io("replace", &self.path))?;
        Ok(self.progress)
    }
}

/// Appends records to a list that was read to its end, under the same lock. The file is what should be on the disk
/// before anybody is told: a UID that a client knows must not be given to another message after a loss of power.
pub(crate) fn append<'a>(
    path: &Path,
    progress: &Progress,
    records: impl Iterator<Item = (Uid, &'a [u8])>,
) -> Result<(Progress, File), Error> {
    let mut after = *progress;
    let mut lines = Vec::new();
    for (uid, base) in records {
        Record { uid, keys: b"", base }.write(&mut lines).map_err(Error::io("write", path))?;
        after.last = uid.get();
        after.records = after.records.saturating_add(1);
    }
    let mut file = open_to_append(path).map_err(Error::io("open", path))?;
    let now = Stamp::of(&file.metadata().map_err(Error::io("examine", path))?);
    if progress.since(Some(now)) != Since::Unchanged || progress.ends_in_mid_line() {
        let changed = io::Error::other("it changed under our lock");
        return Err(Error::io("append to", path)(changed));
    }
    if let Err(error) = file.write_all(&lines) {
        // Half a line would make the whole list look broken to the next writer.
        let _ = file.set_len(progress.offset);
        return Err(Error::io("write", path)(error));
    }
    after.stamp = Stamp::of(&file.metadata().map_err(Error::io("examine", path))?);
    after.offset = after.stamp.size;
    Ok((after, file))
}
