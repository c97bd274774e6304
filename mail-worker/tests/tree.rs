//! Mailboxes come, go and change their names: CREATE, DELETE, RENAME, SUBSCRIBE; with sessions that have them selected,
//! in one process and in two.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod master;

use std::fs;

use master::{ALICE, As, Client, Master, Scratch, deliver, id};

fn ok(client: &mut Client, command: &str) -> Vec<String> {
    let (answer, lines) = client.ask(command);
    assert!(answer.starts_with("OK"), "{command}: {answer}");
    lines
}

fn no(client: &mut Client, command: &str, answer: &str) {
    let (said, _) = client.ask(command);
    assert!(said.starts_with(&format!("NO {answer}")), "{command}: {said}");
}

fn names(client: &mut Client) -> Vec<String> {
    let name = |line: &String| line.rsplit(' ').next().unwrap_or_default().to_owned();
    ok(client, "LIST \"\" *").iter().map(name).collect()
}

/// What STATUS says of a mailbox.
fn status(client: &mut Client, name: &str, item: &str) -> u32 {
    let lines = ok(client, &format!("STATUS {name} ({item})"));
    let number = lines[0].rsplit([' ', '(']).next().unwrap();
    number.trim_end_matches(')').parse().unwrap()
}

fn master(scratch: &Scratch) -> Master {
    Master::start(scratch, As::User(ALICE))
}

fn client(master: &mut Master, scratch: &Scratch, number: u32) -> Client {
    master.hand_over(id(number), scratch.environment("alice", ALICE))
}

#[test]
fn mailboxes_come_and_go() {
    let scratch = Scratch::new();
    let mut master = master(&scratch);
    let mut one = client(&mut master, &scratch, 1);
    for name in ["A", "A.B", "x.y.", "Entw&APw-rfe", "\"with space\""] {
        ok(&mut one, &format!("CREATE {name}"));
    }
    assert_eq!(names(&mut one), ["INBOX", "A", "A.B", "Entw&APw-rfe", "space\"", "x", "x.y"]);
    for name in ["A", "INBOX", "inbox", "INBOX."] {
        no(&mut one, &format!("CREATE {name}"), "[ALREADYEXISTS]");
    }
    for name in ["a/b", "a..b", "~x", "\"\"", ".", &"x".repeat(260), "&AGE-", "a&b"] {
        no(&mut one, &format!("CREATE {name}"), "[CANNOT]");
    }
    ok(&mut one, "DELETE A");
    let list = ok(&mut one, "LIST \"\" A");
    assert_eq!(list, ["* LIST (\\Noselect \\HasChildren) \".\" A"]);
    no(&mut one, "SELECT A", "[NONEXISTENT]");
    no(&mut one, "DELETE A", "[NONEXISTENT]");
    no(&mut one, "DELETE inbox", "[CANNOT]");
    ok(&mut one, "RENAME A B");
    ok(&mut one, "RENAME x.y z");
    assert_eq!(names(&mut one), ["INBOX", "B", "B.B", "Entw&APw-rfe", "space\"", "z"]);
    no(&mut one, "RENAME z B.B", "[ALREADYEXISTS]");
    no(&mut one, "RENAME z z.z", "[CANNOT]");
    no(&mut one, "RENAME nowhere n", "[NONEXISTENT]");
    no(&mut one, "RENAME z INBOX", "[ALREADYEXISTS]");
    let left = fs::read_dir(scratch.home("alice", ALICE).join("Maildir")).unwrap();
    assert!(!left.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("..")));
}

#[test]
fn who_is_subscribed_to_what() {
    let scratch = Scratch::new();
    let mut master = master(&scratch);
    let mut one = client(&mut master, &scratch, 1);
    ok(&mut one, "CREATE A.B");
    for name in ["A.B", "A.B", "inbox"] {
        ok(&mut one, &format!("SUBSCRIBE {name}"));
    }
    no(&mut one, "SUBSCRIBE nowhere", "[NONEXISTENT]");
    ok(&mut one, "DELETE A.B");
    let all = ["* LSUB () \".\" A.B", "* LSUB () \".\" INBOX"];
    assert_eq!(ok(&mut one, "LSUB \"\" *"), all);
    for name in ["A.B", "A.B", "nowhere"] {
        ok(&mut one, &format!("UNSUBSCRIBE {name}"));
    }
    assert_eq!(ok(&mut one, "LSUB \"\" *"), all[1..]);
    assert_eq!(
        fs::read_to_string(scratch.home("alice", ALICE).join("Maildir/subscriptions")).unwrap(),
        "INBOX\n"
    );
}

/// Both in one process, and each in its own.
fn with_two(test: impl Fn(&Scratch, Client, Client)) {
    for processes in [1, 2] {
        let scratch = Scratch::new();
        let mut masters: Vec<Master> = (0..processes).map(|_| master(&scratch)).collect();
        let one = client(&mut masters[0], &scratch, 1);
        let other = client(masters.last_mut().unwrap(), &scratch, 2);
        test(&scratch, one, other);
    }
}

fn is_told(client: &mut Client, command: &str, why: &str) {
    client.send(format!("n {command}\r\n"));
    client.until(&format!("* BYE {why}"));
}

#[test]
fn a_mailbox_that_another_deletes() {
    with_two(|_, mut one, mut other| {
        ok(&mut one, "CREATE A");
        ok(&mut one, "SELECT A");
        ok(&mut other, "SELECT A");
        ok(&mut one, "DELETE A");
        // It has no mailbox selected now, and goes on.
        assert_eq!(ok(&mut one, "NOOP"), [""; 0]);
        assert!(one.ask("FETCH 1 FLAGS").0.starts_with("BAD"));
        is_told(&mut other, "NOOP", "The selected mailbox was deleted.");
        ok(&mut one, "SELECT INBOX");
    });
}

#[test]
fn a_mailbox_that_another_makes_anew() {
    with_two(|_, mut one, mut other| {
        ok(&mut one, "CREATE A");
        ok(&mut other, "SELECT A");
        let before = status(&mut one, "A", "UIDVALIDITY");
        ok(&mut one, "DELETE A");
        ok(&mut one, "CREATE A");
        assert!(status(&mut one, "A", "UIDVALIDITY") > before);
        is_told(&mut other, "NOOP", "The mailbox was replaced");
    });
}

#[test]
fn a_mailbox_that_is_renamed_while_it_is_selected() {
    with_two(|scratch, mut one, mut other| {
        ok(&mut one, "CREATE A");
        let new = scratch.home("alice", ALICE).join("Maildir/.A");
        for name in ["1.a", "2.b"] {
            deliver(&scratch.home("alice", ALICE), name, "Subject: x\n\nx\n");
            fs::rename(
                scratch.home("alice", ALICE).join("Maildir/new").join(name),
                new.join("new").join(name),
            )
            .unwrap();
        }
        ok(&mut one, "SELECT A");
        ok(&mut other, "SELECT A");
        let validity = status(&mut one, "A", "UIDVALIDITY");
        ok(&mut one, "RENAME A B.C");
        assert_eq!(ok(&mut one, "FETCH 2 UID"), ["* 2 FETCH (UID 2)"]);
        ok(&mut one, "STORE 1 +FLAGS.SILENT \\Seen");
        assert_eq!(status(&mut one, "B.C", "UIDVALIDITY"), validity);
        assert_eq!(status(&mut one, "B.C", "UNSEEN"), 1);
        is_told(&mut other, "NOOP", "The selected mailbox was deleted.");
        ok(&mut one, "NOOP");
    });
}

#[test]
fn inbox_stays_and_its_messages_go() {
    with_two(|scratch, mut one, mut other| {
        for name in ["1.a", "2.b"] {
            deliver(&scratch.home("alice", ALICE), name, "Subject: x\n\nx\n");
        }
        ok(&mut one, "SELECT INBOX");
        ok(&mut other, "CREATE INBOX.below");
        ok(&mut other, "RENAME INBOX Old");
        assert_eq!(names(&mut other), ["INBOX", "INBOX.below", "Old"]);
        let lines = ok(&mut one, "NOOP");
        assert!(
            lines.contains(&"* 2 EXPUNGE".to_owned()) && lines.contains(&"* 1 EXPUNGE".to_owned()),
            "{lines:?}"
        );
        assert_eq!(status(&mut one, "INBOX", "MESSAGES"), 0);
        assert_eq!(status(&mut one, "Old", "MESSAGES"), 2);
    });
}

#[test]
fn a_mailbox_that_others_take_away() {
    with_two(|scratch, mut one, mut other| {
        let root = scratch.home("alice", ALICE).join("Maildir");
        for name in ["A", "B"] {
            ok(&mut one, &format!("CREATE {name}"));
        }
        ok(&mut one, "SELECT A");
        ok(&mut other, "SELECT B");
        fs::rename(root.join(".A"), root.join(".C")).unwrap();
        fs::remove_dir_all(root.join(".B")).unwrap();
        for client in [&mut one, &mut other] {
            is_told(client, "NOOP", "The selected mailbox was deleted.");
        }
    });
}

#[test]
fn mailboxes_that_are_for_something() {
    let scratch = Scratch::new();
    let mut environment = scratch.environment("alice", ALICE);
    for (number, [name, special_use, auto]) in
        (1..).zip([["Sent", "\\Sent", "no"], ["Entwürfe", "\\Drafts", "create"], ["Trash", "", "subscribe"]])
    {
        environment.set(format!("MAILBOX_{number}_NAME"), name).unwrap();
        environment.set(format!("MAILBOX_{number}_SPECIAL_USE"), special_use).unwrap();
        environment.set(format!("MAILBOX_{number}_AUTO"), auto).unwrap();
    }
    let mut master = master(&scratch);
    let mut one = master.hand_over(id(1), environment.clone());
    let drafts = "* LIST (\\HasNoChildren \\Drafts) \".\" Entw&APw-rfe";
    assert_eq!(ok(&mut one, "LIST (SPECIAL-USE) \"\" *"), [drafts]);
    ok(&mut one, "CREATE Sent");
    let all = [
        "* LIST (\\HasNoChildren) \".\" INBOX",
        drafts,
        "* LIST (\\HasNoChildren \\Sent) \".\" Sent",
        "* LIST (\\HasNoChildren) \".\" Trash",
    ];
    assert_eq!(ok(&mut one, "LIST \"\" *"), all);
    assert_eq!(ok(&mut one, "LIST \"\" * RETURN (SPECIAL-USE)"), all);
    assert_eq!(ok(&mut one, "LSUB \"\" *"), ["* LSUB () \".\" Trash"]);
    no(&mut one, "CREATE Junk (USE (\\Junk))", "[USEATTR]");
    // Left off stays left off; deleted comes again with the next session.
    ok(&mut one, "UNSUBSCRIBE Trash");
    ok(&mut one, "DELETE Entw&APw-rfe");
    assert_eq!(ok(&mut one, "LIST (SPECIAL-USE) \"\" *").len(), 1);
    let mut next = master.hand_over(id(2), environment);
    ok(&mut next, "SELECT Entw&APw-rfe");
    assert_eq!(ok(&mut next, "LSUB \"\" *"), [""; 0]);
}
