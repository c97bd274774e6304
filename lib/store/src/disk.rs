//! Waiting for the disk, or having somebody wait.
//!
//! fsync(2) takes tens of milliseconds on a disk that turns, and nobody's neighbours should have to wait for it. Where
//! the process has a [`Syncer`], open files go to it, and what may only come after says [`Step::Disk`]
//! until they are on the disk. Where it has none, fsync is called here, and nobody waits twice.

use std::cell::OnceCell;
use std::fmt;
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;

use crate::file::open_directory;
use crate::{Error, Process, Step};

/// Somebody who waits for the disk so that we need not: a process of its own, for example.
pub trait Syncer: fmt::Debug {
    /// Has a file or directory brought to the disk. They get there in the order in which they are given.
    fn sync(&self, file: File, extent: Extent) -> Flush;
}

/// How much of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All, with its dates. Of a directory: its names.
    All,
    /// What it takes to read its contents.
    Data,
}

impl Extent {
    /// Brings that much of a file to the disk, and waits.
    pub fn sync(self, file: &File) -> io::Result<()> {
        match self {
            Extent::All => file.sync_all(),
            Extent::Data => file.sync_data(),
        }
    }
}

/// A file on its way to the disk; clones are the same one.
#[derive(Clone, Debug)]
pub struct Flush {
    ticket: Ticket,
    outcome: Rc<OnceCell<Result<(), Errno>>>,
}

/// Which file a session waits for. Those that are given later have higher ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub NonZeroU64);

impl Flush {
    /// One that has not come there yet.
    pub fn new(ticket: Ticket) -> Flush {
        Flush { ticket, outcome: Rc::default() }
    }

    /// Its ticket.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// It is there, or never will be. Only the first call counts.
    pub fn complete(&self, outcome: Result<(), Errno>) {
        let _ = self.outcome.set(outcome);
    }
}

/// Files that have to be on the disk before anything else is done.
#[derive(Debug, Default)]
pub struct Flushes(Vec<(PathBuf, Flush)>);

impl Flushes {
    /// One more.
    pub(crate) fn add(
        &mut self,
        process: &Process,
        path: &Path,
        file: File,
        extent: Extent,
    ) -> Result<(), Error> {
        match &process.syncer {
            Some(syncer) => self.0.push((path.to_owned(), syncer.sync(file, extent))),
            None => extent.sync(&file).map_err(Error::io("sync", path))?,
        }
        Ok(())
    }

    /// The names in a directory.
    pub(crate) fn add_directory(&mut self, process: &Process, path: &Path) -> Result<(), Error> {
        let dir = open_directory(path).map_err(Error::io("open", path))?;
        self.add(process, path, dir, Extent::All)
    }

    /// Are they there?
    pub fn step(&mut self) -> Result<Step<()>, Error> {
        Ok(self.awaited()?.map_or(Step::Done(()), Step::Disk))
    }

    /// The one to wait for, if not all are there.
    pub(crate) fn awaited(&mut self) -> Result<Option<Ticket>, Error> {
        while let Some((path, flush)) = self.0.last() {
            match flush.outcome.get() {
                None => return Ok(Some(flush.ticket)),
                Some(outcome) => outcome.map_err(|errno| Error::io("sync", path)(errno.into()))?,
            }
            self.0.pop();
        }
        Ok(None)
    }
}
