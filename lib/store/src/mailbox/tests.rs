//! A mailbox on a real disk, with others at work on it.

mod flags;
mod hold;
mod hostile;
mod save;
mod slow_disk;
mod sync;

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use crate::{
    Access, Expunges, Flag, Flags, Found, Hook, Location, Mailbox, Now, Process, Step, Uid, Update, User,
    View,
};

/// A Maildir, and a time that passes when we say so.
struct Maildir {
    dir: tempfile::TempDir,
    now: Now,
    process: Rc<Process>,
}

impl Maildir {
    fn new() -> Maildir {
        let maildir = Maildir {
            dir: tempfile::tempdir().unwrap(),
            now: Now::read(),
            process: Process::new(std::process::id(), b"here"),
        };
        for name in ["new", "cur", "tmp"] {
            fs::create_dir(maildir.at(name)).unwrap();
        }
        maildir
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file; "new/1.a" has the content "1.a".
    fn put(&self, name: &str) {
        let path = self.at(name);
        fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
    }

    fn put_all(&self, names: &[&str]) {
        names.iter().for_each(|name| self.put(name));
    }

    fn mv(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).unwrap();
    }

    fn rm(&self, name: &str) {
        fs::remove_file(self.at(name)).unwrap();
    }

    fn ls(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(name)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn list(&self) -> String {
        fs::read_to_string(self.at("dovecot-uidlist")).unwrap()
    }

    fn write_list(&self, text: &str) {
        fs::write(self.at("dovecot-uidlist.other"), text).unwrap();
        self.mv("dovecot-uidlist.other", "dovecot-uidlist");
    }

    /// The model of one user of several who share it.
    fn open(&self) -> Rc<Mailbox> {
        self.user(Vec::new()).open(b"INBOX", self.now).unwrap()
    }

    fn user(&self, hooks: Vec<Box<dyn Hook>>) -> User {
        let location = format!("maildir:{}", self.dir.path().display());
        User::new(self.process.clone(), Location::parse(&location, "/".as_ref()).unwrap(), hooks)
    }

    /// The model, in agreement with the disk.
    fn synced(&self) -> Rc<Mailbox> {
        let mailbox = self.open();
        self.sync(&mailbox);
        mailbox
    }

    fn sync(&self, mailbox: &Mailbox) {
        assert_eq!(mailbox.sync(self.now, usize::MAX).unwrap(), Step::Done(()));
    }

    fn sync_once(&self, mailbox: &Mailbox) -> Step<()> {
        mailbox.sync(self.now, usize::MAX).unwrap()
    }

    fn wait(&mut self, time: Duration) {
        self.now = Now { instant: self.now.instant + time, wall: self.now.wall + time };
    }

    /// Syncs and tells.
    fn tell(&self, view: &mut View) -> Update {
        self.sync(view.mailbox());
        view.update(Expunges::Tell).unwrap()
    }
}

fn uid(uid: u32) -> Uid {
    Uid(uid.try_into().unwrap())
}

/// All messages of a view: UID and content.
fn contents(view: &View) -> Vec<(u32, String)> {
    let read = |number| {
        let uid = view.uid(number).unwrap();
        let Found::Here(message) = view.open(uid).unwrap() else { panic!("{uid} is not there") };
        let text = std::io::read_to_string(message.file).unwrap();
        assert_eq!(message.attributes.size, text.len() as u64);
        (uid.get(), text)
    };
    (1..=view.exists()).map(read).collect()
}

fn row(uid: u32, content: &str) -> (u32, String) {
    (uid, content.to_owned())
}

fn flags(all: &[Flag]) -> Flags {
    all.iter().fold(Flags::NONE, |flags, &flag| flags.with(flag))
}
