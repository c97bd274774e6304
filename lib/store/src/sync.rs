//! Bringing the model into agreement with the disk, in bounded turns.
//!
//! ```text
//! Scan      read new/ and cur/: flags, places, and files that the model does not know
//! Records   read what the uidlist has of those; it needs no lock
//! Apply     files with a record become messages, which views may know of
//! Lock      only if a file has no UID, must move from new/ to cur/, or the list must be written anew;
//!           then Records and Apply again: what others wrote before we had it
//! Sort      the other files, by their arrival
//! Assign    they get the next UIDs
//! Write     to the list
//! Flush     it to the disk
//! Move      new/ to cur/, if somebody may be told that they are recent; then views may know of them
//! Settle    what was not seen is expunged, if we can be sure
//! Keywords  read their names, and which messages have those that have no letter
//! ```
//!
//! Other programs change the directories meanwhile, and most know of no lock; and a directory that changes while it is
//! read may hide names that were there all the time. So what changed under the scan is scanned again, and what was not
//! seen is believed to be gone only if nothing changed, or after several scans.

mod files;
mod list;
mod save;
mod sort;

pub(crate) use save::Letter;

use std::fs::File;
use std::mem;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::dirs::{Dirs, GRAIN, Known, Reading, Times};
use crate::disk::Flushes;
use crate::file::Stamp;
use crate::hold::Holder;
use crate::keywords::Keywords;
use crate::lock::{Attempt, Lock, RETRY, Waiting};
use crate::messages::{GONE, IN_NEW};
use crate::model::{Edition, Model};
use crate::scan::{Budget, Run, Scan};
use crate::uidlist::{Progress, Reader, Rewrite, Since, Written};
use crate::{Error, Now, Process, Step, Ticket, Uid};
use sort::Sorting;

/// A mailbox's model, and how far it agrees with the disk.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) process: Rc<Process>,
    pub(crate) dirs: Dirs,
    /// Where the uidlist is, if not beside the mail.
    control: Option<Box<Path>>,
    /// Where it is known which UIDVALIDITY is the next one; none: the time will do.
    pub(crate) validities: Option<Box<Path>>,
    pub(crate) model: Model,
    pub(crate) keywords: Keywords,
    /// How far the list was read.
    list: Option<Progress>,
    known: Known,
    /// Look again, whatever the time stamps say.
    doubt: bool,
    /// Messages wait in new/ for a view that may be told that they are recent.
    unmoved: bool,
    /// The list could not be locked or written, so that UIDs may be ours alone.
    denied: bool,
    waiting: Option<Box<Waiting>>,
    /// The list has keys that POP3 is interested in.
    pub(crate) has_pop3_keys: bool,
    /// Who has the mailbox for himself.
    pub(crate) holder: Holder,
    sync: Option<Box<Sync>>,
    /// Wait for the disk before a UID is told.
    fsync: bool,
    /// A save holds the list's lock, and lends it to the sync that it needs first.
    saving: Option<Rc<Lock>>,
    /// Its messages are on the disk and not in the model: no sync may go on from where the lock is needed.
    placing: bool,
}

/// A sync that is under way.
#[derive(Debug)]
struct Sync {
    began: Now,
    scan: Scan,
    phase: Phase,
    lock: Option<Rc<Lock>>,
    /// Strangers that have a record, by UID.
    listed: Vec<Listed>,
    list: Option<Progress>,
    /// The next UID as the list has it.
    next_uid: u32,
    /// The list must be written anew.
    rewrite: bool,
    /// The list as it was before the scan: whose record was in it then has a file that the scan had to see.
    before: Option<Stamp>,
    /// The list has records without a file: of expunged messages, unless the scan missed some.
    overlooked: bool,
    /// Some of these records came during the scan, as their files may have: scan again, and let nobody write meanwhile.
    late: bool,
    /// Somebody may be told of recent messages.
    moves: bool,
    /// What was not seen was dealt with.
    reaped: bool,
    /// Scans before this one.
    rounds: u8,
    /// The list, if records were appended to it.
    appended: Option<File>,
    /// Lists on their way to the disk.
    flushes: Flushes,
}

/// What the list says of a stranger.
#[derive(Clone, Copy, Debug)]
struct Listed {
    uid: Uid,
    /// In `scan.strangers`.
    index: usize,
    /// RFC822.SIZE, or 0.
    size: u32,
}

#[derive(Debug)]
enum Phase {
    Scan,
    Records(Option<Box<Reader>>),
    /// From this place in `listed`.
    Apply(usize),
    Lock,
    Sort(Box<Sorting>),
    /// These files, from this one on.
    Assign(Run, usize),
    /// From this UID on.
    Write(u32, Option<Box<Rewrite>>),
    /// And then this becomes the list.
    Flush(Option<Written>),
    /// From this UID on.
    Move(u32),
    Settle,
    Keywords,
}

/// Did nothing change while the scan ran? If something did, names may have been passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quiet {
    Surely,
    /// Time stamps are the same, but too young to tell.
    Probably,
    No,
}

/// How a phase ended.
enum Turn {
    Next(Phase),
    /// The budget is used up.
    Pause(Phase),
    /// Not before that is on the disk.
    Disk(Phase, Ticket),
    Busy,
    Restart,
    Done,
}

/// Scans in one sync, while the directories change all the time.
const ROUNDS: u8 = 3;

impl State {
    pub(crate) fn new(process: Rc<Process>, dirs: Dirs, control: Option<PathBuf>, fsync: bool) -> State {
        State {
            process,
            dirs,
            control: control.map(PathBuf::into_boxed_path),
            validities: None,
            model: Model::default(),
            keywords: Keywords::default(),
            list: None,
            known: Known::default(),
            doubt: false,
            unmoved: false,
            denied: false,
            waiting: None,
            has_pop3_keys: false,
            holder: Holder::default(),
            sync: None,
            fsync,
            saving: None,
            placing: false,
        }
    }

    /// A turn: see [`crate::Mailbox::sync`].
    pub(crate) fn sync(&mut self, now: Now, budget: usize) -> Result<Step<()>, Error> {
        let mut sync = match self.sync.take() {
            Some(sync) => sync,
            None => match self.begin(now)? {
                Some(sync) => sync,
                None => return Ok(Step::Done(())),
            },
        };
        let mut budget = Budget(budget.max(1));
        if let Some(lock) = &sync.lock {
            lock.touch(now);
        }
        loop {
            let phase = mem::replace(&mut sync.phase, Phase::Settle);
            // A sync that fails is dropped, and its lock with it. The next one begins anew.
            let turn = self.turn(&mut sync, phase, now, &mut budget).inspect_err(|_| self.doubt = true)?;
            match turn {
                Turn::Next(phase) => sync.phase = phase,
                Turn::Pause(phase) => {
                    sync.phase = phase;
                    self.sync = Some(sync);
                    return Ok(Step::More);
                }
                Turn::Disk(phase, ticket) => {
                    sync.phase = phase;
                    self.sync = Some(sync);
                    return Ok(Step::Disk(ticket));
                }
                Turn::Busy => {
                    sync.phase = Phase::Lock;
                    self.sync = Some(sync);
                    return Ok(Step::Busy { retry_after: RETRY });
                }
                Turn::Restart => {
                    let Sync { rounds, lock, scan, .. } = *sync;
                    let rounds = rounds.saturating_add(1);
                    self.model.sweep();
                    let fresh = self.scan_from(self.dirs.times()?, Reading::Both, now)?;
                    let scan = scan.again(fresh.scan.times, &self.model);
                    sync = Box::new(Sync { rounds, lock, scan, ..fresh });
                    if rounds > ROUNDS {
                        self.sync = Some(sync);
                        return Ok(Step::More);
                    }
                }
                Turn::Done => {
                    self.model.messages.tidy();
                    return Ok(Step::Done(()));
                }
            }
        }
    }

    /// When to look again though no time stamp will have changed.
    pub(crate) fn recheck_at(&self) -> Option<std::time::Instant> {
        self.known.recheck_at()
    }

    /// Nobody waits for the sync that runs. Who waits for its lock should not, either.
    pub(crate) fn give_up(&mut self) {
        if self.saving.is_none() && self.sync.as_ref().is_some_and(|sync| sync.lock.is_some()) {
            self.sync = None;
            self.doubt = true;
        }
    }

    /// A turn of reading the keywords. True when all are known.
    pub(crate) fn refresh_keywords(&mut self, budget: &mut Budget) -> Result<bool, Error> {
        let control = self.control.as_deref().unwrap_or(self.dirs.root());
        self.keywords.refresh(control)?;
        self.keywords.extras.step(control, &mut self.model, budget)
    }

    /// Where the uidlist and the keywords are.
    pub(crate) fn control(&self) -> &Path {
        self.control.as_deref().unwrap_or(self.dirs.root())
    }

    /// Tells one state of the keywords' names from another.
    pub(crate) fn edition(&self) -> Edition {
        self.keywords.edition(self.model.messages.used())
    }

    pub(crate) fn list_path(&self) -> PathBuf {
        self.control().join("dovecot-uidlist")
    }

    /// Something was not where it should have been: look at the directories in any case.
    pub(crate) fn doubt(&mut self) {
        self.doubt = true;
    }

    /// We changed the directories ourselves, between these two looks.
    pub(crate) fn changed(&mut self, before: Times, now: Now) -> Result<(), Error> {
        let after = self.dirs.times()?;
        self.known.changed(before, after, now);
        if let Some(sync) = &mut self.sync
            && sync.scan.times == before
        {
            sync.scan.times = after;
        }
        Ok(())
    }

    /// Does `work` under the list's lock.
    pub(crate) fn locked<T>(
        &mut self,
        now: Now,
        work: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<Locked<T>, Error> {
        match self.lock_list(now)? {
            Attempt::Busy => Ok(Locked::Busy),
            Attempt::Denied(_) => Ok(Locked::Denied),
            Attempt::Held(_lock) => Ok(Locked::Done(work(self)?)),
        }
    }

    /// Tries to take the list's lock. What our own sync, save or session has is ours.
    pub(crate) fn lock_list(&mut self, now: Now) -> Result<Attempt<Rc<Lock>>, Error> {
        let ours = self.sync.as_ref().and_then(|sync| sync.lock.clone());
        if let Some(lock) = ours.or_else(|| self.saving.clone()).or_else(|| self.holder.list()) {
            return Ok(Attempt::Held(lock));
        }
        Ok(match Lock::attempt(&self.process, &self.list_path(), &mut self.waiting, now)? {
            Attempt::Held(lock) => Attempt::Held(Rc::new(lock)),
            Attempt::Busy => Attempt::Busy,
            Attempt::Denied(why) => Attempt::Denied(why),
        })
    }

    /// Is there something to do? Three looks.
    fn begin(&mut self, now: Now) -> Result<Option<Box<Sync>>, Error> {
        let times = self.dirs.times()?;
        let stale = self.known.stale(times, now);
        let list_known = match self.list_since()? {
            Since::Unchanged => true,
            Since::Missing => self.denied,
            Since::Appended | Since::Replaced => false,
        };
        let moves = self.unmoved && self.model.has_writer();
        if stale.is_none() && !self.doubt && list_known && !moves {
            return Ok(None);
        }
        let reading = if self.doubt { Reading::Both } else { stale.unwrap_or(Reading::New) };
        self.doubt = false;
        self.denied = false;
        Ok(Some(Box::new(self.scan_from(times, reading, now)?)))
    }

    fn scan_from(&self, times: Times, reading: Reading, now: Now) -> Result<Sync, Error> {
        Ok(Sync {
            began: now,
            scan: Scan::new(times, reading),
            phase: Phase::Scan,
            lock: None,
            listed: Vec::new(),
            list: self.list,
            next_uid: 0,
            rewrite: false,
            before: self.list_stamp()?,
            overlooked: false,
            late: false,
            moves: false,
            reaped: false,
            rounds: 0,
            appended: None,
            flushes: Flushes::default(),
        })
    }

    /// What happened while the scan ran?
    fn quiet(&self, sync: &Sync) -> Result<Quiet, Error> {
        Ok(match self.dirs.times()? == sync.scan.times {
            true if sync.scan.times.are_young(sync.began) => Quiet::Probably,
            true => Quiet::Surely,
            false => Quiet::No,
        })
    }

    fn turn(&mut self, sync: &mut Sync, phase: Phase, now: Now, budget: &mut Budget) -> Result<Turn, Error> {
        match phase {
            Phase::Scan => match sync.scan.step(&self.dirs, &mut self.model, budget)? {
                true => Ok(Turn::Next(Phase::Records(None))),
                false => Ok(Turn::Pause(Phase::Scan)),
            },
            Phase::Records(reader) => self.records(sync, reader, budget),
            Phase::Apply(from) => self.apply(sync, from, budget),
            Phase::Lock => self.lock(sync, now),
            Phase::Sort(sorting) => Ok(sort::turn(sync, sorting, budget)),
            Phase::Assign(files, from) => self.assign(sync, files, from, now, budget),
            Phase::Write(from, rewrite) => {
                let turn = self.write_records(sync, from, rewrite, budget);
                self.unless_full(turn)
            }
            Phase::Flush(written) => {
                let turn = self.flush(sync, written);
                self.unless_full(turn)
            }
            Phase::Move(from) => self.move_new(sync, from, now, budget),
            Phase::Settle => self.settle(sync, now),
            Phase::Keywords => Ok(match self.refresh_keywords(budget) {
                Ok(false) => Turn::Pause(Phase::Keywords),
                Ok(true) => Turn::Done,
                Err(error) => {
                    log::warn!("{error}");
                    Turn::Done
                }
            }),
        }
    }

    /// Files with a record become messages. Is there more to do, for which the lock is needed?
    fn apply(&mut self, sync: &mut Sync, from: usize, budget: &mut Budget) -> Result<Turn, Error> {
        for at in from..sync.listed.len() {
            if !budget.take(1) {
                return Ok(Turn::Pause(Phase::Apply(at)));
            }
            // A file that was listed twice has the later UID.
            if let Some(&listed) = sync.listed.get(at)
                && sync.scan.strangers.uid(listed.index) == Some(listed.uid)
            {
                self.enter(sync, listed, 0)?;
            }
        }
        sync.listed = Vec::new();
        self.list = sync.list;
        self.model.next_uid = self.model.next_uid.max(sync.next_uid).max(1);
        sync.rewrite |= self.has_unlisted();
        sync.moves = self.model.has_writer();
        if sync.lock.is_some() {
            return Ok(Turn::Next(Phase::Sort(Box::default())));
        }
        let moves = sync.moves && self.any(IN_NEW);
        if !moves {
            self.model.publish_listed();
        }
        let idle = sync.scan.strangers.all_assigned() && !sync.rewrite && !moves;
        Ok(Turn::Next(if idle { Phase::Settle } else { Phase::Lock }))
    }

    fn lock(&mut self, sync: &mut Sync, now: Now) -> Result<Turn, Error> {
        match if self.placing { Attempt::Busy } else { self.lock_list(now)? } {
            Attempt::Held(lock) => {
                sync.lock = Some(lock);
                Ok(if sync.late { Turn::Restart } else { Turn::Next(Phase::Records(None)) })
            }
            Attempt::Denied(_) if sync.late => {
                sync.late = sync.rounds < ROUNDS;
                Ok(if sync.late { Turn::Restart } else { Turn::Next(Phase::Apply(0)) })
            }
            // UIDs are ours alone, then, and messages stay in new/.
            Attempt::Denied(_) => {
                self.denied = true;
                Ok(Turn::Next(Phase::Sort(Box::default())))
            }
            // All that needs no lock goes on.
            Attempt::Busy => {
                self.model.publish_listed();
                let open = !mem::replace(&mut sync.reaped, true) && self.expunge_unseen(self.quiet(sync)?);
                let age = now.instant.saturating_duration_since(sync.began.instant);
                let doubt = mem::take(&mut self.doubt);
                let old = doubt || age >= GRAIN && self.dirs.times()? != sync.scan.times;
                if old {
                    sync.rounds = 0;
                }
                Ok(if open && sync.rounds + 1 < ROUNDS || old { Turn::Restart } else { Turn::Busy })
            }
        }
    }

    fn any(&self, bits: u8) -> bool {
        self.model.messages.all().iter().any(|entry| entry.bits & (bits | GONE) == bits)
    }
}

/// What came of work under the lock.
#[derive(Debug)]
pub(crate) enum Locked<T> {
    Done(T),
    Busy,
    Denied,
}
