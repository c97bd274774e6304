//! Sets of message numbers: no larger than the mailbox, in order, and the same there and back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::imap::{IdSet, SequenceSet};

fuzz_target!(|input: &[u8]| {
    let (last, text) = input.split_first_chunk::<4>().unwrap_or((&[0; 4], input));
    let last = u32::from_le_bytes(*last);
    let Some(set) = SequenceSet::new(text) else { return };
    for last in [0, 1, last % 1000, last, u32::MAX] {
        let ids = set.resolve(last);
        let ranges: Vec<(u32, u32)> = ids.ranges().collect();
        assert!(ranges.iter().all(|&(low, high)| 1 <= low && low <= high && high <= last));
        assert!(ranges.windows(2).all(|pair| u64::from(pair[0].1) + 1 < u64::from(pair[1].0)));
        assert!(ranges.iter().all(|&(low, high)| ids.contains(low) && ids.contains(high)));
        assert!(!ids.contains(0) && ids.count() <= u64::from(last));
        assert_eq!(ids.is_empty(), ids.count() == 0);
        if ids.count() < 1000 {
            assert_eq!(ids.iter().collect::<IdSet>(), ids);
        }
        let mut written = Vec::new();
        ids.write(&mut written);
        assert_eq!(SequenceSet::new(&written).map(|set| set.resolve(last)), (!ids.is_empty()).then_some(ids));
    }
});
