use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::Uid;

fn key(uid: u32) -> Key {
    Key { uid: Uid(NonZeroU32::new(uid).unwrap()), name: uid.wrapping_mul(7) }
}

fn block(values: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let (mut draft, mut out) = (Draft::default(), Vec::new());
    for (uid, value) in values {
        assert!(draft.takes(key(*uid)));
        draft.push(key(*uid), value);
    }
    draft.finish(Kind::Envelope, &mut out);
    out
}

fn read(bytes: &[u8]) -> Option<(Head, Block)> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let head = Head::parse(head)?;
    let block = Block::new(&head, rest.get(..head.length as usize)?.to_vec())?;
    Some((head, block))
}

#[test]
fn values_come_back_in_any_order() {
    let values: Vec<(u32, Vec<u8>)> =
        (1..=50).map(|uid| (uid * 3, vec![uid as u8; uid as usize % 5])).collect();
    let (head, mut block) = read(&block(&values)).unwrap();
    assert_eq!((head.kind, head.count, head.first, head.last), (4, 50, 3, 150));
    for (uid, value) in values.iter().chain(values.iter().rev()) {
        assert_eq!(block.find(key(*uid)), Some(&value[..]));
        assert_eq!(block.find(key(uid + 1)), None);
    }
}

#[test]
fn a_value_is_of_one_file() {
    let (_, mut block) = read(&block(&[(3, b"three".to_vec())])).unwrap();
    assert_eq!(block.find(Key { name: 5, ..key(3) }), None);
    assert_eq!(block.find(key(3)), Some(&b"three"[..]));
}

#[test]
fn a_draft_is_closed_when_it_is_full_or_uids_do_not_ascend() {
    let mut draft = Draft::default();
    draft.push(key(5), &[0; FULL]);
    assert!(!draft.takes(key(6)));
    draft.finish(Kind::Body, &mut Vec::new());
    assert!(draft.takes(key(5)));
    draft.push(key(5), b"");
    assert!(draft.takes(key(6)));
    assert!(!draft.takes(key(5)) && !draft.takes(key(4)));
}

#[test]
fn the_longest_block_is_one() {
    let mut values: Vec<(u32, Vec<u8>)> = vec![(1, vec![1; FULL - 2 * ROW]), (2, vec![2; VALUE_MAX])];
    let (_, mut block) = read(&block(&values)).unwrap();
    assert_eq!(block.find(key(2)).map(<[u8]>::to_vec), values.pop().map(|(_, value)| value));
}

/// A block whose checksums are right, whatever it holds.
fn forged(count: u32, first: u32, last: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (length, sum) = (u32::try_from(bytes.len()).unwrap(), crc32fast::hash(bytes));
    Head { kind: 4, count, first, last, length, sum }.write(&mut out);
    out.extend_from_slice(bytes);
    out
}

proptest! {
    #[test]
    fn a_changed_byte_is_seen(at in 0usize..200, with in 1u8..) {
        let mut bytes = block(&[(1, vec![b'a'; 50]), (2, vec![b'b'; 60])]);
        let at = at % bytes.len();
        bytes[at] ^= with;
        prop_assert!(read(&bytes).is_none());
    }

    #[test]
    fn nothing_is_read_of_random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&bytes).is_none());
    }

    #[test]
    fn forged_blocks_give_no_more_than_their_own_bytes(
        count in 0u32..40, first in any::<u32>(), last in any::<u32>(),
        bytes in proptest::collection::vec(0u8..4, 0..300), uid in 1u32..,
    ) {
        if let Some((head, mut block)) = read(&forged(count, first, last, &bytes)) {
            prop_assert!(head.count as usize * ROW <= bytes.len());
            for uid in [uid, uid & 0x0303_0303 | 1, 1] {
                let found = block.find(Key { name: 0, ..key(uid) });
                prop_assert!(found.is_none_or(|found| found.len() <= bytes.len()));
            }
        }
    }
}
