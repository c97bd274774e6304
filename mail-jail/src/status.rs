//! What the kernel says of this process: the lines of /proc/self/status that a jail is judged by.

use std::str::FromStr;

use nix::unistd::{Gid, Uid};
use thiserror::Error;

use crate::plan::Plan;

/// Something is not as the plan has it.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{line} is {found}, should be {wanted}")]
pub(crate) struct Unlike {
    line: &'static str,
    found: String,
    wanted: String,
}

/// Compares every line that matters with `plan`; a line that is missing is not as planned either.
pub(crate) fn check(status: &str, plan: &Plan) -> Result<(), Unlike> {
    let mask: u64 = plan.keep.iter().map(caps::Capability::bitmask).fold(0, std::ops::BitOr::bitor);
    numbers(status, "Uid", &[plan.uid; 4].map(Uid::as_raw))?;
    numbers(status, "Gid", &[plan.gid; 4].map(Gid::as_raw))?;
    numbers(status, "Groups", &plan.groups.iter().map(|gid| gid.as_raw()).collect::<Vec<_>>())?;
    for line in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let found = field(status, line);
        if found.and_then(|text| u64::from_str_radix(text, 16).ok()) != Some(mask) {
            return Err(unlike(line, found, format!("{mask:016x}")));
        }
    }
    numbers(status, "NoNewPrivs", &[1])
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
    use caps::Capability;

    const STATUS: &str = "Name:\tx\nUid:\t5\t5\t5\t5\nGid:\t6\t6\t6\t6\nGroups:\t \nCapInh:\t00000000000000c0\n\
        CapPrm:\t00000000000000c0\nCapEff:\t00000000000000c0\nCapBnd:\t00000000000000c0\n\
        CapAmb:\t00000000000000c0\nNoNewPrivs:\t1\n";

    fn plan() -> Plan {
        let keep = [Capability::CAP_SETUID, Capability::CAP_SETGID].into_iter().collect();
        Plan { uid: Uid::from_raw(5), gid: Gid::from_raw(6), groups: Vec::new(), keep }
    }

    #[test]
    fn what_was_planned_passes() {
        assert_eq!(check(STATUS, &plan()), Ok(()));
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
                assert_eq!(check(&changed, &plan()).unwrap_err().line, name);
            }
        }
    }
}
