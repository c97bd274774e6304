//! Dates and times as IMAP writes them, RFC 3501 `date` and `date-time`. The proleptic Gregorian calendar, no clock
//! and no time zone but the offset that is given.

use super::cursor::{Cursor, Parsed, bad};

/// A day; later days are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// A moment, and the offset of the clock that showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub unix: i64,
    /// Minutes east of UTC.
    pub offset: i16,
}

pub(super) const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

const DAY: i64 = 86_400;

impl Date {
    /// A day that exists, in the years 0 to 9999; months and days count from 1.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Date> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let length = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        (year <= 9999 && (1..=length).contains(&day)).then_some(Date { year, month, day })
    }

    /// The day on which a moment falls, on a clock `offset` minutes east of UTC. Years beyond 0 to 9999 give the
    /// first or last day.
    pub fn at(unix: i64, offset: i16) -> Date {
        let local = unix.saturating_add(i64::from(offset) * 60);
        Date::from_days(local.div_euclid(DAY))
    }

    /// Year, month and day.
    pub fn parts(self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }

    /// Days since 1970-01-01. Years begin in March here, so that the leap day comes last.
    fn days(self) -> i64 {
        let march_year = i64::from(self.year) - i64::from(self.month < 3);
        let march_month = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * march_month + 2) / 5 + i64::from(self.day) - 1;
        march_year * 365 + march_year.div_euclid(4) - march_year.div_euclid(100)
            + march_year.div_euclid(400)
            + day_of_year
            - 719_468
    }

    fn from_days(days: i64) -> Date {
        let (first, last) = (Date { year: 0, month: 1, day: 1 }, Date { year: 9999, month: 12, day: 31 });
        let days = days.clamp(first.days(), last.days()) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = (march_month + 2) % 12 + 1;
        let year = era * 400 + year_of_era + i64::from(month < 3);
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        Date {
            year: u16::try_from(year).unwrap_or(0),
            month: u8::try_from(month).unwrap_or(1),
            day: u8::try_from(day).unwrap_or(1),
        }
    }

    /// `1-Feb-1994`, in quotes or not.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Date> {
        let quoted = cursor.eat(b'"');
        let date = Date::parse_bare(cursor)?;
        if quoted && !cursor.eat(b'"') {
            return bad("Malformed date");
        }
        Ok(date)
    }

    fn parse_bare(cursor: &mut Cursor<'_>) -> Parsed<Date> {
        let day = cursor.number()?;
        let dash = cursor.eat(b'-');
        let name = cursor.take_while(|byte| byte.is_ascii_alphabetic());
        let month = (1u8..).zip(MONTHS).find(|(_, known)| known.eq_ignore_ascii_case(name));
        let dashes = dash && cursor.eat(b'-');
        let year = cursor.take_while(|byte| byte.is_ascii_digit());
        let (Some((month, _)), Some(year), true) = (month, year_of(year), dashes) else {
            return bad("Malformed date");
        };
        let date = u8::try_from(day).ok().and_then(|day| Date::new(year, month, day));
        date.map_or_else(|| bad("No such date"), Ok)
    }
}

/// Four digits.
fn year_of(digits: &[u8]) -> Option<u16> {
    let value = super::cursor::decimal(digits)?;
    u16::try_from(value).ok().filter(|_| digits.len() == 4)
}

impl DateTime {
    /// `" 1-Feb-1994 12:30:00 +0100"`; the day may have one digit or two, or a space before one.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<DateTime> {
        let opened = cursor.eat(b'"');
        cursor.spaces();
        let date = Date::parse_bare(cursor)?;
        cursor.spaces();
        let hour = two_digits(cursor, 23)?;
        let minute = if cursor.eat(b':') { two_digits(cursor, 59)? } else { return bad("Malformed time") };
        let second = if cursor.eat(b':') { two_digits(cursor, 60)? } else { return bad("Malformed time") };
        cursor.spaces();
        let east = cursor.eat(b'+');
        if !east && !cursor.eat(b'-') {
            return bad("Malformed time zone");
        }
        let zone = two_digits(cursor, 23)? * 60 + two_digits(cursor, 59)?;
        if !opened || !cursor.eat(b'"') {
            return bad("Malformed date and time");
        }
        let offset = if east { zone } else { -zone };
        let unix = date.days() * DAY + i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second)
            - i64::from(offset) * 60;
        Ok(DateTime { unix, offset })
    }
}

fn two_digits(cursor: &mut Cursor<'_>, greatest: i16) -> Parsed<i16> {
    let mut value = 0;
    for _ in 0..2 {
        match cursor.peek() {
            Some(digit @ b'0'..=b'9') => {
                cursor.eat(digit);
                value = value * 10 + i16::from(digit - b'0');
            }
            _ => return bad("Malformed time"),
        }
    }
    if value <= greatest { Ok(value) } else { bad("No such time") }
}

#[cfg(test)]
mod tests;
