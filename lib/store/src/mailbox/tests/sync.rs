//! UIDs, the list, new/ and cur/.

use super::*;
use crate::Error;

#[test]
fn new_messages_get_uids_in_order_of_arrival() {
    let maildir = Maildir::new();
    maildir.put_all(&["new/20.M9P1.h", "new/20.M10P1.h", "cur/9.x:2,S", "new/100.x"]);
    let view = maildir.synced().view(Access::ReadWrite);
    let expected = [row(1, "9.x:2,S"), row(2, "20.M9P1.h"), row(3, "20.M10P1.h"), row(4, "100.x")];
    assert_eq!(contents(&view), expected);
    let validity = view.mailbox().status().uid_validity;
    assert_eq!(validity, maildir.now.unix_seconds());
    let list = format!("3 V{validity} N5\n1 :9.x\n2 :20.M9P1.h\n3 :20.M10P1.h\n4 :100.x\n");
    assert_eq!(maildir.list(), list);
    assert!(!maildir.at("dovecot-uidlist.lock").exists());
}

#[test]
fn an_empty_mailbox_keeps_its_uidvalidity() {
    let mut maildir = Maildir::new();
    let validity = maildir.synced().status().uid_validity;
    maildir.wait(Duration::from_secs(100));
    assert_eq!(maildir.synced().status().uid_validity, validity);
}

#[test]
fn recent_messages_move_to_cur_for_one_who_may_write() {
    let maildir = Maildir::new();
    maildir.put("new/1.a");
    let mailbox = maildir.synced();
    let examine = mailbox.view(Access::ReadOnly);
    maildir.sync(&mailbox);
    assert_eq!((examine.recent(), maildir.ls("new")), (1, vec!["1.a".to_owned()]));
    let mut select = mailbox.view(Access::ReadWrite);
    assert_eq!(select.recent(), 0);
    assert_eq!(maildir.tell(&mut select).recent, Some(1));
    assert_eq!((maildir.ls("new"), maildir.ls("cur")), (vec![], vec!["1.a:2,".to_owned()]));
    maildir.put("new/2.b");
    let update = maildir.tell(&mut select);
    assert_eq!((update.exists, update.recent), (Some(2), Some(2)));
    assert_eq!(contents(&select), [row(1, "1.a"), row(2, "2.b")]);
    assert_eq!(mailbox.view(Access::ReadWrite).recent(), 0);
}

/// Another process, with a client of its own, moves the message at any moment of our sync.
#[test]
fn a_message_is_recent_to_one_client_of_all_processes() {
    for moment in 0.. {
        let mut maildir = Maildir::new();
        let mut ours = maildir.synced().view(Access::ReadWrite);
        maildir.put("new/1.a");
        maildir.write_list(&(maildir.list() + "1 :1.a\n"));
        let mut last = Step::More;
        for _ in 0..moment {
            last = ours.mailbox().sync(maildir.now, 1).unwrap();
            let _ = ours.update(Expunges::Tell).unwrap();
        }
        let theirs = !maildir.ls("new").is_empty();
        if theirs {
            maildir.mv("new/1.a", "cur/1.a:2,S");
        }
        maildir.wait(Duration::from_secs(2));
        maildir.tell(&mut ours);
        assert_eq!((ours.exists(), ours.recent()), (1, u32::from(!theirs)), "after {moment} turns");
        if last == Step::Done(()) {
            assert!(!theirs);
            return;
        }
    }
}

#[test]
fn a_message_is_recent_to_who_moves_it_though_both_knew_of_it_before() {
    let mut maildir = Maildir::new();
    let mut first = maildir.synced().view(Access::ReadWrite);
    let mut second = maildir.synced().view(Access::ReadWrite);
    maildir.put("new/1.a");
    maildir.write_list(&(maildir.list() + "1 :1.a\n"));
    fs::write(maildir.at("dovecot-uidlist.lock"), "1:elsewhere").unwrap();
    for view in [&mut first, &mut second] {
        assert!(matches!(maildir.sync_once(view.mailbox()), Step::Busy { .. }));
        let update = view.update(Expunges::Tell).unwrap();
        assert_eq!((update.exists, update.recent), (Some(1), Some(0)));
        assert!(!view.message(uid(1)).unwrap().recent && !view.behind());
    }
    maildir.rm("dovecot-uidlist.lock");
    maildir.wait(crate::lock::RETRY);
    assert_eq!(maildir.tell(&mut second).recent, Some(1));
    assert_eq!(maildir.tell(&mut first).recent, None);
    assert!(second.message(uid(1)).unwrap().recent);
    assert_eq!((first.recent(), second.recent()), (0, 1));
}

#[test]
fn a_quiet_mailbox_is_not_read_again() {
    let mut maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    maildir.wait(Duration::from_secs(10));
    let mailbox = maildir.synced();
    maildir.wait(Duration::from_secs(10));
    maildir.sync(&mailbox);
    assert_eq!(mailbox.recheck_at(), None);
    // Reading would take more than this budget.
    assert_eq!(mailbox.sync(maildir.now, 1).unwrap(), Step::Done(()));
}

#[test]
fn what_changed_with_the_stamp_unchanged_is_found_a_second_later() {
    let mut maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let mut view = maildir.synced().view(Access::ReadWrite);
    let stamp = fs::metadata(maildir.at("cur")).unwrap().modified().unwrap();
    maildir.put("cur/2.b:2,");
    fs::File::open(maildir.at("cur")).unwrap().set_modified(stamp).unwrap();
    assert!(maildir.tell(&mut view).is_empty());
    let recheck = view.mailbox().recheck_at().unwrap() - maildir.now.instant;
    maildir.wait(recheck);
    assert_eq!(maildir.tell(&mut view).exists, Some(2));
}

#[test]
fn others_expunges_and_flags_are_told() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,", "cur/3.c:2,"]);
    let mut view = maildir.synced().view(Access::ReadWrite);
    maildir.rm("cur/1.a:2,");
    maildir.mv("cur/3.c:2,", "cur/3.c:2,FS");
    let update = maildir.tell(&mut view);
    assert_eq!((update.expunged, update.flags), (vec![1], vec![(2, uid(3))]));
    assert_eq!(view.message(uid(3)).unwrap().flags, flags(&[Flag::Flagged, Flag::Seen]));
    assert_eq!(view.mailbox().status().unseen, 1);
}

#[test]
fn uids_are_never_used_again() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,"]);
    maildir.synced();
    maildir.rm("cur/2.b:2,");
    maildir.synced();
    maildir.put("new/3.c");
    let view = maildir.synced().view(Access::ReadOnly);
    assert_eq!(contents(&view), [row(1, "1.a:2,"), row(3, "3.c")]);
}

#[test]
fn a_message_that_comes_back_is_another() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,"]);
    let mut view = maildir.synced().view(Access::ReadWrite);
    maildir.mv("cur/1.a:2,", "tmp/1.a");
    assert_eq!(maildir.tell(&mut view).expunged, [1]);
    maildir.mv("tmp/1.a", "cur/1.a:2,");
    assert_eq!(maildir.tell(&mut view).exists, Some(2));
    let expected = [row(2, "2.b:2,"), row(3, "1.a:2,")];
    assert_eq!(contents(&view), expected);
    assert_eq!(contents(&maildir.synced().view(Access::ReadOnly)), expected);
}

#[test]
fn two_models_of_one_mailbox_agree() {
    let maildir = Maildir::new();
    maildir.put("new/1.a");
    let mut one = maildir.synced().view(Access::ReadWrite);
    let mut two = maildir.synced().view(Access::ReadWrite);
    for round in 2..30_u32 {
        maildir.put(&format!("new/{round}.x"));
        let (first, second) = if round % 2 == 0 { (&mut one, &mut two) } else { (&mut two, &mut one) };
        assert_eq!(maildir.tell(first).exists, Some(round));
        assert_eq!(maildir.tell(second).exists, Some(round));
        assert_eq!(contents(first), contents(second));
    }
    for number in 1..=20 {
        assert_eq!(one.expunge(uid(number), maildir.now).unwrap(), Found::Here(()));
    }
    assert_eq!(maildir.tell(&mut two).expunged.len(), 20);
    assert_eq!(maildir.tell(&mut one).expunged.len(), 20);
    // Few records live: the next writer compacts the list, and the other one reads it again.
    maildir.put("new/99.y");
    assert_eq!(maildir.tell(&mut two).exists, Some(10));
    assert_eq!(maildir.list().lines().count(), 11);
    assert_eq!(maildir.tell(&mut one).exists, Some(10));
    assert_eq!(contents(&one), contents(&two));
}

#[test]
fn records_of_other_programs_are_believed() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let mut view = maildir.synced().view(Access::ReadWrite);
    maildir.put("cur/3.c:2,");
    maildir.put("cur/2.b:2,");
    maildir.write_list(&(maildir.list() + "7 W1234 :3.c\n9 :2.b:2,S\n"));
    maildir.tell(&mut view);
    assert_eq!(contents(&view), [row(1, "1.a:2,"), row(7, "3.c:2,"), row(9, "2.b:2,")]);
    assert_eq!(view.message(uid(7)).unwrap().size, Some(1234));
    assert_eq!(view.mailbox().status().uid_next, 10);
}

#[test]
fn another_uidvalidity_ends_all_views() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let mut view = maildir.synced().view(Access::ReadWrite);
    maildir.write_list("3 V7 N20\n5 :1.a\n");
    maildir.sync(view.mailbox());
    assert!(view.behind());
    assert!(matches!(view.update(Expunges::Tell), Err(Error::Replaced)));
    assert!(matches!(view.open(uid(5)).unwrap(), Found::Gone));
    assert_eq!(view.exists(), 0);
    let again = view.mailbox().view(Access::ReadOnly);
    assert_eq!(contents(&again), [row(5, "1.a:2,")]);
    assert_eq!(again.mailbox().status().uid_validity, 7);
}

#[test]
fn uids_that_contradict_ours_end_all_views() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,"]);
    let mut view = maildir.synced().view(Access::ReadWrite);
    let validity = view.mailbox().status().uid_validity;
    maildir.write_list(&format!("3 V{validity} N3\n1 :2.b\n2 :1.a\n"));
    maildir.sync(view.mailbox());
    assert!(matches!(view.update(Expunges::Tell), Err(Error::Replaced)));
    assert_eq!(contents(&view.mailbox().view(Access::ReadOnly)), [row(1, "2.b:2,"), row(2, "1.a:2,")]);
}

#[test]
fn a_message_with_a_new_uid_is_expunged_and_new() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,"]);
    let mut view = maildir.synced().view(Access::ReadWrite);
    let validity = view.mailbox().status().uid_validity;
    maildir.write_list(&format!("3 V{validity} N4\n2 :2.b\n3 :1.a\n"));
    let update = maildir.tell(&mut view);
    assert_eq!((update.expunged, update.exists), (vec![1], Some(2)));
    assert_eq!(contents(&view), [row(2, "2.b:2,"), row(3, "1.a:2,")]);
}

#[test]
fn a_lost_list_is_written_anew_as_long_as_we_know_it() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,"]);
    let mut view = maildir.synced().view(Access::ReadWrite);
    let list = maildir.list();
    for broken in [None, Some(""), Some("rubbish\n"), Some("3 "), Some("3 V0 N9\n")] {
        match broken {
            None => maildir.rm("dovecot-uidlist"),
            Some(text) => maildir.write_list(text),
        }
        assert!(maildir.tell(&mut view).is_empty(), "{broken:?}");
        assert_eq!(maildir.list(), list);
    }
    // Broken in its middle.
    maildir.write_list(&format!("{list}9 :x\n8 :y\n"));
    assert!(maildir.tell(&mut view).is_empty());
    assert_eq!(maildir.list().lines().skip(1).collect::<Vec<_>>(), ["1 :1.a", "2 :2.b"]);
}

#[test]
fn a_broken_list_that_nobody_knows_begins_anew() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,"]);
    maildir.write_list("3 V7 N20 Gabc\n5 :1.a\n4 :2.b\n");
    let view = maildir.synced().view(Access::ReadOnly);
    let validity = maildir.now.unix_seconds();
    assert_eq!(view.mailbox().status().uid_validity, validity);
    assert_eq!(contents(&view), [row(1, "1.a:2,"), row(2, "2.b:2,")]);
    assert_eq!(maildir.list(), format!("3 V{validity} N3 Gabc\n1 :1.a\n2 :2.b\n"));
}

#[test]
fn version_1_becomes_version_3() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,"]);
    maildir.write_list("1 7 20\n5 1.a:2,\n6 2.b:2,S\n");
    let view = maildir.synced().view(Access::ReadOnly);
    assert_eq!(contents(&view), [row(5, "1.a:2,"), row(6, "2.b:2,")]);
    assert_eq!(maildir.list(), "3 V7 N20\n5 :1.a\n6 :2.b\n");
}

#[test]
fn nothing_is_appended_to_half_a_line() {
    let maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,"]);
    maildir.write_list("3 V7 N6 Gabc\n5 Zz :1.a\n6 :2.");
    maildir.synced();
    assert_eq!(maildir.list(), "3 V7 N7 Gabc\n5 Zz :1.a\n6 :2.b\n");
}

#[test]
fn a_name_that_is_listed_twice_has_the_higher_uid() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    maildir.write_list("3 V7 N9\n2 :1.a\n5 :1.a\n");
    let view = maildir.synced().view(Access::ReadOnly);
    assert_eq!(contents(&view), [row(5, "1.a:2,")]);
    assert_eq!(maildir.list(), "3 V7 N9\n5 :1.a\n");
    assert_eq!(contents(&maildir.synced().view(Access::ReadOnly)), [row(5, "1.a:2,")]);
}

#[test]
fn records_beyond_the_header_are_allowed() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    maildir.write_list("3 V7 N2\n9 :1.a\n");
    maildir.put("cur/2.b:2,");
    let view = maildir.synced().view(Access::ReadOnly);
    assert_eq!(contents(&view), [row(9, "1.a:2,"), row(10, "2.b:2,")]);
}

#[test]
fn two_files_with_one_name_become_two_messages() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,S");
    maildir.put("new/1.a");
    let mut view = maildir.synced().view(Access::ReadWrite);
    maildir.tell(&mut view);
    let texts: Vec<String> = contents(&view).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts.len(), 2);
    assert!(texts.contains(&"1.a".to_owned()) && texts.contains(&"1.a:2,S".to_owned()));
    maildir.put("cur/1.a:2,F");
    maildir.tell(&mut view);
    assert_eq!(contents(&view).len(), 3);
}

#[test]
fn an_old_second_link_is_removed() {
    let mut maildir = Maildir::new();
    maildir.put("cur/1.a:2,S");
    fs::hard_link(maildir.at("cur/1.a:2,S"), maildir.at("cur/1.a:2,F")).unwrap();
    let view = maildir.synced().view(Access::ReadOnly);
    assert_eq!((view.exists(), maildir.ls("cur").len()), (1, 2));
    maildir.wait(Duration::from_secs(60));
    maildir.sync(view.mailbox());
    assert_eq!(maildir.ls("cur").len(), 1);
    assert_eq!(contents(&view).len(), 1);
}

#[test]
fn a_held_lock_delays_only_what_has_no_uid() {
    let mut maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,", "cur/2.b:2,"]);
    let mut view = maildir.synced().view(Access::ReadWrite);
    fs::write(maildir.at("dovecot-uidlist.lock"), "1:elsewhere").unwrap();
    maildir.put("new/3.c");
    maildir.rm("cur/1.a:2,");
    maildir.mv("cur/2.b:2,", "cur/2.b:2,S");
    let step = view.mailbox().sync(maildir.now, usize::MAX).unwrap();
    assert!(matches!(step, Step::Busy { .. }));
    let update = view.update(Expunges::Tell).unwrap();
    assert_eq!((update.expunged, update.exists, update.flags), (vec![1], None, vec![(1, uid(2))]));
    // The other one gives it a UID and lets go.
    maildir.write_list(&(maildir.list() + "8 :3.c\n"));
    maildir.rm("dovecot-uidlist.lock");
    maildir.wait(crate::lock::RETRY);
    assert_eq!(maildir.tell(&mut view).exists, Some(2));
    assert_eq!(contents(&view), [row(2, "2.b:2,"), row(8, "3.c")]);
}

#[test]
fn a_file_that_moved_is_found_while_the_list_is_locked() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let view = maildir.synced().view(Access::ReadOnly);
    fs::write(maildir.at("dovecot-uidlist.lock"), "1:elsewhere").unwrap();
    maildir.put("cur/2.b:2,");
    let sync = || assert!(matches!(view.mailbox().sync(maildir.now, usize::MAX).unwrap(), Step::Busy { .. }));
    sync();
    maildir.mv("cur/1.a:2,", "cur/1.a:2,S");
    assert!(matches!(view.open(uid(1)).unwrap(), Found::Moved));
    sync();
    assert!(matches!(view.open(uid(1)).unwrap(), Found::Here(_)));
}

#[test]
fn what_others_deliver_under_the_scan_keeps_its_place() {
    let maildir = Maildir::new();
    (1..=50).for_each(|number| maildir.put(&format!("cur/{number}.x:2,")));
    let mailbox = maildir.synced();
    let mut view = mailbox.view(Access::ReadWrite);
    for round in 0..200_u32 {
        maildir.put(&format!("new/{}.y", 1000 + round));
        // Stop a scan somewhere in its middle, and let a delivery with a record happen if there is no lock.
        let mut left = round;
        while left > 0 && mailbox.sync(maildir.now, 1).unwrap() == Step::More {
            left -= 1;
        }
        maildir.put(&format!("new/{}.z", 2000 + round));
        if !maildir.at("dovecot-uidlist.lock").exists() {
            let list = maildir.list();
            let last = list.lines().last().unwrap().split(' ').next().unwrap().parse::<u32>().unwrap();
            maildir.write_list(&format!("{list}{} :{}.z\n", last + 1, 2000 + round));
        }
        maildir.sync(&mailbox);
        maildir.sync(&mailbox);
        let update = view.update(Expunges::Tell).unwrap();
        assert_eq!(update.expunged, [0; 0], "round {round}");
        assert_eq!(update.exists, Some(50 + 2 * (round + 1)), "round {round}");
    }
    assert_eq!(contents(&view), contents(&maildir.synced().view(Access::ReadOnly)));
}

#[test]
fn a_large_mailbox_is_read_in_small_turns() {
    let maildir = Maildir::new();
    (0..3000).for_each(|number| maildir.put(&format!("new/{number}.x")));
    let mailbox = maildir.open();
    let mut turns = 0;
    while mailbox.sync(maildir.now, 100).unwrap() == Step::More {
        turns += 1;
    }
    assert!((60..=150).contains(&turns), "{turns}");
    let mut view = mailbox.view(Access::ReadWrite);
    turns = 0;
    while mailbox.sync(maildir.now, 100).unwrap() == Step::More {
        turns += 1;
        if turns == 200 {
            assert!((500..2500).contains(&maildir.ls("cur").len()));
        }
    }
    assert_eq!(view.update(Expunges::Tell).unwrap().recent, Some(3000));
    assert_eq!(maildir.ls("cur").len(), 3000);
}

#[test]
fn messages_are_found_by_number_and_by_flag_among_those_that_are_gone() {
    let mut maildir = Maildir::new();
    maildir.put_all(&["cur/1.a:2,T", "cur/2.b:2,T", "cur/3.c:2,", "cur/4.d:2,T"]);
    let mut view = maildir.synced().view(Access::ReadWrite);
    let at = |view: &View| (1..=5).map(|number| Some(view.message_at(number)?.uid.get())).collect::<Vec<_>>();
    assert_eq!(at(&view), [Some(1), Some(2), Some(3), Some(4), None]);
    assert_eq!(view.having(Flag::Deleted), [uid(1), uid(2), uid(4)]);
    assert_eq!(view.having(Flag::Seen), []);
    maildir.rm("cur/2.b:2,T");
    maildir.put("cur/5.e:2,T");
    maildir.wait(Duration::from_secs(2));
    maildir.sync(view.mailbox());
    view.update(Expunges::Hold).unwrap();
    assert_eq!(at(&view), [Some(1), None, Some(3), Some(4), Some(5)]);
    assert_eq!(view.having(Flag::Deleted), [uid(1), uid(4), uid(5)]);
    maildir.tell(&mut view);
    assert_eq!(at(&view), [Some(1), Some(3), Some(4), Some(5), None]);
}

#[test]
fn a_mailbox_without_uids_left_begins_anew() {
    let mut maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    maildir.write_list("3 V7 N4294967295\n4294967290 :1.a\n");
    let mut view = maildir.synced().view(Access::ReadWrite);
    assert_eq!(contents(&view), [row(4_294_967_290, "1.a:2,")]);
    maildir.wait(Duration::from_secs(5));
    maildir.put("new/2.b");
    while maildir.sync_once(view.mailbox()) == Step::More {}
    assert!(matches!(view.update(Expunges::Tell), Err(Error::Replaced)));
    let again = maildir.synced().view(Access::ReadOnly);
    let numbers: Vec<u32> = contents(&again).into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(again.mailbox().status().uid_validity, maildir.now.unix_seconds());
}

#[test]
fn a_sync_that_nobody_waits_for_holds_no_lock() {
    let maildir = Maildir::new();
    (0..50).for_each(|number| maildir.put(&format!("new/{number}.x")));
    let mailbox = maildir.open();
    let lock = maildir.at("dovecot-uidlist.lock");
    let (one, other) = (mailbox.drive(), mailbox.drive());
    while !lock.exists() {
        assert_eq!(mailbox.sync(maildir.now, 1).unwrap(), Step::More);
    }
    drop(one);
    assert!(lock.exists());
    drop(other);
    assert!(!lock.exists());
    let numbers: Vec<u32> =
        contents(&maildir.synced().view(Access::ReadOnly)).iter().map(|row| row.0).collect();
    maildir.sync(&mailbox);
    let ours: Vec<u32> = contents(&mailbox.view(Access::ReadOnly)).iter().map(|row| row.0).collect();
    assert_eq!((numbers.len(), ours), (50, numbers));
}
