//! Saving messages: several together or none, with UIDs that are known when it is done.
//!
//! A message is first a file in tmp/ ([`Draft`], or a link to the one it is a copy of). [`Save::commit`] gives them
//! UIDs under the list's lock, and then all that was answered is on the disk: files, names, and the list. Whatever
//! ends it before, an error or that it is dropped, takes out again what was put in. A process that is killed may leave
//! files that nobody was told of.

mod draft;
mod lines;

use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::SystemTime;

pub use draft::Draft;

use crate::disk::Flushes;
use crate::scan::Budget;
use crate::sync::Letter;
use crate::uidlist::Progress;
use crate::{Error, Flags, Found, Mailbox, Now, Step, Uid, View};
use draft::Temporary;
use lines::LineEnds;

/// How a user's messages are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saving {
    /// Line ends are stored as CRLF; else as LF, which is what others expect.
    pub crlf: bool,
    /// Nothing is saved before it is on the disk.
    pub fsync: bool,
    /// A copy is a second name of the same file, where that is possible.
    pub links: bool,
}

impl Default for Saving {
    fn default() -> Saving {
        Saving { crlf: false, fsync: true, links: true }
    }
}

/// Messages that are saved together.
#[derive(Debug)]
pub struct Save {
    mailbox: Rc<Mailbox>,
    letters: Vec<(Temporary, Letter)>,
    /// Files on their way to the disk, and later directories and the list.
    flushes: Flushes,
    stage: Stage,
}

/// How far it came.
#[derive(Debug)]
enum Stage {
    /// Messages are added.
    Open,
    /// The hooks agree; the lock is still to be had.
    Agreed,
    /// Under the lock; what others wrote before is still to be read.
    Locked,
    /// Under the lock: so many messages have their places.
    Placing(usize),
    /// Under the lock: all have, and these UIDs in the list, and both are to be on the disk.
    Listed(Progress, Vec<Uid>),
    Done,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// UIDVALIDITY of the mailbox.
    pub uid_validity: u32,
    /// Of each message, in the order in which they were added: ascending.
    pub uids: Vec<Uid>,
}

/// Whether a copy can be a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is.
    Made,
    /// The bytes have to be copied.
    Impossible,
}

impl Mailbox {
    /// Would the user's rules let so many messages, of so many bytes together, be saved here?
    pub fn may_save(&self, messages: u64, bytes: u64) -> Result<(), Error> {
        self.hooks.iter().try_for_each(|hook| hook.before_save(self, messages, bytes).map_err(Error::from))
    }

    /// Begins to save messages here.
    pub fn save(self: &Rc<Self>) -> Save {
        Save {
            mailbox: Rc::clone(self),
            letters: Vec::new(),
            flushes: Flushes::default(),
            stage: Stage::Open,
        }
    }
}

impl Save {
    /// Where.
    pub fn mailbox(&self) -> &Rc<Mailbox> {
        &self.mailbox
    }

    /// An empty message, for a client's text: line ends become what they shall be on disk.
    pub fn draft(&self, now: Now) -> Result<Draft, Error> {
        Draft::new(&self.mailbox, if self.mailbox.saving.crlf { LineEnds::Crlf } else { LineEnds::Lf }, now)
    }

    /// An empty message, for the bytes of another one as they are on disk.
    pub fn duplicate(&self, now: Now) -> Result<Draft, Error> {
        Draft::new(&self.mailbox, LineEnds::AsTheyAre, now)
    }

    /// Adds a message that is complete. Keywords are this mailbox's. INTERNALDATE is `received`, or now. Until
    /// [`Save::written`] is done its file stays open.
    pub fn add(&mut self, draft: Draft, flags: Flags, received: Option<SystemTime>) -> Result<(), Error> {
        let process = Rc::clone(&self.mailbox.state.borrow().process);
        let (temporary, size, crlf_size) = draft.finish(received, &process, &mut self.flushes)?;
        self.push(temporary, flags, size, Some(crlf_size));
        Ok(())
    }

    /// Adds a copy of a message of `view`, if it can be a link. Keywords are this mailbox's.
    pub fn link(&mut self, view: &View, uid: Uid, flags: Flags, now: Now) -> Result<Found<Link>, Error> {
        if !self.mailbox.saving.links {
            return Ok(Found::Here(Link::Impossible));
        }
        let mut temporary = Temporary::new(&self.mailbox, now);
        let crlf_size = view.message(uid).and_then(|message| message.size);
        let linked = view.link(uid, &temporary.path)?;
        // Not the message may be missing, but where it should go.
        if linked == Found::Moved && !temporary.path.parent().is_some_and(Path::is_dir) {
            return Err(Error::NoSuchMailbox(self.mailbox.path()));
        }
        if linked == Found::Here(Link::Made) {
            temporary.exists = true;
            let meta =
                fs::symlink_metadata(&temporary.path).map_err(Error::io("examine", &temporary.path))?;
            if !meta.is_file() {
                return Err(Error::NotAFile(temporary.path.clone()));
            }
            self.push(temporary, flags, meta.len(), crlf_size.map(u64::from));
        }
        Ok(linked)
    }

    fn push(&mut self, temporary: Temporary, flags: Flags, size: u64, crlf_size: Option<u64>) {
        let mut base = temporary.name.clone();
        base.extend_from_slice(format!(",S={size}").as_bytes());
        if let Some(crlf_size) = crlf_size {
            base.extend_from_slice(format!(",W={crlf_size}").as_bytes());
        }
        self.letters.push((temporary, Letter { base, flags, size, place: None }));
    }

    /// How many messages were added, and their bytes.
    pub fn total(&self) -> (u64, u64) {
        let bytes = self.letters.iter().map(|(_, letter)| letter.size).sum();
        (self.letters.len() as u64, bytes)
    }

    /// Are all that were added on the disk? `commit` waits for it too.
    pub fn written(&mut self) -> Result<Step<()>, Error> {
        self.flushes.step()
    }

    /// One turn towards their being saved; `budget` is as in [`Mailbox::sync`]. After an error nothing is saved, and
    /// this is to be dropped.
    pub fn commit(&mut self, now: Now, budget: usize) -> Result<Step<Saved>, Error> {
        if matches!(self.stage, Stage::Open) {
            let (messages, bytes) = self.total();
            self.mailbox.may_save(messages, bytes)?;
            self.stage = Stage::Agreed;
        }
        let saved = match self.advance(now, budget)? {
            Step::Done(saved) => saved,
            unfinished => return Ok(unfinished),
        };
        for ((_, letter), &uid) in self.letters.iter().zip(&saved.uids) {
            self.mailbox.hooks.iter().for_each(|hook| hook.after_save(&self.mailbox, uid, letter.size));
        }
        Ok(Step::Done(saved))
    }

    fn advance(&mut self, now: Now, budget: usize) -> Result<Step<Saved>, Error> {
        let mut state = self.mailbox.state.borrow_mut();
        state.touch_lock(now);
        let mut budget = Budget(budget.max(1));
        loop {
            if let Some(unfinished) = self.flushes.step()?.unfinished() {
                return Ok(unfinished);
            }
            self.stage = match &mut self.stage {
                Stage::Open | Stage::Agreed => match state.lock_for_save(now, budget.0)?.unfinished() {
                    None => Stage::Locked,
                    Some(unfinished) => return Ok(unfinished),
                },
                Stage::Locked => match state.catch_up(now, budget.0, self.letters.len() as u64)?.unfinished()
                {
                    None => Stage::Placing(0),
                    Some(unfinished) => return Ok(unfinished),
                },
                Stage::Placing(placed) => {
                    let before = state.dirs.times()?;
                    while let Some((temporary, letter)) = self.letters.get_mut(*placed) {
                        if !budget.take(PLACING) {
                            state.changed(before, now)?;
                            return Ok(Step::More);
                        }
                        state.place(&temporary.path, letter)?;
                        temporary.exists = false;
                        *placed += 1;
                    }
                    state.changed(before, now)?;
                    let (list, uids, flushes) =
                        state.list_letters(self.letters.iter().map(|(_, letter)| letter))?;
                    self.flushes = flushes;
                    Stage::Listed(list, uids)
                }
                Stage::Listed(list, uids) => {
                    state.enrol(*list, uids, self.letters.iter().map(|(_, letter)| letter))?;
                    state.unlock();
                    let (uid_validity, uids) = (state.model.uid_validity, std::mem::take(uids));
                    self.stage = Stage::Done;
                    return Ok(Step::Done(Saved { uid_validity, uids }));
                }
                Stage::Done => {
                    return Ok(Step::Done(Saved {
                        uid_validity: state.model.uid_validity,
                        uids: Vec::new(),
                    }));
                }
            }
        }
    }
}

impl Drop for Save {
    fn drop(&mut self) {
        // Not if a panic within the model brought us here: then it is thrown away, and its lock with it.
        if !matches!(self.stage, Stage::Open | Stage::Agreed | Stage::Done)
            && let Ok(mut state) = self.mailbox.state.try_borrow_mut()
        {
            self.letters.iter().for_each(|(_, letter)| state.take_out(letter));
            state.unlist();
            state.unlock();
        }
    }
}

/// What giving a file its place costs, where reading a name costs 1.
const PLACING: usize = 10;
