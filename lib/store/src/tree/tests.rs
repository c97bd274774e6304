use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::rc::Rc;

use super::*;
use crate::{Access, Change, Expunges, Flags, Found, Hook, Location, Mailbox, Process, Saving, Step, Uid};

struct Place {
    dir: tempfile::TempDir,
    user: User,
    now: Now,
}

/// One of every layout.
const LAYOUTS: [&str; 5] =
    ["", ":LAYOUT=fs", ":CONTROL=/control", ":LAYOUT=fs:CONTROL=/control", ":CONTROL=/control:INDEX=/index"];

impl Place {
    fn new(more: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let (user, now) = (user(dir.path(), more), Now::read());
        Place { dir, user, now }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("mail")
    }

    fn create(&self, name: &str) {
        self.user.create(name.as_bytes(), self.now).unwrap();
    }

    fn delete(&self, name: &str) -> Result<(), Error> {
        let mut deletion = self.user.delete(name.as_bytes())?;
        done(|| deletion.step(self.now, 1))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let mut renaming = self.user.rename(from.as_bytes(), to.as_bytes())?;
        done(|| renaming.step(self.now, 1))
    }

    fn names(&self) -> Vec<String> {
        let mut list = self.user.list();
        done(|| list.step(100)).unwrap();
        let mark = |selectable| if selectable { "" } else { "-" };
        list.mailboxes().map(|one| mark(one.selectable).to_owned() + &one.name).collect()
    }

    fn open(&self, name: &str) -> Rc<Mailbox> {
        let mailbox = self.user.open(name.as_bytes(), self.now).unwrap();
        done(|| mailbox.sync(self.now, 100)).unwrap();
        mailbox
    }

    fn deliver(&self, name: &str, file: &str) {
        let mailbox = self.open(name);
        fs::write(mailbox.path().join("new").join(file), "Subject: x\n\nx\n").unwrap();
    }

    /// All that is there, links not followed.
    fn files(&self) -> BTreeMap<PathBuf, u64> {
        let mut left = vec![self.dir.path().to_owned()];
        let mut found = BTreeMap::new();
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let meta = entry.metadata().unwrap();
                found.insert(entry.path(), meta.ino());
                left.extend(meta.is_dir().then(|| entry.path()));
            }
        }
        found
    }

    fn has_trash(&self) -> bool {
        self.files().keys().any(|path| path.to_string_lossy().contains(ASIDE))
    }
}

fn user(dir: &Path, more: &str) -> User {
    let more = more.replace("=/", &format!("={}/", dir.display()));
    let location = format!("maildir:{}{more}", dir.join("mail").display());
    let location = Location::parse(&location, Path::new("/")).unwrap().separated_by(b'/').unwrap();
    // Hundreds of mailboxes come and go here, and no power fails.
    let saving = Saving { fsync: false, ..Saving::default() };
    User::new(Process::new(std::process::id(), b"here"), location, Vec::new()).with_saving(saving)
}

fn done(mut step: impl FnMut() -> Result<Step<()>, Error>) -> Result<(), Error> {
    loop {
        match step()? {
            Step::Done(()) => return Ok(()),
            Step::More => {}
            Step::Busy { .. } => return Err(Error::Locked),
            Step::Disk(_) => panic!("nobody else waits for the disk"),
        }
    }
}

fn validity(mailbox: &Mailbox) -> u32 {
    mailbox.status().uid_validity
}

#[test]
fn what_is_made_is_there_once() {
    for layout in LAYOUTS {
        let place = Place::new(layout);
        place.create("A/B");
        assert_eq!(place.names(), ["INBOX", "-A", "A/B"], "{layout}");
        assert_eq!(place.open("A/B").status().messages, 0);
        for there in ["A/B", "INBOX", "inbox/", "A/B/"] {
            let again = place.user.create(there.as_bytes(), place.now);
            assert!(matches!(again, Err(Error::AlreadyExists)), "{there} {again:?}");
        }
        for bad in ["", "/", "a//b", "../x", "~a", "a\u{e9}"] {
            let bad = place.user.create(bad.as_bytes(), place.now);
            assert!(matches!(bad, Err(Error::BadName(_))), "{bad:?}");
        }
        place.create("A");
        assert_eq!(place.names(), ["INBOX", "A", "A/B"]);
        assert!(!place.has_trash());
    }
}

#[test]
fn a_separator_at_the_end_declares_a_level() {
    let place = Place::new("");
    place.create("A/");
    assert_eq!(place.names(), ["INBOX", "A"]);
    assert!(place.root().join(".A/maildirfolder").exists());
    let place = Place::new(":LAYOUT=fs");
    place.create("A/");
    assert_eq!(place.names(), ["INBOX", "-A"]);
    place.create("A");
    assert_eq!(place.names(), ["INBOX", "A"]);
}

#[test]
fn a_shared_maildir_has_shared_mailboxes() {
    for layout in ["", ":LAYOUT=fs"] {
        let place = Place::new(layout);
        place.open("INBOX");
        for (bits, name) in [(0o770, "A"), (0o700, "B/C")] {
            fs::set_permissions(place.root(), fs::Permissions::from_mode(bits)).unwrap();
            place.create(name);
            let root =
                Name::parse(name.as_bytes(), place.user.location()).unwrap().root(place.user.location());
            for dir in [&root, &root.join("cur")] {
                assert_eq!(fs::metadata(dir).unwrap().mode() & 0o777, bits, "{}", dir.display());
            }
        }
    }
}

#[test]
fn long_names_come_and_go() {
    for layout in ["", ":LAYOUT=fs"] {
        let place = Place::new(layout);
        let long = "x".repeat(250);
        place.create(&long);
        let deep = vec!["d"; 100].join("/");
        place.create(&deep);
        place.open(&long);
        assert!(matches!(place.rename(&long, &"y".repeat(300)), Err(Error::BadName(_))));
        place.delete(&long).unwrap();
        place.delete(&deep).unwrap();
    }
}

#[test]
fn a_name_that_is_made_again_has_another_uidvalidity() {
    for layout in LAYOUTS {
        let place = Place::new(layout);
        let mut seen = Vec::new();
        for _ in 0..3 {
            place.create("A");
            seen.push(validity(&place.open("A")));
            place.delete("A").unwrap();
            place.create("A");
            seen.push(validity(&place.open("A")));
            place.rename("A", "B").unwrap();
            assert_eq!(validity(&place.open("B")), *seen.last().unwrap());
            place.delete("B").unwrap();
        }
        // One that others made, in the same second, and one that came from elsewhere.
        let root = Name::parse(b"A", place.user.location()).unwrap().root(place.user.location());
        fs::create_dir_all(root.join("cur")).unwrap();
        let control = place.open("A").state.borrow().control().to_owned();
        seen.push(validity(&place.open("A")));
        fs::write(control.join("dovecot-uidlist"), "3 V4000000000 N7\n").unwrap();
        place.delete("A").unwrap();
        place.create("A");
        seen.push(validity(&place.open("A")));
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{layout} {seen:?}");
        assert_eq!(seen.last(), Some(&4_000_000_001));
    }
}

/// What it is told.
struct Diary(Rc<RefCell<Vec<String>>>);

impl Hook for Diary {
    fn after_delete(&self, name: &str, messages: u64, bytes: u64) {
        self.0.borrow_mut().push(format!("{name} had {messages} of {bytes}"));
    }
}

#[test]
fn what_went_with_a_mailbox_is_told() {
    for layout in LAYOUTS {
        let place = Place::new(layout);
        let diary = Rc::default();
        let hook = Box::new(Diary(Rc::clone(&diary)));
        let user = User::new(Rc::clone(&place.user.process), place.user.location.clone(), vec![hook]);
        let place = Place { user, ..place };
        ["A", "A/B", "C"].iter().for_each(|name| place.create(name));
        place.deliver("A", "1.x");
        place.deliver("A", "2.x,S=1000");
        place.deliver("A/B", "3.x");
        fs::create_dir(place.open("A").path().join("cur/odd")).unwrap();
        place.delete("A").unwrap();
        place.delete("C").unwrap();
        assert_eq!(*diary.borrow(), ["A had 2 of 1014", "C had 0 of 0"], "{layout}");
    }
}

#[test]
fn what_is_below_a_deleted_mailbox_stays() {
    for layout in LAYOUTS {
        let place = Place::new(layout);
        for name in ["A", "A/B", "AB"] {
            place.create(name);
            place.deliver(name, "1.x");
        }
        let inner = place.open("A/B");
        place.delete("A").unwrap();
        assert_eq!(place.names(), ["INBOX", "-A", "A/B", "AB"], "{layout}");
        done(|| inner.sync(place.now, 100)).unwrap();
        assert_eq!(place.open("A/B").status().messages, 1);
        place.create("A");
        assert_eq!(place.open("A").status().messages, 0);
        for name in ["A", "A/B"] {
            place.delete(name).unwrap();
        }
        assert!(!place.has_trash());
        assert!(place.names().contains(&"AB".to_owned()));
    }
}

#[test]
fn what_cannot_be_deleted_stays() {
    for layout in LAYOUTS {
        let place = Place::new(layout);
        place.create("A/B");
        assert!(matches!(place.delete("inbox"), Err(Error::Impossible(_))));
        assert!(matches!(place.delete("X"), Err(Error::NoSuchMailbox(_))));
        let level = place.delete("A");
        match place.user.location().layout {
            Layout::MaildirPlusPlus => assert!(matches!(level, Err(Error::NoSuchMailbox(_)))),
            Layout::Fs => assert!(matches!(level, Err(Error::HasChildren))),
        }
        assert_eq!(place.names(), ["INBOX", "-A", "A/B"]);
        place.delete("A/B").unwrap();
        if place.user.location().layout == Layout::Fs {
            place.delete("A").unwrap();
        }
        assert_eq!(place.names(), ["INBOX"]);
    }
}

#[test]
fn a_lock_is_waited_for_and_nothing_happens_meanwhile() {
    for layout in LAYOUTS {
        let place = Place::new(layout);
        place.create("A");
        let lock = place.open("A").state.borrow().control().join("dovecot-uidlist.lock");
        fs::write(&lock, "1:elsewhere").unwrap();
        let before = place.files();
        assert!(matches!(place.delete("A"), Err(Error::Locked)));
        assert!(matches!(place.rename("A", "B"), Err(Error::Locked)));
        assert_eq!(place.files(), before);
        fs::remove_file(&lock).unwrap();
        place.rename("A", "B").unwrap();
        place.delete("B").unwrap();
        assert_eq!(place.names(), ["INBOX"]);
        assert!(place.user.process.locks.borrow().is_empty());
        assert!(!place.files().keys().any(|path| path.extension().is_some_and(|end| end == "lock")));
    }
}

#[test]
fn a_deletion_that_ends_anywhere_leaves_a_mailbox_or_none() {
    for layout in LAYOUTS {
        for turns in 0..100 {
            let place = Place::new(layout);
            place.create("A");
            (0..2).for_each(|number| place.deliver("A", &format!("{number}.x")));
            let before = validity(&place.open("A"));
            let mut deletion = place.user.delete(b"A").unwrap();
            let ended = (0..turns).any(|_| deletion.step(place.now, 1).unwrap() == Step::Done(()));
            drop(deletion);
            // Another process finds one or the other, and makes the mailbox anew.
            let place = Place { user: user(place.dir.path(), layout), ..place };
            if place.names().contains(&"A".to_owned()) {
                assert_eq!(place.open("A").status().messages, 2);
                place.delete("A").unwrap();
            }
            place.create("A");
            let status = place.open("A").status();
            assert_eq!((status.messages, status.uid_next), (0, 1), "{layout} {turns}");
            assert!(status.uid_validity > before);
            // An hour later somebody deletes something else.
            let hour = std::time::Duration::from_secs(4000);
            let later = Now { wall: place.now.wall + hour, ..place.now };
            let place = Place { now: later, ..place };
            place.delete("A").unwrap();
            assert!(!place.has_trash(), "{layout} {turns}");
            if ended {
                break;
            }
            assert!(turns < 99);
        }
    }
}

#[test]
fn links_are_removed_and_not_followed() {
    let place = Place::new("");
    place.create("A");
    place.deliver("A", "1.x");
    let elsewhere = place.dir.path().join("elsewhere");
    fs::create_dir_all(elsewhere.join("cur")).unwrap();
    fs::write(elsewhere.join("precious"), "").unwrap();
    symlink(&elsewhere, place.root().join(".A/link")).unwrap();
    symlink(&elsewhere, place.root().join(".Link")).unwrap();
    fs::create_dir_all(place.root().join(".A/cur/deep/deeper/deepest")).unwrap();
    place.delete("A").unwrap();
    place.delete("Link").unwrap();
    assert!(elsewhere.join("precious").exists());
    assert!(!place.has_trash());
    assert_eq!(place.names(), ["INBOX"]);
}

#[test]
fn a_mailbox_takes_what_is_below_along() {
    for layout in LAYOUTS {
        let place = Place::new(layout);
        for name in ["A", "A/B", "A/B/C", "AB"] {
            place.create(name);
            place.deliver(name, "1.x");
        }
        let told = ["A", "A/B", "A/B/C"].map(|name| validity(&place.open(name)));
        place.rename("A", "X/Y").unwrap();
        assert_eq!(place.names(), ["INBOX", "AB", "-X", "X/Y", "X/Y/B", "X/Y/B/C"], "{layout}");
        let found = ["X/Y", "X/Y/B", "X/Y/B/C"].map(|name| {
            assert_eq!(place.open(name).status().messages, 1);
            validity(&place.open(name))
        });
        assert_eq!(found, told, "{layout}");
        // A level that is no mailbox too.
        place.rename("X", "A").unwrap();
        assert_eq!(place.names(), ["INBOX", "-A", "A/Y", "A/Y/B", "A/Y/B/C", "AB"]);
    }
}

#[test]
fn what_cannot_be_renamed_stays() {
    for layout in LAYOUTS {
        let place = Place::new(layout);
        ["A", "A/B", "C"].iter().for_each(|name| place.create(name));
        let before = place.files();
        assert!(matches!(place.rename("A", "C"), Err(Error::AlreadyExists)));
        assert!(matches!(place.rename("A", "A"), Err(Error::AlreadyExists)));
        assert!(matches!(place.rename("A", "inbox"), Err(Error::AlreadyExists)));
        assert!(matches!(place.rename("A", "A/B/C"), Err(Error::Impossible(_))));
        assert!(matches!(place.rename("X", "Y"), Err(Error::NoSuchMailbox(_))));
        assert!(matches!(place.rename("A", "Y/"), Err(Error::BadName(_))));
        assert_eq!(place.files(), before);
    }
}

#[test]
fn a_renaming_that_was_interrupted_is_completed_by_another() {
    for layout in LAYOUTS {
        for turns in 0..100 {
            let place = Place::new(layout);
            let names = ["A", "A/B", "A/C", "A/C/D"];
            for name in names {
                place.create(name);
                place.deliver(name, "1.x");
            }
            let mut renaming = place.user.rename(b"A", b"Z").unwrap();
            let ended = (0..turns).any(|_| renaming.step(place.now, 1).unwrap() == Step::Done(()));
            drop(renaming);
            let place = Place { user: user(place.dir.path(), layout), ..place };
            if place.names().contains(&"A".to_owned()) {
                place.rename("A", "Z").unwrap();
            }
            assert_eq!(place.names(), ["INBOX", "Z", "Z/B", "Z/C", "Z/C/D"], "{layout} {turns}");
            for name in ["Z", "Z/B", "Z/C", "Z/C/D"] {
                assert_eq!(place.open(name).status().messages, 1);
            }
            if ended {
                break;
            }
            assert!(turns < 99);
        }
    }
}

#[test]
fn inbox_gives_its_messages_and_stays() {
    for layout in LAYOUTS {
        let place = Place::new(layout);
        place.create("INBOX/sub");
        (0..3).for_each(|number| place.deliver("INBOX", &format!("{number}.x")));
        let inbox = place.open("INBOX");
        fs::write(inbox.state.borrow().control().join("dovecot-keywords"), "0 Work\n").unwrap();
        fs::rename(inbox.path().join("new/1.x"), inbox.path().join("cur/1.x:2,Sa")).unwrap();
        let (before, next) = (validity(&inbox), place.open("INBOX").status().uid_next);
        place.rename("inbox", "Old/Mail").unwrap();
        assert_eq!(place.names(), ["INBOX", "INBOX/sub", "-Old", "Old/Mail"], "{layout}");
        let old = place.open("Old/Mail");
        assert_eq!(old.status().messages, 3);
        assert_eq!(old.keywords(), ["Work"]);
        assert!(validity(&old) > before);
        let status = place.open("INBOX").status();
        assert_eq!((status.messages, status.uid_validity, status.uid_next), (0, before, next));
        assert!(matches!(place.rename("INBOX", "Old/Mail"), Err(Error::AlreadyExists)));
    }
}

#[test]
fn what_is_kept_by_uid_goes_with_inboxes_messages() {
    for layout in LAYOUTS {
        let place = Place::new(layout);
        let inbox = place.open("INBOX");
        let lists = inbox.state.borrow().control().to_owned();
        let list = lists.join("dovecot-uidlist");
        (0..3).for_each(|number| place.deliver("INBOX", &format!("{number}.x")));
        fs::write(&list, "3 V7 N12 G0123\n8 Pthe-id O2 :0.x\n9 :1.x\n").unwrap();
        let inbox = place.open("INBOX");
        let keywords = (0..30).map(|number| inbox.keyword(&format!("k{number}"), place.now).unwrap());
        let Some(Step::Done(Some(late))) = keywords.collect::<Vec<_>>().pop() else { panic!("{layout}") };
        let late = Flags::NONE.with_keyword(late);
        let uid = |uid: u32| Uid(uid.try_into().unwrap());
        let mut view = inbox.view(Access::ReadWrite);
        place.open("INBOX");
        view.update(Expunges::Tell).unwrap();
        assert_eq!(view.store(uid(9), Change::Add(late), place.now).unwrap(), Found::Here(late));
        place.rename("INBOX", "Old").unwrap();
        let old = place.open("Old");
        let view = old.view(Access::ReadOnly);
        assert_eq!((view.uid(1), view.uid(2), view.uid(3)), (Some(uid(8)), Some(uid(9)), Some(uid(12))));
        assert_eq!(view.message(uid(8)).unwrap().flags, Flags::NONE);
        assert_eq!(view.message(uid(9)).unwrap().flags, late, "{layout}");
        assert_eq!(old.find_keyword("k29"), late.keywords().next());
        let mut records = old.pop3_records().unwrap();
        assert_eq!(records.step(100).unwrap(), Step::More);
        let Step::Done(records) = records.step(100).unwrap() else { panic!("{layout}") };
        assert_eq!((records[0].uid, records[0].id.as_deref()), (uid(8), Some(&b"the-id"[..])));
        let list = fs::read_to_string(old.state.borrow().control().join("dovecot-uidlist")).unwrap();
        assert!(validity(&old) > 7 && !list.contains("G0123"), "{list}");
        assert_eq!(place.open("INBOX").status().uid_next, 13);
    }
}

#[test]
fn what_a_mailbox_has_elsewhere_goes_with_it() {
    for layout in [":INDEX=/index", ":LAYOUT=fs:INDEX=/index", ":LAYOUT=fs:CONTROL=/both:INDEX=/both"] {
        let place = Place::new(layout);
        let index = |name: &str| {
            Name::parse(name.as_bytes(), &place.user.location).unwrap().index(&place.user.location)
        };
        let cache = |name: &str| index(name).unwrap().join("mail-cache");
        for name in ["A", "A/B", "C"] {
            place.create(name);
            fs::create_dir_all(index(name).unwrap()).unwrap();
            fs::write(cache(name), name).unwrap();
        }
        // One that is left of a mailbox which another program has deleted.
        fs::create_dir_all(index("X").unwrap()).unwrap();
        fs::write(cache("X"), "old").unwrap();
        place.rename("A", "X").unwrap();
        assert_eq!(fs::read_to_string(cache("X")).unwrap(), "A", "{layout}");
        assert_eq!(fs::read_to_string(cache("X/B")).unwrap(), "A/B", "{layout}");
        assert!(!index("A").unwrap().exists());
        place.delete("X").unwrap();
        assert!(!cache("X").exists() && cache("X/B").exists(), "{layout}");
        place.delete("C").unwrap();
        assert!(!index("C").unwrap().exists());
        place.delete("X/B").unwrap();
        assert!(place.names() == ["INBOX"] || place.names() == ["INBOX", "-X"]);
    }
}

#[test]
fn sessions_on_a_mailbox_that_went_are_told() {
    for layout in LAYOUTS {
        let place = Place::new(layout);
        place.create("A");
        let old = place.open("A");
        place.delete("A").unwrap();
        assert!(matches!(old.sync(place.now, 100), Err(Error::NoSuchMailbox(_))));
        place.create("A");
        let view = old.view(crate::Access::ReadWrite);
        done(|| old.sync(place.now, 100)).unwrap();
        assert!(matches!({ view }.update(crate::Expunges::Tell), Err(Error::Replaced)));
        let moved = place.open("A");
        place.rename("A", "B").unwrap();
        assert!(matches!(moved.sync(place.now, 100), Err(Error::NoSuchMailbox(_))));
    }
}
