//! Names of mailboxes in modified UTF-7: each has one form, goes there and back, and holds no control character.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::imap::{MailboxName, mutf7};

fuzz_target!(|input: &[u8]| {
    if let Some(name) = mutf7::decode(input) {
        assert_eq!(mutf7::encode(&name).as_bytes(), input);
    }
    if let Ok(text) = std::str::from_utf8(input) {
        assert_eq!(mutf7::decode(mutf7::encode(text).as_bytes()).as_deref(), Some(text));
        if let Ok(name) = MailboxName::from_utf8(text) {
            assert!(name.decoded().eq_ignore_ascii_case(text));
            check(&name);
        }
    }
    if let Ok(name) = MailboxName::from_wire(input) {
        check(&name);
    }
});

fn check(name: &MailboxName) {
    assert!(name.wire().bytes().all(|byte| matches!(byte, b' '..=b'~')));
    assert!(!name.decoded().chars().any(char::is_control));
    assert_eq!(MailboxName::from_wire(name.wire().as_bytes()).as_ref(), Ok(name));
    assert_eq!(MailboxName::from_utf8(&name.decoded()).as_ref(), Ok(name));
}
