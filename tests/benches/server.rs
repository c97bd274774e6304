//! Figures of the whole server, shared workers, users with uids of their own where it runs as root: `make bench`.
//!
//! One line each: what, the figure, its unit, and of how many. They are of this machine, and of this minute.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use tests::{Imap, SHARED, Server, Site, User};

fn main() {
    let users = (1..=USERS).map(|number| User::new(&format!("u{number}"), 20_000 + number));
    let settings = format!("{SHARED}mail_max_connections = 1000\nmax_mail_processes = 1000\n");
    let server = Site::with_users(users).start(&settings);
    logins(&server);
    fetch(&server);
    wake_up(&server);
    noop(&server);
    search(&server);
    append(&server);
    idle(&server);
}

/// Connect, log in, log out.
fn logins(server: &Server) {
    let before = processor(server);
    let started = Instant::now();
    thread::scope(|scope| {
        for number in 0..THREADS {
            scope.spawn(move || {
                for turn in 0..LOGINS / THREADS {
                    client(server, number * 1000 + turn).ask("LOGOUT").ok();
                }
            });
        }
    });
    figure("logins", f64::from(LOGINS) / started.elapsed().as_secs_f64(), "a second", LOGINS);
    let spent = (processor(server) - before) / f64::from(LOGINS);
    figure("a login, of all processors", spent * 1000.0, "ms", LOGINS);
}

/// What a client that shows a folder asks for.
fn fetch(server: &Server) {
    for number in 0..MESSAGES {
        server.site.deliver("u3", "", format!("{HEADER}Subject: number {number}\n\n{number}\n"));
    }
    let mut client = server.login("u3");
    client.ask("SELECT INBOX").ok();
    let times = (0..FETCHES).map(|_| {
        let started = Instant::now();
        client.ask("FETCH 1:* (FLAGS UID RFC822.SIZE ENVELOPE)").ok();
        started.elapsed()
    });
    median("FETCH of the envelopes of 2,000 messages", times.collect());
}

/// From the delivery of a message until a client in IDLE is told.
fn wake_up(server: &Server) {
    let mut client = server.login("u1");
    client.ask("SELECT INBOX").ok();
    let tag = client.idle();
    let times = (0..DELIVERIES).map(|_| {
        // So that it sleeps.
        thread::sleep(Duration::from_millis(20));
        let started = Instant::now();
        server.site.deliver("u1", "", "Subject: new\n\nnew\n");
        while !client.line().ends_with(" EXISTS") {}
        started.elapsed()
    });
    median("from a delivery to EXISTS", times.collect());
    client.done(&tag).ok();
}

fn noop(server: &Server) {
    let mut client = server.login("u2");
    client.ask("SELECT INBOX").ok();
    let times = (0..NOOPS).map(|_| {
        let started = Instant::now();
        client.ask("NOOP").ok();
        started.elapsed()
    });
    median("NOOP", times.collect());
}

/// What a client that looks for a word waits, and a neighbour of it meanwhile.
fn search(server: &Server) {
    let line = "The quick brown fox jumps over the lazy dog, and then it sleeps till noon.\n";
    for number in 0..MESSAGES {
        let text = line.repeat(250);
        server.site.deliver("u4", "", format!("{HEADER}Subject: number {number}\n\n{text}"));
    }
    let mut client = server.login("u4");
    client.ask("SELECT INBOX").ok();
    let mut neighbour = server.login("u5");
    neighbour.ask("SELECT INBOX").ok();
    let times = (0..SEARCHES).map(|_| {
        let started = Instant::now();
        client.ask("SEARCH TEXT absent").ok();
        started.elapsed()
    });
    median("SEARCH TEXT of 2,000 messages of 19 KB", times.collect());
    let searching = thread::spawn(move || {
        for _ in 0..SEARCHES * 10 {
            client.ask("SEARCH TEXT absent").ok();
        }
    });
    let mut times = Vec::new();
    while !searching.is_finished() {
        let started = Instant::now();
        neighbour.ask("NOOP").ok();
        times.push(started.elapsed());
    }
    searching.join().unwrap();
    median("NOOP beside SEARCH TEXT", times);
}

/// What it costs to save a message, and a neighbour of whoever does it waits meanwhile.
fn append(server: &Server) {
    let text =
        format!("{HEADER}Subject: saved\n\n{}", "All work and no play.\n".repeat(100)).replace('\n', "\r\n");
    let command = format!("APPEND INBOX {{{}+}}\r\n{text}", text.len());
    let mut client = server.login("u6");
    let mut neighbour = server.login("u7");
    neighbour.ask("SELECT INBOX").ok();
    let before = processor(server);
    let times = (0..APPENDS).map(|_| {
        let started = Instant::now();
        client.ask(&command).ok();
        started.elapsed()
    });
    median("APPEND of 2 KB", times.collect());
    let spent = (processor(server) - before) / f64::from(APPENDS);
    figure("APPEND of 2 KB, of all processors", spent * 1000.0, "ms", APPENDS);
    let saving = thread::spawn(move || {
        for _ in 0..APPENDS {
            client.ask(&command).ok();
        }
    });
    let mut times = Vec::new();
    while !saving.is_finished() {
        let started = Instant::now();
        neighbour.ask("NOOP").ok();
        times.push(started.elapsed());
    }
    saving.join().unwrap();
    median("NOOP beside APPEND", times);
}

/// Seconds that all processes have spent on processors.
fn processor(server: &Server) -> f64 {
    let of = |pid: u32| {
        let schedstat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
        schedstat.split(' ').next()?.parse::<f64>().ok()
    };
    let all = server.master().descendants();
    all.iter().filter_map(|process| of(process.pid)).sum::<f64>() / 1e9
}

/// What one more client in IDLE costs all processes together.
fn idle(server: &Server) {
    let mut clients = Vec::new();
    let memory = IDLE.map(|count| {
        while clients.len() < usize::try_from(count).unwrap() {
            let mut client = client(server, u32::try_from(clients.len()).unwrap());
            client.ask("SELECT INBOX").ok();
            client.idle();
            clients.push(client);
        }
        thread::sleep(Duration::from_secs(2));
        kilobytes(server)
    });
    let [few, many] = IDLE.map(f64::from);
    figure("one more connection in IDLE", (memory[1] - memory[0]) / (many - few), "KB", IDLE[1]);
    figure("all connections in IDLE, each", memory[1] / many, "KB", IDLE[1]);
}

/// One of many users, from one of many addresses.
fn client(server: &Server, number: u32) -> Imap {
    let [_, b, c, d] = (number / USERS + 0x0201).to_be_bytes();
    let mut client = server.imap_from(Ipv4Addr::new(127, b, c, d));
    client.login(&format!("u{}", number % USERS + 1));
    client
}

/// The memory of all processes, shared pages counted once.
fn kilobytes(server: &Server) -> f64 {
    let of = |pid: u32| {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    };
    let all = server.master().descendants();
    all.iter().map(|process| process.pid).chain([server.master().pid]).filter_map(of).sum()
}

fn median(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let of_100 = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1000.0;
    let count = u32::try_from(times.len()).unwrap();
    figure(&format!("{what}, median"), of_100(50), "ms", count);
    figure(&format!("{what}, 99 of 100"), of_100(99), "ms", count);
}

fn figure(what: &str, value: f64, unit: &str, of: u32) {
    println!("{what}: {value:.3} {unit} (n={of})");
}

const USERS: u32 = 200;
const THREADS: u32 = 4;
const LOGINS: u32 = 4000;
const MESSAGES: u32 = 2000;
const FETCHES: u32 = 10;
const SEARCHES: u32 = 10;
const DELIVERIES: u32 = 100;
const NOOPS: u32 = 10_000;
const APPENDS: u32 = 1000;
const IDLE: [u32; 2] = [200, 1000];
const HEADER: &str = "Date: Mon, 09 Nov 2026 10:00:00 +0000\nFrom: Alice <alice@example.org>\nTo: Bob <bob@example.org>\n\
    Message-ID: <bench@example.org>\n";
