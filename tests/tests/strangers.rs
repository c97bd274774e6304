//! Those who have not logged in: how many there may be, how long they wait when they guess, and what the log says.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{Ipv4Addr, TcpStream};
use std::time::Instant;

use nix::sys::signal::Signal;
use tests::server::process;
use tests::{Imap, PRIVATE, Pop3, SHARED, Server, until};

const EACH: &str = "login_process_per_connection = yes\n";
const CROWDED: &str = "* BYE Too many connections from your address.";

fn host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, number)
}

fn wrong(client: &mut Imap, user: &str) -> String {
    client.ask(&format!("LOGIN {user} wrong")).status
}

/// Waits until one may come from there again.
fn welcome(server: &Server, from: Ipv4Addr) -> Imap {
    until("one to be welcome", || {
        let mut client = server.imap_from(from);
        client.send(b"x NOOP\r\n");
        client.try_line().filter(|line| line.starts_with("x OK")).map(|_| client)
    })
}

#[test]
fn one_too_many_from_an_address_is_told_so_and_nobody_else_is_disturbed() {
    for settings in [SHARED.to_owned(), format!("{PRIVATE}{EACH}")] {
        let server = Server::start(&format!("{settings}login_max_connections_per_ip = 3\n"));
        let mut clients: Vec<Imap> = (0..3).map(|_| server.imap_from(host(2))).collect();
        assert_eq!(server.imap_from(host(2)).rest(), [CROWDED]);
        let mut pop3 = Pop3::connect(server.site.pop3_address(), Some(host(2)));
        assert_eq!(pop3.rest(), ["-ERR [SYS/TEMP] Too many connections from your address."]);
        server.imap_from(host(3)).login("bob");
        for client in &mut clients {
            client.ask("NOOP").ok();
        }
        // Who logs in makes room, and so does who leaves.
        clients.remove(0).login("alice");
        let _one = welcome(&server, host(2));
        drop(clients.pop());
        let _other = welcome(&server, host(2));
        assert_eq!(server.imap_from(host(2)).rest(), [CROWDED]);
        let line = server.wait_for_log("Too many connections from this address");
        let end = format!(": rip=127.0.0.2, lip={}", server.site.imap_address().ip());
        assert!(
            line.contains("Info: imap-login: Disconnected: Too many connections from this address (no"),
            "{line}"
        );
        assert!(line.ends_with(&end), "{line}");
    }
}

#[test]
fn a_login_process_that_dies_takes_its_count_along() {
    let server = Server::start(&format!("{SHARED}protocols = imap\nlogin_max_connections_per_ip = 2\n"));
    let _clients = [server.imap_from(host(2)), server.imap_from(host(2))];
    assert_eq!(server.imap_from(host(2)).rest(), [CROWDED]);
    process(&server.status("login")[0]["pid"]).signal(Signal::SIGKILL);
    welcome(&server, host(2)).login("alice");
}

#[test]
fn a_trusted_network_has_no_limit() {
    let server = Server::start(&format!(
        "{SHARED}login_max_connections_per_ip = 1\nlogin_trusted_networks = 127.0.0.8/29 ::1\n"
    ));
    let mut clients: Vec<Imap> = (0..5).map(|_| server.imap_from(host(9))).collect();
    for client in &mut clients {
        client.ask("NOOP").ok();
    }
    let _one = server.imap_from(host(7));
    assert_eq!(server.imap_from(host(7)).rest(), [CROWDED]);
}

#[test]
fn when_there_are_too_many_in_all_the_oldest_makes_room() {
    for settings in [SHARED.to_owned(), format!("{PRIVATE}{EACH}")] {
        let server = Server::start(&format!("{settings}login_max_connections_total = 3\n"));
        let mut clients: Vec<Imap> = (1..=3).map(|number| server.imap_from(host(number))).collect();
        let mut fourth = server.imap_from(host(4));
        assert_eq!(clients[0].rest(), ["* BYE Too many connections, try again later."]);
        fourth.login("alice");
        clients[1].login("bob");
        clients[2].login("carol");
    }
}

#[test]
fn a_user_has_a_limit_over_all_addresses_and_so_have_all_together() {
    let server =
        Server::start(&format!("{SHARED}mail_max_user_connections = 2\nmail_max_connections_total = 4\n"));
    let mut clients: Vec<Imap> = (1..=3).map(|number| server.imap_from(host(number))).collect();
    clients[0].login("alice");
    clients[1].login("alice");
    let text = "Maximum number of connections from user exceeded (mail_max_user_connections=2)";
    assert_eq!(clients[2].try_login("alice").status, format!("NO [LIMIT] {text}"));
    let line = server.wait_for_log(text);
    assert!(line.contains("imap: alice, 127.0.0.3: refused, 2 connections are there"), "{line}");
    clients[2].login("bob");
    let pop3 = server.pop3_login("alice");
    let mut fifth = server.imap();
    let text = "NO [UNAVAILABLE] Too many connections, try again later";
    assert_eq!(fifth.try_login("carol").status, text);
    server.wait_for_log("imap: carol, 127.0.0.1: refused, 4 connections are there: Too many connections");
    drop(pop3);
    until("room for carol", || fifth.try_login("carol").status.starts_with("OK").then_some(()));
}

/// Every failure is counted before its answer is held back, so that no test has to wait for one.
const HOURS: &str = "auth_failure_delay = 1 hour\n";

/// Somebody guesses from there, and does not wait for the answer.
fn guess(server: &Server, from: Ipv4Addr, user: &str, password: &str) {
    let before = server.log().matches("password mismatch").count();
    let mut client = server.imap_from(from);
    client.begin(&format!("LOGIN {user} {password}"));
    until("the guess to be wrong", || {
        (server.log().matches("password mismatch").count() > before).then_some(())
    });
}

/// A right password is not answered from `slow`, and is from `quick`.
fn is_held_back(server: &Server, user: &str, slow: Ipv4Addr, quick: Ipv4Addr) {
    let mut waits = server.imap_from(slow);
    waits.begin(&format!("LOGIN {user} secret"));
    // Auth answers in the order of the questions, where it answers at once.
    server.imap_from(quick).login(user);
    assert!(!server.log().contains(&format!("Login: user=<{user}>, method=PLAIN, rip={slow},")));
}

#[test]
fn a_right_password_waits_where_somebody_guesses_also_when_auth_was_restarted() {
    let server = Server::start(&format!("{SHARED}{HOURS}"));
    for (user, password) in [("alice", "one"), ("alice", "two"), ("bob", "three")] {
        guess(&server, host(66), user, password);
    }
    is_held_back(&server, "carol", host(66), host(3));
    // The guesser's clients have gone, so that nothing is asked again.
    let auth = server.only("auth");
    auth.signal(Signal::SIGKILL);
    until("another auth", || server.status("auth").iter().any(|row| row["pid"] != auth.pid).then_some(()));
    is_held_back(&server, "bob", host(66), host(3));
}

#[test]
fn who_is_tried_from_everywhere_gets_in_from_where_he_has_been_lately() {
    let server = Server::start(&format!("{SHARED}{HOURS}"));
    server.imap_from(host(2)).login("alice");
    for number in 100..110 {
        guess(&server, host(number), "alice", "wrong");
    }
    is_held_back(&server, "alice", host(3), host(2));
}

#[test]
fn who_is_unknown_and_who_is_wrong_look_the_same() {
    let server = Server::start(SHARED);
    let (mut one, mut other) = (server.imap(), server.imap());
    assert_eq!(wrong(&mut one, "alice"), wrong(&mut other, "nobody"));
    assert_eq!(
        server.pop3().ask("AUTH PLAIN AGFsaWNlAHdyb25n"),
        server.pop3().ask("AUTH PLAIN AG5vYm9keQB3cm9uZw==")
    );
    let lip = server.site.imap_address().ip().to_owned();
    for (user, why) in [("alice", "password mismatch"), ("nobody", "unknown user")] {
        let line = format!("Login failed ({why}): user=<{user}>, method=PLAIN, rip=127.0.0.1, lip={lip}");
        assert!(server.wait_for_log(&line).ends_with(&format!("Info: imap-login: {line}")));
    }
}

#[test]
fn too_many_attempts_in_a_minute_are_not_looked_at() {
    let server = Server::start(&format!("{SHARED}auth_max_attempts_per_minute = 3\n"));
    let mut client = server.imap_from(host(5));
    for _ in 0..3 {
        assert!(wrong(&mut client, "alice").starts_with("NO [AUTHENTICATIONFAILED]"));
    }
    assert_eq!(
        client.try_login("alice").status,
        "NO [UNAVAILABLE] Too many login attempts, try again later."
    );
    let mut pop3 = Pop3::connect(server.site.pop3_address(), Some(host(5)));
    assert_eq!(pop3.try_login("alice"), "-ERR [SYS/TEMP] Too many login attempts, try again later.");
    for _ in 0..10 {
        server.imap_from(host(6)).login("alice");
        server.wait_for_sessions(0);
    }
}

#[test]
fn who_comes_and_goes_fills_no_log_and_hides_nobody_who_guesses() {
    let server = Server::start(&format!("{SHARED}protocols = imap\nlogin_processes_count = 1\n"));
    let begin = Instant::now();
    for _ in 0..3000 {
        drop(TcpStream::connect(server.site.imap_address()).unwrap());
    }
    wrong(&mut server.imap_from(host(2)), "nobody");
    server.wait_for_log("Login failed (unknown user): user=<nobody>, method=PLAIN, rip=127.0.0.2");
    let lines = server.log().matches("no auth attempts").count();
    let seconds = usize::try_from(begin.elapsed().as_secs()).unwrap();
    assert!((100..=100 * (seconds + 2)).contains(&lines), "{lines} lines in {seconds} s");
}

#[test]
fn a_login_whose_client_went_before_it_was_sent_away_is_no_error() {
    let server = Server::start(&format!("{PRIVATE}{EACH}login_max_connections_per_ip = 1\n"));
    let _first = server.imap_from(host(2));
    for _ in 0..300 {
        drop(server.imap_from(host(2)));
    }
    server.imap_from(host(3)).login("bob");
    let log = server.log();
    assert!(!log.contains("Broken pipe"), "{log}");
}
