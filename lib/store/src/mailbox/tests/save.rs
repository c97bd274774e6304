//! Saving and copying.

use std::cell::RefCell;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use proptest::prelude::*;

use super::slow_disk::{SlowDisk, is_broken};
use super::*;
use crate::{Error, Link, Refusal, Save, Saved, Saving};

fn put(save: &mut Save, text: &str, flags: Flags, now: Now) {
    let mut draft = save.draft(now).unwrap();
    draft.write(text.as_bytes()).unwrap();
    save.add(draft, flags, None).unwrap();
}

fn commit(save: &mut Save, now: Now) -> Saved {
    match save.commit(now, usize::MAX).unwrap() {
        Step::Done(saved) => saved,
        other => panic!("{other:?}"),
    }
}

impl Maildir {
    fn save(&self, mailbox: &Rc<Mailbox>, texts: &[&str]) -> Vec<u32> {
        let mut save = mailbox.save();
        texts.iter().for_each(|text| put(&mut save, text, Flags::NONE, self.now));
        commit(&mut save, self.now).uids.into_iter().map(Uid::get).collect()
    }

    /// As another process sees it, which finds no model and no lock of ours.
    fn elsewhere(&self) -> Rc<Mailbox> {
        let location = format!("maildir:{}", self.dir.path().display());
        let location = Location::parse(&location, "/".as_ref()).unwrap();
        let process = Process::new(std::process::id(), b"here");
        let later = Now { instant: self.now.instant, wall: self.now.wall + Duration::from_secs(5) };
        let mailbox = User::new(process, location, Vec::new()).open(b"INBOX", later).unwrap();
        assert_eq!(mailbox.sync(later, usize::MAX).unwrap(), Step::Done(()));
        mailbox
    }

    fn all(&self) -> [Vec<String>; 3] {
        ["new", "cur", "tmp"].map(|dir| self.ls(dir))
    }
}

#[test]
fn a_saved_message_has_a_name_a_uid_and_a_date() {
    let maildir = Maildir::new();
    let mailbox = maildir.open();
    let mut save = mailbox.save();
    let mut draft = save.draft(maildir.now).unwrap();
    draft.write(b"Subject: x\r").unwrap();
    draft.write(b"\n\r\nbody\r\n").unwrap();
    let received = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    save.add(draft, Flags::NONE, Some(received)).unwrap();
    assert_eq!(save.total(), (1, 17));
    let Saved { uid_validity, uids } = commit(&mut save, maildir.now);
    assert_eq!((uid_validity, uids), (mailbox.status().uid_validity, vec![uid(1)]));
    let [new, cur, tmp] = maildir.all();
    assert_eq!((cur.len(), tmp.len()), (0, 0));
    assert!(new[0].ends_with(".here,S=17,W=20"), "{new:?}");
    assert!(maildir.list().ends_with(&format!("\n1 :{}\n", new[0])));
    let view = maildir.elsewhere().view(Access::ReadOnly);
    assert_eq!(contents(&view), [row(1, "Subject: x\n\nbody\n")]);
    let Found::Here(attributes) = view.attributes(uid(1)).unwrap() else { panic!() };
    assert_eq!(attributes.received, received);
    assert_eq!(view.message(uid(1)).unwrap().size, Some(20));
}

#[test]
fn line_ends_are_kept_where_that_is_set() {
    let maildir = Maildir::new();
    let saving = Saving { crlf: true, ..Saving::default() };
    let mailbox = maildir.user(Vec::new()).with_saving(saving).open(b"INBOX", maildir.now).unwrap();
    maildir.save(&mailbox, &["a\r\nb\n"]);
    assert_eq!(contents(&mailbox.view(Access::ReadOnly)), [row(1, "a\r\nb\r\n")]);
    assert!(maildir.ls("new")[0].ends_with(",S=6,W=6"));
}

#[test]
fn flags_put_it_into_cur_and_everything_saved_is_recent() {
    let maildir = Maildir::new();
    let mailbox = maildir.synced();
    let Step::Done(Some(keyword)) = mailbox.keyword("Junk", maildir.now).unwrap() else { panic!() };
    let marked = flags(&[Flag::Seen, Flag::Draft]).with_keyword(keyword);
    let mut save = mailbox.save();
    put(&mut save, "one", Flags::NONE, maildir.now);
    put(&mut save, "two", marked, maildir.now);
    assert_eq!(commit(&mut save, maildir.now).uids, [uid(1), uid(2)]);
    let [new, cur, _] = maildir.all();
    assert!(new.len() == 1 && cur.len() == 1 && cur[0].ends_with(":2,DSa"), "{cur:?}");
    let mut view = mailbox.view(Access::ReadWrite);
    assert_eq!((view.exists(), view.recent()), (2, 1));
    assert_eq!(maildir.tell(&mut view).recent, Some(2));
    assert_eq!(view.message(uid(2)).unwrap().flags, marked);
    // Somebody is here who would move it at once.
    assert_eq!(maildir.save(&mailbox, &["three"]), [3]);
    let update = maildir.tell(&mut view);
    assert_eq!((update.exists, update.recent), (Some(3), Some(3)));
    let [new, cur, _] = maildir.all();
    assert_eq!((new.len(), cur.len()), (0, 3));
    assert_eq!(contents(&maildir.elsewhere().view(Access::ReadOnly)), contents(&view));
}

#[test]
fn uids_follow_those_that_others_have_given() {
    let mut maildir = Maildir::new();
    let mailbox = maildir.synced();
    assert_eq!(maildir.save(&mailbox, &["a", "b"]), [1, 2]);
    // Two processes of one number at one moment there are only in tests.
    maildir.wait(Duration::from_millis(1));
    assert_eq!(maildir.save(&maildir.elsewhere(), &["c"]), [3]);
    maildir.put("new/1700000000.x");
    maildir.wait(Duration::from_millis(1));
    assert_eq!(maildir.save(&mailbox, &["d"]), [5]);
    let texts: Vec<String> =
        contents(&maildir.elsewhere().view(Access::ReadOnly)).into_iter().map(|it| it.1).collect();
    assert_eq!(texts, ["a", "b", "c", "1700000000.x", "d"]);
}

#[test]
fn what_another_wrote_between_our_look_and_our_lock_is_read() {
    let maildir = Maildir::new();
    let mailbox = maildir.synced();
    let mut save = mailbox.save();
    put(&mut save, "mine", Flags::NONE, maildir.now);
    let mut state = mailbox.state.borrow_mut();
    assert_eq!(state.sync(maildir.now, 100).unwrap(), Step::Done(()));
    maildir.write_list(&maildir.list().replace("N1", "N7"));
    drop(state);
    assert_eq!(commit(&mut save, maildir.now).uids, [uid(7)]);
}

#[test]
fn where_no_uids_are_left_they_begin_anew() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    maildir.write_list("3 V7 N4294967294\n4294967290 :1.a\n");
    let mailbox = maildir.synced();
    assert_eq!(maildir.save(&mailbox, &["one"]), [4_294_967_294]);
    assert_eq!(maildir.save(&mailbox, &["two", "three"]), [3, 4]);
    assert!(mailbox.status().uid_validity > 7);
    let numbers: Vec<u32> =
        contents(&maildir.elsewhere().view(Access::ReadOnly)).iter().map(|row| row.0).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[test]
fn a_save_that_is_given_up_leaves_nothing() {
    let mut left = 0;
    for turns in 0.. {
        let maildir = Maildir::new();
        let mailbox = maildir.synced();
        maildir.save(&mailbox, &["before"]);
        let before = maildir.all();
        let mut save = mailbox.save();
        ["a", "b", "c"].iter().for_each(|text| put(&mut save, text, Flags::NONE, maildir.now));
        let done = (0..turns).any(|_| save.commit(maildir.now, 1).unwrap() != Step::More);
        drop(save);
        if done {
            break;
        }
        left += 1;
        assert_eq!(maildir.all(), before, "after {turns} turns");
        assert!(!maildir.at("dovecot-uidlist.lock").exists());
        assert_eq!(maildir.save(&mailbox, &["after"]), [2]);
        assert_eq!(maildir.elsewhere().status().messages, 2);
    }
    assert!(left >= 3);
}

#[test]
fn a_process_that_dies_at_any_point_harms_nobody() {
    for turns in 0..6 {
        let maildir = Maildir::new();
        let mailbox = maildir.synced();
        maildir.save(&mailbox, &["before"]);
        let mut save = mailbox.save();
        ["a", "b", "c"].iter().for_each(|text| put(&mut save, text, Flags::NONE, maildir.now));
        let saved = (0..turns).find_map(|_| match save.commit(maildir.now, 1).unwrap() {
            Step::Done(saved) => Some(saved),
            _ => None,
        });
        std::mem::forget(save);
        let view = maildir.elsewhere().view(Access::ReadOnly);
        assert_eq!(contents(&view)[0], row(1, "before"), "after {turns} turns");
        if let Some(Saved { uids, .. }) = saved {
            assert_eq!(uids, [uid(2), uid(3), uid(4)]);
            assert_eq!(contents(&view)[1..], [row(2, "a"), row(3, "b"), row(4, "c")]);
        }
    }
}

#[test]
fn one_that_cannot_be_put_takes_the_others_with_it() {
    let maildir = Maildir::new();
    let mailbox = maildir.synced();
    let mut save = mailbox.save();
    ["a", "b"].iter().for_each(|text| put(&mut save, text, Flags::NONE, maildir.now));
    let victim = maildir.ls("tmp").remove(1);
    maildir.rm(&format!("tmp/{victim}"));
    assert!(matches!(save.commit(maildir.now, 100), Err(Error::Io { doing: "rename", .. })));
    drop(save);
    assert_eq!(maildir.all(), [const { Vec::<String>::new() }; 3]);
    assert_eq!(maildir.save(&mailbox, &["c"]), [1]);
}

#[test]
fn two_saves_take_turns_and_others_wait_for_them() {
    let maildir = Maildir::new();
    let mailbox = maildir.synced();
    let (mut one, mut other) = (mailbox.save(), mailbox.save());
    for text in ["a", "b"] {
        put(&mut one, text, Flags::NONE, maildir.now);
        put(&mut other, text, Flags::NONE, maildir.now);
    }
    assert_eq!(one.commit(maildir.now, 1).unwrap(), Step::More);
    assert!(matches!(other.commit(maildir.now, 100).unwrap(), Step::Busy { .. }));
    maildir.sync(&mailbox);
    assert_eq!(mailbox.status().messages, 0);
    while one.commit(maildir.now, 1).unwrap() == Step::More {}
    assert_eq!(commit(&mut other, maildir.now).uids, [uid(3), uid(4)]);
}

#[test]
fn others_find_what_was_moved_while_one_saves() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let mailbox = maildir.synced();
    let mut view = mailbox.view(Access::ReadWrite);
    let mut save = mailbox.save();
    ["a", "b"].iter().for_each(|text| put(&mut save, text, Flags::NONE, maildir.now));
    assert_eq!(save.commit(maildir.now, 1).unwrap(), Step::More);
    maildir.mv("cur/1.a:2,", "cur/1.a:2,S");
    let found = view.attributes(uid(1)).unwrap();
    assert_eq!(found, Found::Moved);
    assert!(matches!(mailbox.sync(maildir.now, 100).unwrap(), Step::Busy { .. }));
    assert!(matches!(view.attributes(uid(1)).unwrap(), Found::Here(_)));
    assert_eq!(commit(&mut save, maildir.now).uids, [uid(2), uid(3)]);
    assert_eq!(maildir.tell(&mut view).exists, Some(3));
    assert_eq!(contents(&view), [row(1, "1.a:2,"), row(2, "a"), row(3, "b")]);
    assert_eq!(contents(&maildir.elsewhere().view(Access::ReadOnly)), contents(&view));
}

#[test]
fn a_scan_that_saw_a_save_which_was_given_up_forgets_it() {
    let maildir = Maildir::new();
    let mailbox = maildir.synced();
    let mut save = mailbox.save();
    ["a", "b"].iter().for_each(|text| put(&mut save, text, Flags::NONE, maildir.now));
    assert_eq!(save.commit(maildir.now, 1).unwrap(), Step::More);
    mailbox.state.borrow_mut().doubt();
    assert!(matches!(mailbox.sync(maildir.now, 100).unwrap(), Step::Busy { .. }));
    drop(save);
    maildir.sync(&mailbox);
    assert_eq!(mailbox.status().messages, 0);
    assert_eq!(maildir.save(&mailbox, &["c"]), [1]);
}

#[test]
fn another_programs_lock_is_waited_for() {
    let maildir = Maildir::new();
    let mailbox = maildir.synced();
    fs::write(maildir.at("dovecot-uidlist.lock"), "1:here").unwrap();
    let mut save = mailbox.save();
    put(&mut save, "a", Flags::NONE, maildir.now);
    assert!(matches!(save.commit(maildir.now, 100).unwrap(), Step::Busy { .. }));
    maildir.rm("dovecot-uidlist.lock");
    assert_eq!(commit(&mut save, maildir.now).uids, [uid(1)]);
}

#[test]
fn a_copy_is_a_link_with_a_name_of_its_own() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a,W=9:2,S");
    let mailbox = maildir.synced();
    let view = mailbox.view(Access::ReadWrite);
    let mut save = mailbox.save();
    let linked = save.link(&view, uid(1), flags(&[Flag::Seen]), maildir.now).unwrap();
    assert_eq!(linked, Found::Here(Link::Made));
    assert_eq!(commit(&mut save, maildir.now).uids, [uid(2)]);
    let names = maildir.ls("cur");
    assert!(names[1].ends_with(".here,S=11,W=9:2,S"), "{names:?}");
    let inode = |name: &String| fs::metadata(maildir.at("cur").join(name)).unwrap().ino();
    assert_eq!(inode(&names[0]), inode(&names[1]));
    // Both stay, though one file has two names.
    assert_eq!(maildir.elsewhere().status().messages, 2);
}

#[test]
fn a_copy_of_what_is_gone_is_not_made() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let mailbox = maildir.synced();
    let view = mailbox.view(Access::ReadWrite);
    maildir.rm("cur/1.a:2,");
    let mut save = mailbox.save();
    assert_eq!(save.link(&view, uid(1), Flags::NONE, maildir.now).unwrap(), Found::Moved);
    maildir.sync(&mailbox);
    assert_eq!(save.link(&view, uid(1), Flags::NONE, maildir.now).unwrap(), Found::Gone);
    assert_eq!(save.total(), (0, 0));
}

#[test]
fn a_link_to_a_link_is_no_copy() {
    let maildir = Maildir::new();
    std::os::unix::fs::symlink("/etc/hostname", maildir.at("cur/1.a:2,")).unwrap();
    maildir.put("cur/2.b:2,");
    let mailbox = maildir.synced();
    let view = mailbox.view(Access::ReadWrite);
    if view.exists() == 2 {
        let linked = mailbox.save().link(&view, uid(1), Flags::NONE, maildir.now);
        assert!(matches!(linked, Err(Error::NotAFile(_))));
    }
    assert!(maildir.ls("tmp").is_empty());
}

/// A rule that lets 10 bytes in, and keeps a diary.
struct Rule(Rc<RefCell<Vec<String>>>);

impl Hook for Rule {
    fn before_save(&self, _: &Mailbox, messages: u64, bytes: u64) -> Result<(), Refusal> {
        self.0.borrow_mut().push(format!("{messages} of {bytes}?"));
        if bytes > 10 { Err(Refusal::OverQuota("Full.".to_owned())) } else { Ok(()) }
    }

    fn after_save(&self, _: &Mailbox, uid: Uid, size: u64) {
        self.0.borrow_mut().push(format!("{uid} has {size}"));
    }

    fn after_expunge(&self, _: &Mailbox, uid: Uid, size: Option<u64>) {
        self.0.borrow_mut().push(format!("{uid} had {size:?}"));
    }
}

#[test]
fn rules_are_asked_and_told() {
    let maildir = Maildir::new();
    let diary = Rc::default();
    let user = maildir.user(vec![Box::new(Rule(Rc::clone(&diary)))]);
    let mailbox = user.open(b"INBOX", maildir.now).unwrap();
    assert_eq!(maildir.save(&mailbox, &["aa", "bbb"]), [1, 2]);
    let mut save = mailbox.save();
    put(&mut save, "far too long", Flags::NONE, maildir.now);
    let refused = save.commit(maildir.now, 100);
    assert!(matches!(&refused, Err(Error::Refused(Refusal::OverQuota(text))) if text == "Full."));
    drop(save);
    assert!(maildir.ls("tmp").is_empty());
    let mut view = mailbox.view(Access::ReadWrite);
    assert_eq!(view.expunge(uid(2), maildir.now).unwrap(), Found::Here(()));
    assert_eq!(*diary.borrow(), ["2 of 5?", "1 has 2", "2 has 3", "1 of 12?", "2 had Some(3)"]);
}

#[test]
fn a_draft_that_nobody_wants_goes() {
    let maildir = Maildir::new();
    let mailbox = maildir.synced();
    let mut draft = mailbox.save().draft(Now { wall: SystemTime::now(), ..maildir.now }).unwrap();
    draft.write(&vec![b'x'; 3_000_000]).unwrap();
    assert_eq!(maildir.ls("tmp").len(), 1);
    drop(draft);
    assert!(maildir.ls("tmp").is_empty());
}

/// What happens between two turns of a save.
#[derive(Clone, Copy, Debug)]
enum Event {
    Save,
    GiveUp,
    Turn(usize),
    Scan(usize),
    Deliver,
    Rename,
    Elsewhere,
    /// All that is on its way to the disk is there; or it is broken.
    Disk(Result<(), Errno>),
}

fn event() -> impl Strategy<Value = Event> {
    let budget = prop_oneof![Just(1_usize), Just(4), Just(100)];
    prop_oneof![
        2 => Just(Event::Save),
        1 => Just(Event::GiveUp),
        6 => budget.clone().prop_map(Event::Turn),
        4 => budget.prop_map(Event::Scan),
        1 => Just(Event::Deliver),
        1 => Just(Event::Rename),
        1 => Just(Event::Elsewhere),
        4 => Just(Event::Disk(Ok(()))),
        1 => Just(Event::Disk(Err(Errno::EIO))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_happens_meanwhile_each_message_has_the_uid_that_was_told(
        events in proptest::collection::vec(event(), 1..40),
        watched in any::<bool>(),
        slow in any::<bool>(),
    ) {
        let mut maildir = Maildir::new();
        let disk = SlowDisk::of(&mut maildir);
        let saving = Saving { fsync: slow, ..Saving::default() };
        let user = maildir.user(Vec::new()).with_saving(saving);
        let mailbox = user.open(b"INBOX", maildir.now).unwrap();
        let writer = watched.then(|| mailbox.view(Access::ReadWrite));
        let mut told = std::collections::BTreeMap::new();
        let mut saves: Vec<(Save, Vec<String>)> = Vec::new();
        for (number, event) in events.into_iter().enumerate() {
            maildir.wait(Duration::from_millis(1));
            match event {
                Event::Save => {
                    let texts: Vec<String> = (0..3).map(|part| format!("{number}, {part}")).collect();
                    let mut save = mailbox.save();
                    texts.iter().for_each(|text| put(&mut save, text, Flags::NONE, maildir.now));
                    saves.push((save, texts));
                }
                Event::GiveUp => drop(saves.pop()),
                Event::Turn(budget) => {
                    let mut left = Vec::new();
                    for (mut save, texts) in saves.drain(..) {
                        match save.commit(maildir.now, budget) {
                            Ok(Step::Done(saved)) => told.extend(saved.uids.into_iter().zip(texts)),
                            Ok(_) => left.push((save, texts)),
                            Err(error) => prop_assert!(is_broken(&error), "{error}"),
                        }
                    }
                    saves = left;
                }
                Event::Scan(budget) => {
                    let scan = mailbox.sync(maildir.now, budget);
                    prop_assert!(scan.as_ref().err().is_none_or(is_broken), "{scan:?}");
                }
                Event::Disk(outcome) => disk.complete(outcome),
                Event::Deliver => maildir.put(&format!("new/{}.M{number}.x", 1_800_000_000 + number)),
                Event::Rename => {
                    // Not what is just being put: that would be there for good.
                    let text = |name: &str| fs::read_to_string(maildir.at("cur").join(name)).unwrap();
                    let known = |name: &&String| told.values().any(|known| *known == text(name));
                    if let Some(name) = maildir.ls("cur").iter().find(known) {
                        let to = if name.ends_with('S') { &name[..name.len() - 1] } else { &format!("{name}S") };
                        maildir.mv(&format!("cur/{name}"), &format!("cur/{to}"));
                    }
                }
                Event::Elsewhere => {
                    let other = maildir.user(Vec::new()).with_saving(saving).open(b"INBOX", maildir.now).unwrap();
                    let mut save = other.save();
                    put(&mut save, &format!("{number}"), Flags::NONE, maildir.now);
                    let committed = disk.commit(&mut save, maildir.now);
                    prop_assert!(committed.as_ref().err().is_none_or(is_broken), "{committed:?}");
                    if let Ok(Step::Done(saved)) = committed {
                        told.insert(saved.uids[0], format!("{number}"));
                    }
                }
            }
        }
        drop(saves);
        // Twice: a scan that was under way may have looked before the last delivery.
        for _ in 0..2 {
            maildir.wait(Duration::from_secs(3));
            disk.sync(&mailbox, maildir.now);
        }
        let found = contents(&mailbox.view(Access::ReadOnly));
        for (uid, text) in &told {
            prop_assert!(found.contains(&row(uid.get(), text)), "{told:#?}\n{found:#?}");
        }
        let delivered = found.iter().filter(|(_, text)| text.ends_with(".x") || text.contains(".x:")).count();
        prop_assert_eq!(found.len(), told.len() + delivered);
        prop_assert!(maildir.ls("tmp").is_empty());
        prop_assert!(!maildir.at("dovecot-uidlist.lock").exists());
        drop(writer);
        prop_assert_eq!(contents(&maildir.elsewhere().view(Access::ReadOnly)), found);
    }
}
