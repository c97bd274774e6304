//! What people read in a stranger's message: the same text however it is cut, and a needle of it is found in it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use message::{Fields, Needle, TextReader, Window, header_end, sent_day, structure};

fuzz_target!(|input: &[u8]| {
    let (lengths, message) = fuzz::lengths(input);
    let mut text = String::new();
    for field in Fields::new(message.get(..header_end(message).unwrap_or(message.len())).unwrap()) {
        text.clear();
        field.decode(&mut text);
        found_in_pieces(&text, lengths);
        let _ = sent_day(field.value);
    }
    let mut from = 0;
    for stretch in structure(message).stretches() {
        assert!(from <= stretch.start && stretch.start <= stretch.end);
        from = stretch.end;
        let bytes = &message[stretch.start as usize..stretch.end as usize];
        let Some(coding) = stretch.coding else { continue };
        let (mut whole, mut cut) = (TextReader::new(coding), TextReader::new(coding));
        let mut text = whole.push(bytes).to_owned();
        text.push_str(whole.finish());
        let mut same = String::new();
        for piece in fuzz::pieces(bytes, lengths) {
            same.push_str(cut.push(piece));
        }
        same.push_str(cut.finish());
        assert_eq!(text, same);
        found_in_pieces(&text, lengths);
    }
});

/// A window that moves over a text shows what there is.
fn found_in_pieces(text: &str, lengths: &[u8]) {
    let characters: Vec<char> = text.chars().collect();
    let from = lengths.first().map_or(0, |&length| usize::from(length)).min(characters.len());
    let some: String = characters.iter().skip(from).take(7).collect();
    let needle = Needle::new(&some);
    let mut window = Window::new(needle.length());
    let mut found = needle.is_in(&window);
    let size = lengths.last().map_or(1, |&length| usize::from(length).max(1));
    for piece in characters.chunks(size) {
        window.push(&piece.iter().collect::<String>());
        found |= needle.is_in(&window);
    }
    assert!(found);
}
