//! FETCH and UID FETCH against a real Maildir, byte for byte: RFC 3501 sections 6.4.5 and 7.4.2.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod master;

use std::fs::{self, File, FileTimes};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use master::Scratch;
use nix::unistd::getuid;

/// A mailbox and the one client that reads it.
struct Session {
    stream: BufReader<UnixStream>,
    worker: Child,
    home: PathBuf,
    scratch: Rc<Scratch>,
}

impl Session {
    /// With these messages, whose UIDs count from 1, and INBOX selected.
    fn new(messages: &[&[u8]]) -> Self {
        let scratch = Scratch::new();
        let home = scratch.home("me", getuid().as_raw());
        for (number, message) in (1..).zip(messages) {
            put(&home, &format!("{number}.a"), message);
        }
        Self::start(Rc::new(scratch), home)
    }

    /// Another client of the same mailbox, in a process of its own.
    fn another(&self) -> Self {
        Self::start(Rc::clone(&self.scratch), self.home.clone())
    }

    fn start(scratch: Rc<Scratch>, home: PathBuf) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut command = Command::new(scratch.program());
        command.env_clear().env("USER", "me").env("HOME", &home).stderr(Stdio::null());
        command.stdin(OwnedFd::from(theirs.try_clone().unwrap())).stdout(OwnedFd::from(theirs));
        let worker = command.spawn().unwrap();
        drop(command);
        let mut session = Self { stream: BufReader::new(ours), worker, home, scratch };
        session.line();
        assert!(session.ask("SELECT INBOX").ends_with("t OK [READ-WRITE] Select completed.\r\n"));
        session
    }

    /// All that a command is answered. Literals count as what they are: bytes.
    fn bytes(&mut self, command: &str) -> Vec<u8> {
        self.stream.get_mut().write_all(format!("t {command}\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        loop {
            let line = self.line();
            let literal = line.strip_suffix(b"}\r\n").and_then(|line| {
                let open = line.iter().rposition(|&byte| byte == b'{')?;
                std::str::from_utf8(&line[open + 1..]).ok()?.parse::<usize>().ok()
            });
            let last = line.starts_with(b"t ");
            answer.extend(line);
            match literal {
                Some(size) => {
                    let start = answer.len();
                    answer.resize(start + size, 0);
                    self.stream.read_exact(&mut answer[start..]).unwrap();
                }
                None if last => return answer,
                None => {}
            }
        }
    }

    fn ask(&mut self, command: &str) -> String {
        String::from_utf8(self.bytes(command)).unwrap()
    }

    /// The one literal of an answer.
    fn literal(&mut self, command: &str) -> Vec<u8> {
        let answer = self.bytes(command);
        let size = answer.windows(3).position(|three| three == b"}\r\n").unwrap();
        let open = answer[..size].iter().rposition(|&byte| byte == b'{').unwrap();
        let length: usize = std::str::from_utf8(&answer[open + 1..size]).unwrap().parse().unwrap();
        answer[size + 3..size + 3 + length].to_vec()
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap();
        assert!(!line.is_empty(), "the worker closed");
        line
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.home.join("Maildir/cur")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.worker.kill();
        let _ = self.worker.wait();
    }
}

fn put(home: &Path, name: &str, message: &[u8]) {
    let path = home.join("Maildir/cur").join(format!("{name}:2,"));
    fs::write(&path, message).unwrap();
    let moment = UNIX_EPOCH + Duration::from_secs(837_596_665);
    File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(moment)).unwrap();
}

/// As clients see it.
fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

const PLAIN: &[u8] =
    b"From: Alice <a@x.org>\nTo: bob@y.org\nSubject: Hi\nDate: Wed, 17 Jul 1996 02:23:25 -0700\n\
    Message-ID: <1@x>\n\nHello\nthere\n";
const ENVELOPE: &str = "(\"Wed, 17 Jul 1996 02:23:25 -0700\" \"Hi\" ((\"Alice\" NIL \"a\" \"x.org\")) \
    ((\"Alice\" NIL \"a\" \"x.org\")) ((\"Alice\" NIL \"a\" \"x.org\")) ((NIL NIL \"bob\" \"y.org\")) NIL NIL NIL \"<1@x>\")";
const MIXED: &str = "Subject: m\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Type: text/plain\n\n\
    one\n\n--b\nContent-Type: message/rfc822\n\nSubject: inner\nX: y\n\ninner text\n--b--\n";

#[test]
fn every_item_of_a_plain_message() {
    let mut session = Session::new(&[PLAIN]);
    let size = crlf(std::str::from_utf8(PLAIN).unwrap()).len();
    let date = "INTERNALDATE \"17-Jul-1996 09:44:25 +0000\"";
    let body = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 14 2)";
    let long = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 14 2 NIL NIL NIL NIL)";
    let done = "t OK Fetch completed.\r\n";
    for (items, answer) in [
        ("FLAGS", "FLAGS ()".to_owned()),
        ("(UID)", "UID 1".to_owned()),
        ("FAST", format!("FLAGS () {date} RFC822.SIZE {size}")),
        ("ALL", format!("FLAGS () {date} RFC822.SIZE {size} ENVELOPE {ENVELOPE}")),
        ("FULL", format!("FLAGS () {date} RFC822.SIZE {size} ENVELOPE {ENVELOPE} BODY {body}")),
        ("(BODYSTRUCTURE ENVELOPE)", format!("BODYSTRUCTURE {long} ENVELOPE {ENVELOPE}")),
        (
            "BODY.PEEK[HEADER.FIELDS (to X)]",
            "BODY[HEADER.FIELDS (to X)] {17}\r\nTo: bob@y.org\r\n\r\n".to_owned(),
        ),
        ("BODY.PEEK[TEXT]<3.4>", "BODY[TEXT]<3> {4}\r\nlo\r\n".to_owned()),
        ("BODY.PEEK[TEXT]<99.4>", "BODY[TEXT]<99> {0}\r\n".to_owned()),
        ("BODY.PEEK[1]", "BODY[1] {14}\r\nHello\r\nthere\r\n".to_owned()),
        ("BODY.PEEK[2]", "BODY[2] NIL".to_owned()),
        ("BODY[TEXT]", "BODY[TEXT] {14}\r\nHello\r\nthere\r\n FLAGS (\\Seen)".to_owned()),
        ("RFC822.TEXT", "RFC822.TEXT {14}\r\nHello\r\nthere\r\n".to_owned()),
        ("(FLAGS UID FLAGS)", "FLAGS (\\Seen) UID 1".to_owned()),
    ] {
        assert_eq!(
            session.ask(&format!("FETCH 1 {items}")),
            format!("* 1 FETCH ({answer})\r\n{done}"),
            "{items}"
        );
    }
    let whole = crlf(std::str::from_utf8(PLAIN).unwrap());
    assert_eq!(session.literal("FETCH 1 RFC822"), whole.as_bytes());
    assert_eq!(session.literal("UID FETCH 1 BODY.PEEK[]"), whole.as_bytes());
    assert_eq!(session.literal("FETCH 1 RFC822.HEADER"), &whole.as_bytes()[..size - 14]);
}

#[test]
fn sections_of_a_message_in_a_message() {
    let mut session = Session::new(&[MIXED.as_bytes()]);
    for (section, expected) in [
        ("1", "one\n"),
        ("1.MIME", "Content-Type: text/plain\n\n"),
        ("2", "Subject: inner\nX: y\n\ninner text"),
        ("2.HEADER", "Subject: inner\nX: y\n\n"),
        ("2.HEADER.FIELDS (x)", "X: y\n\n"),
        ("2.HEADER.FIELDS.NOT (x)", "Subject: inner\n\n"),
        ("2.TEXT", "inner text"),
        ("2.1", "inner text"),
        ("HEADER.FIELDS (Subject)", "Subject: m\n\n"),
        ("", MIXED),
    ] {
        let got = session.literal(&format!("FETCH 1 BODY.PEEK[{section}]"));
        assert_eq!(String::from_utf8(got).unwrap(), crlf(expected), "{section}");
    }
    for section in ["3", "1.1.1", "1.HEADER", "2.2"] {
        let answer = session.ask(&format!("FETCH 1 BODY.PEEK[{section}]"));
        assert_eq!(answer, format!("* 1 FETCH (BODY[{section}] NIL)\r\nt OK Fetch completed.\r\n"));
    }
}

#[test]
fn slices_in_any_order_are_what_the_whole_is() {
    let lines: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
    let message = format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n{lines}\n--b\n\nx\n--b--\n");
    let mut session = Session::new(&[message.as_bytes()]);
    assert_eq!(session.literal("FETCH 1 BODY.PEEK[]"), crlf(&message).as_bytes());
    for (section, whole) in
        [("", crlf(&message)), ("1", crlf(&lines)), ("TEXT", crlf(&message)[45..].to_owned())]
    {
        let mut joined = Vec::new();
        while joined.len() < whole.len() {
            joined.extend(session.literal(&format!("FETCH 1 BODY.PEEK[{section}]<{}.40001>", joined.len())));
        }
        assert_eq!(joined, whole.as_bytes(), "{section}");
        // Back to where it has been before, and two at once.
        assert_eq!(session.literal(&format!("FETCH 1 BODY.PEEK[{section}]<7.9>")), &whole.as_bytes()[7..16]);
        let both = session.ask(&format!("FETCH 1 (BODY.PEEK[{section}]<7.2> BODY.PEEK[2])"));
        assert!(both.contains("BODY[2] {1}\r\nx)"), "{both}");
    }
}

#[test]
fn sizes_are_those_of_the_literals_whatever_is_stored() {
    let long = [b"A: b\r\n\r\n".to_vec(), b"x\ny\r\nz\r\n\0\r".repeat(20_000)].concat();
    let messages: [&[u8]; 5] = [b"", b"A: b", b"\n", b"A: b\r\n\r\nmixed\nends\0here\r", &long];
    let mut session = Session::new(&messages);
    for (number, message) in (1..).zip(messages) {
        let bytes = session.literal(&format!("FETCH {number} BODY.PEEK[]"));
        let mut expected = Vec::new();
        message::Crlf::whole().push(message, &mut expected);
        assert_eq!(bytes, expected);
        let size = session.ask(&format!("FETCH {number} RFC822.SIZE"));
        assert!(size.contains(&format!("RFC822.SIZE {})", bytes.len())), "{size}");
    }
}

#[test]
fn reading_marks_as_seen_where_that_is_wanted() {
    let mut session = Session::new(&[PLAIN, PLAIN]);
    assert!(!session.ask("FETCH 1:2 (BODY.PEEK[] RFC822.HEADER ENVELOPE)").contains("FLAGS"));
    assert_eq!(session.names(), ["1.a:2,", "2.a:2,"]);
    assert!(session.ask("FETCH 2 (FLAGS RFC822)").contains("(FLAGS (\\Seen) RFC822 {"));
    assert_eq!(session.names(), ["1.a:2,", "2.a:2,S"]);
    session.ask("EXAMINE INBOX");
    assert!(!session.ask("FETCH 1 BODY[]").contains("FLAGS"));
    assert_eq!(session.names(), ["1.a:2,", "2.a:2,S"]);
}

#[test]
fn numbers_stay_while_messages_go() {
    let mut session = Session::new(&[PLAIN, PLAIN, PLAIN]);
    fs::remove_file(session.home.join("Maildir/cur/2.a:2,")).unwrap();
    let answer = session.ask("FETCH 1:* (UID BODY.PEEK[1])");
    assert!(answer.contains("* 1 FETCH (UID 1 ") && answer.contains("* 3 FETCH (UID 3 "), "{answer}");
    assert!(!answer.contains("EXPUNGE\r\n") && !answer.contains("UID 2"), "{answer}");
    assert!(answer.ends_with("t NO [EXPUNGEISSUED] Some messages were expunged.\r\n"), "{answer}");
    let answer = session.ask("UID FETCH 2:3 FLAGS");
    let end =
        "* 3 FETCH (FLAGS () UID 3)\r\n* 2 EXPUNGE\r\nt OK [EXPUNGEISSUED] Some messages were expunged.\r\n";
    assert_eq!(answer, end.replace("FLAGS () UID 3", "UID 3 FLAGS ()").as_str());
    assert_eq!(session.ask("UID FETCH 2,7:90 FLAGS").lines().last(), Some("t OK Fetch completed."));
    assert!(session.ask("FETCH 3 FLAGS").starts_with("t BAD "));
    assert!(session.ask("UID FETCH 4000:* (UID)").starts_with("* 2 FETCH (UID 3)\r\n"));
}

#[test]
fn what_another_program_renames_is_found() {
    let mut session = Session::new(&[PLAIN]);
    let cur = session.home.join("Maildir/cur");
    fs::rename(cur.join("1.a:2,"), cur.join("1.a:2,F")).unwrap();
    assert!(session.ask("FETCH 1 (FLAGS BODY[])").contains("\\Flagged"));
}

#[test]
fn what_is_no_file_costs_only_itself() {
    let mut session = Session::new(&[PLAIN, PLAIN]);
    let path = session.home.join("Maildir/cur/1.a:2,");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let answer = session.ask("FETCH 1:2 (UID BODY.PEEK[1])");
    assert!(answer.starts_with("* 2 FETCH (UID 2 BODY[1] {14}\r\n"), "{answer}");
    assert!(answer.contains("\r\nt NO ["), "{answer}");
}

#[test]
fn a_message_that_is_cut_short_while_it_is_sent_ends_the_session_and_nothing_wrong_is_said() {
    let mut session = Session::new(&[&b"0123456789abcde\n".repeat(1024 * 1024)]);
    session.stream.get_mut().write_all(b"t FETCH 1 BODY.PEEK[]\r\n").unwrap();
    assert_eq!(session.line(), b"* 1 FETCH (BODY[] {17825792}\r\n");
    // It has sent what a socket holds, and waits for us to read.
    File::options()
        .write(true)
        .open(session.home.join("Maildir/cur/1.a:2,"))
        .unwrap()
        .set_len(16 * 1024)
        .unwrap();
    let mut rest = Vec::new();
    session.stream.read_to_end(&mut rest).unwrap();
    assert!(rest.len() < 17_825_792);
    assert!(rest.chunks(17).all(|line| b"0123456789abcde\r\n".starts_with(line)));
}

#[test]
fn answers_are_the_same_with_and_without_the_cache() {
    let long = format!("Subject: {}\n\nx\n", "long ".repeat(20_000));
    let odd: &[&[u8]] =
        &[b"", b"\n", b"Subject: \"\xff\0\r\n\r\nx", long.as_bytes(), MIXED.as_bytes(), PLAIN];
    let messages: Vec<&[u8]> = odd.iter().cycle().take(40).copied().collect();
    let session = Session::new(&messages);
    let cache = session.home.join("Maildir/mail-cache");
    let commands = [
        "FETCH 1:* (FLAGS UID RFC822.SIZE ENVELOPE)",
        "FETCH 1:* (INTERNALDATE BODY BODYSTRUCTURE)",
        "FETCH 1:* (ENVELOPE BODY.PEEK[1] BODYSTRUCTURE RFC822.SIZE)",
        "FETCH 5 FULL",
        "UID FETCH 3:30 (INTERNALDATE)",
        "SEARCH SINCE 17-Jul-1996 OR SENTON 17-Jul-1996 LARGER 300",
        "UID SEARCH OR SENTBEFORE 1-Jan-1980 SMALLER 100",
    ];
    let answers = |without: bool| {
        commands.map(|command| {
            if without {
                // There is none before the first.
                let _ = fs::remove_file(&cache);
            }
            session.another().bytes(command)
        })
    };
    let expected = answers(true);
    assert_eq!(answers(false), expected);
    assert_eq!(answers(false), expected);
    let bytes = fs::read(&cache).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 10) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        fs::write(&cache, damaged).unwrap();
        assert_eq!(answers(false), expected);
    }
}

#[test]
fn what_the_cache_has_is_not_read_again() {
    let session = Session::new(&[PLAIN; 20]);
    let command = "FETCH 1:* (RFC822.SIZE ENVELOPE INTERNALDATE BODY)";
    let before = session.another().bytes(command);
    session.another().bytes("FETCH 1:* INTERNALDATE");
    (1..=20).for_each(|number| put(&session.home, &format!("{number}.a"), b"Subject: other\n\n"));
    assert_eq!(session.another().bytes(command), before);
    fs::remove_file(session.home.join("Maildir/mail-cache")).unwrap();
    assert_ne!(session.another().bytes(command), before);
}

#[test]
fn an_empty_mailbox_has_nothing_to_fetch() {
    let mut session = Session::new(&[]);
    assert_eq!(session.ask("FETCH 1:* FLAGS"), "t BAD There is no such message.\r\n");
    assert_eq!(session.ask("UID FETCH 1:* FLAGS"), "t OK Fetch completed.\r\n");
}
