//! How many clients there may be, of a user and in a process: counted exactly, whatever happens at once.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Barrier;
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tests::{Imap, PRIVATE, SHARED, Server, Site, User, until};

const EXCEEDED: &str = "Maximum number of connections from user+IP exceeded (mail_max_userip_connections=";

fn one_more_is_refused(settings: &str) {
    let server = Server::start(settings);
    let mut clients: Vec<Imap> = (0..10).map(|_| server.login("alice")).collect();
    let mut eleventh = server.imap();
    assert_eq!(eleventh.try_login("alice").status, format!("NO [LIMIT] {EXCEEDED}10)"));
    assert_eq!(eleventh.try_login("alice").status, format!("NO [LIMIT] {EXCEEDED}10)"));
    let line = server.wait_for_log(EXCEEDED);
    assert!(line.contains("imap: alice, 127.0.0.1: refused, 10 connections are there"), "{line}");

    // From elsewhere, another user, and another protocol are counted apart.
    let mut elsewhere = server.imap_from(Ipv4Addr::new(127, 0, 0, 2));
    elsewhere.login("alice");
    server.login("bob");
    let pop3: Vec<_> = (0..3).map(|_| server.pop3_login("bob")).collect();
    assert_eq!(server.pop3().try_login("bob"), format!("-ERR [IN-USE] {EXCEEDED}3)"));
    drop(pop3);

    // One that leaves makes room for one, and for no more.
    clients.pop().unwrap().ask("LOGOUT").ok();
    server.wait_for_sessions_of("alice", 10);
    eleventh.login("alice");
    let reply = server.imap().try_login("alice");
    assert!(reply.status.starts_with("NO [LIMIT]"), "{reply:?}");
    for client in &mut clients {
        client.ask("NOOP").ok();
    }
}

#[test]
fn one_more_than_a_user_may_have_is_refused_where_processes_are_shared() {
    one_more_is_refused(SHARED);
}

#[test]
fn one_more_than_a_user_may_have_is_refused_where_each_has_a_process() {
    one_more_is_refused(PRIVATE);
}

#[test]
fn who_has_said_goodbye_may_come_back_at_once() {
    let server = Server::start(&format!("{PRIVATE}mail_max_userip_connections = 1\n"));
    for _ in 0..40 {
        let mut alice = server.pop3();
        alice.login("alice");
        assert_eq!(alice.ask("QUIT"), "+OK Logging out.");
    }
}

#[test]
fn a_user_who_has_just_logged_in_by_pop3_has_to_wait() {
    let server = Server::start("mail_process_per_connection = no\npop3_login_delay = 1 hour\n");
    let mut alice = server.pop3();
    assert!(alice.list("CAPA").contains(&"LOGIN-DELAY 3600".to_owned()));
    assert_eq!(alice.try_login("nobody"), "-ERR [AUTH] Authentication failed.");
    alice.login("alice");
    assert!(alice.list("CAPA").contains(&"LOGIN-DELAY 3600".to_owned()));
    assert_eq!(alice.ask("QUIT"), "+OK Logging out.");
    let mut again = server.pop3();
    for _ in 0..2 {
        let answer = again.try_login("alice");
        assert!(answer.starts_with("-ERR [LOGIN-DELAY] You may log in again in 3"), "{answer}");
    }
    // Nobody else has to, and not in IMAP.
    again.login("bob");
    server.login("alice");
    server.login("alice");
}

fn of_eleven_at_once_one_is_refused(settings: &str) {
    let server = Server::start(settings);
    for round in 0..5 {
        let start = Barrier::new(11);
        let attempts = thread::scope(|scope| {
            let attempt = || {
                let mut client = server.imap();
                start.wait();
                let status = client.try_login("alice").status;
                (client, status)
            };
            let threads: Vec<_> = (0..11).map(|_| scope.spawn(attempt)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let (taken, refused): (Vec<_>, Vec<_>) =
            attempts.iter().partition(|(_, status)| status.starts_with("OK"));
        assert_eq!((taken.len(), refused.len()), (10, 1), "round {round}: {attempts:?}");
        assert!(refused[0].1.starts_with("NO [LIMIT]"), "{refused:?}");
        assert_eq!(server.who().len(), 10);
        drop(attempts);
        server.wait_for_sessions(0);
    }
}

#[test]
fn of_eleven_logins_at_once_exactly_one_is_refused_where_processes_are_shared() {
    of_eleven_at_once_one_is_refused(SHARED);
}

#[test]
fn of_eleven_logins_at_once_exactly_one_is_refused_where_each_has_a_process() {
    of_eleven_at_once_one_is_refused(PRIVATE);
}

fn crowd(users: u32) -> Site {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    Site::with_users((1..=users).map(|number| User::new(&format!("u{number}"), 20_000 + number)))
}

/// The client of a number: of each user five, two of them from the same address.
fn member(server: &Server, number: u32) -> Imap {
    let (user, turn) = (number % 200 + 1, number / 200);
    let mut client =
        server.imap_from(Ipv4Addr::new(127, 0, 1, u8::try_from(user % 50 * 4 + turn % 4 + 1).unwrap()));
    client.login(&format!("u{user}"));
    client
}

fn thousand(most: u64, workers: usize) {
    let server = crowd(200).start(&format!("{SHARED}mail_max_connections = {most}\n"));
    let mut clients: Vec<Imap> = thread::scope(|scope| {
        let server = &server;
        let half = |part: u32| move || (0..500).map(|n| member(server, n * 2 + part)).collect::<Vec<_>>();
        let threads = [scope.spawn(half(0)), scope.spawn(half(1))];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let who = server.who();
    assert_eq!(who.len(), 1000);
    let mut by_user = BTreeMap::new();
    let mut by_worker = BTreeMap::new();
    for row in &who {
        *by_user.entry(row["user"].to_string()).or_insert(0) += 1;
        *by_worker.entry(row["worker"].as_u64().unwrap()).or_insert(0u64) += 1;
    }
    assert_eq!(by_user.len(), 200);
    assert!(by_user.values().all(|count| *count == 5), "{by_user:?}");
    assert_eq!(by_worker.len(), workers, "{by_worker:?}");
    let status = server.status("worker");
    for row in &status {
        let counted = by_worker.get(&row["pid"].as_u64().unwrap()).copied().unwrap_or(0);
        assert_eq!(
            (row["clients"].as_u64(), row["clients_own"].as_u64()),
            (Some(counted), Some(counted)),
            "{row}"
        );
        assert!(counted <= most, "{row}");
    }
    assert!(server.status("difference").is_empty());
    assert_eq!(server.status("master")[0]["sessions"], 1000);

    // Those who come take the places of those who went, in the emptiest process first.
    clients.truncate(900);
    server.wait_for_sessions(900);
    clients.extend((0..100).map(|number| member(&server, number)));
    let counts: Vec<u64> =
        server.status("worker").iter().map(|row| row["clients"].as_u64().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u64>(), 1000);
    assert!(counts.iter().all(|count| *count <= most), "{counts:?}");
    drop(clients);
    server.wait_for_sessions(0);
}

#[test]
fn a_thousand_clients_of_two_hundred_users_are_twenty_in_a_process() {
    thousand(20, 50);
}

#[test]
fn a_thousand_clients_of_two_hundred_users_are_all_in_one_process() {
    thousand(1000, 1);
}

#[test]
fn the_next_client_goes_to_the_process_with_the_fewest() {
    let server = crowd(20).start(&format!("{SHARED}mail_max_connections = 4\n"));
    let mut clients: Vec<(u32, Imap)> =
        (1..=12).map(|user| (user, server.login(&format!("u{user}")))).collect();
    let place = |user: u32| {
        let name = format!("u{user}");
        server.who().iter().find(|row| row["user"] == name.as_str()).unwrap()["worker"].as_u64().unwrap()
    };
    let mut places: Vec<u64> = (1..=12).map(place).collect();
    places.sort_unstable();
    let counts: Vec<usize> = places.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
    assert_eq!(counts, [4, 4, 4]);
    // Three leave the process of the first client, one leaves that of the last.
    let (first, last) = (place(1), place(12));
    for (from, leave) in [(first, 3), (last, 1)] {
        let leaving: Vec<u32> =
            clients.iter().map(|(user, _)| *user).filter(|user| place(*user) == from).take(leave).collect();
        clients.retain(|(user, _)| !leaving.contains(user));
    }
    server.wait_for_sessions(8);
    let mut went = Vec::new();
    for user in 13..=16 {
        clients.push((user, server.login(&format!("u{user}"))));
        went.push(place(user));
    }
    // The first has one client and the last three, so that two go to the first before they are even.
    assert_eq!(went.iter().filter(|pid| **pid == first).count(), 3, "{went:?}");
    assert_eq!(went[..2], [first, first]);
    assert!(went.contains(&last));
}

#[test]
fn where_no_more_processes_may_be_a_client_is_refused_and_can_try_again() {
    for settings in [format!("{SHARED}mail_max_connections = 1\n"), PRIVATE.to_owned()] {
        let server = Server::start(&format!("{settings}protocols = imap\nmax_mail_processes = 2\n"));
        let mut alice = server.login("alice");
        let mut bob = server.login("bob");
        let mut carol = server.imap();
        assert_eq!(
            carol.try_login("carol").status,
            "NO [UNAVAILABLE] Too many mail processes, try again later"
        );
        assert!(server.log().contains("max_mail_processes = 2 is reached"));
        alice.ask("LOGOUT").ok();
        until("carol to be taken", || carol.try_login("carol").status.starts_with("OK").then_some(()));
        carol.ask("NOOP").ok();
        bob.ask("NOOP").ok();
    }
}
