//! pop3_uidl_format: how a message's unique id is made (RFC 1939, section 7).
//!
//! `%u` is its UID, `%v` the mailbox's UIDVALIDITY, `%f` the name of its file without flags, `%m` the MD5 of its
//! header. Before the letter may stand a width, which cuts, or with a zero in front of it fills up; then `X` for
//! hexadecimal, `L` and `U` for lower and upper case, `R` for backwards. What another server made of the same format
//! must come out the same here, or clients fetch all their mail again.

use std::str::{Chars, FromStr};

use md5::{Digest, Md5};

/// A format, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format(Vec<Part>);

/// What ids are made of.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) uid: u32,
    pub(super) uid_validity: u32,
    /// If it is needed.
    pub(super) file_name: Vec<u8>,
    /// If it is needed.
    pub(super) header: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(char),
    Variable { variable: Variable, width: usize, fill: bool, changes: Vec<Change> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    Uid,
    UidValidity,
    FileName,
    HeaderSum,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Hexadecimal,
    Lower,
    Upper,
    Reverse,
}

/// RFC 1939: 1 to 70 printable characters.
pub(super) fn is_valid(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

/// An id of printable characters as the RFC allows it: of one that is too long, the beginning and the MD5 of it all.
pub(super) fn bounded(id: String) -> String {
    match id.len() {
        1..=LONGEST => id,
        _ => {
            let sum = md5(id.as_bytes());
            let beginning = id.chars().take(LONGEST - 1 - sum.len());
            beginning.chain(['-']).chain(sum.chars()).collect()
        }
    }
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Format {
    pub(super) fn needs_header(&self) -> bool {
        self.variables().any(|variable| variable == Variable::HeaderSum)
    }

    pub(super) fn needs_file_name(&self) -> bool {
        self.variables().any(|variable| variable == Variable::FileName)
    }

    /// Does each message get another id? Those of the same header may not, nor those of which only a part is taken.
    pub(super) fn is_distinct(&self) -> bool {
        self.0.iter().any(|part| match part {
            Part::Variable { variable: Variable::Uid, width, fill, .. } => *fill || *width >= UID_WIDTH,
            Part::Variable { variable: Variable::FileName, width, fill, changes } => {
                (*fill || *width == usize::MAX) && changes.is_empty()
            }
            _ => false,
        })
    }

    /// The id. What may not be in one becomes `_`.
    pub(super) fn fill(&self, facts: &Facts) -> String {
        let mut id = String::new();
        for part in &self.0 {
            match part {
                Part::Text(letter) => id.push(*letter),
                Part::Variable { variable, width, fill, changes } => {
                    let value =
                        changes.iter().fold(variable.value(facts), |value, change| change.apply(value));
                    match fill {
                        true => id.push_str(&format!("{value:0>width$}")),
                        false => id.extend(value.chars().take(*width)),
                    }
                }
            }
        }
        id.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '_' }).collect()
    }

    fn variables(&self) -> impl Iterator<Item = Variable> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable { variable, .. } => Some(*variable),
        })
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.chars();
        while let Some(letter) = rest.next() {
            parts.push(match letter {
                '%' => variable(&mut rest)?,
                _ => Part::Text(letter),
            });
        }
        let format = Self(parts);
        if format.variables().all(|variable| variable == Variable::UidValidity) {
            return Err(format!("{text:?} gives all messages the same id: it needs %u, %f or %m"));
        }
        Ok(format)
    }
}

/// What stands after a percent sign.
fn variable(rest: &mut Chars<'_>) -> Result<Part, String> {
    let (mut width, mut fill, mut changes) = (None, false, Vec::new());
    for letter in rest {
        let variable = match letter {
            '%' if width.is_none() && !fill && changes.is_empty() => return Ok(Part::Text('%')),
            '0' if width.is_none() && changes.is_empty() => {
                fill = true;
                continue;
            }
            '0'..='9' if changes.is_empty() => {
                let digit = letter.to_digit(10).unwrap_or_default() as usize;
                width = Some(width.unwrap_or(0) * 10 + digit).filter(|width| *width <= WIDEST);
                if width.is_none() {
                    return Err(format!("an id is not wider than {WIDEST}"));
                }
                continue;
            }
            'X' => {
                changes.push(Change::Hexadecimal);
                continue;
            }
            'L' => {
                changes.push(Change::Lower);
                continue;
            }
            'U' => {
                changes.push(Change::Upper);
                continue;
            }
            'R' => {
                changes.push(Change::Reverse);
                continue;
            }
            'u' => Variable::Uid,
            'v' => Variable::UidValidity,
            'f' => Variable::FileName,
            'm' => Variable::HeaderSum,
            _ => return Err(format!("%{letter} is unknown; known are %u, %v, %f and %m")),
        };
        let width = width.filter(|width| *width > 0);
        return Ok(Part::Variable {
            variable,
            width: width.unwrap_or(if fill { 0 } else { usize::MAX }),
            fill,
            changes,
        });
    }
    Err("a % is left alone at the end".to_owned())
}

impl Variable {
    fn value(self, facts: &Facts) -> String {
        match self {
            Self::Uid => facts.uid.to_string(),
            Self::UidValidity => facts.uid_validity.to_string(),
            Self::FileName => String::from_utf8_lossy(&facts.file_name).into_owned(),
            Self::HeaderSum => md5(&facts.header),
        }
    }
}

impl Change {
    fn apply(self, value: String) -> String {
        match self {
            // What is no number counts as none.
            Self::Hexadecimal => format!("{:x}", value.parse::<u64>().unwrap_or(0)),
            Self::Lower => value.to_ascii_lowercase(),
            Self::Upper => value.to_ascii_uppercase(),
            Self::Reverse => value.chars().rev().collect(),
        }
    }
}

const LONGEST: usize = 70;
const WIDEST: usize = LONGEST;
/// Digits of the highest UID.
const UID_WIDTH: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(format: &str) -> String {
        let facts = Facts {
            uid: 26,
            uid_validity: 1_227_500_000,
            file_name: b"1.M2 P3.host".to_vec(),
            header: b"A: 1\n\n".to_vec(),
        };
        format.parse::<Format>().unwrap().fill(&facts)
    }

    #[test]
    fn known_formats_give_known_ids() {
        for (format, id) in [
            ("%08Xu%08Xv", "0000001a492a29e0"),
            ("%u", "26"),
            ("%v.%u", "1227500000.26"),
            ("%f", "1.M2_P3.host"),
            ("%1u", "2"),
            ("%05u", "00026"),
            ("%01u", "26"),
            ("%Ru", "62"),
            ("%08XUu", "0000001A"),
            ("%UXu%%", "1a%"),
        ] {
            assert_eq!(fill(format), id, "{format}");
        }
        assert_eq!(fill("%m").len(), 32);
    }

    #[test]
    fn ids_are_as_long_as_they_may_be() {
        let (long, other) = ("x".repeat(71), "x".repeat(72));
        let ids = [&long, &other].map(|id| bounded(id.clone()));
        assert!(ids.iter().all(|id| is_valid(id.as_bytes()) && id.starts_with("xxxx")) && ids[0] != ids[1]);
        assert_eq!(bounded("x".repeat(70)), "x".repeat(70));
        assert!(is_valid(bounded(String::new()).as_bytes()));
    }

    #[test]
    fn ids_that_may_be_the_same_are_known() {
        let is_distinct = |format: &str| format.parse::<Format>().unwrap().is_distinct();
        assert!(["%u", "%08Xu%08Xv", "%f", "%m%u", "%10u"].into_iter().all(is_distinct));
        assert!(!["%m", "%1u", "%Lf", "%20f", "%8Xm"].into_iter().any(is_distinct));
    }

    #[test]
    fn what_makes_no_unique_id_is_refused() {
        for format in ["", "x", "%v", "%%", "%", "%u%", "%x", "%71u", "%99999999999999999999999u"] {
            assert!(format.parse::<Format>().is_err(), "{format}");
        }
    }

    proptest! {
        #[test]
        fn no_format_panics(format in "[%0-9XLURuvfmx]{0,12}") {
            if let Ok(format) = format.parse::<Format>() {
                prop_assert!(format.fill(&Facts::default()).bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
