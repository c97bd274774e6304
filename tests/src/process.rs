//! Processes as /proc shows them.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One process, which is not mistaken for a later one of the same number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    start: u64,
}

impl Process {
    /// The one that has this number now.
    pub fn find(pid: u32) -> Option<Self> {
        let (_, _, start) = stat(pid)?;
        Some(Self { pid, start })
    }

    /// Whether it runs; one that only waits to be reaped does not.
    pub fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|(state, _, start)| start == self.start && !matches!(state, 'Z' | 'X'))
    }

    /// Whether it has been stopped by a signal.
    pub fn is_stopped(&self) -> bool {
        stat(self.pid).is_some_and(|(state, _, start)| start == self.start && state == 'T')
    }

    /// Sends it a signal; nothing if it is gone.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // It may end at this very moment, which is as good.
            let _ = kill(Pid::from_raw(i32::try_from(self.pid).unwrap()), signal);
        }
    }

    /// All that it has started.
    pub fn children(&self) -> Vec<Self> {
        let own = |process: &Self| stat(process.pid).is_some_and(|(_, parent, _)| parent == self.pid);
        self.descendants().into_iter().filter(own).collect()
    }

    /// All that it has started, and what these have started.
    pub fn descendants(&self) -> Vec<Self> {
        let all: Vec<(u32, u32, u64)> = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| stat(pid).map(|(_, parent, start)| (pid, parent, start)))
            .collect();
        let mut found = vec![self.pid];
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            found.extend(all.iter().filter(|(_, p, _)| *p == parent).map(|(pid, ..)| *pid));
            next += 1;
        }
        let start = |pid: &u32| all.iter().find(|(other, ..)| other == pid).map(|(_, _, start)| *start);
        found.iter().skip(1).filter_map(|pid| Some(Self { pid: *pid, start: start(pid)? })).collect()
    }

    /// What its open descriptors are, by their numbers: `socket:[1234]`, `/dev/null`.
    pub fn descriptors(&self) -> Vec<(u32, String)> {
        let Ok(folder) = fs::read_dir(format!("/proc/{}/fd", self.pid)) else { return Vec::new() };
        let named = folder.filter_map(|entry| {
            let entry = entry.ok()?;
            let to = fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, to.to_string_lossy().into_owned()))
        });
        let mut all: Vec<_> = named.collect();
        all.sort();
        all
    }

    /// The words of a line of /proc/PID/status.
    pub fn status(&self, line: &str) -> Vec<String> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
        found.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    /// How much memory it has written to and has to itself, in kilobytes. (What it has read of its program may become
    /// its own when another process with the same program ends.)
    pub fn private_memory(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

/// State, parent and start of a process.
fn stat(pid: u32) -> Option<(char, u32, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name, in brackets, may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    Some((words.first()?.chars().next()?, words.get(1)?.parse().ok()?, words.get(19)?.parse().ok()?))
}
