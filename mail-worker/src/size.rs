//! How large this process is, beside how large it may be: one that cannot get memory is killed with all its clients,
//! so it takes no more of them in time.

use std::fs;
use std::time::{Duration, Instant};

use envdump::Environment;
use wire::handoff::FromWorker;

/// See above.
#[derive(Debug)]
pub(crate) struct Size {
    /// What it may map, in bytes; none without limit.
    most: Option<u64>,
    is_full: bool,
    looked: Instant,
}

impl Size {
    /// As `MAIL_PROCESS_SIZE` says.
    ///
    /// # Errors
    /// Where that is no number.
    pub(crate) fn new(environment: &Environment, now: Instant) -> Result<Self, std::num::ParseIntError> {
        let megabytes: Option<u64> = environment.text("MAIL_PROCESS_SIZE").map(str::parse).transpose()?;
        let most = megabytes.filter(|size| *size > 0).map(|size| size.saturating_mul(1 << 20));
        Ok(Self { most, is_full: false, looked: now })
    }

    /// Looks, once a second at most; what the master is to be told, if that changed.
    pub(crate) fn look(&mut self, now: Instant) -> Option<FromWorker> {
        let most = self.most?;
        if now.saturating_duration_since(self.looked) < INTERVAL {
            return None;
        }
        self.looked = now;
        self.compare(mapped()?, most)
    }

    /// When it makes sense to look again even if nothing happens: while the master waits for better news.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.is_full.then_some(INTERVAL)
    }

    fn compare(&mut self, mapped: u64, most: u64) -> Option<FromWorker> {
        let percent = mapped.saturating_mul(100) / most.max(1);
        match (self.is_full, percent) {
            (false, FULL..) => {
                self.is_full = true;
                Some(FromWorker::Full)
            }
            (true, ..OPEN) => {
                self.is_full = false;
                Some(FromWorker::Open)
            }
            _ => None,
        }
    }
}

/// Bytes of address space in use: what the limit is about.
fn mapped() -> Option<u64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split(' ').next()?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(page.try_into().ok()?)
}

/// Percent of what it may map; in between it stays as it was.
const FULL: u64 = 85;
const OPEN: u64 = 70;
const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_is_said_once_and_taken_back_once() {
        let mut environment = Environment::new();
        environment.set("MAIL_PROCESS_SIZE", "100").unwrap();
        let now = Instant::now();
        let mut size = Size::new(&environment, now).unwrap();
        let most = size.most.unwrap();
        let said = [10, 84, 85, 99, 75, 84, 69, 10, 90]
            .map(|percent| size.compare(most / 100 * percent + 100, most));
        let (full, open) = (Some(FromWorker::Full), Some(FromWorker::Open));
        assert_eq!(said, [None, None, full.clone(), None, None, None, open, None, full]);
        assert_eq!(size.look(now), None);
    }

    #[test]
    fn this_process_has_a_size() {
        assert!(mapped().unwrap() > 1 << 20);
    }
}
