//! A user namespace whose maps hold the ids that the program may be, one to one: user_namespaces(7).
//!
//! A process may not write the maps of the namespace that it has just entered, so a helper, started before, stays
//! outside and does. It is this program again, and waits for a line: that comes when there is a namespace.

use std::fs;
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

use confine::Ranges;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::getppid;
use thiserror::Error;

use crate::plan::{Arguments, Base, Maps};

/// Why there is no such namespace.
#[derive(Debug, Error)]
pub(crate) enum NoNamespace {
    #[error("more ranges than a map can hold")]
    TooMany,
    #[error("making one: {0}")]
    Refused(Errno),
    #[error("starting the helper that writes its maps: {0}")]
    NoHelper(io::Error),
    #[error("{0}")]
    NotMapped(String),
}

/// Enters it. After an error there may be no way back into the one before.
pub(crate) fn enter(maps: &Maps) -> Result<(), NoNamespace> {
    for ids in [&maps.uids, &maps.gids] {
        if ids.len() > MOST_RANGES || lines(ids).len() > LONGEST_MAP {
            return Err(NoNamespace::TooMany);
        }
    }
    let mut helper = Command::new(THIS_PROGRAM)
        .arg("--write-maps-of")
        .arg(std::process::id().to_string())
        .args(["--map-uids", &maps.uids.to_string(), "--map-gids", &maps.gids.to_string()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(NoNamespace::NoHelper)?;
    let line = helper.stdin.take();
    let entered = unshare(CloneFlags::CLONE_NEWUSER).map_err(NoNamespace::Refused);
    if let (Ok(()), Some(mut line)) = (&entered, line) {
        line.write_all(b"\n").map_err(NoNamespace::NoHelper)?;
    }
    let mut answer = String::new();
    let heard = helper.stdout.take().map_or(Ok(0), |mut out| out.read_to_string(&mut answer));
    // It has said all; where children are not waited for, there is nothing to wait for.
    let _ = helper.wait();
    entered?;
    heard.map_err(NoNamespace::NoHelper)?;
    match answer.trim() {
        DONE => Ok(()),
        "" => Err(NoNamespace::NotMapped("the helper that writes its maps died".to_owned())),
        why => Err(NoNamespace::NotMapped(why.to_owned())),
    }
}

/// Whether [`enter`] would do, tried by a process that comes to nothing, since there is no way back out.
pub(crate) fn can_be_had(base: &Base, maps: &Maps) -> Result<(), String> {
    let groups: Vec<_> = base.groups.iter().map(ToString::to_string).collect();
    let tried = Command::new(THIS_PROGRAM)
        .args(["--user", &base.uid.to_string(), "--group", &base.gid.to_string()])
        .args(groups.iter().flat_map(|group| ["--groups", group]))
        .args(["--map-uids", &maps.uids.to_string(), "--map-gids", &maps.gids.to_string()])
        .args(["--identity", "namespace", "--require", "namespace", "--dry-run", "true"])
        .stdin(Stdio::null())
        .output();
    let said = tried.map_err(|why| format!("trying it: {why}"))?.stdout;
    let said = String::from_utf8_lossy(&said);
    let Some(here) = said.lines().find_map(|line| line.strip_prefix("here: ")) else {
        return Err("trying it: no answer".to_owned());
    };
    let Some(why) = here.strip_prefix("not started: ") else { return Ok(()) };
    Err(why.trim_start_matches("no namespace, which is required: ").to_owned())
}

/// The helper: writes the maps of its parent when a line comes in, and says how that went.
pub(crate) fn help(process: u32, arguments: &Arguments) -> u8 {
    let mut line = [0];
    // End of file: there is no namespace, or no parent any more.
    if io::stdin().read_exact(&mut line).is_err() || getppid().as_raw().unsigned_abs() != process {
        return 1;
    }
    let maps = [("uid_map", &arguments.map_uids), ("gid_map", &arguments.map_gids)];
    for (file, ids) in maps {
        let path = format!("/proc/{process}/{file}");
        let text = ids.as_ref().map(lines).unwrap_or_default();
        if let Err(why) = fs::write(&path, text) {
            println!("writing {path}: {why}");
            return 1;
        }
    }
    println!("{DONE}");
    0
}

/// Each range as the number inside, the number outside, and how many.
fn lines(ids: &Ranges) -> String {
    ids.iter().map(|range| format!("{0} {0} {1}\n", range.start(), range.end() - range.start() + 1)).collect()
}

const THIS_PROGRAM: &str = "/proc/self/exe";
const DONE: &str = "mapped";
/// The kernel takes so many lines, and less than a page of them.
const MOST_RANGES: usize = 340;
const LONGEST_MAP: usize = 4095;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_one_to_one() {
        let ids: Ranges = "19001,20000-20099".parse().unwrap();
        assert_eq!(lines(&ids), "19001 19001 1\n20000 20000 100\n");
    }

    #[test]
    fn more_ranges_than_fit_are_refused_before_anything_is_done() {
        let many = Ranges::new((1..400).map(|n| n * 3..=n * 3));
        let maps = Maps { uids: "5".parse().unwrap(), gids: many };
        assert!(matches!(enter(&maps), Err(NoNamespace::TooMany)));
    }
}
