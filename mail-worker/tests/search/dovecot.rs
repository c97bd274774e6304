//! Dovecot and we search one Maildir, and find the same.

use std::path::Path;
use std::process::Command;

use tests::as_nobody;
use tests::dovecot::{IMAP, configuration};

use super::mail::MAIL;
use super::{Place, Session};

impl Place {
    /// A session of Dovecot's, INBOX selected.
    fn dovecots_session(&self) -> Session {
        let location = format!("maildir:{}/Maildir:INDEX=MEMORY", self.home.display());
        let conf = configuration(&self.home, &location);
        let mut command = Command::new(IMAP);
        command.arg("-c").arg(conf).env_clear().env("USER", "me").env("HOME", &self.home).env("TZ", "UTC");
        Session::new(command)
    }
}

#[test]
fn dovecot_finds_the_same() {
    let name = "dovecot::dovecot_finds_the_same";
    if !Path::new(IMAP).exists() {
        tests::skipped(name, "no Dovecot (dovecot-imapd)");
        return;
    }
    as_nobody(name, || {
        let place = Place::new(MAIL);
        let (mut ours, mut theirs) = (place.session(), place.dovecots_session());
        let mut differences = Vec::new();
        for keys in queries() {
            let (found, expected) = (ours.search(&keys), theirs.search(&keys));
            if found != expected {
                differences.push(format!("{keys}: {found:?}, and Dovecot {expected:?}"));
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    });
}

/// Each test with each word, and some together.
fn queries() -> Vec<String> {
    let words = [
        "e",
        "hello",
        "World.",
        "Straße",
        "STRASSE",
        "ärger",
        "arger",
        "café",
        "cafe",
        "müde",
        "innerbody",
        "innersubject",
        "partheader",
        "preambleword",
        "epilogueword",
        "base64",
        "markup",
        "<p>",
        "digested",
        "nobody@example",
        "picture",
        "привет",
        "こんにちは",
        "hidden",
        "text/html",
        "Subject:",
        "naïve",
        "ve, and",
        "soft break",
        "folded",
        "müde folded",
        "header at all",
        "second",
        "utf-8",
        "=?",
        "without a type",
        "boundary",
        "nul ",
        " byte",
    ];
    let mut queries: Vec<String> = words
        .iter()
        .flat_map(|word| ["BODY", "TEXT", "SUBJECT", "NOT TEXT"].map(|key| format!("{key} \"{word}\"")))
        .collect();
    for day in 1..=7 {
        for key in ["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"] {
            queries.push(format!("{key} {day}-Jan-2024"));
        }
    }
    for size in [0, 1, 22, 60, 100, 200, 300, 400, 500, 1000] {
        queries.push(format!("LARGER {size}"));
        queries.push(format!("SMALLER {size}"));
    }
    let others = [
        "ALL",
        "ANSWERED",
        "DELETED",
        "DRAFT",
        "FLAGGED",
        "SEEN",
        "UNSEEN",
        "KEYWORD x",
        "UNKEYWORD x",
        "1:3,5",
        "*",
        "100",
        "UID 3:5",
        "UID *",
        "FROM john",
        "FROM ann@example.org",
        "FROM \"doe, john\"",
        "FROM \"jürgen\"",
        "FROM \"müller <jm\"",
        "TO bob",
        "TO alice@example.net",
        "CC carol",
        "BCC secret",
        "HEADER X-Spam y",
        "HEADER X-Spam \"\"",
        "HEADER X-Empty \"\"",
        "HEADER X-Part \"\"",
        "HEADER Date Jan",
        "NOT HEADER Date \"\"",
        "BODY \"\"",
        "TEXT \"\"",
        "SUBJECT \"\"",
        "OR SEEN BODY text",
        "OR (FROM x BODY draft) (NOT TEXT e)",
        "UNSEEN SUBJECT d BODY text",
        "CHARSET UTF-8 SUBJECT \"café\"",
        "CHARSET US-ASCII BODY hello",
        "UNSEEN NOT SUBJECT e",
        "OR OR SEEN DRAFT DELETED",
    ];
    queries.extend(others.map(str::to_owned));
    queries
}
