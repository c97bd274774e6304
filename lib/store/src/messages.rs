//! The messages of a mailbox in UID order. No I/O.
//!
//! A message costs 24 bytes and its base name. The flags' part of the name is made from the flags, unless it holds
//! what we do not know; then it stands after the base.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::flags::{Extra, Letters};
use crate::{Flag, Flags, Uid, filename};

/// A message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) uid: Uid,
    /// Where its name is in `names`.
    at: u32,
    /// Revision of the last change of its flags: see `model`.
    pub(crate) modified: u32,
    pub(crate) flags: Letters,
    /// Which set of keywords it has that its name cannot bear; 0 is the empty one. See [`Messages::extra`].
    pub(crate) extra: u16,
    /// RFC822.SIZE; 0 when unknown.
    pub(crate) size: u32,
    pub(crate) bits: u8,
    /// How many scans in a row did not see it.
    pub(crate) missed: u8,
}

/// It is in new/, else in cur/.
pub(crate) const IN_NEW: u8 = 1;
/// The rest of its name is not what we would write, and stands in a field after the base.
const VERBATIM: u8 = 2;
/// The running scan saw it.
pub(crate) const SEEN: u8 = 4;
/// We renamed it since the running scan began: what the scan says of it may be old.
pub(crate) const TOUCHED: u8 = 8;
/// It came by new/, and nobody was told of it as recent. Who moves it to cur/ has the right to be.
pub(crate) const RECENT: u8 = 16;
/// The uidlist has no record of it.
pub(crate) const UNLISTED: u8 = 32;
/// Expunged: to be swept out.
pub(crate) const GONE: u8 = 64;

/// A message's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    New,
    Cur,
}

impl Place {
    /// Both.
    pub(crate) const ALL: [Place; 2] = [Place::New, Place::Cur];

    /// In a set of them.
    pub(crate) fn bit(self) -> u8 {
        match self {
            Place::New => 1,
            Place::Cur => 2,
        }
    }
}

/// A whole name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    pub(crate) place: Place,
    pub(crate) base: &'a [u8],
    /// What stands after the colon.
    pub(crate) info: Option<&'a [u8]>,
}

/// The messages, and their names in one piece of memory: fields, each after a byte that says its length.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    entries: Vec<Entry>,
    names: Vec<u8>,
    /// Bytes of `names` that no entry uses.
    garbage: usize,
    /// Entries that are marked as gone.
    gone: usize,
    /// All flags that a message ever had.
    used: Flags,
    /// What `Entry::extra` means; none in most mailboxes.
    sets: Option<Box<Sets>>,
    /// The last answer of [`Messages::totals`] and up to which UID that was; none once anything may have changed.
    totals: Cell<Option<(u32, Totals)>>,
}

/// The sets of keywords that `Entry::extra` means, from 1 on, and their places.
#[derive(Debug, Default)]
struct Sets {
    all: Vec<Extra>,
    places: HashMap<Extra, u16>,
}

/// How many messages there are, of which kinds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) messages: u32,
    /// With [`RECENT`].
    pub(crate) recent: u32,
    /// Without `\Seen`.
    pub(crate) unseen: u32,
}

/// There is no room for more names.
#[derive(Debug)]
pub(crate) struct Full;

/// All names of one mailbox together: some million messages.
pub(crate) const NAMES_MAX: usize = 64 * 1024 * 1024;

impl Messages {
    /// A message that is there.
    pub(crate) fn entry(&self, uid: Uid) -> Option<&Entry> {
        let index = self.entries.binary_search_by_key(&uid, |entry| entry.uid).ok()?;
        self.entries.get(index).filter(|entry| entry.bits & GONE == 0)
    }

    /// The same, to change its bits or size.
    pub(crate) fn entry_mut(&mut self, uid: Uid) -> Option<&mut Entry> {
        self.totals.take();
        let index = self.entries.binary_search_by_key(&uid, |entry| entry.uid).ok()?;
        self.entries.get_mut(index).filter(|entry| entry.bits & GONE == 0)
    }

    /// All entries in order, those marked as gone too.
    pub(crate) fn all(&self) -> &[Entry] {
        &self.entries
    }

    /// Those with this UID and higher ones.
    pub(crate) fn starting(&self, uid: u32) -> &[Entry] {
        self.entries.get(self.below(uid)..).unwrap_or_default()
    }

    /// The same, to change their bits.
    pub(crate) fn starting_mut(&mut self, uid: u32) -> &mut [Entry] {
        self.totals.take();
        let below = self.below(uid);
        self.entries.get_mut(below..).unwrap_or_default()
    }

    /// Of those that are there, up to a UID. Counted once, however often it is asked for.
    pub(crate) fn totals(&self, up_to: u32) -> Totals {
        if let Some((_, totals)) = self.totals.get().filter(|known| known.0 == up_to) {
            return totals;
        }
        let mut totals = Totals::default();
        let known = self.entries.iter().take_while(|entry| entry.uid.get() <= up_to);
        for entry in known.filter(|entry| entry.bits & GONE == 0) {
            totals.messages += 1;
            totals.recent += u32::from(entry.bits & RECENT != 0);
            totals.unseen += u32::from(!entry.flags.has(Flag::Seen));
        }
        self.totals.set(Some((up_to, totals)));
        totals
    }

    /// All flags that a message ever had.
    pub(crate) fn used(&self) -> Flags {
        self.used
    }

    /// A message's flags and keywords.
    pub(crate) fn flags(&self, entry: &Entry) -> Flags {
        Flags::new(entry.flags, self.extra(entry))
    }

    /// Those of its keywords that its name cannot bear.
    pub(crate) fn extra(&self, entry: &Entry) -> Extra {
        let set = |sets: &Sets| sets.all.get(usize::from(entry.extra).checked_sub(1)?).copied();
        self.sets.as_deref().and_then(set).unwrap_or_default()
    }

    /// Gives a message such keywords. Does nothing if there are too many different sets.
    pub(crate) fn set_extra(&mut self, uid: Uid, extra: Extra) {
        let Some(place) = self.place(extra) else { return };
        self.used = self.used.union(Flags::new(Letters::default(), extra));
        if let Some(entry) = self.entry_mut(uid) {
            entry.extra = place;
        }
    }

    /// The place of a set of keywords. None if there are too many.
    fn place(&mut self, extra: Extra) -> Option<u16> {
        if extra == Extra::NONE {
            return Some(0);
        }
        let sets = self.sets.get_or_insert_default();
        if let Some(&place) = sets.places.get(&extra) {
            return Some(place);
        }
        let place = u16::try_from(sets.all.len() + 1).ok()?;
        sets.all.push(extra);
        sets.places.insert(extra, place);
        Some(place)
    }

    /// How many entries have a lower UID.
    pub(crate) fn below(&self, uid: u32) -> usize {
        self.entries.partition_point(|entry| entry.uid.get() < uid)
    }

    /// A message's base name.
    pub(crate) fn base(&self, entry: &Entry) -> &[u8] {
        self.field(entry.at as usize)
    }

    /// What stands after the colon in its name.
    pub(crate) fn info(&self, entry: &Entry) -> Option<Vec<u8>> {
        if entry.bits & VERBATIM != 0 {
            let rest = self.field(entry.at as usize + 1 + self.base(entry).len());
            return rest.strip_prefix(b":").map(<[u8]>::to_vec);
        }
        (entry.bits & IN_NEW == 0).then(|| filename::info(None, entry.flags))
    }

    /// Adds a message. UIDs must ascend.
    pub(crate) fn push(&mut self, uid: Uid, name: Name<'_>, bits: u8) -> Result<(), Full> {
        debug_assert!(self.entries.last().is_none_or(|last| last.uid < uid), "UIDs ascend");
        let flags = filename::flags(name.info);
        let size = filename::number(name.base, b'W').and_then(|size| u32::try_from(size).ok()).unwrap_or(0);
        let bits = bits | name.bits(flags);
        let mut entry = Entry { uid, at: 0, modified: 0, flags, extra: 0, size, bits, missed: 0 };
        entry.at = self.write(name, entry.bits)?;
        self.used = self.used.union(flags.into());
        self.totals.take();
        self.entries.push(entry);
        Ok(())
    }

    /// A message has another place or info now.
    pub(crate) fn rename(&mut self, uid: Uid, place: Place, info: Option<&[u8]>) -> Result<(), Full> {
        let Some(&entry) = self.entry(uid) else { return Ok(()) };
        let base = self.base(&entry).to_vec();
        let name = Name { place, base: &base, info };
        let flags = filename::flags(info);
        let bits = entry.bits & !(IN_NEW | VERBATIM) | name.bits(flags);
        let mut at = entry.at;
        if entry.bits & bits & VERBATIM != 0 && self.info(&entry).as_deref() == info {
            // The same rest: only the place changed.
        } else if bits & VERBATIM != 0 {
            at = self.write(name, bits)?;
            self.garbage += self.length(&entry);
        } else if entry.bits & VERBATIM != 0 {
            self.garbage += self.length(&entry) - 1 - base.len();
        }
        self.used = self.used.union(flags.into());
        if let Some(entry) = self.entry_mut(uid) {
            (entry.at, entry.bits, entry.flags) = (at, bits, flags);
        }
        Ok(())
    }

    /// Marks a message as expunged: it is no longer there, but its place is until the sweep.
    pub(crate) fn mark_gone(&mut self, uid: Uid) {
        if let Some(entry) = self.entry_mut(uid) {
            entry.bits |= GONE;
            self.gone += 1;
        }
    }

    /// Is there anything to sweep?
    pub(crate) fn has_gone(&self) -> bool {
        self.gone > 0
    }

    /// Takes out what is marked as gone: all at once, since each costs the whole length. Ascending.
    pub(crate) fn sweep(&mut self) -> Vec<Uid> {
        let mut swept = Vec::with_capacity(self.gone);
        let mut garbage = 0;
        for entry in self.entries.iter().filter(|entry| entry.bits & GONE != 0) {
            swept.push(entry.uid);
            garbage += self.length(entry);
        }
        self.garbage += garbage;
        self.gone = 0;
        self.entries.retain(|entry| entry.bits & GONE == 0);
        swept
    }

    /// Gives back memory that is not needed.
    pub(crate) fn tidy(&mut self) {
        if self.garbage > self.names.len() / 4 {
            let used = self.names.len().saturating_sub(self.garbage);
            let mut names = Vec::with_capacity(used);
            let mut entries = std::mem::take(&mut self.entries);
            for entry in &mut entries {
                let from = entry.at as usize;
                let name = self.names.get(from..from + self.length(entry)).unwrap_or_default();
                // Never more than before, when all offsets fitted.
                entry.at = u32::try_from(names.len()).unwrap_or(0);
                names.extend_from_slice(name);
            }
            (self.entries, self.names, self.garbage) = (entries, names, 0);
        }
        if self.entries.capacity() - self.entries.len() > self.entries.len() / 8 {
            self.entries.shrink_to_fit();
        }
        if self.names.capacity() - self.names.len() > self.names.len() / 8 {
            self.names.shrink_to_fit();
        }
    }

    /// Bytes of memory in use.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.names.capacity()
    }

    fn field(&self, at: usize) -> &[u8] {
        let length = self.names.get(at).map_or(0, |&length| usize::from(length));
        self.names.get(at + 1..at + 1 + length).unwrap_or_default()
    }

    /// Bytes of an entry's fields.
    fn length(&self, entry: &Entry) -> usize {
        let base = 1 + self.base(entry).len();
        let rest =
            if entry.bits & VERBATIM != 0 { 1 + self.field(entry.at as usize + base).len() } else { 0 };
        base + rest
    }

    fn write(&mut self, name: Name<'_>, bits: u8) -> Result<u32, Full> {
        let at = u32::try_from(self.names.len()).map_err(|_| Full)?;
        if self.names.len() > NAMES_MAX {
            return Err(Full);
        }
        let mut field = |parts: &[&[u8]]| {
            // No file system that we know has names of more than 255 bytes.
            let length = parts.iter().map(|part| part.len()).sum::<usize>();
            self.names.push(u8::try_from(length).map_err(|_| Full)?);
            parts.iter().for_each(|part| self.names.extend_from_slice(part));
            Ok(())
        };
        field(&[name.base])?;
        if bits & VERBATIM != 0 {
            match name.info {
                Some(info) => field(&[b":", info])?,
                None => field(&[])?,
            }
        }
        Ok(at)
    }
}

impl Name<'_> {
    fn bits(self, flags: Letters) -> u8 {
        let (place, ours) = match self.place {
            Place::New => (IN_NEW, self.info.is_none()),
            Place::Cur => (0, self.info == Some(&filename::info(None, flags))),
        };
        place | if ours { 0 } else { VERBATIM }
    }
}

impl Entry {
    /// Its directory.
    pub(crate) fn place(&self) -> Place {
        if self.bits & IN_NEW != 0 { Place::New } else { Place::Cur }
    }
}

/// A hash for base names, with a secret that is the caller's.
pub(crate) fn hash(secret: &RandomState, base: &[u8]) -> u64 {
    secret.hash_one(base)
}

#[cfg(test)]
mod tests;
