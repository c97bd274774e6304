//! Files that the model does not know, until each has a UID.

use std::iter::Peekable;
use std::vec::IntoIter;

use hashbrown::HashTable;

use crate::messages::{Full, NAMES_MAX, Name, Place};
use crate::{Uid, filename};

/// The files, and their names in one piece of memory.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    files: Vec<File>,
    names: Vec<u8>,
    index: HashTable<Indexed>,
}

#[derive(Clone, Copy, Debug)]
struct File {
    /// Where its base is in `names`; the info stands after it.
    at: u32,
    base: u8,
    /// `None`: no colon.
    info: Option<u8>,
    place: Place,
    uid: Option<Uid>,
    /// By this scan, not only by one before.
    seen: bool,
}

#[derive(Clone, Copy, Debug)]
struct Indexed {
    hash: u64,
    index: u32,
}

/// Files by their indices, with their times of arrival, in order.
pub(crate) type Run = Vec<Arrived>;

type Arrived = ((u64, u64), usize);

/// Two runs on the way to be one.
#[derive(Debug)]
pub(crate) struct Merge {
    one: Peekable<IntoIter<Arrived>>,
    other: Peekable<IntoIter<Arrived>>,
    merged: Run,
}

impl Merge {
    pub(crate) fn new(one: Run, other: Run) -> Merge {
        let merged = Vec::with_capacity(one.len() + other.len());
        Merge { one: one.into_iter().peekable(), other: other.into_iter().peekable(), merged }
    }

    pub(crate) fn into_run(self) -> Run {
        self.merged
    }
}

impl Strangers {
    /// A file's name.
    pub(crate) fn name(&self, index: usize) -> Option<Name<'_>> {
        let file = self.files.get(index)?;
        let (base, rest) = self.names.get(file.at as usize..)?.split_at_checked(usize::from(file.base))?;
        let info = match file.info {
            Some(length) => Some(rest.get(..usize::from(length))?),
            None => None,
        };
        Some(Name { place: file.place, base, info })
    }

    /// The UID that a file was given.
    pub(crate) fn uid(&self, index: usize) -> Option<Uid> {
        self.files.get(index)?.uid
    }

    /// Gives a file its UID.
    pub(crate) fn assign(&mut self, index: usize, uid: Uid) {
        if let Some(file) = self.files.get_mut(index) {
            file.uid = Some(uid);
        }
    }

    /// Takes all UIDs back.
    pub(crate) fn forget_uids(&mut self) {
        self.files.iter_mut().for_each(|file| file.uid = None);
    }

    /// Did this scan see it?
    pub(crate) fn is_seen(&self, index: usize) -> bool {
        self.files.get(index).is_some_and(|file| file.seen)
    }

    /// Has every file a UID? Those that only an earlier scan saw may be gone.
    pub(crate) fn all_assigned(&self) -> bool {
        self.files.iter().all(|file| file.uid.is_some() || !file.seen)
    }

    /// What another scan is to begin with: the files that are not messages by now, unseen.
    pub(crate) fn unsettled(&self, highest: u32, hash: impl Fn(&[u8]) -> u64) -> Strangers {
        let mut unsettled = Strangers::default();
        for (index, file) in self.files.iter().enumerate() {
            if file.uid.is_none_or(|uid| uid.get() > highest)
                && let Some(name) = self.name(index)
                && let Ok(index) = unsettled.see(hash(name.base), name)
                && let Some(file) = unsettled.files.get_mut(index)
            {
                file.seen = false;
            }
        }
        unsettled
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Those of some files that have no UID, in the order in which they get one.
    pub(crate) fn run(&self, files: std::ops::Range<usize>) -> Run {
        let waiting = files.filter(|&index| self.is_seen(index) && self.uid(index).is_none());
        let mut run: Run = waiting.map(|index| (filename::arrival(self.base(index)), index)).collect();
        run.sort_unstable_by(|a, b| self.order(a, b));
        run
    }

    /// Goes on with a merge, for so many files. True when all are in one run.
    pub(crate) fn merge(&self, merge: &mut Merge, most: usize) -> bool {
        let Merge { one, other, merged } = merge;
        for _ in 0..most {
            let next = match (one.peek(), other.peek()) {
                (Some(a), Some(b)) if self.order(a, b).is_gt() => other.next(),
                (Some(_), _) => one.next(),
                _ => other.next(),
            };
            let Some(next) = next else { return true };
            merged.push(next);
        }
        false
    }

    fn order(&self, a: &Arrived, b: &Arrived) -> std::cmp::Ordering {
        a.0.cmp(&b.0).then_with(|| self.base(a.1).cmp(self.base(b.1)))
    }

    fn base(&self, index: usize) -> &[u8] {
        self.name(index).map_or(&b""[..], |name| name.base)
    }

    /// Notes a file; `hash` is of its base. Returns its index.
    pub(crate) fn see(&mut self, hash: u64, name: Name<'_>) -> Result<usize, Full> {
        if self.names.len() > NAMES_MAX {
            return Err(Full);
        }
        let length = |field: &[u8]| u8::try_from(field.len()).map_err(|_| Full);
        let file = File {
            at: u32::try_from(self.names.len()).map_err(|_| Full)?,
            base: length(name.base)?,
            info: name.info.map(length).transpose()?,
            place: name.place,
            uid: None,
            seen: true,
        };
        self.names.extend_from_slice(name.base);
        self.names.extend_from_slice(name.info.unwrap_or_default());
        if let Some(known) = self.find(hash, name.base) {
            if let Some(place) = self.files.get_mut(known) {
                *place = File { uid: place.uid, ..file };
            }
            return Ok(known);
        }
        let index = u32::try_from(self.files.len()).map_err(|_| Full)?;
        self.files.push(file);
        self.index.insert_unique(hash, Indexed { hash, index }, |known| known.hash);
        Ok(index as usize)
    }

    /// The file with this base name.
    pub(crate) fn find(&self, hash: u64, base: &[u8]) -> Option<usize> {
        let same = |known: &Indexed| {
            known.hash == hash && self.name(known.index as usize).is_some_and(|name| name.base == base)
        };
        self.index.find(hash, same).map(|known| known.index as usize)
    }
}
