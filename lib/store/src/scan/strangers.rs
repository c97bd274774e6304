//! Files that the model does not know, until each has a UID.

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
}

#[derive(Clone, Copy, Debug)]
struct Indexed {
    hash: u64,
    index: u32,
}

impl Strangers {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

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

    /// Has every file a UID?
    pub(crate) fn all_assigned(&self) -> bool {
        self.files.iter().all(|file| file.uid.is_some())
    }

    /// Files without a UID, in the order in which they get one.
    pub(crate) fn unassigned(&self) -> Vec<usize> {
        let base = |index: usize| self.name(index).map_or(&b""[..], |name| name.base);
        let waiting = (0..self.len()).filter(|&index| self.uid(index).is_none());
        let mut files: Vec<_> = waiting.map(|index| (filename::arrival(base(index)), index)).collect();
        files.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| base(a.1).cmp(base(b.1))));
        files.into_iter().map(|(_, index)| index).collect()
    }

    /// Adds a file; `hash` is of its base.
    pub(crate) fn push(&mut self, hash: u64, name: Name<'_>) -> Result<(), Full> {
        let length = |field: &[u8]| u8::try_from(field.len()).map_err(|_| Full);
        let file = File {
            at: u32::try_from(self.names.len()).map_err(|_| Full)?,
            base: length(name.base)?,
            info: name.info.map(length).transpose()?,
            place: name.place,
            uid: None,
        };
        let index = u32::try_from(self.len()).map_err(|_| Full)?;
        if self.names.len() > NAMES_MAX {
            return Err(Full);
        }
        self.files.push(file);
        self.names.extend_from_slice(name.base);
        self.names.extend_from_slice(name.info.unwrap_or_default());
        self.index.insert_unique(hash, Indexed { hash, index }, |known| known.hash);
        Ok(())
    }

    /// The file with this base name.
    pub(crate) fn find(&self, hash: u64, base: &[u8]) -> Option<usize> {
        let same = |known: &Indexed| {
            known.hash == hash && self.name(known.index as usize).is_some_and(|name| name.base == base)
        };
        self.index.find(hash, same).map(|known| known.index as usize)
    }
}
