//! One reading of new/ and cur/, compared with the model by base name. Its turns are bounded, and the model may change
//! between them.

mod strangers;

use std::ffi::CStr;
use std::hash::RandomState;
use std::path::Path;

use hashbrown::HashTable;
use nix::dir::{Dir, OwningIter, Type};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::dirs::{Dirs, Reading, Times};
use crate::messages::{Full, GONE, Messages, Name, Place, RECENT, SEEN, TOUCHED, hash};
use crate::model::Model;
use crate::scan::strangers::Strangers;

use crate::{Error, Uid, filename};
pub(crate) use strangers::{Merge, Run};

/// A reading of the directories.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The stamps before it began.
    pub(crate) times: Times,
    pub(crate) reading: Reading,
    stage: Stage,
    secret: RandomState,
    /// Base names that the model has.
    known: HashTable<Known>,
    pub(crate) strangers: Strangers,
    /// Files whose base name was seen already.
    pub(crate) doubles: Vec<(Place, Box<[u8]>)>,
}

#[derive(Debug)]
enum Stage {
    /// Messages from this UID on are not yet in `known`.
    Index(u32),
    Read(Place, OwningIter),
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    hash: u64,
    uid: Uid,
}

/// What belongs to a base name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// A message of the model.
    Message(Uid),
    /// A message that the model had, and that was expunged during this scan.
    Expunged,
    /// A stranger, by its index.
    Stranger(usize),
    /// Nothing.
    Nothing,
}

/// What a turn may still do.
#[derive(Debug)]
pub(crate) struct Budget(pub(crate) usize);

const DOUBLES_MAX: usize = 1000;

impl Budget {
    /// Takes one piece of work from the budget. False when it is used up.
    pub(crate) fn take(&mut self, cost: usize) -> bool {
        let enough = self.0 > 0;
        self.0 = self.0.saturating_sub(cost);
        enough
    }
}

impl Scan {
    /// Begins; `times` were looked at just now.
    pub(crate) fn new(times: Times, reading: Reading) -> Scan {
        Scan {
            times,
            reading,
            stage: Stage::Index(0),
            secret: RandomState::new(),
            known: HashTable::new(),
            strangers: Strangers::default(),
            doubles: Vec::new(),
        }
    }

    /// Begins again, after a scan that may have passed files over. What one scan found the next need not find.
    pub(crate) fn again(self, times: Times, model: &Model) -> Scan {
        let Scan { secret, strangers, .. } = self;
        let strangers = strangers.unsettled(model.highest(), |base| hash(&secret, base));
        Scan { secret, strangers, ..Scan::new(times, Reading::Both) }
    }

    /// A turn. True when all is read.
    pub(crate) fn step(
        &mut self,
        dirs: &Dirs,
        model: &mut Model,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        loop {
            match &mut self.stage {
                Stage::Index(from) => {
                    let from = *from;
                    match self.index(from, &mut model.messages, budget) {
                        Some(next) => {
                            self.stage = Stage::Index(next);
                            return Ok(false);
                        }
                        None => self.stage = Stage::Read(Place::New, open(&dirs.dir(Place::New))?),
                    }
                }
                Stage::Read(place, names) => {
                    let place = *place;
                    let Some(entry) = names.next() else {
                        self.stage = match (place, self.reading) {
                            (Place::New, Reading::Both) => {
                                Stage::Read(Place::Cur, open(&dirs.dir(Place::Cur))?)
                            }
                            _ => Stage::Done,
                        };
                        continue;
                    };
                    let entry = entry.map_err(|errno| Error::io("read", &dirs.dir(place))(errno.into()))?;
                    if is_file(entry.file_type()) {
                        self.see(place, entry.file_name(), model)
                            .map_err(|Full| Error::TooLarge(dirs.root().to_path_buf()))?;
                    }
                    if !budget.take(1) {
                        return Ok(false);
                    }
                }
                Stage::Done => return Ok(true),
            }
        }
    }

    /// What belongs to a base name.
    pub(crate) fn find(&self, messages: &Messages, base: &[u8]) -> Match {
        let hash = hash(&self.secret, base);
        // A message that is gone has no name to compare: the whole hash will do.
        let same = |known: &Known| {
            known.hash == hash && messages.entry(known.uid).is_none_or(|entry| messages.base(entry) == base)
        };
        let known = self.known.find(hash, same).map(|known| known.uid);
        if let Some(uid) = known.filter(|&uid| messages.entry(uid).is_some()) {
            return Match::Message(uid);
        }
        let Some(index) = self.strangers.find(hash, base) else {
            return if known.is_some() { Match::Expunged } else { Match::Nothing };
        };
        // One that has a UID may be a message by now.
        match self.strangers.uid(index).filter(|&uid| messages.entry(uid).is_some()) {
            Some(uid) => Match::Message(uid),
            None => Match::Stranger(index),
        }
    }

    /// Makes a stranger of a message, for it gets another UID.
    pub(crate) fn adopt(&mut self, messages: &Messages, uid: Uid) -> Result<usize, Full> {
        if let Some(entry) = messages.entry(uid) {
            let info = messages.info(entry);
            let name = Name { place: entry.place(), base: messages.base(entry), info: info.as_deref() };
            return self.strangers.see(hash(&self.secret, name.base), name);
        }
        Ok(usize::MAX)
    }

    /// Prepares the messages from a UID on; where to go on, if there are more.
    fn index(&mut self, from: u32, messages: &mut Messages, budget: &mut Budget) -> Option<u32> {
        if from == 0 {
            self.known.reserve(messages.all().len(), |known| known.hash);
        }
        let seen = match self.reading {
            Reading::Both => 0,
            Reading::New => SEEN,
        };
        let mut turn = 0;
        for entry in messages.starting_mut(from) {
            if !budget.take(1) {
                break;
            }
            entry.bits &= !(SEEN | TOUCHED);
            entry.bits |= if entry.place() == Place::Cur { seen } else { 0 };
            turn += 1;
        }
        let rest = messages.starting(from);
        for entry in rest.iter().take(turn).filter(|entry| entry.bits & GONE == 0) {
            let hash = hash(&self.secret, messages.base(entry));
            self.known.insert_unique(hash, Known { hash, uid: entry.uid }, |known| known.hash);
        }
        rest.get(turn).map(|entry| entry.uid.get())
    }

    fn see(&mut self, place: Place, name: &CStr, model: &mut Model) -> Result<(), Full> {
        let name = name.to_bytes();
        let (base, info) = filename::split(name);
        if name.first() == Some(&b'.') || base.is_empty() {
            return Ok(());
        }
        if name.contains(&b'\n') {
            log::debug!("a file name with a line break is no message: {}", name.escape_ascii());
            return Ok(());
        }
        match self.find(&model.messages, base) {
            Match::Message(uid) => {
                let Some(entry) = model.messages.entry_mut(uid) else { return Ok(()) };
                if entry.bits & TOUCHED != 0 {
                    return Ok(());
                }
                if entry.bits & SEEN != 0 {
                    self.double(place, name);
                    return Ok(());
                }
                entry.bits |= SEEN;
                if entry.place() == Place::New && place == Place::Cur {
                    // Somebody else moved it, and told it as recent.
                    entry.bits &= !RECENT;
                }
                let entry = *entry;
                if entry.place() != place || model.messages.info(&entry).as_deref() != info {
                    model.rename(uid, place, info)?;
                }
                Ok(())
            }
            Match::Expunged => Ok(()),
            Match::Stranger(index) if self.strangers.is_seen(index) => {
                self.double(place, name);
                Ok(())
            }
            Match::Stranger(_) | Match::Nothing => {
                let hash = hash(&self.secret, base);
                self.strangers.see(hash, Name { place, base, info }).map(drop)
            }
        }
    }

    fn double(&mut self, place: Place, name: &[u8]) {
        if self.doubles.len() < DOUBLES_MAX {
            self.doubles.push((place, name.into()));
        }
    }
}

fn open(dir: &Path) -> Result<OwningIter, Error> {
    match Dir::open(dir, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()) {
        Ok(dir) => Ok(dir.into_iter()),
        Err(Errno::ENOENT) => Err(Error::NoSuchMailbox(dir.to_path_buf())),
        Err(errno) => Err(Error::io("open", dir)(errno.into())),
    }
}

/// What can be a message. Where the file system does not say, opening it will.
fn is_file(kind: Option<Type>) -> bool {
    matches!(kind, Some(Type::File) | None)
}
