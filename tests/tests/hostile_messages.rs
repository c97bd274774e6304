//! Messages that survive anything: whatever was delivered, every question about it has an answer, contents come byte for
//! byte, and a neighbour in the same process is answered meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tests::letters::{Bulk, huge, letters};
use tests::server::process;
use tests::{Imap, SHARED, Server, Site, root};

/// What clients have to see of a file: CRLF at the end of each line.
fn crlf(stored: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(stored.len() + stored.len() / 30);
    for &byte in stored {
        if byte == b'\n' && wire.last() != Some(&b'\r') {
            wire.push(b'\r');
        }
        wire.push(byte);
    }
    wire
}

/// The same by IMAP, where RFC 3501 forbids NUL.
fn without_nul(mut wire: Vec<u8>) -> Vec<u8> {
    wire.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0x80);
    wire
}

/// Asks, has the neighbour ask meanwhile, and takes all up to the answer: the untagged responses and the status.
fn asked(imap: &mut Imap, neighbour: &mut Neighbour, command: &str) -> (Vec<Vec<u8>>, String) {
    let tag = imap.begin(command);
    neighbour.is_answered();
    answer(imap, &tag)
}

fn answer(imap: &mut Imap, tag: &str) -> (Vec<Vec<u8>>, String) {
    let mut untagged = Vec::new();
    loop {
        let line = imap.try_bytes().expect("the server closed the connection");
        if let Some(status) = line.strip_prefix(format!("{tag} ").as_bytes()) {
            return (untagged, String::from_utf8_lossy(status).into_owned());
        }
        untagged.push(line);
    }
}

/// The one string that a response has: a literal, `""` or `NIL`.
fn content(responses: &[Vec<u8>]) -> Vec<u8> {
    let response = responses.iter().find(|line| line.windows(6).any(|part| part == b" FETCH")).unwrap();
    let inside = response.strip_suffix(b")").unwrap();
    let Some(open) = inside.windows(3).position(|part| part == b"] {" || part == b"> {") else {
        assert!(inside.ends_with(b" \"\"") || inside.ends_with(b" NIL"), "{}", inside.escape_ascii());
        return Vec::new();
    };
    let begin = inside.windows(2).skip(open).position(|part| part == b"\r\n").unwrap() + open + 2;
    inside[begin..].to_vec()
}

/// Another client of the same process.
struct Neighbour {
    imap: Imap,
    longest: Duration,
}

impl Neighbour {
    fn is_answered(&mut self) {
        let begun = Instant::now();
        self.imap.ask("NOOP").ok();
        self.longest = self.longest.max(begun.elapsed());
    }
}

/// What is asked about each message, beside its contents.
const QUESTIONS: &[&str] = &[
    "FLAGS",
    "ENVELOPE",
    "BODYSTRUCTURE",
    "BODY",
    "BODY.PEEK[1]",
    "BODY.PEEK[1.MIME]",
    "BODY.PEEK[1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1]",
    "BODY.PEEK[1.2.3.MIME]",
    "BODY.PEEK[2]<0.100>",
    "BODY.PEEK[2.HEADER]",
    "BODY.PEEK[4294967295]",
    "BODY.PEEK[HEADER.FIELDS (Subject From To)]",
    "BODY.PEEK[HEADER.FIELDS.NOT (Subject)]",
    "BODY.PEEK[1.HEADER.FIELDS (Subject)]",
    "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY",
];

fn survive(bulk: Bulk) {
    let all = [letters(), huge(bulk)].concat();
    let site = Site::new();
    for (_, letter) in &all {
        site.deliver("bob", "", letter);
    }
    let server = site.start(SHARED);
    let mut neighbour = Neighbour { imap: server.login("alice"), longest: Duration::ZERO };
    neighbour.imap.ask("SELECT INBOX").ok();
    let mut imap = server.login("bob");
    imap.ask("SELECT INBOX").ok();
    let worker = process(&server.who()[0]["worker"]);
    for (number, (name, letter)) in (1..).zip(&all) {
        let mut ask = |items: &str| {
            let (responses, status) = asked(&mut imap, &mut neighbour, &format!("FETCH {number} ({items})"));
            assert!(status.starts_with("OK"), "{name}: {items}: {status}");
            responses
        };
        for question in QUESTIONS {
            let responses = ask(question);
            assert_eq!(responses.len(), 1, "{name}: {question}");
        }
        let wire = without_nul(crlf(letter));
        let size = format!("RFC822.SIZE {})", wire.len());
        assert!(ask("RFC822.SIZE")[0].ends_with(size.as_bytes()), "{name}: its size is not {}", wire.len());
        assert!(content(&ask("BODY.PEEK[]")) == wire, "{name}: it is another one");
        let halves = [content(&ask("BODY.PEEK[HEADER]")), content(&ask("BODY.PEEK[TEXT]"))].concat();
        assert!(halves == wire, "{name}: header and text are not all of it");
        let (quarter, most) = (wire.len() / 4 + 1, wire.len());
        for begin in [0, quarter - 1, 2 * quarter, most.saturating_sub(1), most, most + 1] {
            let part = content(&ask(&format!("BODY.PEEK[]<{begin}.{quarter}>")));
            let wanted = wire.get(begin.min(most)..(begin + quarter).min(most)).unwrap();
            assert!(part == wanted, "{name}: another part from {begin} on");
        }
    }
    let (_, status) = asked(&mut imap, &mut neighbour, "SEARCH TEXT nowhere");
    assert!(status.starts_with("OK") || status.starts_with("NO [CANNOT]"), "{status}");
    by_pop3(&server, &all.iter().map(|(_, letter)| crlf(letter)).collect::<Vec<_>>());
    assert!(worker.is_alive());
    let peak: u64 = worker.status("VmHWM")[0].parse().unwrap();
    assert!(peak < 40_000, "{peak} KB");
    // Generous, since tests share the machine.
    assert!(neighbour.longest < Duration::from_secs(1), "{:?}", neighbour.longest);
    assert!(!server.log().contains("Error"), "{}", server.log());
}

fn by_pop3(server: &Server, all: &[Vec<u8>]) {
    let mut pop3 = server.pop3_login("bob");
    for (number, wire) in (1..).zip(all) {
        let listed = pop3.ask(&format!("LIST {number}"));
        assert!(listed.starts_with("+OK"), "{listed}");
        assert_eq!(listed.split(' ').nth(2), Some(wire.len().to_string().as_str()), "{number}");
        let lines = pop3.list(&format!("RETR {number}"));
        let text = String::from_utf8_lossy(wire);
        // A last line without its end gets one, or the rest of it.
        let wanted = text.strip_suffix("\r\n").or(text.strip_suffix('\r')).unwrap_or(&text);
        assert!(lines.join("\r\n") == wanted, "{number}: {:?}", lines.get(..lines.len().min(5)));
        pop3.list(&format!("TOP {number} 3"));
    }
    assert!(pop3.ask("QUIT").starts_with("+OK"));
}

#[test]
fn whatever_was_delivered_is_answered_for() {
    survive(Bulk::Some);
}

#[test]
#[ignore = "takes a minute and a gigabyte: by hand"]
fn much_that_was_delivered_is_answered_for() {
    survive(Bulk::Much);
}

/// Things in a Maildir that are no files, or cannot be read.
#[test]
fn what_is_no_message_harms_no_other() {
    let test = "what_is_no_message_harms_no_other";
    if !root(test) {
        return;
    }
    let site = Site::new();
    let cur = site.maildir("bob", "cur");
    fs::write(site.path("secret"), "Subject: secret\n\nsecret\n").unwrap();
    symlink(site.path("secret"), cur.join("1700000001.link:2,")).unwrap();
    symlink("/dev/zero", cur.join("1700000002.zero:2,")).unwrap();
    symlink("nowhere", cur.join("1700000003.nowhere:2,")).unwrap();
    mkfifo(&cur.join("1700000004.fifo:2,"), Mode::from_bits_truncate(0o666)).unwrap();
    fs::create_dir(cur.join("1700000005.folder:2,")).unwrap();
    let unreadable = site.deliver("bob", "", "Subject: unreadable\n\nx\n");
    fs::set_permissions(&unreadable, fs::Permissions::from_mode(0o000)).unwrap();
    for number in 0..3 {
        site.deliver("bob", "", format!("Subject: good {number}\n\nx\n"));
    }
    let server = site.start(SHARED);
    let mut imap = server.login("bob");
    let reply = imap.ask("SELECT INBOX").ok();
    let exists: u32 = reply.named("EXISTS")[0].split(' ').next().unwrap().parse().unwrap();
    assert_eq!(exists, 4, "{reply:?}");
    let reply = imap.ask("FETCH 1:* (UID BODY[HEADER.FIELDS (Subject)] BODY[TEXT] BODYSTRUCTURE)");
    assert!(reply.status.starts_with("NO"), "{reply:?}");
    let text = reply.untagged.concat();
    assert_eq!(text.matches("Subject: good").count(), 3, "{text}");
    assert!(!text.contains("secret"), "{text}");
    imap.ask("NOOP").ok();
    let mut pop3 = server.pop3_login("bob");
    let count = pop3.list("UIDL").len();
    let answers: Vec<String> = (1..=count)
        .map(|number| {
            let answer = pop3.ask(&format!("RETR {number}"));
            if answer.starts_with("+OK") {
                pop3.lines();
            }
            answer
        })
        .collect();
    assert_eq!(answers.iter().filter(|answer| answer.starts_with("+OK")).count(), 3, "{answers:?}");
}

/// A file that becomes another while it is fetched: what is announced is sent, or the session ends.
#[test]
fn a_file_that_changes_while_it_is_fetched() {
    let changes: BTreeMap<&str, fn(&File)> = BTreeMap::from([
        ("shrinks", (|file| file.set_len(1000).unwrap()) as fn(&File)),
        ("vanishes", |file| file.set_len(0).unwrap()),
        ("grows", |file| file.set_len(20_000_000).unwrap()),
        ("gets other line ends", |file| file.write_all_at(&[b'\n'; 1_000_000], 1_000_000).unwrap()),
    ]);
    for (what, change) in changes {
        let server = Server::start(SHARED);
        let path = server.site.deliver("bob", "", [&b"Subject: x\n\n"[..], &vec![b'x'; 8_000_000]].concat());
        let file = File::options().write(true).open(path).unwrap();
        let mut neighbour = Neighbour { imap: server.login("alice"), longest: Duration::ZERO };
        let mut imap = server.login("bob");
        imap.ask("SELECT INBOX").ok();
        let tag = imap.begin("FETCH 1 (RFC822.SIZE BODYSTRUCTURE BODY.PEEK[])");
        // It waits for us to read: the answer is longer than what sockets hold.
        neighbour.is_answered();
        change(&file);
        neighbour.is_answered();
        imap.send(b"z LOGOUT\r\n");
        let answer = imap.everything();
        let is_whole = answer.ends_with(b"z OK Logout completed.\r\n");
        if is_whole {
            // All that was announced has come.
            let open = answer.windows(8).position(|part| part == b"BODY[] {").unwrap() + 8;
            let close = answer.iter().skip(open).position(|&byte| byte == b'}').unwrap() + open;
            let length: usize = std::str::from_utf8(&answer[open..close]).unwrap().parse().unwrap();
            let behind = String::from_utf8_lossy(&answer[close + 3 + length..]).into_owned();
            assert!(behind.starts_with(&format!(")\r\n{tag} ")), "{what}: {behind}");
        }
        server.wait_for_sessions_of("bob", 0);
        neighbour.is_answered();
        // Afterwards it is what it is now.
        let mut imap = server.login("bob");
        imap.ask("SELECT INBOX").ok();
        let size = file.metadata().unwrap().len();
        let reply = imap.ask("FETCH 1 BODY.PEEK[]<0.1>").ok();
        assert_eq!(reply.untagged.len(), 1, "{what}: {size}");
    }
}
