//! What each view was told of a mailbox's messages. No I/O.
//!
//! A view that is up to date costs nothing for each message: it was told of the messages up to `told`, and what was
//! expunged since and not yet told is in its `gone`. Both together, in order, are its sequence numbers.
//!
//! Changes of flags bear a revision. It grows only when a change follows after some view was told all there was, so
//! 32 bits of it outlast any process.

use std::collections::BTreeMap;

use slotmap::{SlotMap, new_key_type};

use crate::flags::Extra;
use crate::messages::{Entry, Full, GONE, IN_NEW, Messages, Place, RECENT, Totals, UNLISTED};
use crate::{Access, Expunges, Flag, Status, Uid, Update, filename};

new_key_type! {
    /// A view in its model.
    pub(crate) struct ViewKey;
}

/// Tells one state of the keywords' names from another.
pub(crate) type Edition = (u32, u8);

/// The model.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) messages: Messages,
    views: SlotMap<ViewKey, Box<Told>>,
    revision: u32,
    /// Some view was told all up to `revision`: the next change begins a new one.
    caught_up: bool,
    /// UIDVALIDITY; 0 before the first list.
    pub(crate) uid_validity: u32,
    /// The UID of the next new message; 0 before the first list.
    pub(crate) next_uid: u32,
    /// Views may know of messages up to here: their UIDs are safely in the list.
    published: u32,
}

/// What one view was told.
#[derive(Debug)]
struct Told {
    access: Access,
    /// Messages up to this UID.
    up_to: u32,
    /// Changes of flags up to this revision.
    revision: u32,
    /// Messages that are expunged and not told so. Ascending.
    gone: Vec<Uid>,
    /// Recent for this client. Ascending. Read-only views look at the model's marks and have none.
    recent: Vec<Uid>,
    recent_told: u32,
    /// Changes that the client knows of, having made or seen them: the revision of each.
    known: BTreeMap<Uid, u32>,
    keywords: Edition,
}

// What the sync does.
impl Model {
    /// Highest UID that was ever given.
    pub(crate) fn highest(&self) -> u32 {
        self.next_uid.saturating_sub(1)
    }

    /// A message has another place or info on disk now.
    pub(crate) fn rename(&mut self, uid: Uid, place: Place, info: Option<&[u8]>) -> Result<(), Full> {
        let Some(&before) = self.messages.entry(uid) else { return Ok(()) };
        self.messages.rename(uid, place, info)?;
        if before.place() == Place::New && place == Place::Cur {
            self.claim(uid);
        }
        if before.flags != filename::flags(info) {
            let revision = self.change();
            if let Some(entry) = self.messages.entry_mut(uid) {
                entry.modified = revision;
            }
        }
        Ok(())
    }

    /// A message has other keywords of those that its name cannot bear.
    pub(crate) fn set_extra(&mut self, uid: Uid, extra: Extra) {
        let Some(entry) = self.messages.entry(uid) else { return };
        if self.messages.extra(entry) != extra {
            self.messages.set_extra(uid, extra);
            let revision = self.change();
            if let Some(entry) = self.messages.entry_mut(uid) {
                entry.modified = revision;
            }
        }
    }

    /// It was we who moved a message out of new/: a view that knows of it and may write has it as recent now.
    fn claim(&mut self, uid: Uid) {
        let Some(entry) = self.messages.entry_mut(uid).filter(|entry| entry.bits & RECENT != 0) else {
            return;
        };
        let mut told = self.views.values_mut();
        if let Some(told) = told.find(|told| told.access == Access::ReadWrite && uid.get() <= told.up_to) {
            entry.bits &= !RECENT;
            let at = told.recent.partition_point(|&recent| recent < uid);
            told.recent.insert(at, uid);
        }
    }

    /// From now on views may know of all that is here.
    pub(crate) fn publish(&mut self) {
        self.publish_to(self.highest());
    }

    /// From now on views may know of the messages up to this UID.
    pub(crate) fn publish_to(&mut self, uid: u32) {
        self.published = self.published.max(uid);
    }

    /// From now on views may know of what is in the list. What a sync that ended too early gave UIDs to waits for the next.
    pub(crate) fn publish_listed(&mut self) {
        let mut new = self.messages.starting(self.published.saturating_add(1)).iter();
        let unlisted = new.find(|entry| entry.bits & UNLISTED != 0);
        self.publish_to(unlisted.map_or(self.highest(), |entry| entry.uid.get().saturating_sub(1)));
    }

    /// Forgets all messages, for another UIDVALIDITY. All views are lost.
    pub(crate) fn replace(&mut self) {
        *self = Model { revision: self.revision, ..Model::default() };
    }

    /// Takes out what is expunged, and notes it for the views that know of it.
    pub(crate) fn sweep(&mut self) {
        if !self.messages.has_gone() {
            return;
        }
        let swept = self.messages.sweep();
        for told in self.views.values_mut() {
            told.gone.extend(swept.iter().filter(|uid| uid.get() <= told.up_to));
            // Two ascending runs: linear.
            told.gone.sort();
        }
    }

    /// Has any view the right to write?
    pub(crate) fn has_writer(&self) -> bool {
        self.views.values().any(|told| told.access == Access::ReadWrite)
    }

    /// Totals of what views may know.
    pub(crate) fn status(&self) -> Status {
        let Totals { messages, recent, unseen } = self.messages.totals(self.published);
        Status { messages, recent, unseen, uid_next: self.next_uid, uid_validity: self.uid_validity }
    }

    fn change(&mut self) -> u32 {
        if self.caught_up {
            self.caught_up = false;
            self.revision = self.revision.saturating_add(1);
        }
        self.revision
    }
}

// What a view does. A view that is lost knows of nothing.
impl Model {
    /// Adds a view that knows all that may be known.
    pub(crate) fn open(&mut self, access: Access, keywords: Edition) -> ViewKey {
        self.sweep();
        self.caught_up = true;
        let mut told = Told {
            access,
            up_to: 0,
            revision: self.revision,
            gone: Vec::new(),
            recent: Vec::new(),
            recent_told: 0,
            known: BTreeMap::new(),
            keywords,
        };
        tell_new(&mut self.messages, &mut told, self.published);
        told.recent_told = recent(&self.messages, &told);
        self.views.insert(Box::new(told))
    }

    /// Removes a view.
    pub(crate) fn close(&mut self, key: ViewKey) {
        self.views.remove(key);
        if self.views.is_empty() {
            self.views = SlotMap::default();
        }
    }

    /// Is there something to tell? `None` for a lost view.
    pub(crate) fn behind(&self, key: ViewKey, keywords: Edition) -> Option<bool> {
        let told = self.views.get(key)?;
        Some(
            !told.gone.is_empty()
                || self.messages.has_gone()
                || told.up_to < self.published
                || told.access == Access::ReadWrite && count(told.recent.len()) != told.recent_told
                || told.revision < self.revision
                || told.keywords != keywords,
        )
    }

    /// Tells a view what there is to tell. `None` for a lost one.
    pub(crate) fn update(&mut self, key: ViewKey, expunges: Expunges, keywords: Edition) -> Option<Update> {
        self.sweep();
        let told = self.views.get_mut(key)?;
        let mut update = Update::default();
        if expunges == Expunges::Tell && !told.gone.is_empty() {
            let gone = std::mem::take(&mut told.gone);
            let number = |(index, uid): (usize, &Uid)| count(self.messages.below(uid.get()) + index + 1);
            update.expunged = gone.iter().enumerate().rev().map(number).collect();
            told.recent.retain(|uid| gone.binary_search(uid).is_err());
        }
        let known = told.up_to;
        if known < self.published {
            let before = self.messages.below(known.saturating_add(1));
            tell_new(&mut self.messages, told, self.published);
            let after = self.messages.below(told.up_to.saturating_add(1));
            update.exists = (after > before).then(|| count(after + told.gone.len()));
        }
        let recent = recent(&self.messages, told);
        if update.exists.is_some() || recent != told.recent_told {
            update.recent = Some(recent);
            told.recent_told = recent;
        }
        if told.revision < self.revision {
            // Both in the order of UIDs: one pass.
            let mut seen = told.known.iter().peekable();
            for (index, entry) in self.messages.all().iter().enumerate() {
                if entry.modified <= told.revision || entry.uid.get() > known {
                    continue;
                }
                while seen.next_if(|(uid, _)| **uid < entry.uid).is_some() {}
                if seen.peek() != Some(&(&entry.uid, &entry.modified)) {
                    let gone_before = told.gone.partition_point(|&gone| gone < entry.uid);
                    update.flags.push((count(index + gone_before + 1), entry.uid));
                }
            }
            told.revision = self.revision;
        }
        told.known = BTreeMap::new();
        self.caught_up = true;
        update.keywords = told.keywords != keywords;
        told.keywords = keywords;
        Some(update)
    }

    /// This view knows of the last change of a message's flags, having made it; `before` is the revision of the one
    /// before. If that was not told, the message stays to be told.
    pub(crate) fn knows(&mut self, key: ViewKey, uid: Uid, before: u32) {
        let (Some(told), Some(entry)) = (self.views.get_mut(key), self.messages.entry(uid)) else { return };
        if before <= told.revision || told.known.get(&uid) == Some(&before) {
            told.known.insert(uid, entry.modified);
            // A change by another must not bear the same revision.
            self.caught_up = true;
        }
    }

    /// The client is shown a message's flags, as they were at this revision. Whether they are news to it.
    pub(crate) fn show(&mut self, key: ViewKey, uid: Uid, revision: u32) -> bool {
        let Some(told) = self.views.get_mut(key).filter(|told| told.revision < revision) else {
            return false;
        };
        if self.messages.entry(uid).is_some_and(|entry| entry.modified == revision) {
            told.known.insert(uid, revision);
            self.caught_up = true;
        }
        true
    }

    /// The client is told which keywords there are. Whether that is news to it.
    pub(crate) fn announce(&mut self, key: ViewKey, keywords: Edition) -> bool {
        self.views
            .get_mut(key)
            .is_some_and(|told| std::mem::replace(&mut told.keywords, keywords) != keywords)
    }

    /// How many messages the view knows of.
    pub(crate) fn exists(&self, key: ViewKey) -> u32 {
        self.views.get(key).map_or(0, |told| {
            let there = self.messages.below(told.up_to.saturating_add(1));
            count(there + told.gone.len())
        })
    }

    /// How many are recent.
    pub(crate) fn recent(&self, key: ViewKey) -> u32 {
        self.views.get(key).map_or(0, |told| told.recent_told)
    }

    /// Is this message recent, for this view?
    pub(crate) fn is_recent(&self, key: ViewKey, entry: &Entry) -> bool {
        self.views.get(key).is_some_and(|told| match told.access {
            Access::ReadWrite => told.recent.binary_search(&entry.uid).is_ok(),
            Access::ReadOnly => entry.bits & RECENT != 0,
        })
    }

    /// A message that the view was told of and that is there.
    pub(crate) fn entry(&self, key: ViewKey, uid: Uid) -> Option<&Entry> {
        let told = self.views.get(key)?;
        self.messages.entry(uid).filter(|entry| entry.uid.get() <= told.up_to)
    }

    /// The sequence number of the first message without `\Seen`.
    pub(crate) fn first_unseen(&self, key: ViewKey) -> Option<u32> {
        let told = self.views.get(key)?;
        let unseen = |entry: &&Entry| !entry.flags.has(Flag::Seen) && entry.bits & GONE == 0;
        let first = self.messages.all().iter().find(unseen)?;
        (first.uid.get() <= told.up_to).then_some(first.uid).and_then(|uid| self.number(key, uid))
    }

    /// The messages that the view was told of, and that are there, with this flag.
    pub(crate) fn having(&self, key: ViewKey, flag: Flag) -> Vec<Uid> {
        let Some(told) = self.views.get(key).filter(|_| self.messages.used().has(flag)) else {
            return Vec::new();
        };
        let known = self.messages.all().iter().take_while(|entry| entry.uid.get() <= told.up_to);
        known.filter(|entry| entry.flags.has(flag) && entry.bits & GONE == 0).map(|entry| entry.uid).collect()
    }

    /// The first message that the view knows of with this UID or a higher one, there or not.
    pub(crate) fn at_or_after(&self, key: ViewKey, uid: Uid) -> Option<(u32, Uid)> {
        let told = self.views.get(key)?;
        let below = self.messages.below(uid.get());
        let gone_below = told.gone.partition_point(|&gone| gone < uid);
        let there = self.messages.all().get(below).map(|entry| entry.uid);
        let there = there.filter(|uid| uid.get() <= told.up_to);
        let gone = told.gone.get(gone_below).copied();
        let first = there.into_iter().chain(gone).min()?;
        Some((count(below + gone_below + 1), first))
    }

    /// A message's sequence number.
    pub(crate) fn number(&self, key: ViewKey, uid: Uid) -> Option<u32> {
        self.at_or_after(key, uid).filter(|&(_, found)| found == uid).map(|(number, _)| number)
    }

    /// The message with this sequence number.
    pub(crate) fn uid(&self, key: ViewKey, number: u32) -> Option<Uid> {
        self.place(key, number).map(|place| place.map_or_else(|gone| gone, |entry| entry.uid))
    }

    /// The same, if it is there.
    pub(crate) fn entry_at(&self, key: ViewKey, number: u32) -> Option<&Entry> {
        self.place(key, number)?.ok().filter(|entry| entry.bits & GONE == 0)
    }

    /// What has this sequence number: a message, or one that is gone.
    fn place(&self, key: ViewKey, number: u32) -> Option<Result<&Entry, Uid>> {
        let told = self.views.get(key)?;
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        // Of the gone ones, those that have their place before this number.
        let place = |at: usize, gone: &Uid| self.messages.below(gone.get()) + at;
        let (mut low, mut high) = (0, told.gone.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match told.gone.get(middle) {
                Some(gone) if place(middle, gone) == index => return Some(Err(*gone)),
                Some(gone) if place(middle, gone) < index => low = middle + 1,
                _ => high = middle,
            }
        }
        let entry = self.messages.all().get(index - low)?;
        (entry.uid.get() <= told.up_to).then_some(Ok(entry))
    }
}

/// Tells a view of the messages up to a UID. A view that may write takes the recent ones for its own, but not what is in
/// new/: there another process may take it first.
fn tell_new(messages: &mut Messages, told: &mut Told, up_to: u32) {
    if told.access == Access::ReadWrite {
        let new = messages.starting_mut(told.up_to.saturating_add(1)).iter_mut();
        let known = new.take_while(|entry| entry.uid.get() <= up_to);
        for entry in known.filter(|entry| entry.bits & (RECENT | IN_NEW) == RECENT) {
            entry.bits &= !RECENT;
            told.recent.push(entry.uid);
        }
    }
    told.up_to = told.up_to.max(up_to);
}

fn recent(messages: &Messages, told: &Told) -> u32 {
    match told.access {
        Access::ReadWrite => count(told.recent.len()),
        Access::ReadOnly => {
            let known = messages.all().iter().take_while(|entry| entry.uid.get() <= told.up_to);
            count(known.filter(|entry| entry.bits & RECENT != 0).count())
        }
    }
}

/// Messages are fewer than 2^32, since there are no more UIDs.
fn count(messages: usize) -> u32 {
    u32::try_from(messages).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
