//! Mailboxes and what changes them: LIST, LSUB, STATUS, STORE, EXPUNGE, CLOSE; by hand, and with two sessions.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod master;

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Stdio;

use master::{ALICE, As, Client, Master, Scratch, deliver, id, program};
use nix::unistd::geteuid;

/// A user with three messages.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let home = scratch.home("alice", ALICE);
    for name in ["1.a", "2.b", "3.c"] {
        deliver(&home, name, "Subject: x\n\nx\n");
    }
    scratch
}

fn own(path: &Path) {
    if geteuid().is_root() {
        chown(path, Some(ALICE), Some(ALICE)).unwrap();
    }
}

fn make_mailboxes(scratch: &Scratch, names: &[&str]) {
    for name in names {
        let mailbox = scratch.home("alice", ALICE).join("Maildir").join(format!(".{name}"));
        for directory in ["", "cur", "new", "tmp"] {
            fs::create_dir(mailbox.join(directory)).unwrap();
            own(&mailbox.join(directory));
        }
    }
}

fn subscribe(scratch: &Scratch, names: &str) {
    let path = scratch.home("alice", ALICE).join("Maildir/subscriptions");
    fs::write(&path, names).unwrap();
    own(&path);
}

/// What the program answers when started by hand.
fn by_hand(scratch: &Scratch, input: &str) -> Vec<String> {
    let mut command = program(scratch, ALICE, false);
    command.env_clear().env("USER", "alice").env("HOME", scratch.home("alice", ALICE));
    command.env("MAIL", "maildir:~/Maildir");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// One command's untagged answers by hand.
fn answers(scratch: &Scratch, command: &str) -> Vec<String> {
    let mut lines = by_hand(scratch, &format!("a {command}\r\nz LOGOUT\r\n"));
    assert!(lines.first().is_some_and(|line| line.starts_with("* PREAUTH")), "{lines:?}");
    let end = lines.iter().position(|line| line.starts_with("a ")).unwrap();
    assert!(lines[end].starts_with("a OK"), "{lines:?}");
    lines.drain(1..end).collect()
}

/// Two sessions on the INBOX.
fn two(scratch: &Scratch) -> (Master, Client, Client) {
    let mut master = Master::start(scratch, As::User(ALICE));
    let [one, other] = [1, 2].map(|number| {
        let mut client = master.hand_over(id(number), scratch.environment("alice", ALICE));
        assert!(client.ask("SELECT INBOX").0.starts_with("OK [READ-WRITE]"));
        client
    });
    (master, one, other)
}

fn ok(client: &mut Client, command: &str) -> Vec<String> {
    let (answer, lines) = client.ask(command);
    assert!(answer.starts_with("OK"), "{command}: {answer}");
    lines
}

fn files(scratch: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(scratch.home("alice", ALICE).join("Maildir/cur")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn list_has_gaps_and_children() {
    let scratch = scratch();
    make_mailboxes(&scratch, &["A.B.C", "Sent Mail", "bad&name"]);
    let all = [
        "* LIST (\\HasNoChildren) \".\" INBOX",
        "* LIST (\\Noselect \\HasChildren) \".\" A",
        "* LIST (\\Noselect \\HasChildren) \".\" A.B",
        "* LIST (\\HasNoChildren) \".\" A.B.C",
        "* LIST (\\HasNoChildren) \".\" \"Sent Mail\"",
    ];
    assert_eq!(answers(&scratch, "LIST \"\" *"), all);
    assert_eq!(answers(&scratch, "LIST \"\" %"), [all[0], all[1], all[4]]);
    assert_eq!(answers(&scratch, "LIST A. %"), [all[2]]);
    assert_eq!(answers(&scratch, "LIST \"\" inbox"), [all[0]]);
    assert_eq!(answers(&scratch, "LIST \"\" nothing*"), [""; 0]);
}

#[test]
fn an_empty_pattern_asks_for_the_separator() {
    let scratch = scratch();
    assert_eq!(answers(&scratch, "LIST \"\" \"\""), ["* LIST (\\Noselect) \".\" \"\""]);
    assert_eq!(answers(&scratch, "LIST A.B \"\""), ["* LIST (\\Noselect) \".\" \"\""]);
    assert_eq!(answers(&scratch, "LSUB \"\" \"\""), ["* LSUB (\\Noselect) \".\" \"\""]);
}

#[test]
fn lsub_names_the_parents_of_what_percent_does_not_reach() {
    let scratch = scratch();
    subscribe(&scratch, "INBOX\nA.B\nA.B.C\nGone.Away\nB\nB.x\n");
    let rows = |rows: &[(&str, &str)]| -> Vec<String> {
        rows.iter().map(|(attribute, name)| format!("* LSUB ({attribute}) \".\" {name}")).collect()
    };
    let all = [("", "A.B"), ("", "A.B.C"), ("", "B"), ("", "B.x"), ("", "Gone.Away"), ("", "INBOX")];
    assert_eq!(answers(&scratch, "LSUB \"\" *"), rows(&all));
    let top = [("\\Noselect", "A"), ("", "B"), ("\\Noselect", "Gone"), ("", "INBOX")];
    assert_eq!(answers(&scratch, "LSUB \"\" %"), rows(&top));
    assert_eq!(answers(&scratch, "LSUB A. %"), rows(&[("", "A.B")]));
    assert_eq!(answers(&scratch, "LSUB \"\" A"), rows(&[]));
}

#[test]
fn nobody_subscribed_to_anything() {
    assert_eq!(answers(&scratch(), "LSUB \"\" *"), [""; 0]);
}

#[test]
fn status_has_every_item_and_takes_nothing() {
    let scratch = scratch();
    let mut master = Master::start(&scratch, As::User(ALICE));
    let mut client = master.hand_over(id(1), scratch.environment("alice", ALICE));
    let command = "STATUS inbox (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)";
    for _ in 0..2 {
        let lines = ok(&mut client, command);
        assert!(
            lines[0].starts_with("* STATUS INBOX (MESSAGES 3 RECENT 3 UIDNEXT 4 UIDVALIDITY "),
            "{lines:?}"
        );
        assert!(lines[0].ends_with(" UNSEEN 3)"), "{lines:?}");
    }
    assert!(files(&scratch).is_empty());
    let lines = ok(&mut client, "SELECT INBOX");
    assert!(lines.contains(&"* 3 RECENT".to_owned()), "{lines:?}");
    // Recent for this one, and for no other.
    assert_eq!(ok(&mut client, "STATUS INBOX (RECENT)"), ["* STATUS INBOX (RECENT 3)"]);
    let mut other = master.hand_over(id(2), scratch.environment("alice", ALICE));
    assert_eq!(ok(&mut other, "STATUS INBOX (RECENT)"), ["* STATUS INBOX (RECENT 0)"]);
    let (answer, _) = other.ask("STATUS Nowhere (MESSAGES)");
    assert!(answer.starts_with("NO [NONEXISTENT]"), "{answer}");
}

#[test]
fn store_tells_both_sessions_once() {
    let scratch = scratch();
    let (_master, mut one, mut other) = two(&scratch);
    assert_eq!(ok(&mut one, "STORE 1 +FLAGS (\\Seen \\Flagged)").len(), 1);
    assert_eq!(ok(&mut one, "NOOP"), [""; 0]);
    assert_eq!(ok(&mut other, "NOOP"), ["* 1 FETCH (FLAGS (\\Flagged \\Seen))"]);
    assert_eq!(ok(&mut other, "NOOP"), [""; 0]);
    assert_eq!(ok(&mut other, "UID STORE 1 -FLAGS \\Seen"), ["* 1 FETCH (UID 1 FLAGS (\\Flagged))"]);
    assert_eq!(ok(&mut other, "STORE 1 FLAGS ()"), ["* 1 FETCH (FLAGS ())"]);
    assert_eq!(files(&scratch), ["1.a:2,", "2.b:2,", "3.c:2,"]);
    assert_eq!(ok(&mut other, "STORE 2:3 +FLAGS.SILENT \\Draft"), [""; 0]);
    assert_eq!(files(&scratch), ["1.a:2,", "2.b:2,D", "3.c:2,D"]);
}

#[test]
fn flags_that_were_shown_are_not_told_again() {
    let scratch = scratch();
    let (_master, mut one, mut other) = two(&scratch);
    ok(&mut one, "STORE 1:2 FLAGS.SILENT (\\Flagged)");
    assert_eq!(
        ok(&mut other, "FETCH 1 FLAGS"),
        ["* 1 FETCH (FLAGS (\\Flagged))", "* 2 FETCH (FLAGS (\\Flagged))"]
    );
    ok(&mut one, "STORE 1 +FLAGS.SILENT (\\Seen)");
    assert_eq!(ok(&mut other, "STORE 1 +FLAGS (\\Draft)"), ["* 1 FETCH (FLAGS (\\Flagged \\Seen \\Draft))"]);
    assert_eq!(ok(&mut other, "NOOP"), [""; 0]);
    assert_eq!(ok(&mut one, "NOOP"), ["* 1 FETCH (FLAGS (\\Flagged \\Seen \\Draft \\Recent))"]);
}

#[test]
fn a_keyword_of_another_session_is_announced_before_it_is_seen() {
    let scratch = scratch();
    let (_master, mut one, mut other) = two(&scratch);
    for (keyword, command) in
        [("Red", "FETCH 2 FLAGS"), ("Blue", "STORE 2 +FLAGS (\\Seen)"), ("Gold", "FETCH 2 BODY[TEXT]")]
    {
        ok(&mut one, "STORE 2 -FLAGS.SILENT (\\Seen)");
        ok(&mut one, &format!("STORE 2 +FLAGS.SILENT ({keyword})"));
        let lines = ok(&mut other, command).join("\n");
        let (told, seen) = (lines.find("* FLAGS (").unwrap(), lines.find("* 2 FETCH (").unwrap());
        assert!(told < seen && lines.matches("* FLAGS (").count() == 1, "{lines}");
        assert!(lines.matches("* 2 FETCH (").count() == 1 && lines.matches(keyword).count() == 3, "{lines}");
    }
}

#[test]
fn keywords_are_made_and_announced_before_they_are_seen() {
    let scratch = scratch();
    let (_master, mut one, mut other) = two(&scratch);
    let lines = ok(&mut one, "STORE 1 +FLAGS (Work \\Seen)");
    let seen = lines.iter().position(|line| line.contains("FETCH") && line.contains("Work")).unwrap();
    let told = lines.iter().position(|line| line.starts_with("* FLAGS (") && line.contains("Work")).unwrap();
    assert!(told < seen, "{lines:?}");
    assert!(ok(&mut other, "NOOP").iter().any(|line| line.contains("FETCH") && line.contains("Work")));
    assert_eq!(ok(&mut other, "STORE 1 -FLAGS (work Unknown)"), ["* 1 FETCH (FLAGS (\\Seen))"]);
    let many: Vec<String> = (0..250).map(|number| format!("k{number}")).collect();
    let (answer, _) = one.ask(&format!("STORE 1 +FLAGS ({})", many.join(" ")));
    assert!(answer.starts_with("NO [LIMIT]"), "{answer}");
    let (answer, _) = one.ask(&format!("STORE 2 +FLAGS ({})", "x".repeat(51)));
    assert!(answer.starts_with("NO [LIMIT]"), "{answer}");
    // No letter was left for it; now there is no number either.
    assert!(!ok(&mut one, "STORE 2 +FLAGS.SILENT (k200)").iter().any(|line| line.contains("2 FETCH")));
    assert!(ok(&mut other, "NOOP").iter().any(|line| line.contains("2 FETCH") && line.contains("k200")));
    let permanent = ok(&mut one, "SELECT INBOX").into_iter().find(|line| line.contains("PERMANENTFLAGS"));
    assert!(!permanent.unwrap().contains("\\*"));
    assert!(ok(&mut one, "SEARCH KEYWORD k200").contains(&"* SEARCH 2".to_owned()));
}

#[test]
fn a_locked_list_holds_up_a_new_keyword_and_nobody_else() {
    let scratch = scratch();
    let (_master, mut one, mut other) = two(&scratch);
    let lock = scratch.home("alice", ALICE).join("Maildir/dovecot-uidlist.lock");
    fs::write(&lock, "1:elsewhere").unwrap();
    one.send("s STORE 1 +FLAGS.SILENT (Work)\r\n");
    assert_eq!(ok(&mut other, "STORE 2 +FLAGS.SILENT \\Draft"), [""; 0]);
    assert!(one.is_quiet());
    fs::remove_file(&lock).unwrap();
    one.until("s OK");
    assert_eq!(files(&scratch), ["1.a:2,a", "2.b:2,D", "3.c:2,"]);
}

#[test]
fn a_lock_that_stays_refuses_the_keyword() {
    let scratch = scratch();
    let (_master, mut one, _other) = two(&scratch);
    let lock = scratch.home("alice", ALICE).join("Maildir/dovecot-uidlist.lock");
    fs::write(&lock, "1:elsewhere").unwrap();
    let (answer, _) = one.ask("STORE 1 +FLAGS (Work)");
    assert!(answer.starts_with("NO [INUSE]"), "{answer}");
    assert_eq!(files(&scratch), ["1.a:2,", "2.b:2,", "3.c:2,"]);
}

#[test]
fn numbers_that_are_not_there() {
    let scratch = scratch();
    let (_master, mut one, _other) = two(&scratch);
    assert!(one.ask("STORE 4 +FLAGS \\Seen").0.starts_with("BAD"));
    assert_eq!(ok(&mut one, "UID STORE 9:20 +FLAGS \\Seen"), [""; 0]);
    assert_eq!(ok(&mut one, "UID STORE 9:* +FLAGS.SILENT \\Seen"), [""; 0]);
    assert_eq!(files(&scratch), ["1.a:2,", "2.b:2,", "3.c:2,S"]);
}

#[test]
fn no_number_is_in_an_empty_mailbox() {
    let scratch = scratch();
    make_mailboxes(&scratch, &["Empty"]);
    let (_master, mut one, _other) = two(&scratch);
    ok(&mut one, "SELECT Empty");
    for set in ["1", "1:*", "*"] {
        assert!(one.ask(&format!("FETCH {set} FLAGS")).0.starts_with("BAD"), "{set}");
        assert!(one.ask(&format!("STORE {set} +FLAGS \\Seen")).0.starts_with("BAD"), "{set}");
        assert_eq!(ok(&mut one, &format!("UID FETCH {set} FLAGS")), [""; 0]);
    }
}

#[test]
fn what_cannot_be_renamed_costs_only_itself() {
    let scratch = scratch();
    let home = scratch.home("alice", ALICE);
    let long = format!("2.{}", "x".repeat(250));
    deliver(&home, &long, "Subject: long\n\n");
    let (_master, mut one, _other) = two(&scratch);
    let (answer, lines) = one.ask("STORE 1:* +FLAGS \\Seen");
    assert_eq!(answer, "NO [CANNOT] Some of the messages could not be changed.");
    assert_eq!(lines.len(), 3, "{lines:?}");
    let seen = ok(&mut one, "FETCH 1:* FLAGS").iter().filter(|line| line.contains("Seen")).count();
    assert_eq!(seen, 3);
}

#[test]
fn flags_that_no_client_may_set_are_not_understood() {
    let scratch = scratch();
    let (_master, mut one, _other) = two(&scratch);
    for flag in ["\\Recent", "\\Foo", "()())", "(\\Seen"] {
        assert!(one.ask(&format!("STORE 1 +FLAGS {flag}")).0.starts_with("BAD"), "{flag}");
    }
    assert_eq!(files(&scratch), ["1.a:2,", "2.b:2,", "3.c:2,"]);
}

#[test]
fn by_uid_news_have_uids_too() {
    let scratch = scratch();
    let (_master, mut one, mut other) = two(&scratch);
    ok(&mut one, "STORE 2 +FLAGS.SILENT \\Draft");
    let lines = ok(&mut other, "UID STORE 1 +FLAGS.SILENT \\Seen");
    assert_eq!(lines, ["* 2 FETCH (UID 2 FLAGS (\\Draft))"]);
}

#[test]
fn expunge_tells_both_from_the_last() {
    let scratch = scratch();
    let (_master, mut one, mut other) = two(&scratch);
    ok(&mut one, "STORE 1,3 +FLAGS.SILENT \\Deleted");
    assert_eq!(ok(&mut one, "EXPUNGE"), ["* 3 EXPUNGE", "* 1 EXPUNGE", "* 1 RECENT"]);
    assert_eq!(files(&scratch), ["2.b:2,"]);
    // By number: not told while that runs, and an answer for what is still there.
    let (answer, lines) = other.ask("STORE 1:2 +FLAGS \\Seen");
    assert!(answer.starts_with("NO"), "{answer}");
    assert!(lines.iter().any(|line| line.starts_with("* 2 FETCH (FLAGS (")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("EXPUNGE")), "{lines:?}");
    assert_eq!(ok(&mut other, "NOOP"), ["* 3 EXPUNGE", "* 1 EXPUNGE"]);
}

#[test]
fn uid_expunge_takes_only_what_it_names_and_is_deleted() {
    let scratch = scratch();
    let (_master, mut one, _other) = two(&scratch);
    ok(&mut one, "STORE 1,3 +FLAGS.SILENT \\Deleted");
    assert_eq!(ok(&mut one, "UID EXPUNGE 2:3"), ["* 3 EXPUNGE", "* 2 RECENT"]);
    assert_eq!(files(&scratch), ["1.a:2,T", "2.b:2,"]);
}

#[test]
fn close_expunges_in_silence_and_unselect_does_not() {
    let scratch = scratch();
    let (_master, mut one, mut other) = two(&scratch);
    ok(&mut one, "STORE 2 +FLAGS.SILENT \\Deleted");
    assert_eq!(ok(&mut one, "UNSELECT"), [""; 0]);
    assert_eq!(files(&scratch).len(), 3);
    ok(&mut one, "EXAMINE INBOX");
    ok(&mut one, "CLOSE");
    assert_eq!(files(&scratch).len(), 3);
    ok(&mut one, "SELECT INBOX");
    assert_eq!(ok(&mut one, "CLOSE"), [""; 0]);
    assert_eq!(files(&scratch), ["1.a:2,", "3.c:2,"]);
    assert!(ok(&mut other, "NOOP").contains(&"* 2 EXPUNGE".to_owned()));
}

#[test]
fn what_is_read_only_is_not_changed() {
    let scratch = scratch();
    let mut master = Master::start(&scratch, As::User(ALICE));
    let mut client = master.hand_over(id(1), scratch.environment("alice", ALICE));
    ok(&mut client, "EXAMINE INBOX");
    for command in ["STORE 1 +FLAGS \\Seen", "EXPUNGE", "UID EXPUNGE 1:*"] {
        let (answer, _) = client.ask(command);
        assert!(answer.starts_with("NO [NOPERM]"), "{answer}");
    }
}

#[test]
fn enable_enables_nothing() {
    assert_eq!(answers(&scratch(), "ENABLE CONDSTORE"), ["* ENABLED"]);
}
