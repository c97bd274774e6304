//! Messages that come in by IMAP: whatever is answered OK stays, also where everything is killed at that moment.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::signal::Signal;
use tests::dovecot::configuration;
use tests::server::process;
use tests::{Imap, PRIVATE, SHARED, Server, skipped};

/// `APPENDUID` or `COPYUID` of an answer: UIDVALIDITY, and the rest.
fn uids(status: &str) -> (u32, String) {
    let code = status.split_once("UID ").unwrap_or_else(|| panic!("{status}")).1;
    let (validity, rest) = code.split_once(']').unwrap().0.split_once(' ').unwrap();
    (validity.parse().unwrap(), rest.to_owned())
}

fn append(client: &mut Imap, text: &str) -> u32 {
    let reply = client.ask(&format!("APPEND INBOX {{{}+}}\r\n{text}", text.len()));
    uids(&reply.ok().status).1.parse().unwrap()
}

/// UID and subject of all in the INBOX.
fn subjects(client: &mut Imap) -> BTreeMap<u32, String> {
    client.ask("SELECT INBOX").ok();
    let reply = client.ask("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])").ok();
    let lines = reply.untagged.iter().filter(|line| line.contains("FETCH (UID "));
    let row = |line: &String| {
        let (uid, rest) = line.split_once("UID ").unwrap().1.split_once(' ').unwrap();
        let subject = rest.split_once("Subject: ").unwrap().1;
        (uid.parse().unwrap(), subject.split_once("\r\n").unwrap().0.to_owned())
    };
    lines.map(row).collect()
}

/// What Dovecot finds in a Maildir: UID and subject.
fn dovecot(maildir: &Path) -> Option<BTreeMap<u32, String>> {
    let program = "/usr/bin/doveadm";
    if !Path::new(program).exists() {
        skipped("what Dovecot finds", "doveadm is not installed");
        return None;
    }
    let conf = configuration(maildir.parent().unwrap(), &format!("maildir:{}", maildir.display()));
    let output = Command::new(program)
        .args(["-c", conf.to_str().unwrap(), "-f", "tab", "fetch", "uid hdr.subject", "ALL"])
        .env_clear()
        .envs([("USER", "somebody"), ("HOME", maildir.to_str().unwrap())])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |line: &str| {
        let (uid, subject) = line.split_once('\t').unwrap();
        (uid.parse().unwrap(), subject.to_owned())
    };
    Some(text.lines().skip(1).map(row).collect())
}

#[test]
fn all_that_was_answered_survives_a_kill_of_everything() {
    for settings in [SHARED, PRIVATE] {
        let mut server = Server::start(settings);
        let mut known = BTreeMap::new();
        for round in 0..4 {
            let mut one = server.login("alice");
            let mut other = server.login("alice");
            assert_eq!(subjects(&mut other), known);
            for number in 0..3 {
                let subject = format!("round {round}, {number}");
                let client = if number % 2 == 0 { &mut one } else { &mut other };
                let uid = append(client, &format!("Subject: {subject}\r\n\r\nx\r\n"));
                assert!(known.last_key_value().is_none_or(|(last, _)| *last < uid));
                known.insert(uid, subject);
            }
            // Copies are on their way then, and half a message.
            other.send(b"x UID COPY 1:* INBOX\r\n");
            one.send(b"y APPEND INBOX {100000+}\r\nSubject: half");
            server.kill_and_start(|site| {
                let found = dovecot(&site.maildir("alice", "")).filter(|_| round % 2 == 1);
                assert!(found.is_none_or(|found| known.iter().all(|row| found.get(row.0) == Some(row.1))));
            });
            let found = subjects(&mut server.login("alice"));
            assert!(known.iter().all(|row| found.get(row.0) == Some(row.1)), "{known:#?}\n{found:#?}");
            assert!(found.values().all(|subject| subject != "half"));
            known = found;
        }
    }
}

#[test]
fn a_worker_that_is_killed_has_kept_its_word() {
    let server = Server::start(SHARED);
    let mut known = BTreeMap::new();
    for round in 0..5 {
        let mut client = tests::until("a login", || {
            let mut client = server.imap();
            client.try_login("alice").status.starts_with("OK").then_some(client)
        });
        let subject = format!("round {round}");
        known.insert(append(&mut client, &format!("Subject: {subject}\r\n\r\n")), subject);
        process(&server.who()[0]["worker"]).signal(Signal::SIGKILL);
        server.wait_for_sessions(0);
        if let Some(found) = dovecot(&server.site.maildir("alice", "")) {
            assert_eq!(found, known);
        }
    }
}

#[test]
fn two_processes_save_into_one_mailbox_at_once() {
    for settings in [SHARED, PRIVATE] {
        let server = Server::start(settings);
        let mut all: Vec<u32> = thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let mut client = server.login("alice");
                    scope.spawn(move || -> Vec<u32> {
                        let text = |number| format!("Subject: {writer} {number}\r\n\r\n");
                        (0..20).map(|number| append(&mut client, &text(number))).collect()
                    })
                })
                .collect();
            let each: Vec<Vec<u32>> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
            assert!(each.iter().all(|uids| uids.is_sorted()));
            each.into_iter().flatten().collect()
        });
        all.sort_unstable();
        assert_eq!(all, (1..=80).collect::<Vec<u32>>());
        let mut client = server.login("alice");
        let found = subjects(&mut client);
        assert_eq!(found.len(), 80);
        if let Some(theirs) = dovecot(&server.site.maildir("alice", "")) {
            assert_eq!(theirs, found);
        }
    }
}
