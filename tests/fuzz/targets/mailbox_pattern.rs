//! Patterns of `LIST`: what matches is what RFC 3501 says, told by a simpler and slower way.
//!
//! The input is a reference, a pattern and a name, with NULs between them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::imap::Pattern;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(3, |&byte| byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (reference, pattern, name) = (part(), part(), part());
    let Ok(name) = std::str::from_utf8(name) else { return };
    for separator in [b'/', b'.'] {
        let matches = Pattern::new(reference, pattern, separator).matches(name, separator);
        let rooted = pattern.first() == Some(&separator);
        let joined = [if rooted { b"" } else { reference }, pattern].concat();
        let wildcards = joined.iter().filter(|byte| b"*%".contains(byte)).count();
        if wildcards <= 4 && joined.len() <= 64 && name.len() <= 64 {
            let inbox =
                name.starts_with("INBOX") && name.as_bytes().get(5).is_none_or(|&byte| byte == separator);
            assert_eq!(matches, fits(&joined, name.as_bytes(), if inbox { 5 } else { 0 }, separator));
        }
    }
});

/// Tries all lengths that a wildcard may have. Of the name's bytes the first `caseless` fit in any case.
fn fits(pattern: &[u8], name: &[u8], caseless: usize, separator: u8) -> bool {
    let any =
        |length: &usize| fits(&pattern[1..], &name[*length..], caseless.saturating_sub(*length), separator);
    match pattern {
        [] => name.is_empty(),
        [b'*', ..] => (0..=name.len()).any(|length| any(&length)),
        [b'%', ..] => {
            let level = name.iter().take_while(|&&byte| byte != separator).count();
            (0..=level).any(|length| any(&length))
        }
        [wanted, ..] => name.first().is_some_and(|byte| {
            (wanted == byte || (caseless > 0 && wanted.eq_ignore_ascii_case(byte))) && any(&1)
        }),
    }
}
