//! Several processes on one mailbox: each renames, removes and delivers, and none may lose its place. A UID never
//! means two messages, and a message never has two.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use store::{Access, Change, Expunges, Flag, Flags, Found, Location, Now, Process, Step, Uid, User, View};

/// The UIDs that a client of one process saw, and what each of them was.
type Seen = BTreeMap<u32, String>;

const PROCESSES: u32 = 3;
const ROUNDS: u32 = 400;
const AT_FIRST: u32 = 600;

/// A small generator of numbers that look random, so that a failure comes again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(sides)).unwrap()
    }
}

/// A client, and the mailbox as he must imagine it.
struct Client {
    view: View,
    known: Vec<Uid>,
    seen: Seen,
}

impl Client {
    /// A client of a process of his own, as far as locks can tell.
    fn new(root: &Path) -> Client {
        let location = Location::parse(&format!("maildir:{}", root.display()), "/".as_ref()).unwrap();
        // Pid 1 is alive, whoever asks.
        let user = User::new(Process::new(1, b"here"), location, Vec::new());
        let mailbox = user.open(b"INBOX", Now::read()).unwrap();
        let mut client =
            Client { view: mailbox.view(Access::ReadWrite), known: Vec::new(), seen: BTreeMap::new() };
        client.sync();
        client
    }

    fn sync(&mut self) {
        loop {
            match self.view.mailbox().sync(Now::read(), 50).unwrap() {
                Step::Done(()) => break,
                Step::More => {}
                Step::Busy { .. } | Step::Disk(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
        let update = self.view.update(Expunges::Tell).unwrap();
        for number in update.expunged {
            self.known.remove(number as usize - 1);
        }
        for number in self.known.len() as u32 + 1..=update.exists.unwrap_or(0) {
            let uid = self.view.uid(number).unwrap();
            assert!(self.known.last().is_none_or(|last| *last < uid), "UIDs ascend");
            self.known.push(uid);
        }
        for (number, uid) in update.flags {
            assert_eq!(self.known[number as usize - 1], uid);
        }
        assert_eq!(self.view.exists() as usize, self.known.len());
    }

    /// Reads a message, if it is there.
    fn look(&mut self, uid: Uid) {
        if let Found::Here(message) = self.view.open(uid).unwrap() {
            let text = std::io::read_to_string(message.file).unwrap();
            assert_eq!(*self.seen.entry(uid.get()).or_insert_with(|| text.clone()), text);
        }
    }

    fn work(&mut self, root: &Path, who: u32, dice: &mut Dice) {
        for round in 0..ROUNDS {
            self.sync();
            let uid = self.known[dice.roll(self.known.len() as u32) as usize];
            match dice.roll(10) {
                0 => deliver(root, "new", &format!("{}.{who}", 2000 + round)),
                // Gone or moved is as good.
                1 => {
                    let _ = self.view.expunge(uid, Now::read()).unwrap();
                }
                2 => self.look(uid),
                _ => {
                    let flag = Flags::NONE.with(Flag::ALL[dice.roll(5) as usize]);
                    let change = if dice.roll(2) == 0 { Change::Add(flag) } else { Change::Remove(flag) };
                    let _ = self.view.store(uid, change, Now::read()).unwrap();
                }
            }
        }
    }
}

fn deliver(root: &Path, place: &str, name: &str) {
    fs::write(root.join("tmp").join(name), name).unwrap();
    fs::rename(root.join("tmp").join(name), root.join(place).join(name)).unwrap();
}

#[test]
fn processes_on_one_mailbox_agree() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    ["cur", "new", "tmp"].iter().for_each(|name| fs::create_dir(root.join(name)).unwrap());
    (0..AT_FIRST).for_each(|number| deliver(root, "cur", &format!("{}.start:2,", 1000 + number)));
    let all: Vec<Seen> = thread::scope(|scope| {
        let run = |who| {
            scope.spawn(move || {
                let mut client = Client::new(root);
                client.work(root, who, &mut Dice(u64::from(who)));
                client.seen
            })
        };
        let threads: Vec<_> = (0..PROCESSES).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut last = Client::new(root);
    for uid in last.known.clone() {
        last.look(uid);
    }
    let on_disk = ["new", "cur"].map(|name| fs::read_dir(root.join(name)).unwrap().count());
    assert_eq!(last.seen.len(), on_disk.iter().sum::<usize>());
    let mut whole = Seen::new();
    for (uid, text) in all.into_iter().flatten().chain(last.seen) {
        assert_eq!(*whole.entry(uid).or_insert_with(|| text.clone()), text, "UID {uid} meant two messages");
    }
    let mut messages: Vec<&String> = whole.values().collect();
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), whole.len(), "a message had two UIDs");
    assert!(!root.join("dovecot-uidlist.lock").exists());
}
