//! How the time of commands grows from a mailbox of 10,000 messages to one of 100,000, and what another user in the same
//! worker waits meanwhile: `make bench`.
//!
//! Ten times is as it should be. NOOP is asked for as often as it is answered, so that the longest turn shows.
#![allow(clippy::unwrap_used)]

use std::thread;
use std::time::{Duration, Instant};

use tests::{Imap, SHARED, Server, Site, User};

fn main() {
    let users = ["few", "many", "neighbour"].iter().zip(20_001..).map(|(name, uid)| User::new(name, uid));
    let server = Site::with_users(users).start(SHARED);
    for (user, count) in [("few", FEW), ("many", MANY)] {
        for number in 0..count {
            server.site.deliver(user, "", format!("{HEADER}Subject: number {number}\n\n{number}\n"));
        }
    }
    let mut neighbour = server.login("neighbour");
    neighbour.ask("SELECT INBOX").ok();
    let mut clients = [(server.login("few"), FEW), (server.login("many"), MANY)];
    for (what, command) in COMMANDS {
        let [few, many] = clients.each_mut().map(|(client, count)| {
            let command = command.replace("TENTH", &(*count / 10).to_string());
            beside(&mut neighbour, move || client.ask(&command).ok())
        });
        report(what, few, many);
    }
    drop(clients);
    for (what, command) in POP3_COMMANDS {
        let [few, many] = ["few", "many"].map(|user| pop3(&server, &mut neighbour, user, command));
        report(what, few, many);
    }
}

/// In a session of its own.
fn pop3(server: &Server, neighbour: &mut Imap, user: &str, command: &str) -> Times {
    let mut client = server.pop3_login(user);
    let times = beside(neighbour, || match command {
        "STAT" => drop(client.ask(command)),
        _ => drop(client.list(command)),
    });
    client.ask("QUIT");
    times
}

/// How long something took, and how long each NOOP meanwhile.
type Times = (Duration, Vec<Duration>);

fn beside<T: Send>(neighbour: &mut Imap, work: impl FnOnce() -> T + Send) -> Times {
    thread::scope(|scope| {
        let started = Instant::now();
        let working = scope.spawn(move || {
            work();
            started.elapsed()
        });
        let mut noops = Vec::new();
        while !working.is_finished() {
            let started = Instant::now();
            neighbour.ask("NOOP").ok();
            noops.push(started.elapsed());
        }
        (working.join().unwrap(), noops)
    })
}

fn report(what: &str, few: Times, many: Times) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let growth = many.0.as_secs_f64() / few.0.as_secs_f64();
    let mut noops = many.1;
    noops.sort_unstable();
    let slow = noops.get(noops.len() * 99 / 100).copied().unwrap_or_default();
    println!(
        "{what}: {:.1} ms of {FEW}, {:.1} ms of {MANY}, {growth:.1} times; NOOP beside it, 99 of 100: {:.2} ms (n={})",
        milliseconds(few.0),
        milliseconds(many.0),
        milliseconds(slow),
        noops.len()
    );
}

const FEW: u32 = 10_000;
const MANY: u32 = 100_000;
/// TENTH stands for a tenth of the messages.
const COMMANDS: [(&str, &str); 16] = [
    ("SELECT for the first time", "SELECT INBOX"),
    ("SELECT", "SELECT INBOX"),
    ("STATUS", "STATUS INBOX (MESSAGES UNSEEN)"),
    ("FETCH of flags", "FETCH 1:* (FLAGS)"),
    ("FETCH of envelopes for the first time", "UID FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE)"),
    ("FETCH of envelopes", "UID FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE)"),
    ("SEARCH TEXT", "SEARCH TEXT absent"),
    ("SEARCH SINCE for the first time", "SEARCH SINCE 1-Jan-2026"),
    ("SEARCH SINCE", "SEARCH SINCE 1-Jan-2026"),
    ("STORE of a flag", r"STORE 1:* +FLAGS.SILENT (\Flagged)"),
    ("CREATE", "CREATE Copies"),
    ("COPY of a tenth", "COPY 1:TENTH Copies"),
    ("STORE of a tenth", r"STORE 1:TENTH +FLAGS.SILENT (\Deleted)"),
    ("EXPUNGE of a tenth", "EXPUNGE"),
    ("DELETE of a tenth", "DELETE Copies"),
    ("UNSELECT", "UNSELECT"),
];
const POP3_COMMANDS: [(&str, &str); 3] = [("STAT", "STAT"), ("LIST", "LIST"), ("UIDL", "UIDL")];
const HEADER: &str = "Date: Mon, 09 Nov 2026 10:00:00 +0000\nFrom: Alice <alice@example.org>\nTo: Bob <bob@example.org>\n\
    Message-ID: <bench@example.org>\n";
