//! Workers and whole servers that are killed at the moment of an OK, or before it: what was answered OK is there, nothing is
//! there by half, UIDs go on from where they were, and Dovecot reads the same.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tests::process::Process;
use tests::{Dovecot, Imap, PRIVATE, SHARED, Server, Site, installed, root};

/// A mailbox as a client sees it that comes anew.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    validity: String,
    /// Flags and subject by UID.
    messages: BTreeMap<u32, (BTreeSet<String>, String)>,
}

fn look(imap: &mut Imap, mailbox: &str) -> Seen {
    let reply = imap.ask(&format!("EXAMINE {mailbox}")).ok();
    let validity = reply.untagged.iter().find_map(|line| line.split("[UIDVALIDITY ").nth(1)).unwrap();
    let validity = validity.split(']').next().unwrap().to_owned();
    let reply = imap.ask("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").ok();
    let messages = reply.named("FETCH").into_iter().map(|line| {
        let uid = line.split("UID ").nth(1).unwrap().split([' ', ')']).next().unwrap().parse().unwrap();
        let flags = line.split("FLAGS (").nth(1).unwrap().split(')').next().unwrap();
        let flags = flags.split_whitespace().filter(|flag| *flag != "\\Recent").map(str::to_owned).collect();
        let subject = line.split("Subject: ").nth(1).unwrap().split('\r').next().unwrap();
        (uid, (flags, subject.to_owned()))
    });
    Seen { validity, messages: messages.collect() }
}

fn look_at_all(imap: &mut Imap) -> [Seen; 2] {
    ["INBOX", "Work"].map(|mailbox| look(imap, mailbox))
}

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Worker,
    All,
}

fn kill(server: &mut Server, victim: Victim) {
    match victim {
        // One that was killed before may still be listed.
        Victim::Worker => server
            .who()
            .iter()
            .filter_map(|row| Process::find(u32::try_from(row["worker"].as_u64()?).unwrap()))
            .for_each(|worker| worker.signal(Signal::SIGKILL)),
        Victim::All => server.crash(),
    }
}

fn begun(settings: &str) -> Server {
    let site = Site::new();
    for number in 0..5 {
        site.deliver("bob", "", format!("Subject: delivered {number}\n\nx\n"));
        site.deliver("bob", ".Work", format!("Subject: delivered to Work {number}\n\nx\n"));
    }
    site.start(&format!("{settings}mail_quarantine_time = 0\n"))
}

/// The numbers of a response code: `[COPYUID 1 2 3]`.
fn code(text: &str, name: &str) -> Option<Vec<u32>> {
    let inside = text.split(&format!("[{name} ")).nth(1)?.split(']').next()?;
    inside.split(' ').map(|word| word.parse().ok()).collect()
}

/// What the commands of one round do to what was seen, when all are answered.
fn round(imap: &mut Imap, number: usize, seen: &mut [Seen; 2]) {
    let [inbox, work] = seen;
    let subject = format!("appended {number}");
    let message = format!("Subject: {subject}\r\n\r\nx\r\n");
    match number % 4 {
        0 => {
            let append = format!("APPEND Work (\\Flagged $Kept) {{{}+}}\r\n{message}", message.len());
            let uid = code(&imap.ask(&append).ok().status, "APPENDUID").unwrap()[1];
            assert!(work.messages.keys().all(|other| *other < uid), "{uid}: {work:?}");
            let flags = ["\\Flagged", "$Kept"].map(str::to_owned).into();
            work.messages.insert(uid, (flags, subject));
        }
        1 => {
            imap.ask("SELECT Work").ok();
            let (&old, what) = work.messages.last_key_value().unwrap();
            let uids = code(&imap.ask(&format!("UID COPY {old} INBOX")).ok().status, "COPYUID").unwrap();
            assert!(inbox.messages.keys().all(|other| *other < uids[2]), "{uids:?}: {inbox:?}");
            inbox.messages.insert(uids[2], what.clone());
        }
        2 => {
            imap.ask("SELECT Work").ok();
            let (old, what) = work.messages.pop_last().unwrap();
            let reply = imap.ask(&format!("UID MOVE {old} INBOX")).ok();
            let uids = code(&reply.untagged.concat(), "COPYUID").unwrap();
            assert!(inbox.messages.keys().all(|other| *other < uids[2]), "{uids:?}: {inbox:?}");
            inbox.messages.insert(uids[2], what);
        }
        _ => {
            imap.ask("SELECT INBOX").ok();
            let (gone, _) = inbox.messages.pop_first().unwrap();
            imap.ask(&format!("UID STORE {gone} +FLAGS (\\Deleted)")).ok();
            let (uid, (flags, _)) =
                inbox.messages.last_key_value().map(|(uid, what)| (*uid, what.clone())).unwrap();
            let keyword = format!("$Round{}", number % 8);
            imap.ask("EXPUNGE").ok();
            imap.ask(&format!("UID STORE {uid} +FLAGS.SILENT (\\Answered {keyword})")).ok();
            let flags = flags.into_iter().chain(["\\Answered".to_owned(), keyword]).collect();
            inbox.messages.get_mut(&uid).unwrap().0 = flags;
        }
    }
}

fn at_the_moment_of_ok(settings: &str, victim: Victim, rounds: usize) {
    let mut server = begun(settings);
    let mut imap = server.login("bob");
    let mut seen = look_at_all(&mut imap);
    for number in 0..rounds {
        round(&mut imap, number, &mut seen);
        kill(&mut server, victim);
        imap = login_again(&server);
        assert_eq!(look_at_all(&mut imap), seen, "after round {number}");
    }
    drop(imap);
    dovecot_sees(&server, &seen);
}

/// The names that LIST or LSUB tells.
fn names(imap: &mut Imap, verb: &str) -> BTreeSet<String> {
    let reply = imap.ask(&format!("{verb} \"\" *")).ok();
    reply.named(verb).into_iter().map(|line| line.rsplit(' ').next().unwrap().replace('"', "")).collect()
}

/// Has a command answered OK, and then kills; what is listed and subscribed to has to be this then.
fn survives(server: &mut Server, victim: Victim, imap: &mut Imap, command: &str, expected: [&[&str]; 2]) {
    imap.ask(command).ok();
    kill(server, victim);
    *imap = login_again(server);
    let [listed, subscribed] = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(names(imap, "LIST"), listed, "{command}");
    assert_eq!(names(imap, "LSUB"), subscribed, "{command}");
}

fn mailboxes(settings: &str, victim: Victim) {
    let mut server = begun(settings);
    let mut imap = server.login("bob");
    for _ in 0..3 {
        let mut ok = |imap: &mut Imap, command: &str, listed: &[&str], subscribed: &[&str]| {
            survives(&mut server, victim, imap, command, [listed, subscribed]);
        };
        ok(&mut imap, "CREATE Old", &["INBOX", "Old", "Work"], &[]);
        ok(&mut imap, "SUBSCRIBE Old", &["INBOX", "Old", "Work"], &["Old"]);
        let append = "APPEND Old {14+}\r\nSubject: x\r\n\r\n";
        ok(&mut imap, append, &["INBOX", "Old", "Work"], &["Old"]);
        let before = look(&mut imap, "Old");
        ok(&mut imap, "RENAME Old New", &["INBOX", "New", "Work"], &["Old"]);
        assert_eq!(look(&mut imap, "New"), before);
        ok(&mut imap, "UNSUBSCRIBE Old", &["INBOX", "New", "Work"], &[]);
        ok(&mut imap, "DELETE New", &["INBOX", "Work"], &[]);
    }
}

/// Its old session may be there for a moment.
fn login_again(server: &Server) -> Imap {
    tests::until("a login", || {
        let mut imap = server.try_imap()?;
        imap.try_login("bob").status.starts_with("OK").then_some(imap)
    })
}

/// On a copy of the mail, so that our server needs not be stopped.
fn dovecot_sees(server: &Server, seen: &[Seen; 2]) {
    let test = "dovecot_sees";
    if !root(test) || !installed(test, "dovecot") {
        return;
    }
    let site = Site::new();
    let copied = Command::new("cp").arg("-a").arg(server.site.home("bob")).arg(site.path("home")).status();
    assert!(copied.unwrap().success());
    let dovecot = Dovecot::start(site);
    let mut imap = Imap::connect(dovecot.site.imap_address(), None);
    imap.login("bob");
    assert_eq!(look_at_all(&mut imap), *seen);
}

#[test]
fn a_worker_of_many_at_the_moment_of_ok() {
    at_the_moment_of_ok(SHARED, Victim::Worker, 24);
}

#[test]
fn a_worker_of_one_at_the_moment_of_ok() {
    at_the_moment_of_ok(PRIVATE, Victim::Worker, 24);
}

#[test]
fn everything_at_the_moment_of_ok() {
    at_the_moment_of_ok(SHARED, Victim::All, 8);
}

#[test]
fn a_worker_at_the_moment_when_a_mailbox_is_made_or_goes() {
    mailboxes(SHARED, Victim::Worker);
}

#[test]
fn everything_at_the_moment_when_a_mailbox_is_made_or_goes() {
    mailboxes(PRIVATE, Victim::All);
}

/// Whoever finds the lock of a process that is no more may ask the kernel for it, from inside of the jail too.
#[test]
fn a_lock_of_one_who_is_dead_holds_nobody_up() {
    for settings in [SHARED, PRIVATE] {
        let server = begun(settings);
        let mut imap = login_again(&server);
        let mut dead = Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let host = nix::unistd::gethostname().unwrap();
        let lock = server.site.maildir("bob", "dovecot-uidlist.lock");
        fs::write(&lock, format!("{}:{}", dead.id(), host.to_str().unwrap())).unwrap();
        // He would be waited for for two minutes.
        let began = Instant::now();
        imap.ask("APPEND INBOX {1+}\r\nx").ok();
        assert!(began.elapsed() < Duration::from_secs(60));
        assert!(!lock.exists());
    }
}

/// Killed at any moment: an APPEND or a COPY is there as a whole or not at all, and what a MOVE takes is in one place at
/// least; nothing that was there before is another one now.
#[test]
fn a_worker_at_any_moment() {
    let mut server = begun(SHARED);
    // More than are moved away, should no APPEND come to its end.
    for number in 0..14 {
        server.site.deliver("bob", "", format!("Subject: delivered {number}\n\n"));
    }
    let mut imap = login_again(&server);
    for number in 0..40_u64 {
        let before = look_at_all(&mut imap);
        imap.ask("SELECT INBOX").ok();
        let subject = format!("appended {number}");
        let message = format!("Subject: {subject}\r\n\r\n{}", "x\r\n".repeat(1000));
        let uid = before[0].messages.last_key_value().unwrap().0;
        match number % 3 {
            0 => imap.send(format!("a APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()).as_bytes()),
            1 => imap.send(format!("a UID COPY {uid} Work\r\n").as_bytes()),
            _ => imap.send(format!("a UID MOVE {uid} Work\r\n").as_bytes()),
        }
        // Not to wait for anything, but to hit another moment each time.
        thread::sleep(Duration::from_micros(number * 50));
        kill(&mut server, Victim::Worker);
        let is_done = imap.rest().iter().any(|line| line.starts_with("a OK"));
        imap = login_again(&server);
        let after = look_at_all(&mut imap);
        let mut added = 0;
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.validity, after.validity);
            for (uid, what) in &before.messages {
                let is_here = after.messages.get(uid) == Some(what);
                let was_moved = number % 3 == 2 && !after.messages.contains_key(uid);
                assert!(is_here || was_moved, "{number}: {uid} was {what:?}: {after:?}");
            }
            let highest = before.messages.keys().next_back();
            for (uid, (_, text)) in &after.messages {
                if !before.messages.contains_key(uid) {
                    assert!(Some(uid) > highest, "{number}: {uid} after {highest:?}");
                    assert!(number % 3 != 0 || *text == subject, "{number}: {text}");
                    added += 1;
                }
            }
        }
        let [before, after] = [&before, &after].map(|seen| seen[0].messages.len() + seen[1].messages.len());
        assert!(added <= 1 && after >= before, "{number}: {before}, {after}, {added}");
        assert!(added == 1 || !is_done, "{number}: it was answered OK");
    }
    drop(imap);
}
