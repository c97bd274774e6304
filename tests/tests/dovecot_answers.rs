//! What we say of a message is what Debian's Dovecot says of it: of all mail of the demo, and of messages that nobody should
//! send. Where we differ, we have a reason.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;

use tests::letters::letters;
use tests::{Dovecot, Imap, SHARED, Site, installed, root};

const QUESTIONS: &[&str] = &[
    "RFC822.SIZE",
    "ENVELOPE",
    "BODY",
    "BODYSTRUCTURE",
    "BODY.PEEK[HEADER]",
    "BODY.PEEK[TEXT]",
    "BODY.PEEK[1]",
    "BODY.PEEK[1.MIME]",
    "BODY.PEEK[1.HEADER]",
    "BODY.PEEK[1.TEXT]",
    "BODY.PEEK[1.1]",
    "BODY.PEEK[1.1.MIME]",
    "BODY.PEEK[1.2]",
    "BODY.PEEK[2]",
    "BODY.PEEK[2.MIME]",
    "BODY.PEEK[2.1]",
    "BODY.PEEK[2.TEXT]",
    "BODY.PEEK[3]",
    "BODY.PEEK[]<5.100>",
    "BODY.PEEK[HEADER.FIELDS (Subject From To)]",
    "BODY.PEEK[HEADER.FIELDS.NOT (Subject)]",
];

/// Messages, the questions that we answer otherwise, and why that is right.
const LAWFUL: &[(&str, &[&str], &str)] = &[
    ("multiparts in multiparts", &["BODY", "BODYSTRUCTURE", "BODY.PEEK[1]", "BODY.PEEK[1.1]"], DEEP),
    ("multiparts in multiparts, none closed", &["BODY", "BODYSTRUCTURE", "BODY.PEEK[1.1]"], DEEP),
    ("messages and multiparts by turns", &["BODY", "BODYSTRUCTURE"], DEEP),
    ("no boundary", &["BODY", "BODYSTRUCTURE", "BODY.PEEK[1]", "BODY.PEEK[1.MIME]"], NO_TYPE),
    ("an empty boundary", &["BODY", "BODYSTRUCTURE", "BODY.PEEK[1]", "BODY.PEEK[1.MIME]"], NO_TYPE),
    ("a long boundary", &["BODY", "BODYSTRUCTURE"], "It takes the end for the beginning of another part."),
    (
        "boundaries that begin like others",
        &["BODY", "BODYSTRUCTURE", "BODY.PEEK[2]"],
        "It takes `--aa--` for the boundary `a`.",
    ),
    (
        "a boundary that never comes",
        &["BODY", "BODYSTRUCTURE", "BODY.PEEK[1]"],
        "It loses the text: ours is in the only part.",
    ),
    (
        "an unclosed quote",
        &["BODY", "BODYSTRUCTURE", "BODY.PEEK[1]", "BODY.PEEK[1.MIME]", "BODY.PEEK[2]", "BODY.PEEK[2.MIME]"],
        GARBAGE,
    ),
    ("a type that is none", &["BODY", "BODYSTRUCTURE"], NO_TYPE),
    ("NULs", &["ENVELOPE"], GARBAGE),
    (
        "returns alone",
        &["ENVELOPE", "BODY.PEEK[HEADER.FIELDS (Subject From To)]", "BODY.PEEK[HEADER.FIELDS.NOT (Subject)]"],
        GARBAGE,
    ),
    (
        "a line's end across a smaller chunk",
        &["BODY.PEEK[HEADER]", "BODY.PEEK[1.MIME]", "BODY.PEEK[HEADER.FIELDS.NOT (Subject)]"],
        "It gives up, and closes the connection.",
    ),
    ("words that are none", &["ENVELOPE"], GARBAGE),
    ("50,000 addresses", &["ENVELOPE"], "We read the first 256 KB of a header."),
    ("groups in groups", &["ENVELOPE"], GARBAGE),
    ("routes", &["ENVELOPE"], GARBAGE),
    ("parameters", &["BODY", "BODYSTRUCTURE"], "It takes a kilobyte of parameters."),
    ("one parameter in pieces", &["BODY", "BODYSTRUCTURE"], "It takes two kilobytes of parameters."),
    ("names that are none", &["ENVELOPE"], "RFC 5322 section 4.5.8 has blanks before the colon."),
];

const GARBAGE: &str = "There is no right answer, and ours keeps more of what was said.";
const DEEP: &str = "We stop at a hundred levels as it does, and say how long the innermost part is.";
const NO_TYPE: &str = "What has no boundary or no type that can be read is text/plain, RFC 2045 section 5.2.";

/// A response's strings, atoms and parentheses, however each string was sent.
fn values(response: &[u8]) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = response;
    while let Some((&first, behind)) = rest.split_first() {
        match first {
            b' ' => rest = behind,
            b'(' | b')' => {
                values.push(char::from(first).to_string());
                rest = behind;
            }
            b'"' => {
                let mut string = vec![b'"'];
                let mut bytes = behind.iter();
                while let Some(&byte) = bytes.next().filter(|byte| **byte != b'"') {
                    string.push(if byte == b'\\' { *bytes.next().unwrap() } else { byte });
                }
                values.push(string.escape_ascii().to_string());
                rest = bytes.as_slice();
            }
            b'{' => {
                let close = behind.iter().position(|&byte| byte == b'}').unwrap();
                let length: usize = std::str::from_utf8(&behind[..close]).unwrap().parse().unwrap();
                let string = &behind[close + 3..close + 3 + length];
                values.push([b"\"", string].concat().escape_ascii().to_string());
                rest = &behind[close + 3 + length..];
            }
            _ => {
                let end = rest.iter().position(|byte| b" ()".contains(byte)).unwrap_or(rest.len());
                // What is asked for is repeated, in upper case or as it came.
                values.push(rest[..end].to_ascii_uppercase().escape_ascii().to_string());
                rest = &rest[end..];
            }
        }
    }
    values
}

/// All that a server says about each message. One that gives up is asked again from the next question on.
fn interview(server: SocketAddrV4, count: usize) -> Vec<Vec<String>> {
    let connect = || {
        let mut imap = Imap::connect(server, None);
        imap.login("bob");
        imap.ask("SELECT INBOX").ok();
        imap
    };
    let mut imap = connect();
    let mut ask = |number: usize, question: &str| {
        answer(&mut imap, number, question).unwrap_or_else(|| {
            imap = connect();
            "closed".to_owned()
        })
    };
    (1..=count).map(|number| QUESTIONS.iter().map(|question| ask(number, question)).collect()).collect()
}

/// None if the connection is closed.
fn answer(imap: &mut Imap, number: usize, question: &str) -> Option<String> {
    let tag = imap.begin(&format!("FETCH {number} ({question})"));
    let mut said = Vec::new();
    loop {
        let line = imap.try_bytes()?;
        if let Some(status) = line.strip_prefix(format!("{tag} ").as_bytes()) {
            said.push(String::from_utf8_lossy(status).split(' ').next().unwrap().to_owned());
            return Some(said.join(" "));
        }
        if line.windows(6).any(|part| part == b" FETCH") {
            said.extend(values(&line));
        }
    }
}

fn demo() -> Vec<(String, Vec<u8>)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/mail");
    let mut paths: Vec<_> = fs::read_dir(&own)
        .unwrap()
        .flat_map(|user| fs::read_dir(user.unwrap().path()).unwrap())
        .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| (format!("{}", path.strip_prefix(&own).unwrap().display()), fs::read(path).unwrap()))
        .collect()
}

/// Where two texts begin to differ.
fn difference(ours: &str, theirs: &str) -> String {
    let same = ours.bytes().zip(theirs.bytes()).take_while(|(one, other)| one == other).count();
    let from = same.saturating_sub(60);
    let shown = |text: &str| text.get(from..text.len().min(same + 120)).unwrap_or_default().to_owned();
    format!("from {same} on\n  ours:   {}\n  theirs: {}", shown(ours), shown(theirs))
}

#[test]
fn of_each_message_we_say_what_dovecot_says() {
    let test = "of_each_message_we_say_what_dovecot_says";
    if !root(test) || !installed(test, "dovecot") {
        return;
    }
    let letters = letters().into_iter().map(|(name, letter)| (name.to_owned(), letter));
    let all: Vec<(String, Vec<u8>)> = demo().into_iter().chain(letters).collect();
    let delivered = || {
        let site = Site::new();
        for (_, letter) in &all {
            site.deliver("bob", "", letter);
        }
        site
    };
    let server = delivered().start(SHARED);
    let dovecot = Dovecot::start(delivered());
    let ours = interview(server.site.imap_address(), all.len());
    let theirs = interview(dovecot.site.imap_address(), all.len());
    let mut unlawful = Vec::new();
    let mut used = vec![false; LAWFUL.len()];
    for (((name, _), ours), theirs) in all.iter().zip(&ours).zip(&theirs) {
        for ((question, ours), theirs) in QUESTIONS.iter().zip(ours).zip(theirs) {
            // What a part is that there is not has no answer: for us it is NIL. Which there are is in BODYSTRUCTURE.
            if ours == theirs || ours.contains("] NIL ") {
                continue;
            }
            let reason = LAWFUL.iter().position(|(of, at, _)| *of == *name && at.contains(question));
            match reason {
                Some(reason) => used[reason] = true,
                None => unlawful.push(format!("{name}: {question}: {}", difference(ours, theirs))),
            }
        }
    }
    assert!(unlawful.is_empty(), "{} differences:\n{}", unlawful.len(), unlawful.join("\n"));
    let unused: Vec<_> = LAWFUL.iter().zip(used).filter(|(_, used)| !used).collect();
    assert!(unused.is_empty(), "no difference any more: {unused:?}");
}
