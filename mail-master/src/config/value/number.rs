//! Numbers, times, sizes and file modes.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Fault, Value, written};
use crate::config::host::Host;

/// How many of something there may be: at least 1.
pub(crate) type Count = NonZeroU32;

/// A size in memory or on disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

/// A size that is written in megabytes, in bytes; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MegaBytes(pub(crate) u64);

/// Permission bits as umask(2) takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mode(pub(crate) u32);

impl Value for u32 {
    const KIND: &'static str = "number";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        whole(text).and_then(|number| Self::try_from(number).map_err(|_| too_large(text)))
    }

    fn variable(&self) -> Option<String> {
        written(self)
    }
}

impl Value for Count {
    const KIND: &'static str = "number, at least 1";

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        Self::new(u32::parse(text, host)?)
            .ok_or_else(|| Fault::new("this must be at least 1", "write 1 or more"))
    }

    fn variable(&self) -> Option<String> {
        written(self)
    }
}

impl Value for Bytes {
    const KIND: &'static str = "size in bytes: 65536, 64k";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        size(text, 1).map(Self)
    }

    fn variable(&self) -> Option<String> {
        written(self.0)
    }
}

impl Value for MegaBytes {
    const KIND: &'static str = "size in megabytes: 256, 256M, 1G; 0 is no limit";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        match size(text, MEGA)? {
            bytes @ (0 | LEAST..) => Ok(Self(bytes)),
            _ => Err(Fault::new(
                format!("'{text}' is too little for any program to start in"),
                "write 16 or more, or 0 for no limit",
            )),
        }
    }

    fn variable(&self) -> Option<String> {
        (self.0 > 0).then(|| self.0.div_ceil(MEGA).to_string())
    }
}

impl Value for Mode {
    const KIND: &'static str = "octal number: 0077";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        let octal = text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| octal && *mode <= 0o777);
        mode.map(Self)
            .ok_or_else(|| Fault::new(format!("'{text}' is no file mode"), "write it in octal, as 0077"))
    }

    fn variable(&self) -> Option<String> {
        Some(format!("{:04o}", self.0))
    }
}

/// What a program and its libraries take before it does anything, with some room.
const LEAST: u64 = 16 * MEGA;

/// A whole decimal number and nothing else. What C would read as octal or hexadecimal is refused, not misread.
fn whole(text: &str) -> Result<u64, Fault> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::new(format!("'{text}' is not a whole number"), "write it in decimal digits"));
    }
    if text.len() > 1 && text.starts_with('0') {
        let decimal = text.trim_start_matches('0');
        let decimal = if decimal.is_empty() { "0" } else { decimal };
        return Err(Fault::new(
            "a number that begins with 0 could be meant as octal",
            format!("write '{decimal}'"),
        ));
    }
    text.parse().map_err(|_| too_large(text))
}

fn too_large(text: &str) -> Fault {
    Fault::new(format!("the number {text} is too large"), "write a smaller one")
}

/// A number and its unit, with or without a blank between.
fn with_unit(text: &str) -> Result<(u64, String), Fault> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).unwrap_or((text, ""));
    if number.is_empty() {
        return whole(text).map(|number| (number, String::new()));
    }
    Ok((whole(number)?, unit.trim_start().to_ascii_lowercase()))
}

pub(super) fn duration(text: &str, _: &Host) -> Result<Duration, Fault> {
    let (number, unit) = with_unit(text)?;
    let seconds: u64 = match unit.as_str() {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 60 * 60,
        "d" | "day" | "days" => 24 * 60 * 60,
        "w" | "week" | "weeks" => 7 * 24 * 60 * 60,
        _ => {
            let help = "write seconds, or a number with secs, mins, hours, days or weeks";
            return Err(Fault::new(format!("'{unit}' is no unit of time"), help));
        }
    };
    let total = number.checked_mul(seconds).filter(|total| *total <= LONGEST);
    total.map(Duration::from_secs).ok_or_else(|| too_large(text))
}

fn size(text: &str, plain: u64) -> Result<u64, Fault> {
    let (number, unit) = with_unit(text)?;
    let bytes = match unit.as_str() {
        "" => plain,
        "b" => 1,
        "k" | "kb" => 1024,
        "m" | "mb" => MEGA,
        "g" | "gb" => 1024 * MEGA,
        "t" | "tb" => 1024 * 1024 * MEGA,
        _ => {
            return Err(Fault::new(format!("'{unit}' is no unit of size"), "the units are B, K, M, G and T"));
        }
    };
    number.checked_mul(bytes).filter(|total| i64::try_from(*total).is_ok()).ok_or_else(|| too_large(text))
}

const MEGA: u64 = 1024 * 1024;
/// Ten years: more is a mistake, and less than any clock's overflow.
const LONGEST: u64 = 10 * 366 * 24 * 60 * 60;
