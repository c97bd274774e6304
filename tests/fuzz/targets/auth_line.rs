//! A line of the authentication protocol: it goes there and back, and stays one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::auth::Line;

fuzz_target!(|input: &[u8]| {
    let line = Line::parse(input);
    let bytes = line.to_bytes();
    let text = bytes.strip_suffix(b"\n").unwrap();
    assert!(!text.iter().any(|byte| b"\n\r\0".contains(byte)));
    assert_eq!(Line::parse(text), line);
    for (key, value) in line.values(1) {
        if let Ok(key) = std::str::from_utf8(key) {
            assert!(line.get(key).is_some());
            assert_eq!(Line::new("X").with_value(key, value).get(key), Some(value));
        }
    }
});
