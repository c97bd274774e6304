//! Dovecot and we serve one Maildir in turn, and neither notices: UIDVALIDITY, UIDs, flags and keywords stay.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use store::{
    Access, Change, Expunges, Flag, Flags, Found, Location, Mailbox, Now, Process, Step, Subscribe, User,
    View,
};
use tests::as_nobody;
use tests::dovecot::{IMAP, configuration};

/// A Maildir with a Dovecot of its own.
struct Place {
    dir: tempfile::TempDir,
    process: Rc<Process>,
    delivered: std::cell::Cell<u32>,
}

/// UIDVALIDITY, and of each UID the content and the flags.
type Contents = (u32, BTreeMap<u32, (String, String)>);

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { dir, process: Process::new(1, b"ours"), delivered: 0.into() };
        for name in ["new", "cur", "tmp"] {
            fs::create_dir_all(place.at(name)).unwrap();
        }
        configuration(place.dir.path(), &format!("maildir:{}", place.root().display()));
        place
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("Maildir")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn deliver(&self) {
        let number = self.delivered.get() + 1;
        self.delivered.set(number);
        let text = format!("Subject: {number}\n\nmessage {number}\n");
        fs::write(self.at(&format!("new/17000000{number:02}.M1P1.elsewhere")), text).unwrap();
    }

    /// What Dovecot answers to these commands.
    fn dovecot(&self, commands: &[&str]) -> String {
        let mut child = Command::new(IMAP)
            .arg("-c")
            .arg(self.dir.path().join("dovecot.conf"))
            .env_clear()
            .envs([("USER", "somebody"), ("HOME", self.dir.path().to_str().unwrap())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut answer = String::new();
        // One after the other: it runs what is pipelined at the same time.
        for command in commands.iter().chain(&["LOGOUT"]) {
            input.write_all(format!("a {command}\r\n").as_bytes()).unwrap();
            let mut line = String::new();
            while !line.starts_with("a ") {
                line.clear();
                assert!(output.read_line(&mut line).unwrap() > 0, "{answer}");
                answer += &line;
            }
            assert!(line.starts_with("a OK"), "{answer}");
        }
        assert!(child.wait().unwrap().success(), "{answer}");
        answer
    }

    fn as_dovecot_sees_it(&self) -> Contents {
        let answer =
            self.dovecot(&["EXAMINE INBOX", "FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"]);
        let number =
            |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
        let validity = answer.split("UIDVALIDITY ").nth(1).and_then(number).expect("UIDVALIDITY");
        let mut messages = BTreeMap::new();
        for fetch in answer.split("FETCH (UID ").skip(1) {
            let uid = number(fetch).unwrap();
            let flags = fetch.split("FLAGS (").nth(1).unwrap().split(')').next().unwrap();
            let subject = fetch.split("Subject: ").nth(1).unwrap().split('\r').next().unwrap();
            messages.insert(uid, (subject.to_owned(), sorted(flags.split(' '))));
        }
        (validity, messages)
    }

    fn open(&self) -> Rc<Mailbox> {
        let location =
            Location::parse(&format!("maildir:{}", self.root().display()), Path::new("/")).unwrap();
        let user = User::new(Rc::clone(&self.process), location, Vec::new());
        user.open(b"INBOX", Now::read()).unwrap()
    }

    fn select(&self) -> View {
        let mailbox = self.open();
        sync(&mailbox);
        let view = mailbox.view(Access::ReadWrite);
        sync(&mailbox);
        view
    }
}

fn sync(mailbox: &Mailbox) {
    assert_eq!(mailbox.sync(Now::read(), usize::MAX).unwrap(), Step::Done(()));
}

fn sorted<'a>(flags: impl Iterator<Item = &'a str>) -> String {
    let mut flags: Vec<&str> = flags.filter(|flag| !flag.is_empty() && *flag != "\\Recent").collect();
    flags.sort_unstable();
    flags.join(" ")
}

fn as_we_see_it(view: &View) -> Contents {
    let names = view.mailbox().keywords();
    let mut messages = BTreeMap::new();
    for number in 1..=view.exists() {
        let uid = view.uid(number).unwrap();
        let flags = view.message(uid).unwrap().flags;
        let keywords = flags.keywords().map(|keyword| names[usize::from(keyword.number())].as_str());
        let system = flags.system().map(|flag| -> &str { flag.name() });
        let flags = sorted(system.chain(keywords));
        let Found::Here(message) = view.open(uid).unwrap() else { panic!("{uid} is not there") };
        let text = std::io::read_to_string(message.file).unwrap();
        let subject = text.split("Subject: ").nth(1).unwrap().lines().next().unwrap();
        messages.insert(uid.get(), (subject.to_owned(), flags));
    }
    (view.mailbox().status().uid_validity, messages)
}

fn store(view: &mut View, uid: u32, change: Change) {
    let stored = view.store(store::Uid(uid.try_into().unwrap()), change, Now::read()).unwrap();
    assert!(matches!(stored, Found::Here(_)));
}

/// With a Dovecot, and as somebody whom it serves.
fn with_dovecot(name: &str, test: impl FnOnce(Place)) {
    if Path::new(IMAP).exists() || tests::skipped(name, "no Dovecot (dovecot-imapd)") {
        as_nobody(name, || test(Place::new()));
    }
}

#[test]
fn what_dovecot_served_keeps_its_uids_here() {
    with_dovecot("what_dovecot_served_keeps_its_uids_here", |place| {
        (0..4).for_each(|_| place.deliver());
        place.dovecot(&[
            "SELECT INBOX",
            "STORE 1 +FLAGS ($Junk \\Seen)",
            "STORE 3 +FLAGS (\\Deleted)",
            "EXPUNGE",
            "STORE 2 +FLAGS (Work \\Flagged \\Answered)",
        ]);
        let view = place.select();
        let expected = [(1, ("1", "$Junk \\Seen")), (2, ("2", "Work \\Answered \\Flagged")), (4, ("4", ""))]
            .map(|(uid, (subject, flags))| (uid, (subject.to_owned(), sorted(flags.split(' ')))));
        assert_eq!(as_we_see_it(&view).1, BTreeMap::from(expected));
        assert_eq!(as_we_see_it(&view), place.as_dovecot_sees_it());
    });
}

#[test]
fn what_we_served_keeps_its_uids_there() {
    with_dovecot("what_we_served_keeps_its_uids_there", |place| {
        (0..5).for_each(|_| place.deliver());
        let mut view = place.select();
        let Step::Done(Some(work)) = view.mailbox().keyword("Work", Now::read()).unwrap() else { panic!() };
        store(&mut view, 1, Change::Add(Flags::NONE.with_keyword(work).with(Flag::Seen)));
        store(&mut view, 4, Change::Replace(Flags::NONE.with(Flag::Draft).with(Flag::Deleted)));
        let gone = view.expunge(store::Uid(2.try_into().unwrap()), Now::read()).unwrap();
        assert_eq!(gone, Found::Here(()));
        view.update(Expunges::Tell).unwrap();
        assert_eq!(as_we_see_it(&view), place.as_dovecot_sees_it());
    });
}

#[test]
fn both_in_turn_never_disagree() {
    with_dovecot("both_in_turn_never_disagree", |place| {
        place.deliver();
        let mut view = place.select();
        for round in 0..12_u32 {
            place.deliver();
            if round % 2 == 0 {
                place.dovecot(&["SELECT INBOX", "STORE * +FLAGS (\\Flagged k1)"]);
            }
            if round % 3 == 0 {
                let text =
                    format!("APPEND INBOX (\\Seen k2) {{{}+}}\r\nSubject: appended {round:02}\r\n\r\nx", 25);
                place.dovecot(&[&text]);
            }
            sync(view.mailbox());
            view.update(Expunges::Tell).unwrap();
            let uid = view.uid(view.exists()).unwrap();
            store(&mut view, uid.get(), Change::Add(Flags::NONE.with(Flag::Answered)));
            if round % 4 == 3 {
                place.dovecot(&["SELECT INBOX", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE"]);
                sync(view.mailbox());
                assert_eq!(view.update(Expunges::Tell).unwrap().expunged, [1]);
            }
            if round % 5 == 4 {
                let Found::Here(()) = view.expunge(view.uid(2).unwrap(), Now::read()).unwrap() else {
                    panic!()
                };
                assert_eq!(view.update(Expunges::Tell).unwrap().expunged, [2]);
            }
            let ours = as_we_see_it(&view);
            assert_eq!(ours, place.as_dovecot_sees_it(), "round {round}");
            assert_eq!(ours, as_we_see_it(&place.select()), "round {round}");
        }
        let listed = fs::read_to_string(place.at("dovecot-uidlist")).unwrap();
        assert!(listed.starts_with("3 V"), "{listed}");
    });
}

#[test]
fn dovecots_mailboxes_and_subscriptions_are_listed() {
    with_dovecot("dovecots_mailboxes_and_subscriptions_are_listed", |place| {
        place.dovecot(&["CREATE Sent", "CREATE A.B.&AOQ-", "SUBSCRIBE Sent", "SUBSCRIBE A.B.&AOQ-"]);
        let location =
            Location::parse(&format!("maildir:{}", place.root().display()), Path::new("/")).unwrap();
        let user = User::new(Rc::clone(&place.process), location, Vec::new());
        let mut list = user.list();
        while list.step(100).unwrap() == Step::More {}
        let names: Vec<(String, bool)> = list.mailboxes().map(|one| (one.name, one.selectable)).collect();
        let expected = [("INBOX", true), ("A", false), ("A.B", false), ("A.B.&AOQ-", true), ("Sent", true)];
        assert_eq!(names, expected.map(|(name, selectable)| (name.to_owned(), selectable)));
        let mut subscriptions = user.subscriptions().unwrap();
        while subscriptions.step().unwrap() == Step::More {}
        assert_eq!(Vec::from_iter(subscriptions.names()), ["A.B.&AOQ-", "Sent"]);
        let there = place.dovecot(&["EXAMINE Sent"]);
        let mailbox = user.open(b"Sent", Now::read()).unwrap();
        sync(&mailbox);
        assert!(there.contains(&format!("UIDVALIDITY {}]", mailbox.status().uid_validity)), "{there}");
    });
}

#[test]
fn mailboxes_that_we_made_are_dovecots_too() {
    with_dovecot("mailboxes_that_we_made_are_dovecots_too", |place| {
        let location =
            Location::parse(&format!("maildir:{}", place.root().display()), Path::new("/")).unwrap();
        let user = User::new(Rc::clone(&place.process), location, Vec::new());
        let now = Now::read();
        let done = |mut step: Box<dyn FnMut() -> Step<()> + '_>| while step() != Step::Done(()) {};
        let validity = |name: &str| {
            let mailbox = user.open(name.as_bytes(), now).unwrap();
            sync(&mailbox);
            mailbox.status().uid_validity
        };
        for name in ["A", "A.B", "C"] {
            user.create(name.as_bytes(), now).unwrap();
        }
        let mut subscription = user.subscribe(b"A.B", Subscribe::Add).unwrap();
        done(Box::new(|| subscription.step(now).unwrap()));
        let mut renaming = user.rename(b"A", b"X").unwrap();
        done(Box::new(|| renaming.step(now, 100).unwrap()));
        let mut deletion = user.delete(b"C").unwrap();
        done(Box::new(|| deletion.step(now, 100).unwrap()));
        let told = validity("X.B");
        let answer = place.dovecot(&["LIST \"\" *", "LSUB \"\" *", "EXAMINE X.B", "CREATE C", "EXAMINE C"]);
        for line in [
            "* LIST (\\HasChildren) \".\" X\r\n",
            "* LIST (\\HasNoChildren) \".\" X.B\r\n",
            "* LSUB () \".\" A.B\r\n",
            &format!("UIDVALIDITY {told}]"),
        ] {
            assert!(answer.contains(line), "{line}: {answer}");
        }
        // Each goes on where the other has got to.
        let theirs = validity("C");
        assert!(theirs > told && answer.contains(&format!("UIDVALIDITY {theirs}]")), "{answer}");
        user.create(b"D", now).unwrap();
        assert!(validity("D") > theirs);
        place.dovecot(&["EXAMINE D", "RENAME X Y", "DELETE C", "UNSUBSCRIBE A.B", "SUBSCRIBE Y.B"]);
        assert_eq!(validity("Y.B"), told);
        let mut subscriptions = user.subscriptions().unwrap();
        done(Box::new(|| subscriptions.step().unwrap()));
        assert_eq!(Vec::from_iter(subscriptions.names()), ["Y.B"]);
    });
}
