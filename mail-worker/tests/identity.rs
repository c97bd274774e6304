//! One worker, many system users: whatever it does for a client, it does as that client's user and as nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod master;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, Instant};

use master::{ALICE, As, BASE, BOB, Master, Scratch, deliver, has_users, id};
use wire::handoff::{FromWorker, Gone, ToWorker};

/// Every file below, with its owner.
fn owners(directory: &Path, found: &mut Vec<(String, u32, u32, u32)>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let meta = entry.path().symlink_metadata().unwrap();
        found.push((entry.path().display().to_string(), meta.uid(), meta.gid(), meta.mode() & 0o077));
        if meta.is_dir() {
            owners(&entry.path(), found);
        }
    }
}

#[test]
fn each_user_sees_his_own_mail_and_owns_what_comes_of_it() {
    if !has_users("each_user_sees_his_own_mail_and_owns_what_comes_of_it") {
        return;
    }
    let scratch = Scratch::new();
    let mut master = Master::start(&scratch, As::Base);
    assert_eq!(master.identity, "switching");
    let users = [("alice", ALICE, 1), ("bob", BOB, 2)];
    let mut clients = Vec::new();
    for (user, uid, count) in users {
        for number in 0..count {
            deliver(&scratch.home(user, uid), &format!("{number}.{user}"), "Subject: x\n\nx\n");
        }
        clients.push(master.hand_over(id(uid), scratch.environment(user, uid)));
    }
    for _ in 0..3 {
        for (client, (_, _, count)) in clients.iter_mut().zip(users) {
            assert!(client.ask("SELECT INBOX").1.contains(&format!("* {count} EXISTS")));
        }
    }
    for (client, (user, uid, count)) in clients.iter_mut().zip(users) {
        client.send("i IDLE\r\n");
        client.until("+ idling");
        deliver(&scratch.home(user, uid), "9.late", "Subject: x\n\nx\n");
        client.until(&format!("* {} EXISTS", count + 1));
    }
    for (user, uid, _) in users {
        let mut found = Vec::new();
        owners(&scratch.home(user, uid), &mut found);
        assert!(found.iter().any(|(path, ..)| path.ends_with("dovecot-uidlist")));
        for (path, owner, group, others) in found {
            assert_eq!((owner, group), (uid, uid), "{path}");
            assert!(others == 0 || !path.contains("dovecot-"), "{path}: {others:o}");
        }
    }
}

#[test]
fn another_users_mail_cannot_be_opened() {
    if !has_users("another_users_mail_cannot_be_opened") {
        return;
    }
    let scratch = Scratch::new();
    let mut master = Master::start(&scratch, As::Base);
    let home = scratch.home("bob", BOB);
    let mut environment = scratch.environment("alice", ALICE);
    environment.set("MAIL", format!("maildir:{}/Maildir", home.display())).unwrap();
    let mut bob = master.hand_over(id(1), scratch.environment("bob", BOB));
    let mut alice = master.hand_over(id(2), environment);
    assert!(bob.ask("SELECT INBOX").0.starts_with("OK"));
    assert!(alice.ask("SELECT INBOX").0.starts_with("NO [NOPERM]"));
    assert!(bob.ask("SELECT INBOX").0.starts_with("OK"));
}

#[test]
fn supplementary_groups_are_one_clients_and_not_the_next_ones() {
    if !has_users("supplementary_groups_are_one_clients_and_not_the_next_ones") {
        return;
    }
    const GROUP: u32 = 20500;
    let scratch = Scratch::new();
    let mut master = Master::start(&scratch, As::Base);
    // A mailbox that only the group may enter.
    let shared = scratch.home("shared", 20999);
    for directory in ["", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"] {
        let directory = shared.join(directory);
        chown(&directory, Some(20999), Some(GROUP)).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o770)).unwrap();
    }
    let environment = |user, uid, groups: &str| {
        let mut environment = scratch.environment(user, uid);
        environment.set("MAIL", format!("maildir:{}/Maildir", shared.display())).unwrap();
        if !groups.is_empty() {
            environment.set("ADVISE_SETEXTRAGROUPS", groups).unwrap();
        }
        environment
    };
    let mut member = master.hand_over(id(1), environment("alice", ALICE, "20500,20501"));
    let mut stranger = master.hand_over(id(2), environment("bob", BOB, ""));
    let mut twin = master.hand_over(id(3), environment("alice", ALICE, ""));
    for _ in 0..2 {
        assert!(member.ask("SELECT INBOX").0.starts_with("OK"));
        assert!(stranger.ask("SELECT INBOX").0.starts_with("NO [NOPERM]"));
        assert!(twin.ask("SELECT INBOX").0.starts_with("NO [NOPERM]"));
    }
}

#[test]
fn a_change_takes_three_calls_and_none_for_the_same_user() {
    if !has_users("a_change_takes_three_calls_and_none_for_the_same_user") {
        return;
    }
    let scratch = Scratch::new();
    let mut master = Master::start(&scratch, As::Base);
    let mut alice = scratch.environment("alice", ALICE);
    alice.set("ADVISE_SETEXTRAGROUPS", "20500").unwrap();
    let mut bob = scratch.environment("bob", BOB);
    bob.set("ADVISE_SETEXTRAGROUPS", "20501").unwrap();
    let mut clients = [
        master.hand_over(id(1), alice.clone()),
        master.hand_over(id(2), bob),
        master.hand_over(id(3), alice),
    ];
    for client in &mut clients {
        client.ask("SELECT INBOX");
    }
    // While it sleeps all three get something to do, so that it finds them in one turn.
    let (changes, calls) = master.changes();
    master.signal(nix::sys::signal::Signal::SIGSTOP);
    clients.iter_mut().for_each(|client| client.send("n NOOP\r\n"));
    master.signal(nix::sys::signal::Signal::SIGCONT);
    for client in &mut clients {
        client.until("n OK");
    }
    let (changes_after, calls_after) = master.changes();
    // To one user, to the other, and to base again.
    assert_eq!(changes_after - changes, 3);
    assert_eq!(calls_after - calls, 9);
    // Ten commands at once of one client are one piece of work.
    clients[0].send("n NOOP\r\n".repeat(9) + "last NOOP\r\n");
    clients[0].until("last OK");
    assert_eq!(master.changes().0 - changes_after, 2);
}

#[test]
fn whoever_may_not_be_becomes_nobody() {
    if !has_users("whoever_may_not_be_becomes_nobody") {
        return;
    }
    let scratch = Scratch::new();
    let mut master = Master::start(&scratch, As::Base);
    let mut good = master.hand_over(id(1), scratch.environment("alice", ALICE));
    let cases = [
        ("ADVISE_SETUID", Some(BASE.to_string())),
        ("ADVISE_SETGID", Some(BASE.to_string())),
        ("ADVISE_SETUID", Some("0".to_owned())),
        ("ADVISE_SETGID", Some("0".to_owned())),
        ("ADVISE_SETUID", Some("4294967295".to_owned())),
        ("ADVISE_SETUID", Some("4294987296".to_owned())),
        ("ADVISE_SETEXTRAGROUPS", Some("5,0".to_owned())),
        ("ADVISE_SETEXTRAGROUPS", Some("staff".to_owned())),
        ("ADVISE_SETUID", None),
        ("ADVISE_SETGID", None),
    ];
    for (number, (variable, value)) in (2..).zip(cases) {
        let mut environment = scratch.environment("bob", BOB);
        environment.remove(variable);
        if let Some(value) = value {
            environment.set(variable, value).unwrap();
        }
        let mut client = master.give(id(number), environment);
        match master.hear() {
            FromWorker::Refused { id: refused, .. } => assert_eq!(refused, id(number)),
            other => panic!("{variable}: {other:?}"),
        }
        assert_eq!(client.rest(), "");
        assert!(good.ask("SELECT INBOX").0.starts_with("OK"));
    }
}

#[test]
fn a_worker_for_one_user_refuses_all_others() {
    if !has_users("a_worker_for_one_user_refuses_all_others") {
        return;
    }
    let scratch = Scratch::new();
    let mut master = Master::start(&scratch, As::User(ALICE));
    assert_eq!(master.identity, "one uid");
    master.give(id(1), scratch.environment("bob", BOB));
    match master.hear() {
        FromWorker::Refused { text, .. } => assert!(text.contains("for good"), "{text}"),
        other => panic!("{other:?}"),
    }
    let mut alice = master.hand_over(id(2), scratch.environment("alice", ALICE));
    assert!(alice.ask("SELECT INBOX").0.starts_with("OK"));
}

#[test]
fn a_shared_worker_is_never_root() {
    if !has_users("a_shared_worker_is_never_root") {
        return;
    }
    let scratch = Scratch::new();
    let output = std::process::Command::new(scratch.program())
        .env_clear()
        .env("PERSISTENT_MAIL_PROCESS", "1")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("it is root"));
}

#[test]
fn a_client_may_go_at_any_moment_and_nothing_stays_behind() {
    if !has_users("a_client_may_go_at_any_moment_and_nothing_stays_behind") {
        return;
    }
    let scratch = Scratch::new();
    let mut master = Master::start(&scratch, As::Base);
    let descriptors =
        |master: &Master| fs::read_dir(format!("/proc/{}/fd", master.worker.id())).unwrap().count();
    let before = descriptors(&master);
    for round in 0..200 {
        let (user, uid) = if round % 2 == 0 { ("alice", ALICE) } else { ("bob", BOB) };
        let number = id(round + 1);
        let mut client = master.hand_over(number, scratch.environment(user, uid));
        client.send(
            ["s SELECT INBOX\r\n", "i IDLE\r\n", "s SELECT INBOX\r\ni IDLE\r\n", ""][round as usize % 4],
        );
        drop(client);
        match master.hear() {
            FromWorker::Gone { id, reason: Gone::Closed, .. } => assert_eq!(id, number),
            other => panic!("{other:?}"),
        }
    }
    master.say(&ToWorker::Report);
    assert_eq!(master.hear(), FromWorker::Reported);
    assert_eq!(descriptors(&master), before);
}

#[test]
fn a_neighbours_flood_is_not_felt() {
    if !has_users("a_neighbours_flood_is_not_felt") {
        return;
    }
    let scratch = Scratch::new();
    let mut master = Master::start(&scratch, As::Base);
    let mut flood = master.hand_over(id(1), scratch.environment("alice", ALICE));
    let mut other = master.hand_over(id(2), scratch.environment("bob", BOB));
    flood.ask("SELECT INBOX");
    flood.send("n NOOP\r\n".repeat(20_000));
    let begun = Instant::now();
    assert!(other.ask("NOOP").0.starts_with("OK"));
    // Generous, since tests share the machine: all of the flood at once would take far longer.
    assert!(begun.elapsed() < Duration::from_millis(250), "{:?}", begun.elapsed());
}
