//! What a child logs: the same however it is cut, and safe to show.

#![no_main]

use std::time::Instant;

use journal::{Entry, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (lengths, log) = fuzz::lengths(input);
    let entries = read(std::iter::once(log));
    assert!(entries.iter().all(|entry| !entry.text.chars().any(char::is_control)));
    // A line that is cut for its length is cut where a piece ends.
    if log.len() <= 8192 {
        assert_eq!(read(fuzz::pieces(log, lengths)), entries);
    }
});

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Entry> {
    let (mut reader, now) = (Reader::new(0), Instant::now());
    let mut entries: Vec<Entry> = pieces.flat_map(|piece| reader.push(piece, now)).collect();
    entries.extend(reader.finish(now));
    entries
}
