//! Names of messages: `<base>[:2,<flags>[,<more>]]`. The base is the message's identity and may bear `,S=<bytes>` and
//! `,W=<bytes with CRLF>`. The letters are cr.yp.to/proto/maildir.html's, and a to z for keywords.

use crate::flags::Letters;
use crate::{Flag, Flags, Keyword};

/// Takes a name apart: the base, and the info after the first colon.
pub(crate) fn split(name: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b':', name) {
        Some(colon) => {
            let (base, info) = name.split_at(colon);
            (base, info.get(1..))
        }
        None => (name, None),
    }
}

/// The flags that an info bears. Letters that we do not know are none of ours.
pub(crate) fn flags(info: Option<&[u8]>) -> Letters {
    let letters = info.and_then(|info| info.strip_prefix(b"2,")).unwrap_or_default();
    letters.iter().take_while(|&&letter| letter != b',').fold(
        Letters::default(),
        |flags, &letter| match known(letter) {
            Some(flag) => flags.union(flag.into()),
            None => flags,
        },
    )
}

/// The info for these flags, with all that `old` has and we do not know left in its place.
pub(crate) fn info(old: Option<&[u8]>, flags: impl Into<Letters>) -> Vec<u8> {
    let old = old.and_then(|info| info.strip_prefix(b"2,")).unwrap_or_default();
    let comma = memchr::memchr(b',', old).unwrap_or(old.len());
    let (old, rest) = old.split_at(comma);
    let mut letters = letters(flags.into()).peekable();
    let mut info = b"2,".to_vec();
    for &unknown in old.iter().filter(|&&letter| known(letter).is_none()) {
        while let Some(letter) = letters.next_if(|&letter| letter < unknown) {
            info.push(letter);
        }
        info.push(unknown);
    }
    info.extend(letters);
    info.extend_from_slice(rest);
    info
}

/// A number in the base: `,S=` for the size on disk, `,W=` for the size with CRLF.
pub(crate) fn number(base: &[u8], key: u8) -> Option<u64> {
    let mut starts = memchr::memchr_iter(b',', base).filter_map(|comma| base.get(comma + 1..));
    let digits = starts.find_map(|rest| rest.strip_prefix(&[key, b'=']))?;
    let end = digits.iter().position(|&byte| byte == b',').unwrap_or(digits.len());
    decimal(digits.get(..end)?)
}

/// When a message arrived, by its base: seconds and microseconds; zero where it does not say.
pub(crate) fn arrival(base: &[u8]) -> (u64, u64) {
    let dot = memchr::memchr(b'.', base).unwrap_or(base.len());
    let (seconds, rest) = base.split_at(dot);
    let micros = rest.strip_prefix(b".M").unwrap_or_default();
    let end = micros.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(micros.len());
    (decimal(seconds).unwrap_or(0), decimal(micros.get(..end).unwrap_or_default()).unwrap_or(0))
}

/// Digits and nothing else, as a number.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn known(letter: u8) -> Option<Flags> {
    if letter.is_ascii_lowercase() {
        return Keyword::new(letter - b'a').map(|keyword| Flags::NONE.with_keyword(keyword));
    }
    Flag::ALL.into_iter().find(|flag| flag.letter() == letter).map(|flag| Flags::NONE.with(flag))
}

/// In ASCII order.
fn letters(flags: Letters) -> impl Iterator<Item = u8> {
    let system = [Flag::Draft, Flag::Flagged, Flag::Answered, Flag::Seen, Flag::Deleted];
    let system = system.into_iter().filter(move |&flag| flags.has(flag)).map(Flag::letter);
    system.chain(Flags::from(flags).keywords().map(|keyword| b'a' + keyword.number()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base_ends_at_the_first_colon() {
        assert_eq!(split(b"1.M2P3.host:2,S"), (&b"1.M2P3.host"[..], Some(&b"2,S"[..])));
        assert_eq!(split(b"1.host"), (&b"1.host"[..], None));
        assert_eq!(split(b":2,"), (&b""[..], Some(&b"2,"[..])));
    }

    #[test]
    fn flags_are_written_in_ascii_order() {
        let flags = Flags::NONE.with(Flag::Seen).with(Flag::Flagged).with(Flag::Deleted).with(Flag::Draft);
        let flags = flags.with_keyword(Keyword::new(25).unwrap()).with_keyword(Keyword::new(0).unwrap());
        assert_eq!(info(None, flags), b"2,DFSTaz");
    }

    #[test]
    fn what_we_do_not_know_stays() {
        assert_eq!(info(Some(b"2,PS"), Flags::NONE.with(Flag::Answered)), b"2,PR");
        assert_eq!(info(Some(b"2,S,X=1,2"), Flags::NONE), b"2,,X=1,2");
        assert_eq!(info(Some(b"2,XS"), Flags::NONE.with(Flag::Seen)), b"2,SX");
        assert_eq!(flags(Some(b"1,S")), Letters::default());
        assert_eq!(flags(Some(b"2,PS,T")), Flags::NONE.with(Flag::Seen).named());
    }

    #[test]
    fn sizes_are_read_from_the_base() {
        assert_eq!(number(b"1.M2P3.h,S=12,W=15", b'S'), Some(12));
        assert_eq!(number(b"1.M2P3.h,S=12,W=15", b'W'), Some(15));
        assert_eq!(number(b"1.M2P3.h,S=12x", b'S'), None);
        assert_eq!(number(b"1.M2P3.h,S=", b'S'), None);
        assert_eq!(number(b"1,S=99999999999999999999", b'S'), None);
    }

    #[test]
    fn arrival_is_seconds_and_microseconds() {
        assert_eq!(arrival(b"10.M40P1.h,S=3"), (10, 40));
        assert_eq!(arrival(b"10.V1I2.h"), (10, 0));
        assert_eq!(arrival(b"10"), (10, 0));
        assert_eq!(arrival(b"x.M5"), (0, 5));
        assert_eq!(arrival(b""), (0, 0));
    }

    proptest! {
        #[test]
        fn flags_come_back(bits in 0_u32..1 << 31, old in proptest::option::of("2,[A-Za-z]{0,40}(,[a-z]{0,9})?")) {
            let old = old.map(String::into_bytes);
            let mut wanted = Flags::NONE;
            for flag in Flag::ALL { if bits & 1 << flag as u8 != 0 { wanted = wanted.with(flag); } }
            for n in 0..26 { if bits & 1 << n != 0 { wanted = wanted.with_keyword(Keyword::new(n).unwrap()); } }
            let new = info(old.as_deref(), wanted);
            prop_assert_eq!(flags(Some(&new)), wanted.named());
            prop_assert_eq!(info(Some(&new), wanted), new);
        }

        #[test]
        fn no_name_is_too_odd(name in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (base, rest) = split(&name);
            let flags = flags(rest);
            info(rest, flags);
            number(base, b'S');
            arrival(base);
            let whole = match rest { Some(info) => [base, b":", info].concat(), None => base.to_vec() };
            prop_assert_eq!(whole, name);
        }
    }
}
