//! Sets of message numbers, RFC 3501 `sequence-set`: as a client wrote them, and as a mailbox understands them.

use std::num::NonZeroU32;

use super::cursor::{Cursor, Parsed, bad};
use super::response;

/// A set as written: `1:5,9,20:*`. What `*` means is known only with a mailbox: [`SequenceSet::resolve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet(Vec<(Bound, Bound)>);

/// A number; none is `*`, the greatest in the mailbox.
type Bound = Option<NonZeroU32>;

impl SequenceSet {
    /// Reads a set that is nothing else.
    pub fn new(bytes: &[u8]) -> Option<SequenceSet> {
        let mut cursor = Cursor::new(bytes);
        let set = SequenceSet::parse(&mut cursor).ok()?;
        cursor.is_empty().then_some(set)
    }

    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<SequenceSet> {
        let mut ranges = Vec::new();
        loop {
            let first = bound(cursor)?;
            let last = if cursor.eat(b':') { bound(cursor)? } else { first };
            ranges.push((first, last));
            if !cursor.eat(b',') {
                return Ok(SequenceSet(ranges));
            }
        }
    }

    /// The set in a mailbox whose greatest number is `last` (0 where it is empty). Numbers beyond are left out, so
    /// that whatever a client writes, the result is no larger than the mailbox; a range that holds `*` holds
    /// `last`, however the other end compares to it.
    pub fn resolve(&self, last: u32) -> IdSet {
        let number = |bound: Bound| bound.map_or(last, NonZeroU32::get);
        let clipped = self.0.iter().filter_map(|(one, other)| {
            let (one, other) = (number(*one), number(*other));
            let (low, high) = (one.min(other).max(1), one.max(other).min(last));
            (low <= high).then_some((low, high))
        });
        IdSet::merged(clipped.collect())
    }

    /// The greatest number that is written out; none if all are `*`. A sequence number beyond the mailbox is an
    /// error of the command, a UID is not.
    pub fn greatest(&self) -> Option<u32> {
        self.0.iter().flat_map(|(one, other)| [*one, *other]).flatten().max().map(NonZeroU32::get)
    }
}

fn bound(cursor: &mut Cursor<'_>) -> Parsed<Bound> {
    if cursor.eat(b'*') {
        return Ok(None);
    }
    match NonZeroU32::new(cursor.number().or_else(|_| bad("Malformed message set"))?) {
        Some(number) => Ok(Some(number)),
        None => bad("Message numbers begin with 1"),
    }
}

/// Numbers, ascending and each once, held as ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdSet(Vec<(u32, u32)>);

impl IdSet {
    /// Sorts the ranges and joins those that touch.
    fn merged(mut ranges: Vec<(u32, u32)>) -> IdSet {
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(before) if low <= before.1.saturating_add(1) => before.1 = before.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        IdSet(merged)
    }

    /// No number at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(low, high)| u64::from(high - low) + 1).sum()
    }

    /// Is `id` one of them? Logarithmic in the number of ranges.
    pub fn contains(&self, id: u32) -> bool {
        let after = self.0.partition_point(|(low, _)| *low <= id);
        after.checked_sub(1).and_then(|index| self.0.get(index)).is_some_and(|(_, high)| id <= *high)
    }

    /// The ranges, both ends included, ascending, with gaps between them. For numbers that are sparse (UIDs) look
    /// each range up in the mailbox; iterating would visit those that are not there.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }

    /// Each number, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|(low, high)| *low..=*high)
    }

    /// Appends `1:3,5`.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (index, (low, high)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            response::number(out, u64::from(*low));
            if high > low {
                out.push(b':');
                response::number(out, u64::from(*high));
            }
        }
    }
}

impl FromIterator<u32> for IdSet {
    /// In any order; ascending costs no sorting.
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> IdSet {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for id in ids {
            match ranges.last_mut() {
                Some((_, high)) if high.checked_add(1) == Some(id) => *high = id,
                _ => ranges.push((id, id)),
            }
        }
        IdSet::merged(ranges)
    }
}

#[cfg(test)]
mod tests;
