//! What the kernel says of this process: the lines of /proc/self/status that a jail is judged by, and the maps.

use std::fs::File;
use std::io::{self, Read};
use std::str::FromStr;

use confine::Ranges;
use nix::unistd::{Gid, Uid};
use thiserror::Error;

use crate::jail::{Confined, Form, NotConfined};
use crate::plan::{Maps, Plan};

/// Something is not as the plan has it.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{line} is {found}, should be {wanted}")]
pub(crate) struct Unlike {
    line: &'static str,
    found: String,
    wanted: String,
}

/// The kernel's word, opened while there is a way to it. It is made up when it is read.
pub(crate) struct Kernel {
    status: File,
    uid_map: File,
    gid_map: File,
}

impl Kernel {
    pub(crate) fn open() -> io::Result<Self> {
        let open = |name| File::open(format!("/proc/self/{name}"));
        Ok(Self { status: open("status")?, uid_map: open("uid_map")?, gid_map: open("gid_map")? })
    }

    /// Compares all that matters with what was planned and came of it. `bounded`: there was a right to bound.
    pub(crate) fn check(
        &mut self,
        plan: &Plan,
        confined: &Confined,
        bounded: bool,
    ) -> Result<(), NotConfined> {
        let status = text(&mut self.status)?;
        check(&status, plan, bounded)?;
        if confined.seccomp {
            numbers(&status, "Seccomp", &[FILTERED])?;
        }
        if let (Form::Namespace, Some(Maps { uids, gids })) = (confined.form, &plan.maps) {
            map("uid_map", &text(&mut self.uid_map)?, uids)?;
            map("gid_map", &text(&mut self.gid_map)?, gids)?;
        }
        Ok(())
    }
}

/// What the line Seccomp says of a process that has filters.
const FILTERED: u32 = 2;

fn text(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// A line that is missing is not as planned either.
fn check(status: &str, plan: &Plan, bounded: bool) -> Result<(), Unlike> {
    let mask: u64 = plan.keep.iter().map(caps::Capability::bitmask).fold(0, std::ops::BitOr::bitor);
    if let Some(base) = &plan.base {
        numbers(status, "Uid", &[base.uid; 4].map(Uid::as_raw))?;
        numbers(status, "Gid", &[base.gid; 4].map(Gid::as_raw))?;
        numbers(status, "Groups", &base.groups.iter().map(|gid| gid.as_raw()).collect::<Vec<_>>())?;
    }
    let sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"].into_iter().chain(bounded.then_some("CapBnd"));
    for line in sets {
        let found = field(status, line);
        if found.and_then(|text| u64::from_str_radix(text, 16).ok()) != Some(mask) {
            return Err(unlike(line, found, format!("{mask:016x}")));
        }
    }
    numbers(status, "NoNewPrivs", &[1])
}

/// Each range has to be itself outside, and all of them the ranges.
fn map(file: &'static str, text: &str, wanted: &Ranges) -> Result<(), Unlike> {
    let extent = |line: &str| {
        let mut words = line.split_ascii_whitespace().map(|word| u32::from_str(word).ok());
        let (inside, outside, count) = (words.next()??, words.next()??, words.next()??);
        let last = inside.checked_add(count.checked_sub(1)?)?;
        (inside == outside).then_some(inside..=last)
    };
    let extents: Option<Vec<_>> = text.lines().map(extent).collect();
    if extents.map(Ranges::new).as_ref() == Some(wanted) {
        return Ok(());
    }
    let found = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    Err(unlike(file, Some(&found), format!("{wanted}, one to one")))
}

fn numbers(status: &str, line: &'static str, wanted: &[u32]) -> Result<(), Unlike> {
    let found = field(status, line);
    let numbers: Option<Vec<u32>> =
        found.and_then(|text| text.split_ascii_whitespace().map(|word| u32::from_str(word).ok()).collect());
    if numbers.as_deref() == Some(wanted) {
        return Ok(());
    }
    let wanted: Vec<_> = wanted.iter().map(u32::to_string).collect();
    Err(unlike(line, found, wanted.join(" ")))
}

fn unlike(line: &'static str, found: Option<&str>, wanted: String) -> Unlike {
    Unlike { line, found: found.unwrap_or("not there").to_owned(), wanted }
}

/// What stands behind `name:`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Arguments;
    use caps::Capability;

    const STATUS: &str = "Name:\tx\nUid:\t5\t5\t5\t5\nGid:\t6\t6\t6\t6\nGroups:\t \nCapInh:\t00000000000000c0\n\
        CapPrm:\t00000000000000c0\nCapEff:\t00000000000000c0\nCapBnd:\t00000000000000c0\n\
        CapAmb:\t00000000000000c0\nNoNewPrivs:\t1\n";

    fn plan() -> Plan {
        let keep = vec![Capability::CAP_SETUID, Capability::CAP_SETGID];
        let (user, group) = (Some("5".to_owned()), Some("6".to_owned()));
        Plan::new(&Arguments { user, group, keep, ..Arguments::default() }).unwrap()
    }

    #[test]
    fn what_was_planned_passes() {
        assert_eq!(check(STATUS, &plan(), true), Ok(()));
    }

    #[test]
    fn any_line_that_differs_or_lacks_fails_by_its_name() {
        for (line, other) in [
            ("Uid:\t5\t5\t5\t5", "Uid:\t5\t5\t0\t5"),
            ("Gid:\t6\t6\t6\t6", "Gid:\t0\t6\t6\t6"),
            ("Groups:\t ", "Groups:\t42 "),
            ("CapInh:\t00000000000000c0", "CapInh:\t0000000000000000"),
            ("CapPrm:\t00000000000000c0", "CapPrm:\t00000000000000c1"),
            ("CapEff:\t00000000000000c0", "CapEff:\t000001ffffffffff"),
            ("CapBnd:\t00000000000000c0", "CapBnd:\tx"),
            ("CapAmb:\t00000000000000c0", "CapAmb:\t"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
        ] {
            let name = line.split(':').next().unwrap();
            for changed in [STATUS.replace(line, other), STATUS.replace(line, "")] {
                assert_eq!(check(&changed, &plan(), true).unwrap_err().line, name);
            }
        }
    }

    #[test]
    fn a_bounding_set_that_could_not_be_changed_is_not_looked_at() {
        let changed = STATUS.replace("CapBnd:\t00000000000000c0", "CapBnd:\t000001ffffffffff");
        assert_eq!(check(&changed, &plan(), false), Ok(()));
    }

    #[test]
    fn a_map_is_the_ranges_one_to_one() {
        let ranges: Ranges = "5,100-199".parse().unwrap();
        assert_eq!(map("uid_map", "         5          5          1\n 100 100 100\n", &ranges), Ok(()));
        for text in ["", "5 5 1\n", "5 5 1\n100 0 100\n", "0 0 4294967295\n", "5 5 1\n100 100 101\n", "x"] {
            assert_eq!(map("uid_map", text, &ranges).unwrap_err().line, "uid_map", "{text}");
        }
    }
}
