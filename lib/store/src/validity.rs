//! UIDVALIDITY of new mailboxes: never one that was given before, however fast mailboxes come and go and whatever the
//! clock says (RFC 3501, 2.3.1.1). A name that is made again must not look like the one that was deleted.
//!
//! Two files beside the subscriptions, as Dovecot has them: the latest stands in the *name* of an empty file,
//! `dovecot-uidvalidity.<8 hex digits>`, which is renamed to take the next one, so that of two processes only one
//! succeeds; `dovecot-uidvalidity` says the same, and spares looking for it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::dirs;
use crate::file::open_regular;
use crate::mode::Creation;
use crate::{Error, Now};

/// The next UIDVALIDITY in a user's `control` directory: the time, or one more than the latest.
pub(crate) fn next(control: &Path, now: Now) -> Result<u32, Error> {
    let mut latest = told(control)?;
    for _ in 0..ATTEMPTS {
        let next = latest.unwrap_or(0).saturating_add(1).max(now.unix_seconds());
        if take(control, latest, next)? {
            // Without the hint the name will be looked for.
            let _ = write_hint(control, next);
            return Ok(next);
        }
        latest = look(control)?;
    }
    Err(Error::Locked)
}

/// A mailbox with this UIDVALIDITY goes, or goes by another name: from now on only higher ones are given.
pub(crate) fn note(control: &Path, used: u32) -> Result<(), Error> {
    let mut latest = told(control)?;
    for _ in 0..ATTEMPTS {
        if latest.is_some_and(|latest| latest >= used && path(control, latest).exists()) {
            return Ok(());
        }
        if latest.is_none_or(|latest| latest < used) && take(control, latest, used)? {
            let _ = write_hint(control, used);
            return Ok(());
        }
        latest = look(control)?;
    }
    Err(Error::Locked)
}

/// Puts `next` in place of `latest`. False if somebody else did so before.
fn take(control: &Path, latest: Option<u32>, next: u32) -> Result<bool, Error> {
    let new = path(control, next);
    let taken = match latest {
        Some(latest) => dirs::rename(&path(control, latest), &new).map_err(io::Error::from),
        None => Creation::within(control).new_file(&new).map(drop),
    };
    match taken {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) && latest.is_some() => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::io("create", &new)(error)),
    }
}

/// The latest by the names in the directory.
fn look(control: &Path) -> Result<Option<u32>, Error> {
    let mut latest = None;
    for entry in fs::read_dir(control).map_err(Error::io("read", control))? {
        let name = entry.map_err(Error::io("read", control))?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(NAME)?.strip_prefix('.'));
        latest = latest.max(digits.and_then(number));
    }
    Ok(latest)
}

/// The latest by the hint, which may be out of date, or by the names.
fn told(control: &Path) -> Result<Option<u32>, Error> {
    hint(control).map_or_else(|| look(control), |hint| Ok(Some(hint)))
}

fn hint(control: &Path) -> Option<u32> {
    let mut text = String::new();
    open_regular(&control.join(NAME)).ok()?.take(9).read_to_string(&mut text).ok()?;
    number(text.trim_end())
}

fn write_hint(control: &Path, latest: u32) -> io::Result<()> {
    use std::io::Write;
    let tmp = control.join(format!("{NAME}.tmp"));
    Creation::within(control).replacement(&tmp)?.write_all(format!("{latest:08x}").as_bytes())?;
    fs::rename(&tmp, control.join(NAME))
}

fn number(digits: &str) -> Option<u32> {
    let hex = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

fn path(control: &Path, value: u32) -> PathBuf {
    control.join(format!("{NAME}.{value:08x}"))
}

const NAME: &str = "dovecot-uidvalidity";
const ATTEMPTS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_given_twice_within_a_second() {
        let dir = tempfile::tempdir().unwrap();
        let now = Now::read();
        let first = next(dir.path(), now).unwrap();
        assert_eq!(first, now.unix_seconds());
        assert_eq!(next(dir.path(), now).unwrap(), first + 1);
        // Without the hint too.
        fs::remove_file(dir.path().join(NAME)).unwrap();
        assert_eq!(next(dir.path(), now).unwrap(), first + 2);
        // With one that is out of date, or nonsense.
        for hint in [format!("{first:08x}"), "zz".to_owned()] {
            fs::write(dir.path().join(NAME), hint).unwrap();
            next(dir.path(), now).unwrap();
        }
        assert_eq!(next(dir.path(), now).unwrap(), first + 5);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_was_used_elsewhere_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let now = Now::read();
        let far = now.unix_seconds() + 1000;
        note(dir.path(), far).unwrap();
        note(dir.path(), 5).unwrap();
        assert_eq!(next(dir.path(), now).unwrap(), far + 1);
    }

    #[test]
    fn dovecots_files_are_understood() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("dovecot-uidvalidity"), "fb0542b0").unwrap();
        fs::write(dir.path().join("dovecot-uidvalidity.fb0542b0"), "").unwrap();
        assert_eq!(next(dir.path(), Now::read()).unwrap(), 0xfb05_42b1);
    }
}
