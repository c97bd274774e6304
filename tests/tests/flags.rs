//! Flags and keywords, and what two sessions in two processes hear of each other's.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;

use tests::{Imap, PRIVATE, Server, Site, User};

/// alice with some messages, and two processes that have her INBOX open.
fn two(messages: usize) -> (Server, Imap, Imap) {
    let site = Site::with_users([User::new("alice", 20001)]);
    for number in 0..messages {
        site.deliver("alice", "", format!("Subject: {number}\n\nx\n"));
    }
    let server = site.start(&format!("{PRIVATE}protocols = imap\n"));
    let [one, other] = [(); 2].map(|()| {
        let mut client = server.login("alice");
        client.ask("SELECT INBOX").ok();
        client
    });
    (server, one, other)
}

fn fetched(client: &mut Imap, command: &str) -> Vec<String> {
    client.ask(command).ok().named("FETCH").into_iter().map(str::to_owned).collect()
}

#[test]
fn keywords_of_one_process_are_another_ones() {
    let (_server, mut one, mut other) = two(3);
    for number in 0..60 {
        one.ask(&format!("STORE 1 +FLAGS.SILENT (k{number})")).ok();
    }
    let news = other.ask("NOOP").ok();
    let flags = news.named("FLAGS").last().unwrap().to_string();
    assert!(flags.contains(" k0 ") && flags.ends_with(" k59)"), "{flags}");
    let fetch = news.named("FETCH").last().unwrap().to_string();
    assert!((0..60).all(|number| fetch.contains(&format!("k{number}"))), "{fetch}");
    other.ask("STORE 1 -FLAGS.SILENT (k30 k3)").ok();
    let news = fetched(&mut one, "NOOP");
    assert!(!news[0].contains("k30") && !news[0].contains("k3 ") && news[0].contains("k31"), "{news:?}");
    let found = other.ask("SEARCH KEYWORD k59").ok();
    assert_eq!(found.named("SEARCH"), ["SEARCH 1"]);
}

#[test]
fn a_keyword_without_a_letter_wakes_who_idles() {
    let (_server, mut one, mut other) = two(2);
    let many: Vec<String> = (0..30).map(|number| format!("k{number}")).collect();
    one.ask(&format!("STORE 1 +FLAGS.SILENT ({})", many.join(" "))).ok();
    other.ask("NOOP").ok();
    let tag = other.idle();
    one.ask("STORE 2 +FLAGS.SILENT (k29)").ok();
    let line = other.line();
    assert!(line.starts_with("* 2 FETCH (FLAGS (") && line.contains("k29"), "{line}");
    other.done(&tag).ok();
}

#[test]
fn two_processes_never_give_one_keyword_to_two_names() {
    let (server, one, other) = two(1);
    let work = |mut client: Imap, prefix: &'static str| {
        std::thread::spawn(move || {
            for number in 0..60 {
                client.ask(&format!("STORE 1 +FLAGS.SILENT ({prefix}{number} both{number})")).ok();
            }
        })
    };
    let workers = [work(one, "a"), work(other, "b")];
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let mut third = server.login("alice");
    third.ask("SELECT INBOX").ok();
    let flags = fetched(&mut third, "FETCH 1 FLAGS");
    let mut names: Vec<&str> =
        flags[0].split(['(', ')', ' ']).filter(|word| word.starts_with(['a', 'b'])).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 180, "{names:?}");
}

#[test]
fn numbers_hold_while_another_process_expunges() {
    let (_server, mut one, mut other) = two(5);
    one.ask("STORE 2,4 +FLAGS.SILENT \\Deleted").ok();
    assert_eq!(one.ask("EXPUNGE").ok().named("EXPUNGE"), ["4 EXPUNGE", "2 EXPUNGE"]);
    // By number, nobody is told that numbers change.
    let reply = other.ask("STORE 1:5 +FLAGS (\\Seen)");
    assert!(reply.status.starts_with("NO [EXPUNGEISSUED]"), "{reply:?}");
    assert_eq!(reply.named("FETCH").len(), 3);
    assert!(reply.named("EXPUNGE").is_empty());
    let reply = other.ask("NOOP").ok();
    assert_eq!(reply.named("EXPUNGE"), ["4 EXPUNGE", "2 EXPUNGE"]);
    assert!(reply.named("EXISTS").is_empty());
    assert_eq!(fetched(&mut one, "NOOP").len(), 3);
}

#[test]
fn recent_is_one_sessions() {
    let (server, mut one, mut other) = two(0);
    for number in 0..10 {
        server.site.deliver("alice", "", format!("Subject: {number}\n\nx\n"));
        let told = [&mut one, &mut other].map(|client| {
            client.ask("NOOP").ok();
            client.ask(&format!("FETCH {} FLAGS", number + 1)).ok().untagged[0].contains("\\Recent")
        });
        assert_eq!(told, [true, false]);
    }
    let mut reader = server.login("alice");
    let reply = reader.ask("EXAMINE INBOX").ok();
    assert_eq!(reply.named("RECENT"), ["0 RECENT"]);
    assert!(reply.untagged.iter().any(|line| line.starts_with("OK [PERMANENTFLAGS ()]")), "{reply:?}");
}

#[test]
fn a_mailboxs_many_messages_are_flagged_and_expunged_and_a_neighbour_is_heard() {
    let (server, mut one, mut other) = two(2000);
    let [flag, expunge] = ["STORE 1:* +FLAGS (\\Deleted)", "EXPUNGE"].map(|command| {
        let tag = one.begin(command);
        other.ask("FETCH 1 UID");
        one.reply(&tag).ok()
    });
    assert_eq!((flag.named("FETCH").len(), expunge.named("EXPUNGE").len()), (2000, 2000));
    assert_eq!(other.ask("NOOP").ok().named("EXPUNGE").len(), 2000);
    assert_eq!(fs::read_dir(server.site.maildir("alice", "").join("cur")).unwrap().count(), 0);
}
