//! The cache's bytes: a header, and blocks that each hold values of one kind in the order of their UIDs. No I/O.
//!
//! All numbers are little-endian. A block that does not bear its own checksums is none, whoever wrote it.
//!
//! ```text
//! file     "mailcch1"  UIDVALIDITY u32  CRC-32 of both u32
//! block    magic u32  kind u32  count u32  first UID u32  last UID u32  length u32  CRC-32 of what follows u32
//!          CRC-32 of these seven u32, then `length` bytes:
//!          count times: UID u32  CRC-32 of the message's base name u32  end of its value u32; then the values
//! ```

use super::{Key, Kind};

/// Bytes of a file's header.
pub(super) const FILE_HEAD: usize = 16;
/// Bytes of a block's header.
pub(super) const HEAD: usize = 32;
/// A block is closed when it has so many bytes.
pub(super) const FULL: usize = 64 * 1024;
/// Longer values are not kept.
pub(super) const VALUE_MAX: usize = 64 * 1024;
/// No block is longer.
const LENGTH_MAX: usize = FULL + VALUE_MAX + ROW;

const MAGIC: [u8; 4] = *b"mcb1";
/// Its number changes with what any value says: where an ENVELOPE is written otherwise, those of old must go.
const FILE_MAGIC: [u8; 8] = *b"mailcch1";
const ROW: usize = 12;

/// The header of a file of this UIDVALIDITY.
pub(super) fn file_head(uid_validity: u32) -> [u8; FILE_HEAD] {
    let mut head = [0; FILE_HEAD];
    let (text, sum) = head.split_at_mut(12);
    let bytes = FILE_MAGIC.into_iter().chain(uid_validity.to_le_bytes());
    text.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    sum.copy_from_slice(&crc32fast::hash(text).to_le_bytes());
    head
}

/// A block as its header has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// A number that no [`Kind`] has is of another version, and its blocks are passed over.
    pub(super) kind: u32,
    pub(super) count: u32,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) length: u32,
    sum: u32,
}

impl Head {
    /// None if this is no header.
    pub(super) fn parse(bytes: &[u8; HEAD]) -> Option<Head> {
        let mut numbers =
            bytes.chunks_exact(4).filter_map(|four| Some(u32::from_le_bytes(four.try_into().ok()?)));
        let mut next = || numbers.next();
        let magic = next()?;
        let head = Head {
            kind: next()?,
            count: next()?,
            first: next()?,
            last: next()?,
            length: next()?,
            sum: next()?,
        };
        let sum = crc32fast::hash(bytes.get(..HEAD - 4)?);
        let length = head.length as usize;
        let sane = magic == u32::from_le_bytes(MAGIC)
            && next()? == sum
            && length <= LENGTH_MAX
            && (head.count as usize).checked_mul(ROW).is_some_and(|rows| rows <= length);
        sane.then_some(head)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        for number in [self.kind, self.count, self.first, self.last, self.length, self.sum] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let sum = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_le_bytes());
    }
}

/// What follows a block's header, found sound.
#[derive(Debug, Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    count: usize,
    /// The row found last: the next one is where it is, or follows it, most of the time.
    at: usize,
}

impl Block {
    /// None if these are not the bytes that the header is about.
    pub(super) fn new(head: &Head, bytes: Vec<u8>) -> Option<Block> {
        let sound = bytes.len() == head.length as usize && crc32fast::hash(&bytes) == head.sum;
        sound.then_some(Block { bytes, count: head.count as usize, at: 0 })
    }

    /// Its memory, for the next one.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A message's value.
    pub(super) fn find(&mut self, key: Key) -> Option<&[u8]> {
        let uid = key.uid.get();
        let near = |index: &usize| self.row(*index).is_some_and(|(found, ..)| found == uid);
        let index = [self.at, self.at + 1].into_iter().find(near).or_else(|| self.search(uid))?;
        self.at = index;
        let (_, name, end) = self.row(index)?;
        let start = index.checked_sub(1).map_or(Some(0), |before| self.row(before).map(|(.., end)| end))?;
        let values = self.bytes.get(self.count * ROW..)?;
        values.get(start as usize..end as usize).filter(|_| name == key.name)
    }

    fn search(&self, uid: u32) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.row(middle)?.0 {
                found if found < uid => low = middle + 1,
                found if found > uid => high = middle,
                _ => return Some(middle),
            }
        }
        None
    }

    fn row(&self, index: usize) -> Option<(u32, u32, u32)> {
        if index >= self.count {
            return None;
        }
        let row = self.bytes.get(index * ROW..)?.first_chunk::<ROW>()?;
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *row;
        let number = u32::from_le_bytes;
        Some((number([a, b, c, d]), number([e, f, g, h]), number([i, j, k, l])))
    }
}

/// A block that is being made.
#[derive(Debug, Default)]
pub(super) struct Draft {
    rows: Vec<u8>,
    values: Vec<u8>,
    first: u32,
    last: u32,
}

impl Draft {
    /// Can this key's value follow? UIDs ascend, and at some point it is enough.
    pub(super) fn takes(&self, key: Key) -> bool {
        self.is_empty() || self.last < key.uid.get() && self.rows.len() + self.values.len() < FULL
    }

    pub(super) fn push(&mut self, key: Key, value: &[u8]) {
        let uid = key.uid.get();
        if self.is_empty() {
            self.first = uid;
        }
        self.last = uid;
        self.values.extend_from_slice(value);
        // A draft has never more than LENGTH_MAX bytes.
        let end = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        for number in [uid, key.name, end] {
            self.rows.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Appends it as a block, and begins anew.
    pub(super) fn finish(&mut self, kind: Kind, out: &mut Vec<u8>) {
        let Draft { rows, values, first, last } = self;
        let (first, last) = (*first, *last);
        let mut sum = crc32fast::Hasher::new();
        sum.update(rows);
        sum.update(values);
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (count, length) = (number(rows.len() / ROW), number(rows.len() + values.len()));
        Head { kind: kind as u32, count, first, last, length, sum: sum.finalize() }.write(out);
        out.append(rows);
        out.append(values);
    }
}

#[cfg(test)]
mod tests;
