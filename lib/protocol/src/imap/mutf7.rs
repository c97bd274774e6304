//! Modified UTF-7, RFC 3501 section 5.1.3: how names of mailboxes go over the wire and onto the disk.
//!
//! Strict both ways: a name has exactly one form, so that two names are the same mailbox only if their bytes are
//! the same. [`decode`] takes nothing that [`encode`] would not have written.

use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The wire form of a name.
pub fn encode(name: &str) -> String {
    let mut wire = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c| plain(c) != plain(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(length);
        rest = after;
        if plain(first) {
            wire.push_str(&run.replace('&', "&-"));
        } else {
            let utf16: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
            wire.push('&');
            BASE64.encode_string(utf16, &mut wire);
            wire.push('-');
        }
    }
    wire
}

/// The name in a wire form; none where the bytes are not one.
pub fn decode(wire: &[u8]) -> Option<String> {
    let mut rest = std::str::from_utf8(wire).ok()?;
    let mut name = String::with_capacity(rest.len());
    while let Some((before, shifted)) = rest.split_once('&') {
        name.push_str(before);
        let (run, after) = shifted.split_once('-')?;
        rest = after;
        if run.is_empty() {
            name.push('&');
            continue;
        }
        let bytes = BASE64.decode(run).ok()?;
        let (pairs, odd) = bytes.as_chunks::<2>();
        if !odd.is_empty() {
            return None;
        }
        for c in char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair))) {
            name.push(c.ok()?);
        }
    }
    name.push_str(rest);
    // Raw 8-bit, what needed no shift, two shifts where one does: none of these is what we would write.
    (encode(&name).as_bytes() == wire).then_some(name)
}

/// Does a character stand for itself?
fn plain(c: char) -> bool {
    matches!(c, ' '..='~')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_names_go_there_and_back() {
        for (name, wire) in [
            ("", ""),
            ("INBOX", "INBOX"),
            ("R&D", "R&-D"),
            ("&&", "&-&-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("台北", "&U,BTFw-"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("💩", "&2D3cqQ-"),
            ("a\tb", "a&AAk-b"),
        ] {
            assert_eq!(encode(name), wire);
            assert_eq!(decode(wire.as_bytes()).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_has_another_form_or_none_is_refused() {
        for wire in [
            "&",             // never shifted back
            "R&D",           // the same
            "&U,BTFw",       // the same
            "&AGE-",         // an "a" needs no shift
            "&Jjo!-",        // no base64
            "&U,BTFw-&ZeU-", // shifted back and at once again
            "&2D0-",         // half a surrogate pair
            "&U,BTFx-",      // bits left over that are not zero
            "&U,BT-",        // half a unit
            "&APw=-",        // padding
            "&AP/-",         // the other base64
            "&!!-",
            "Entwürfe",
            "a\tb",
        ] {
            assert_eq!(decode(wire.as_bytes()), None, "{wire}");
        }
        assert_eq!(decode(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn any_name_goes_there_and_back(name in any::<String>()) {
            let wire = encode(&name);
            prop_assert!(wire.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(decode(wire.as_bytes()), Some(name));
        }

        #[test]
        fn what_decodes_has_one_form(wire in "[&+,a-zA-Z0-9-]{0,12}") {
            if let Some(name) = decode(wire.as_bytes()) {
                prop_assert_eq!(encode(&name), wire);
            }
        }

        #[test]
        fn no_bytes_panic(wire in any::<Vec<u8>>()) {
            decode(&wire);
        }
    }
}
