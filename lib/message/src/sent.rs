//! The day in a `Date` field (RFC 5322 sections 3.3 and 4.3), as the sender's clock showed it.

use crate::value::{is_blank, split_comment};

/// Year, month and day (from 1) of a `Date` field's value. Time and zone are not looked at; whether the month has that
/// many days is not asked either.
pub fn sent_day(value: &[u8]) -> Option<(u16, u8, u8)> {
    let mut rest = value;
    let mut first = word(&mut rest);
    if first.first().is_some_and(u8::is_ascii_alphabetic) {
        first = word(&mut rest);
    }
    let day = number(first).filter(|day| (1..=31).contains(day))?;
    let name = word(&mut rest);
    let month = (1u8..)
        .zip(MONTHS)
        .find(|(_, known)| name.get(..3).is_some_and(|name| name.eq_ignore_ascii_case(known.as_bytes())))?;
    let digits = word(&mut rest);
    let year = match (number(digits)?, digits.len()) {
        (year, 4..) => year,
        // RFC 5322, section 4.3.
        (year, 2) if year < 50 => year + 2000,
        (year, _) => year + 1900,
    };
    (year <= 9999).then_some((year, month.0, u8::try_from(day).ok()?))
}

/// Takes a word: what stands between blanks, commas, dashes and comments.
fn word<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let is_between = |byte: u8| is_blank(byte) || matches!(byte, b',' | b'-' | b'.');
    loop {
        match rest {
            [b'(', ..] => *rest = split_comment(rest).1,
            [byte, after @ ..] if is_between(*byte) => *rest = after,
            _ => break,
        }
    }
    let length = rest.iter().position(|&byte| is_between(byte) || byte == b'(').unwrap_or(rest.len());
    let (word, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
    *rest = after;
    word
}

fn number(digits: &[u8]) -> Option<u16> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_are_found() {
        for (value, day) in [
            ("Fri, 21 Nov 2025 23:59:00 -0500", (2025, 11, 21)),
            ("21 nov 2025 10:00 +0000", (2025, 11, 21)),
            (" Fri (x) ,\t(a (b)) 1 Nov (c) 2025", (2025, 11, 1)),
            ("Mon, 1 Feb 99 10:00:00 GMT", (1999, 2, 1)),
            ("Mon, 1 February 49 10:00:00 GMT", (2049, 2, 1)),
            ("1 Jan 100 00:00:00", (2000, 1, 1)),
            ("Mon, 01-Feb-1999 10:00:00 GMT", (1999, 2, 1)),
        ] {
            assert_eq!(sent_day(value.as_bytes()), Some(day), "{value}");
        }
        for value in
            ["", "never", "Fri, 32 Nov 2025", "Fri, 0 Nov 2025", "1 Foo 2025", "1 Jan x", "1 Jan 99999", "ü"]
        {
            assert_eq!(sent_day(value.as_bytes()), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_value_is_too_odd(value in any::<Vec<u8>>()) {
            let _ = sent_day(&value);
        }
    }
}
