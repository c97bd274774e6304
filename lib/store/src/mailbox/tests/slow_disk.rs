//! What waits for the disk, and what does not.

use std::cell::RefCell;
use std::fs::File;
use std::num::NonZeroU64;

use nix::errno::Errno;

use super::*;
use crate::{Error, Extent, Flush, Save, Saved, Saving, Syncer, Ticket};

/// A disk that takes nothing until it is told to.
#[derive(Debug, Default)]
pub(super) struct SlowDisk {
    waiting: RefCell<Vec<(File, Extent, Flush)>>,
}

impl Syncer for SlowDisk {
    fn sync(&self, file: File, extent: Extent) -> Flush {
        let mut waiting = self.waiting.borrow_mut();
        let flush = Flush::new(Ticket(NonZeroU64::MIN.saturating_add(waiting.len() as u64)));
        waiting.push((file, extent, flush.clone()));
        flush
    }
}

impl SlowDisk {
    /// Under a Maildir, for all who open it from now on.
    pub(super) fn of(maildir: &mut Maildir) -> Rc<SlowDisk> {
        let disk = Rc::new(SlowDisk::default());
        let syncer: Rc<dyn Syncer> = disk.clone();
        maildir.process = Process::with_syncer(std::process::id(), b"here", Some(syncer));
        disk
    }

    pub(super) fn complete(&self, outcome: Result<(), Errno>) {
        self.waiting.take().into_iter().for_each(|(_, _, flush)| flush.complete(outcome));
    }

    /// What was broken before may be told once.
    pub(super) fn sync(&self, mailbox: &Mailbox, now: Now) {
        loop {
            match mailbox.sync(now, usize::MAX) {
                Ok(Step::Disk(_)) => self.complete(Ok(())),
                Err(error) if is_broken(&error) => {}
                done => return assert_eq!(done.unwrap(), Step::Done(())),
            }
        }
    }

    pub(super) fn commit(&self, save: &mut Save, now: Now) -> Result<Step<Saved>, Error> {
        loop {
            match save.commit(now, usize::MAX)? {
                Step::Disk(_) => self.complete(Ok(())),
                done => return Ok(done),
            }
        }
    }

    /// What it was given and has not taken: so much of the files, and whether they are directories.
    fn waiting(&self) -> Vec<(Extent, bool)> {
        let waiting = self.waiting.borrow();
        waiting.iter().map(|(file, extent, _)| (*extent, file.metadata().unwrap().is_dir())).collect()
    }
}

/// Is it what the disk was told to say?
pub(super) fn is_broken(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.raw_os_error() == Some(Errno::EIO as i32))
}

fn save(mailbox: &Rc<Mailbox>, text: &str, now: Now) -> Save {
    let mut save = mailbox.save();
    let mut draft = save.draft(now).unwrap();
    draft.write(text.as_bytes()).unwrap();
    save.add(draft, Flags::NONE, None).unwrap();
    save
}

#[test]
fn a_save_waits_for_its_file_then_for_its_place_and_its_uid() {
    let mut maildir = Maildir::new();
    let disk = SlowDisk::of(&mut maildir);
    let mailbox = maildir.open();
    disk.sync(&mailbox, maildir.now);
    let mut save = save(&mailbox, "text", maildir.now);
    assert!(matches!(save.written().unwrap(), Step::Disk(_)));
    assert!(matches!(save.commit(maildir.now, 100).unwrap(), Step::Disk(_)));
    assert_eq!(disk.waiting(), [(Extent::All, false)]);
    assert!(!maildir.at("dovecot-uidlist.lock").exists());
    assert!(maildir.ls("new").is_empty());
    disk.complete(Ok(()));
    assert_eq!(save.written().unwrap(), Step::Done(()));
    assert!(matches!(save.commit(maildir.now, 100).unwrap(), Step::Disk(_)));
    assert_eq!(disk.waiting(), [(Extent::All, true), (Extent::Data, false)]);
    assert!(maildir.at("dovecot-uidlist.lock").exists());
    assert_eq!((maildir.ls("new").len(), maildir.list().lines().count()), (1, 2));
    assert_eq!(mailbox.status().messages, 0);
    disk.complete(Ok(()));
    assert!(matches!(save.commit(maildir.now, 100).unwrap(), Step::Done(_)));
    assert!(!maildir.at("dovecot-uidlist.lock").exists());
    assert_eq!(mailbox.status().messages, 1);
}

#[test]
fn others_are_not_held_up_and_learn_of_nothing_that_may_be_lost() {
    let mut maildir = Maildir::new();
    let disk = SlowDisk::of(&mut maildir);
    let mailbox = maildir.open();
    disk.sync(&mailbox, maildir.now);
    let mut view = mailbox.view(Access::ReadWrite);
    let mut save = save(&mailbox, "text", maildir.now);
    while let Step::Disk(_) = save.commit(maildir.now, 100).unwrap() {
        maildir.wait(Duration::from_secs(2));
        // They look at a directory that was changed a while ago, and find a file that has no UID yet.
        assert!(!matches!(maildir.sync_once(&mailbox), Step::Disk(_)));
        assert!(view.update(Expunges::Tell).unwrap().is_empty());
        disk.complete(Ok(()));
    }
    disk.sync(&mailbox, maildir.now);
    assert_eq!(view.update(Expunges::Tell).unwrap().exists, Some(1));
    assert_eq!(contents(&view), [row(1, "text")]);
}

#[test]
fn a_uid_that_did_not_reach_the_disk_is_not_given_again() {
    let mut maildir = Maildir::new();
    let disk = SlowDisk::of(&mut maildir);
    let mailbox = maildir.open();
    disk.sync(&mailbox, maildir.now);
    let mut broken = save(&mailbox, "lost", maildir.now);
    while broken.commit(maildir.now, 100).is_ok() {
        let listed = maildir.list().lines().count() == 2;
        disk.complete(if listed { Err(Errno::EIO) } else { Ok(()) });
    }
    drop(broken);
    assert!(maildir.ls("new").is_empty() && maildir.ls("tmp").is_empty());
    let mut next = save(&mailbox, "kept", maildir.now);
    let Ok(Step::Done(saved)) = disk.commit(&mut next, maildir.now) else { panic!("busy") };
    assert_eq!(saved.uids, [uid(2)]);
    assert_eq!(contents(&mailbox.view(Access::ReadWrite)), [row(2, "kept")]);
}

#[test]
fn a_save_whose_list_is_replaced_while_the_disk_works_has_failed() {
    let mut maildir = Maildir::new();
    let disk = SlowDisk::of(&mut maildir);
    let mailbox = maildir.open();
    disk.sync(&mailbox, maildir.now);
    let mut save = save(&mailbox, "text", maildir.now);
    while maildir.list().lines().count() < 2 {
        disk.complete(Ok(()));
        assert!(matches!(save.commit(maildir.now, 100).unwrap(), Step::Disk(_)));
    }
    maildir.write_list("3 V7 N1 G00\n");
    assert!(matches!(maildir.sync_once(&mailbox), Step::Busy { .. }));
    disk.complete(Ok(()));
    assert!(save.commit(maildir.now, 100).is_err());
    drop(save);
    disk.sync(&mailbox, maildir.now);
    assert!(maildir.ls("new").is_empty() && maildir.ls("tmp").is_empty());
    assert_eq!((mailbox.status().messages, mailbox.status().uid_validity), (0, 7));
}

#[test]
fn who_syncs_waits_for_the_list_and_shows_nothing_before() {
    let mut maildir = Maildir::new();
    let disk = SlowDisk::of(&mut maildir);
    maildir.put("new/1.a");
    let mailbox = maildir.open();
    assert!(matches!(maildir.sync_once(&mailbox), Step::Disk(_)));
    // Written anew, beside the list that it shall be.
    assert_eq!(disk.waiting(), [(Extent::Data, false)]);
    assert!(!maildir.at("dovecot-uidlist").exists());
    assert_eq!(mailbox.status().messages, 0);
    disk.sync(&mailbox, maildir.now);
    assert_eq!(mailbox.status().messages, 1);
    maildir.put_all(&["new/2.b", "new/3.c"]);
    assert!(matches!(maildir.sync_once(&mailbox), Step::Disk(_)));
    assert_eq!((disk.waiting(), maildir.list().lines().count()), (vec![(Extent::Data, false)], 4));
    assert_eq!(mailbox.status().messages, 1);
    disk.sync(&mailbox, maildir.now);
    assert_eq!(mailbox.status().messages, 3);
}

#[test]
fn a_sync_that_is_given_up_while_the_disk_works_costs_no_uid() {
    let mut maildir = Maildir::new();
    let disk = SlowDisk::of(&mut maildir);
    maildir.put("new/1.a");
    let mailbox = maildir.open();
    disk.sync(&mailbox, maildir.now);
    maildir.put("new/2.b");
    let driver = mailbox.drive();
    assert!(matches!(maildir.sync_once(&mailbox), Step::Disk(_)));
    drop(driver);
    assert!(!maildir.at("dovecot-uidlist.lock").exists());
    // Nobody is told before it is on the disk, whatever comes between.
    fs::write(maildir.at("dovecot-uidlist.lock"), "1:elsewhere").unwrap();
    assert!(matches!(maildir.sync_once(&mailbox), Step::Busy { .. }));
    assert_eq!(mailbox.status().messages, 1);
    maildir.rm("dovecot-uidlist.lock");
    disk.sync(&mailbox, maildir.now);
    assert_eq!(contents(&mailbox.view(Access::ReadOnly)), [row(1, "1.a"), row(2, "2.b")]);
    assert_eq!(maildir.list().lines().count(), 3);
}

#[test]
fn who_expunges_waits_for_what_he_removed_whoever_else_does() {
    let mut maildir = Maildir::new();
    let disk = SlowDisk::of(&mut maildir);
    maildir.put_all(&["new/1.a", "cur/2.b:2,", "cur/3.c:2,"]);
    let mailbox = maildir.open();
    disk.sync(&mailbox, maildir.now);
    let mut views = [1, 2, 3].map(|_| mailbox.view(Access::ReadWrite));
    for (view, number) in views.iter_mut().zip(1..=2) {
        assert_eq!(view.expunge(uid(number), maildir.now).unwrap(), Found::Here(()));
    }
    let mut sealed = views.each_mut().map(|view| view.seal_expunges().unwrap());
    assert_eq!(disk.waiting(), [(Extent::All, true); 2]);
    let mut are_sealed = || sealed.each_mut().map(|flushes| flushes.step().unwrap() == Step::Done(()));
    assert_eq!(are_sealed(), [false, false, true]);
    disk.complete(Ok(()));
    assert_eq!(are_sealed(), [true; 3]);
}

#[test]
fn who_wants_no_fsync_waits_for_no_disk() {
    let mut maildir = Maildir::new();
    let disk = SlowDisk::of(&mut maildir);
    let saving = Saving { fsync: false, ..Saving::default() };
    let mailbox = maildir.user(Vec::new()).with_saving(saving).open(b"INBOX", maildir.now).unwrap();
    let mut save = save(&mailbox, "text", maildir.now);
    assert!(matches!(save.commit(maildir.now, 100).unwrap(), Step::Done(_)));
    assert!(disk.waiting().is_empty());
}
