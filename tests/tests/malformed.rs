//! Hundreds of commands that are none, made of those that are: each costs its own session at most. Another session in the
//! same process is answered promptly after each, and all processes stay what they were.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use tests::process::Process;
use tests::{Imap, SHARED, Server};

/// Legal commands, whose numbers, names and lists are then broken.
const IMAP: &[&str] = &[
    "CAPABILITY",
    "NOOP",
    "ID (\"name\" \"x\")",
    "ENABLE CONDSTORE",
    "NAMESPACE",
    "SELECT INBOX",
    "EXAMINE \"INBOX\"",
    "STATUS INBOX (MESSAGES UNSEEN)",
    "LIST \"\" \"*\"",
    "LSUB \"\" %",
    "CREATE New",
    "DELETE New",
    "RENAME New Newer",
    "SUBSCRIBE INBOX",
    "UNSUBSCRIBE INBOX",
    "APPEND INBOX (\\Seen) \"17-Nov-2024 10:00:00 +0000\" {3+}\r\nabc",
    "CHECK",
    "FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (Subject)]<0.10>)",
    "UID FETCH 1,2:4 BODY[1.2.MIME]",
    "FETCH 1 (ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)",
    "STORE 1 +FLAGS.SILENT (\\Seen $Work)",
    "UID STORE 1:2 FLAGS ()",
    "COPY 1 INBOX",
    "UID MOVE 1 INBOX",
    "SEARCH CHARSET UTF-8 OR (NOT SEEN) SUBJECT \"x\" SINCE 1-Jan-2020 1:3",
    "UID SEARCH UID 1:* KEYWORD $Work LARGER 10",
    "EXPUNGE",
    "UID EXPUNGE 7",
    "CLOSE",
    "UNSELECT",
    "LOGIN a b",
    "AUTHENTICATE PLAIN AGEAYg==",
];

const POP3: &[&str] = &[
    "STAT", "LIST", "LIST 1", "UIDL", "UIDL 1", "RETR 1", "TOP 1 2", "DELE 1", "NOOP", "RSET", "CAPA",
    "USER a",
];

/// What is done to a command, and whether it can be none then.
enum Broken {
    Surely(Vec<u8>),
    Perhaps(Vec<u8>),
}

impl Broken {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Surely(bytes) | Self::Perhaps(bytes) => bytes,
        }
    }
}

fn broken(command: &str) -> Vec<Broken> {
    let bytes = command.as_bytes();
    let middle = bytes.len() / 2;
    let (head, tail) = bytes.split_at(middle);
    let inserted = |what: &[u8]| [head, what, tail].concat();
    let behind = |what: &[u8]| [bytes, what].concat();
    let last = command.rsplit_once(' ').map_or(command, |(before, _)| before);
    let mut all = vec![
        Broken::Perhaps(head.to_vec()),
        Broken::Perhaps(bytes[..bytes.len() - 1].to_vec()),
        Broken::Perhaps(command.replace(' ', "  ").into_bytes()),
        Broken::Perhaps(command.replace(' ', "\t").into_bytes()),
        Broken::Perhaps(command.replace([')', ']'], "").into_bytes()),
        Broken::Perhaps(command.replace(['(', '['], "").into_bytes()),
        Broken::Perhaps(command.replace('"', "").into_bytes()),
        Broken::Perhaps(command.replacen('"', "", 1).into_bytes()),
        Broken::Perhaps(behind(b" ")),
        Broken::Perhaps(behind(&b" x".repeat(1000))),
        Broken::Perhaps(inserted(b"\xc3\x28\xff\xfe\x80")),
        Broken::Perhaps(inserted(b"\r")),
        Broken::Perhaps(inserted(b"\n")),
        Broken::Perhaps(inserted(b"\r\n")),
        Broken::Perhaps(inserted(b"\"")),
        Broken::Perhaps(inserted(b"\\")),
        Broken::Perhaps(inserted(&b"(".repeat(20_000))),
        Broken::Perhaps(behind(&[b" ".to_vec(), b"(".repeat(20_000), b")".repeat(20_000)].concat())),
        Broken::Surely(behind(b" (")),
        Broken::Surely(behind(b" )")),
        Broken::Surely(behind(b" \"")),
        Broken::Surely(inserted(b"\0")),
    ];
    for number in [
        "0",
        "-1",
        "4294967296",
        "99999999999999999999",
        "1:",
        ":1",
        "1,,2",
        "*:0",
        "1:2:3",
        "0x1",
        "*,-",
        "+1",
    ] {
        for old in ["1:*", "1,2:4", " 1", " 7"] {
            if command.contains(old) {
                let new = if old.starts_with(' ') { format!(" {number}") } else { number.to_owned() };
                all.push(Broken::Perhaps(command.replacen(old, &new, 1).into_bytes()));
            }
        }
    }
    for literal in [
        "{99999999999}",
        "{-1}",
        "{4294967296+}",
        "{18446744073709551616}",
        "{}",
        "{+}",
        "{a}",
        "{1 }",
        "{0}",
        "{1}x",
        "{3+",
    ] {
        all.push(Broken::Perhaps(format!("{last} {literal}").into_bytes()));
        all.push(Broken::Perhaps(format!("{last} {literal}\r\nabc").into_bytes()));
    }
    all
}

/// What is not made of a command.
fn others() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "", " ", "\r", "\n", "*", "+", "* OK", "+ go on", "a", "a ", " a NOOP", "* NOOP", "+ NOOP", "a* NOOP",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    all.push(vec![b'a'; 1 << 20]);
    all.push([vec![b'a'; 100_000], b" NOOP".to_vec()].concat());
    all.push([&b"a FETCH 1 BODY["[..], &b"1.".repeat(100_000), b"1]"].concat());
    all.push([&b"a FETCH "[..], &b"1,".repeat(200_000), b"1 FLAGS"].concat());
    all.push([&b"a SEARCH "[..], &b"NOT ".repeat(100_000), b"ALL"].concat());
    all.push([&b"a SEARCH "[..], &b"OR ".repeat(100_000), b"ALL"].concat());
    all.push([&b"a SEARCH "[..], &b"(".repeat(100_000)].concat());
    all.push([&b"a LIST \"\" "[..], &b"*%".repeat(100_000)].concat());
    all.push([&b"a LIST \"\" "[..], &b"%/".repeat(100_000)].concat());
    all.push(b"a NOOP (\r\n".repeat(5_000));
    all.push(b"\r\n".repeat(100_000));
    all.push((0..=255).cycle().take(100_000).collect());
    all
}

/// A server, and a neighbour who must not notice.
struct Calm {
    server: Server,
    neighbour: Imap,
    before: Vec<Process>,
    longest: Duration,
}

impl Calm {
    fn new() -> Self {
        let server = Server::start(&format!("{SHARED}login_max_connections = 256\n"));
        for number in 0..3 {
            server.site.deliver("alice", "", format!("Subject: {number}\n\nx\n"));
            server.site.deliver("bob", "", format!("Subject: {number}\n\nx\n"));
        }
        let mut neighbour = server.login("alice");
        neighbour.ask("SELECT INBOX").ok();
        let before = server.master().descendants();
        Self { server, neighbour, before, longest: Duration::ZERO }
    }

    fn is_answered(&mut self) {
        let begun = Instant::now();
        let reply = self.neighbour.ask("NOOP").ok();
        assert!(reply.untagged.is_empty(), "{reply:?}");
        self.longest = self.longest.max(begun.elapsed());
    }

    /// Sends this, and takes all that comes; that it is IMAP, and what was answered to the tags x and z.
    fn imap(&mut self, mut imap: Imap, bytes: &[u8], way: usize) -> [Option<String>; 2] {
        if way == 0 {
            imap.send(bytes);
        } else {
            bytes.chunks(way).for_each(|part| imap.send(part));
        }
        imap.send(b"\r\nz NOOP\r\n");
        imap.finish_sending();
        let mut answers = [None, None];
        for line in imap.rest() {
            let tag = line.split(' ').next().unwrap();
            let rest = line.get(tag.len()..).unwrap().trim_start();
            match tag {
                "x" => answers[0] = Some(rest.to_owned()),
                "z" => answers[1] = Some(rest.to_owned()),
                _ => assert!(is_response(&line), "{}: {line:?}", shown(bytes)),
            }
        }
        self.is_answered();
        answers
    }

    /// As they were, but for processes that the master holds in store.
    fn check(self) {
        let now = self.server.master().descendants();
        let gone: Vec<_> = self.before.iter().filter(|process| !now.contains(process)).collect();
        assert!(gone.is_empty(), "{gone:?}: {}", self.server.log());
        assert!(!self.server.log().contains("Error"), "{}", self.server.log());
        // Generous, since tests share the machine.
        assert!(self.longest < Duration::from_secs(2), "{:?}", self.longest);
    }
}

/// Whether a line can be a response to somebody whose tag is not seen here.
fn is_response(line: &str) -> bool {
    let mut words = line.split(' ');
    let tag = words.next().unwrap_or_default();
    let status = words.next().unwrap_or_default();
    matches!(tag, "*" | "+") || matches!(status, "OK" | "NO" | "BAD")
}

fn shown(bytes: &[u8]) -> String {
    format!("{} ({})", bytes.get(..bytes.len().min(80)).unwrap_or_default().escape_ascii(), bytes.len())
}

/// All that is broken, to sessions that `begin` as told.
fn imap(begin: impl Fn(&Server) -> Imap) {
    let mut calm = Calm::new();
    let mut count = 0;
    for case in IMAP.iter().flat_map(|command| broken(command)) {
        let session = begin(&calm.server);
        let bytes = [b"x ", case.bytes()].concat();
        let [answer, _] = calm.imap(session, &bytes, 0);
        if matches!(case, Broken::Surely(_)) {
            let is_refused =
                answer.as_ref().is_none_or(|text| text.starts_with("BAD") || text.starts_with("NO"));
            assert!(is_refused, "{}: {answer:?}", shown(&bytes));
        }
        count += 1;
    }
    for bytes in others() {
        let session = begin(&calm.server);
        calm.imap(session, &bytes, 0);
        count += 1;
    }
    assert!(count > 900, "{count}");
    calm.check();
}

#[test]
fn to_a_worker() {
    imap(|server| server.login("bob"));
}

#[test]
fn to_a_worker_with_a_mailbox() {
    imap(|server| {
        let mut imap = server.login("bob");
        imap.ask("EXAMINE INBOX").ok();
        imap
    });
}

#[test]
fn to_a_login_process() {
    imap(Server::imap);
}

#[test]
fn in_packets_of_a_byte() {
    let mut calm = Calm::new();
    for command in [
        "x FETCH 1 (FLAGS",
        "x NOOP\0",
        "x STATUS {3}x",
        "x LIST \"\" {99999999999}",
        "x SELECT \"a\rb\"",
        "\u{e9} NOOP",
    ] {
        for session in [calm.server.imap(), calm.server.login("bob")] {
            let [_, last] = calm.imap(session, command.as_bytes(), 1);
            assert!(last.is_none_or(|text| text.starts_with("OK")), "{command}");
        }
    }
    calm.check();
}

#[test]
fn among_thousands_that_are_legal() {
    let mut calm = Calm::new();
    // Some nonsense is forgiven as long as there is sense in between.
    let bytes = b"a NOOP\r\nx FETCH (\r\nb FETCH 0 FLAGS\r\n\r\nc CAPABILITY\r\n".repeat(2_000);
    for session in [calm.server.imap(), calm.server.login("bob")] {
        let [_, last] = calm.imap(session, &bytes, 0);
        assert!(last.is_some_and(|text| text.starts_with("OK")));
    }
    calm.check();
}

#[test]
fn by_pop3() {
    let mut calm = Calm::new();
    let cases = POP3.iter().flat_map(|command| broken(command)).map(|case| case.bytes().to_vec());
    for bytes in cases.chain(others()) {
        for is_known in [true, false] {
            let mut pop3 = calm.server.pop3();
            if is_known {
                pop3.login("bob");
            }
            pop3.send(&bytes);
            // Whatever is still to come is answered, and nothing is deleted without QUIT.
            pop3.send(b"\r\nNOOP\r\n");
            pop3.finish_sending();
            pop3.rest();
            calm.is_answered();
        }
    }
    let mut pop3 = calm.server.pop3_login("bob");
    assert!(pop3.ask("STAT").starts_with("+OK 3 "));
    drop(pop3);
    calm.check();
}
