//! %-variables: any text is a template or an error, and no client's bytes make one fail or grow beyond its widths.
//!
//! The input is the client's name, a NUL, and the text.

#![no_main]

use expand::{Template, Variables};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |&byte| byte == 0);
    let (user, text) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(template) = Template::parse(text) else { return };
    assert_eq!(template.text(), text);
    let variables = Variables { user, home: Some(b"/home"), ..Variables::of_many(b"IMAP", b"7") };
    let expanded = template.expand(&variables).unwrap();
    assert!(expanded.len() <= (text.len() + 1) * (user.len() * 600 + 10_000));
    if !text.contains('%') {
        assert_eq!(expanded, text.as_bytes());
    }
});
