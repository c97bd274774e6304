//! envdump(5) and its escapes: what can be read goes there and back.

#![no_main]

use envdump::{Environment, escape, unescape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(environment) = Environment::from_text(input) {
        assert_eq!(Environment::from_text(&environment.to_text()).as_ref(), Ok(&environment));
        let lines: Vec<Vec<u8>> = environment.lines().collect();
        assert_eq!(Environment::from_lines(lines.iter().map(Vec::as_slice)), Ok(environment));
    }
    let escaped = escape(input);
    assert!(!escaped.iter().any(|byte| b"\t\n\r\0".contains(byte)));
    assert_eq!(unescape(&escaped).as_deref(), Ok(input));
    unescape(input).ok();
});
