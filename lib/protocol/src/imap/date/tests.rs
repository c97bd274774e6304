use proptest::prelude::*;

use super::super::response;
use super::*;

fn date(text: &str) -> Option<Date> {
    let mut cursor = Cursor::new(text.as_bytes());
    Date::parse(&mut cursor).ok().filter(|_| cursor.is_empty())
}

fn date_time(text: &str) -> Option<DateTime> {
    let mut cursor = Cursor::new(text.as_bytes());
    DateTime::parse(&mut cursor).ok().filter(|_| cursor.is_empty())
}

#[test]
fn dates_of_clients_are_read() {
    for text in ["1-Feb-1994", "01-feb-1994", "\"1-FEB-1994\""] {
        assert_eq!(date(text), Date::new(1994, 2, 1), "{text}");
    }
    assert_eq!(date("29-Feb-2000"), Date::new(2000, 2, 29));
}

#[test]
fn days_that_never_were_are_refused() {
    for text in [
        "0-Jan-2000",
        "32-Jan-2000",
        "30-Feb-2000",
        "29-Feb-1900",
        "31-Apr-2000",
        "1-Foo-2000",
        "1-Jan-20000",
        "1-Jan-200",
        "1-Jan-05",
        "1 Jan 2000",
        "Jan-1-2000",
        "1-Jan",
        "",
        "\"1-Jan-2000",
        "257-Jan-2000",
        "1--2000",
    ] {
        assert_eq!(date(text), None, "{text}");
    }
    assert_eq!(Date::new(2000, 0, 1), None);
    assert_eq!(Date::new(2000, 13, 1), None);
    assert_eq!(Date::new(10_000, 1, 1), None);
}

#[test]
fn moments_are_known() {
    for (text, unix, offset) in [
        ("\" 1-Jan-1970 00:00:00 +0000\"", 0, 0),
        ("\"01-Jan-1970 01:00:00 +0100\"", 0, 60),
        ("\"17-Jul-1996 02:44:25 -0700\"", 837_596_665, -420),
        ("\"1-Mar-2000 00:00:00 +0000\"", 951_868_800, 0),
        ("\"31-Dec-1969 23:59:59 +0000\"", -1, 0),
    ] {
        assert_eq!(date_time(text), Some(DateTime { unix, offset }), "{text}");
    }
    for text in [
        "17-Jul-1996 02:44:25 -0700",
        "\"17-Jul-1996 2:44:25 -0700\"",
        "\"17-Jul-1996 24:44:25 -0700\"",
        "\"17-Jul-1996 02:60:25 -0700\"",
        "\"17-Jul-1996 02:44:25 0700\"",
        "\"17-Jul-1996 02:44:25 -07\"",
        "\"17-Jul-1996 02:44 -0700\"",
        "\"17-Jul-1996\"",
        "\"\"",
    ] {
        assert_eq!(date_time(text), None, "{text}");
    }
}

#[test]
fn a_day_depends_on_the_clock() {
    assert_eq!(Date::at(0, 0), Date::new(1970, 1, 1).unwrap());
    assert_eq!(Date::at(0, -1), Date::new(1969, 12, 31).unwrap());
    assert_eq!(Date::at(86_399, 1), Date::new(1970, 1, 2).unwrap());
    assert_eq!(Date::at(i64::MAX, i16::MAX), Date::new(9999, 12, 31).unwrap());
    assert_eq!(Date::at(i64::MIN, i16::MIN), Date::new(0, 1, 1).unwrap());
}

#[test]
fn days_follow_each_other() {
    let (mut year, mut month, mut day) = (0u16, 1u8, 1u8);
    for days in Date::new(0, 1, 1).unwrap().days()..=Date::new(2101, 1, 1).unwrap().days() {
        let date = Date::new(year, month, day).unwrap();
        assert_eq!((date.days(), Date::from_days(days)), (days, date));
        day += 1;
        if Date::new(year, month, day).is_none() {
            (month, day) = (month + 1, 1);
        }
        if month > 12 {
            (year, month) = (year + 1, 1);
        }
    }
    assert_eq!((year, month, day), (2101, 1, 2));
}

proptest! {
    #[test]
    fn moments_go_there_and_back(unix in -62_000_000_000i64..250_000_000_000, offset in -1439i16..=1439) {
        let mut out = Vec::new();
        response::internal_date(&mut out, unix, offset);
        let text = String::from_utf8(out).unwrap();
        prop_assert_eq!(date_time(text.strip_prefix("INTERNALDATE ").unwrap()), Some(DateTime { unix, offset }));
    }

    #[test]
    fn no_bytes_panic(text in "\"?[ 0-9]{0,3}-?[A-Za-z]{0,4}-?[0-9]{0,5} ?[0-9:]{0,9} ?[+-]?[0-9]{0,5}\"?") {
        date(&text);
        date_time(&text);
    }

    #[test]
    fn no_moment_panics(unix: i64, offset: i16) {
        let mut out = Vec::new();
        response::internal_date(&mut out, unix, offset);
        prop_assert_eq!(out.len(), b"INTERNALDATE \"17-Jul-1996 02:44:25 -0700\"".len());
    }
}
