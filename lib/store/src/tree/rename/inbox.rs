//! RENAME of INBOX (RFC 3501, 6.3.5): its messages move to a new mailbox, and it stays.
//!
//! There they have another UIDVALIDITY and the UIDs that they had, so that all that is kept by UID goes with them: the
//! list's records, with what other servers wrote into them, and the keywords that no name bears. The new list is locked
//! until all are there.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::OwningIter;

use super::{Place, attempt};
use crate::file::open_regular;
use crate::keywords;
use crate::list::entries;
use crate::lock::{Lock, RETRY, Waiting};
use crate::mode::Creation;
use crate::scan::Budget;
use crate::uidlist::{Reader, Rewrite};
use crate::{Error, Now, Step, User, dirs};

/// How far it is.
pub(super) enum Inbox {
    /// The new mailbox is not there.
    Create,
    /// It has no lists.
    Lists,
    /// Its list is being written.
    Copy(Option<Lock>, Box<Rewrite>),
    /// INBOX's directories are read for names.
    Find(Option<Lock>, Vec<(&'static str, OwningIter)>, Vec<(&'static str, OsString)>),
}

/// What moving a file costs, where reading a name costs 1.
const MOVE: usize = 10;
const KEYWORDS_MAX: u64 = 64 * 1024;

impl Inbox {
    /// A turn.
    pub(super) fn step(
        &mut self,
        user: &User,
        (from, to): (&Place, &Place),
        waiting: &mut Option<Box<Waiting>>,
        now: Now,
        budget: &mut Budget,
    ) -> Result<Step<()>, Error> {
        loop {
            match self {
                Inbox::Create => {
                    user.create(to.name.as_bytes(), now)?;
                    copy_keywords(from.lists(), to.lists())?;
                    *self = Inbox::Lists;
                }
                Inbox::Lists => {
                    let Some(lock) = attempt(user, to, waiting, now)? else {
                        return Ok(Step::Busy { retry_after: RETRY });
                    };
                    *self = match lists(from.lists(), to.lists())? {
                        Some(rewrite) => Inbox::Copy(lock, Box::new(rewrite)),
                        None => find(lock, &from.root)?,
                    };
                }
                Inbox::Copy(lock, rewrite) => {
                    lock.iter().for_each(|lock| lock.touch(now));
                    if !rewrite.keep_some(budget)? {
                        return Ok(Step::More);
                    }
                    *self = match std::mem::replace(self, Inbox::Lists) {
                        Inbox::Copy(lock, rewrite) => {
                            rewrite.finish(user.saving.fsync)?;
                            find(lock, &from.root)?
                        }
                        other => other,
                    };
                }
                Inbox::Find(lock, reading, found) => {
                    lock.iter().for_each(|lock| lock.touch(now));
                    let Some((dir, names)) = reading.last_mut() else {
                        return move_files(user, (from, to), found, budget);
                    };
                    if !budget.take(1) {
                        return Ok(Step::More);
                    }
                    match names.next() {
                        Some(entry) => {
                            let from = from.root.join(*dir);
                            let entry = entry.map_err(|errno| Error::io("read", &from)(errno.into()))?;
                            let name = entry.file_name().to_bytes();
                            if name.first() != Some(&b'.') {
                                found.push((*dir, OsStr::from_bytes(name).to_owned()));
                            }
                        }
                        None => drop(reading.pop()),
                    }
                }
            }
        }
    }
}

fn find(lock: Option<Lock>, root: &Path) -> Result<Inbox, Error> {
    let read = |dir| Ok(entries(&root.join(dir))?.map(|names| (dir, names)));
    let reading = ["new", "cur"].into_iter().map(read).collect::<Result<Vec<_>, Error>>()?;
    Ok(Inbox::Find(lock, reading.into_iter().flatten().collect(), Vec::new()))
}

/// Those that went meanwhile are gone, and what comes meanwhile stays.
fn move_files(
    user: &User,
    (from, to): (&Place, &Place),
    left: &mut Vec<(&'static str, OsString)>,
    budget: &mut Budget,
) -> Result<Step<()>, Error> {
    while let Some((dir, name)) = left.last() {
        if !budget.take(MOVE) {
            return Ok(Step::More);
        }
        let [from, to] = [from, to].map(|place| place.root.join(dir).join(name));
        match dirs::rename(&from, &to).map_err(io::Error::from) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("move", &from)(error));
            }
            _ => drop(left.pop()),
        }
    }
    for dir in ["new", "cur"] {
        user.sync_directory(&to.root.join(dir))?;
        user.sync_directory(&from.root.join(dir))?;
    }
    Ok(Step::Done(()))
}

/// What is kept by UID: the keywords at once, and the list to be written in turns. A list that cannot be read has nothing
/// to give.
fn lists(from: &Path, to: &Path) -> Result<Option<Rewrite>, Error> {
    let [old, new] = [from, to].map(|dir| Reader::open(&dir.join("dovecot-uidlist")).ok().flatten());
    let validity = |list: &Option<Reader>| Some(list.as_ref()?.header.as_ref()?.uid_validity);
    let (Some(before), Some(after)) = (validity(&old), validity(&new)) else { return Ok(None) };
    keywords::carry((from, before), (to, after))?;
    old.map(|old| Rewrite::of(old, &to.join("dovecot-uidlist"), after)).transpose()
}

/// The messages bear the letters of INBOX's keywords.
fn copy_keywords(from: &Path, to: &Path) -> Result<(), Error> {
    let (from, to) = (from.join("dovecot-keywords"), to.join("dovecot-keywords"));
    let mut text = Vec::new();
    let file = match open_regular(&from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(Error::io("open", &from))?,
    };
    file.take(KEYWORDS_MAX).read_to_end(&mut text).map_err(Error::io("read", &from))?;
    let write = |mut file: File| file.write_all(&text);
    let dir = to.parent().unwrap_or(&to);
    Creation::within(dir).new_file(&to).and_then(write).map_err(Error::io("write", &to))
}
