//! Flags, keywords, opening, expunging.

use super::*;
use crate::{Change, Error, Keyword, Pop3Record};

fn stored(view: &mut View, number: u32, change: Change, now: Now) -> Flags {
    match view.store(uid(number), change, now).unwrap() {
        Found::Here(flags) => flags,
        other => panic!("{other:?}"),
    }
}

#[test]
fn flags_are_in_the_name() {
    let maildir = Maildir::new();
    maildir.put_all(&["new/1.a", "cur/2.b:2,PS,X=1", "cur/3.c"]);
    let mut view = maildir.synced().view(Access::ReadWrite);
    let seen = flags(&[Flag::Seen]);
    let now = maildir.now;
    assert_eq!(stored(&mut view, 1, Change::Add(seen), now), seen);
    assert_eq!(stored(&mut view, 2, Change::Remove(seen), now), Flags::NONE);
    let two = flags(&[Flag::Draft, Flag::Deleted]);
    assert_eq!(stored(&mut view, 2, Change::Add(two), now), two);
    let both = flags(&[Flag::Answered, Flag::Flagged]);
    assert_eq!(stored(&mut view, 3, Change::Replace(both), now), both);
    assert_eq!(maildir.ls("cur"), ["1.a:2,S", "2.b:2,DPT,X=1", "3.c:2,FR"]);
    // Who moved it to cur/ is the one whom it is recent to.
    assert_eq!(maildir.tell(&mut view), Update { recent: Some(1), ..Update::default() });
    assert_eq!(contents(&view).len(), 3);
}

#[test]
fn another_view_is_told_of_a_change() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let mut mine = maildir.synced().view(Access::ReadWrite);
    let mut same_model = mine.mailbox().view(Access::ReadOnly);
    let mut other_model = maildir.synced().view(Access::ReadOnly);
    stored(&mut mine, 1, Change::Add(flags(&[Flag::Seen])), maildir.now);
    for view in [&mut same_model, &mut other_model] {
        assert_eq!(maildir.tell(view).flags, [(1, uid(1))]);
    }
    let error = same_model.store(uid(1), Change::Add(Flags::NONE), maildir.now).unwrap_err();
    assert!(matches!(error, Error::ReadOnly));
}

#[test]
fn a_renamed_message_is_found_after_a_sync() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let mut view = maildir.synced().view(Access::ReadWrite);
    maildir.mv("cur/1.a:2,", "cur/1.a:2,F");
    assert!(matches!(view.open(uid(1)).unwrap(), Found::Moved));
    maildir.sync(view.mailbox());
    assert!(matches!(view.open(uid(1)).unwrap(), Found::Here(_)));
    maildir.mv("cur/1.a:2,F", "cur/1.a:2,FT");
    let seen = Change::Add(flags(&[Flag::Seen]));
    assert_eq!(view.store(uid(1), seen, maildir.now).unwrap(), Found::Moved);
    maildir.sync(view.mailbox());
    let all = flags(&[Flag::Flagged, Flag::Seen, Flag::Deleted]);
    assert_eq!(view.store(uid(1), seen, maildir.now).unwrap(), Found::Here(all));
}

#[test]
fn a_change_that_seems_to_be_none_is_made_where_another_has_changed_the_flags() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,S");
    let mut view = maildir.synced().view(Access::ReadWrite);
    maildir.mv("cur/1.a:2,S", "cur/1.a:2,ST");
    let undelete = Change::Remove(flags(&[Flag::Deleted]));
    assert_eq!(view.store(uid(1), undelete, maildir.now).unwrap(), Found::Moved);
    maildir.sync(view.mailbox());
    assert_eq!(view.store(uid(1), undelete, maildir.now).unwrap(), Found::Here(flags(&[Flag::Seen])));
    assert_eq!(maildir.ls("cur"), ["1.a:2,S"]);
}

#[test]
fn a_message_that_vanished_is_gone_and_keeps_its_number_till_told() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,"]);
    let mut view = maildir.synced().view(Access::ReadWrite);
    maildir.rm("cur/1.a:2,");
    assert!(matches!(view.attributes(uid(1)).unwrap(), Found::Moved));
    maildir.sync(view.mailbox());
    assert!(matches!(view.attributes(uid(1)).unwrap(), Found::Gone));
    assert_eq!(view.expunge(uid(1), maildir.now).unwrap(), Found::Gone);
    assert_eq!((view.message(uid(1)), view.number(uid(2))), (None, Some(2)));
    assert!(view.update(Expunges::Hold).unwrap().is_empty());
    assert_eq!(maildir.tell(&mut view).expunged, [1]);
    assert_eq!(view.number(uid(2)), Some(1));
}

#[test]
fn expunging_removes_the_file_and_tells_all() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,", "cur/3.c:2,"]);
    let mut mine = maildir.synced().view(Access::ReadWrite);
    let mut other = mine.mailbox().view(Access::ReadOnly);
    for number in [1, 3] {
        assert_eq!(mine.expunge(uid(number), maildir.now).unwrap(), Found::Here(()));
    }
    assert_eq!(maildir.ls("cur"), ["2.b:2,"]);
    assert_eq!(mine.mailbox().status().messages, 1);
    assert_eq!(other.update(Expunges::Tell).unwrap().expunged, [3, 1]);
    assert_eq!(maildir.tell(&mut mine).expunged, [3, 1]);
}

#[test]
fn removals_are_sealed_once() {
    let maildir = Maildir::new();
    maildir.put_all(&["new/1.a", "cur/2.b:2,", "cur/3.c:2,"]);
    let mut view = maildir.synced().view(Access::ReadWrite);
    for number in 1..=3 {
        assert_eq!(view.expunge(uid(number), maildir.now).unwrap(), Found::Here(()));
    }
    assert_eq!(view.seal_expunges().unwrap().step().unwrap(), Step::Done(()));
    // With nothing to seal nobody looks at the disk.
    maildir.mv("cur", "elsewhere");
    assert_eq!(view.seal_expunges().unwrap().step().unwrap(), Step::Done(()));
}

#[test]
fn changes_in_the_middle_of_a_scan_hold() {
    for turns in 0..60 {
        let maildir = Maildir::new();
        (1..=20).for_each(|number| maildir.put(&format!("cur/{number}.x:2,")));
        let mut view = maildir.synced().view(Access::ReadWrite);
        maildir.put("new/99.y");
        for _ in 0..turns {
            let _ = view.mailbox().sync(maildir.now, 1).unwrap();
        }
        for number in 1..=20 {
            stored(&mut view, number, Change::Add(flags(&[Flag::Seen])), maildir.now);
        }
        for number in 11..=20 {
            assert_eq!(view.expunge(uid(number), maildir.now).unwrap(), Found::Here(()));
        }
        let update = maildir.tell(&mut view);
        assert_eq!((update.expunged.len(), view.exists(), update.flags), (10, 11, vec![]), "{turns}");
        assert_eq!(view.message(uid(1)).unwrap().flags, flags(&[Flag::Seen]));
        assert_eq!(contents(&view).len(), 11);
        assert_eq!(contents(&view), contents(&maildir.synced().view(Access::ReadOnly)));
    }
}

#[test]
fn keywords_have_letters() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let mut view = maildir.synced().view(Access::ReadWrite);
    let mut other = maildir.synced().view(Access::ReadOnly);
    let keyword = |view: &View, name: &str| match view.mailbox().keyword(name, maildir.now).unwrap() {
        Step::Done(keyword) => keyword,
        step => panic!("{step:?}"),
    };
    assert_eq!(keyword(&view, "$Junk"), Keyword::new(0));
    let work = keyword(&view, "Work").unwrap();
    assert_eq!(keyword(&view, "work"), Some(work));
    assert_eq!((keyword(&view, "not an atom"), keyword(&view, "")), (None, None));
    assert_eq!(view.mailbox().find_keyword("WORK"), Some(work));
    stored(&mut view, 1, Change::Add(Flags::NONE.with_keyword(work)), maildir.now);
    assert_eq!(maildir.ls("cur"), ["1.a:2,b"]);
    let update = maildir.tell(&mut other);
    assert!(update.keywords && update.flags == [(1, uid(1))]);
    assert_eq!(other.mailbox().keywords(), ["$Junk", "Work"]);
    assert!(maildir.tell(&mut view).keywords);
    fs::write(maildir.at("dovecot-uidlist.lock"), "1:elsewhere").unwrap();
    assert!(matches!(view.mailbox().keyword("new", maildir.now).unwrap(), Step::Busy { .. }));
}

#[test]
fn keywords_without_a_letter_are_like_any_other() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,S"]);
    let mut view = maildir.synced().view(Access::ReadWrite);
    let mut other = maildir.synced().view(Access::ReadWrite);
    let mut keywords = Vec::new();
    for number in 0..40 {
        let made = view.mailbox().keyword(&format!("k{number}"), maildir.now).unwrap();
        let Step::Done(Some(keyword)) = made else { panic!("{made:?}") };
        keywords.push(keyword);
    }
    let (late, letter) = (Flags::NONE.with_keyword(keywords[30]), Flags::NONE.with_keyword(keywords[3]));
    assert_eq!(stored(&mut view, 1, Change::Add(late), maildir.now), late);
    assert_eq!(maildir.ls("cur"), ["1.a:2,", "2.b:2,S"]);
    // The other process's watch, and its time stamps, see that.
    let update = maildir.tell(&mut other);
    assert_eq!((update.flags, update.keywords), (vec![(1, uid(1))], true));
    assert_eq!(other.message(uid(1)).unwrap().flags, late);
    assert_eq!(other.mailbox().find_keyword("K30"), Some(keywords[30]));
    assert!(maildir.tell(&mut view).flags.is_empty());
    // Both kinds at once.
    let both = late.union(letter).with(Flag::Seen);
    assert_eq!(stored(&mut other, 2, Change::Add(late.union(letter)), maildir.now), both);
    assert_eq!(maildir.ls("cur"), ["1.a:2,", "2.b:2,Sd"]);
    assert_eq!(maildir.tell(&mut view).flags, [(2, uid(2))]);
    assert_eq!(view.message(uid(2)).unwrap().flags, both);
    // And away again; a new model knows.
    assert_eq!(stored(&mut view, 1, Change::Replace(Flags::NONE), maildir.now), Flags::NONE);
    let fresh = maildir.synced().view(Access::ReadOnly);
    assert_eq!(fresh.message(uid(1)).unwrap().flags, Flags::NONE);
    assert_eq!(fresh.message(uid(2)).unwrap().flags, both);
    assert_eq!(fresh.mailbox().keywords().len(), 40);
}

/// As above, for keywords of which no name speaks.
#[test]
fn a_change_that_seems_to_be_none_is_made_where_another_has_changed_the_keywords() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,S");
    let mut view = maildir.synced().view(Access::ReadWrite);
    let mut other = maildir.synced().view(Access::ReadWrite);
    let late = keyword_without_letter(&maildir, other.mailbox());
    // What one process has made and set, the other can take away, though it has not looked since.
    let set = other.store(uid(1), Change::Add(late), maildir.now).unwrap();
    let Found::Here(both) = set else { panic!("{set:?}") };
    assert_eq!(view.mailbox().find_keyword("k29"), late.keywords().next());
    let seen = flags(&[Flag::Seen]);
    assert_eq!(view.store(uid(1), Change::Remove(late), maildir.now).unwrap(), Found::Here(seen));
    assert_eq!(other.store(uid(1), Change::Add(late), maildir.now).unwrap(), Found::Here(both));
    assert_eq!(view.store(uid(1), Change::Replace(seen), maildir.now).unwrap(), Found::Here(seen));
    let fresh = maildir.synced().view(Access::ReadOnly);
    assert_eq!(fresh.message(uid(1)).unwrap().flags, seen);
}

/// The last of 30 keywords.
fn keyword_without_letter(maildir: &Maildir, mailbox: &Mailbox) -> Flags {
    let made = (0..30).map(|number| mailbox.keyword(&format!("k{number}"), maildir.now).unwrap());
    let Some(Step::Done(Some(keyword))) = made.collect::<Vec<_>>().pop() else { panic!("it was not made") };
    Flags::NONE.with_keyword(keyword)
}

#[test]
fn a_saved_message_has_its_keywords_without_letter() {
    let maildir = Maildir::new();
    let mailbox = maildir.synced();
    let flags = keyword_without_letter(&maildir, &mailbox);
    let mut save = mailbox.save();
    save.add(save.draft(maildir.now).unwrap(), flags, None).unwrap();
    assert!(matches!(save.commit(maildir.now, usize::MAX).unwrap(), Step::Done(_)));
    let view = maildir.synced().view(Access::ReadOnly);
    assert_eq!(view.message(uid(1)).unwrap().flags, flags);
}

#[test]
fn sizes_are_known_from_names_or_remembered() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a,S=7,W=9:2,", "cur/2.b:2,"]);
    let view = maildir.synced().view(Access::ReadWrite);
    let sizes = |number| view.message(uid(number)).map(|message| (message.file_size, message.size));
    assert_eq!((sizes(1), sizes(2)), (Some((Some(7), Some(9))), Some((None, None))));
    view.remember_size(uid(2), 1234);
    assert_eq!(sizes(2), Some((None, Some(1234))));
    let Found::Here(attributes) = view.attributes(uid(2)).unwrap() else { panic!() };
    assert_eq!(attributes.size, 6);
}

#[test]
fn what_another_pop3_server_said_comes_from_the_list() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,", "cur/3.c:2,"]);
    maildir.write_list("3 V7 N9\n2 Pabc.1 :1.a\n5 W7 :2.b\n6 O3 P :3.c\n");
    let read = |mailbox: &Mailbox| {
        let mut records = mailbox.pop3_records().unwrap();
        std::iter::repeat_with(|| records.step(1).unwrap()).find_map(|step| match step {
            Step::Done(records) => Some(records),
            Step::More | Step::Busy { .. } | Step::Disk(_) => None,
        })
    };
    let id = Pop3Record { uid: uid(2), id: Some(b"abc.1"[..].into()), order: None };
    let order = Pop3Record { uid: uid(6), id: None, order: Some(3) };
    assert_eq!(read(&maildir.synced()), Some(vec![id, order]));
    maildir.write_list("3 V7 N9\n2 :1.a\n5 W7 :2.b\n6 :3.c\n");
    assert_eq!(read(&maildir.synced()), Some(Vec::new()));
}
