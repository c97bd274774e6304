//! A configuration that is read again: nobody is cut off, the new ones get the new settings, and a faulty one changes
//! nothing.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::net::{SocketAddrV4, TcpListener, TcpStream};

use nix::sys::signal::Signal;
use tests::{Imap, PRIVATE, SHARED, Server, Site, until};

/// Has the server reload by the signal, and waits until that generation is in force.
fn hang_up(server: &Server, settings: &str, generation: u32) {
    server.site.configure(settings);
    server.master().signal(Signal::SIGHUP);
    server.wait_for_log(&format!("the configuration was read again, generation {generation}"));
}

fn idle_clients(server: &Server, count: usize) -> Vec<(Imap, String)> {
    let idle = |number: usize| {
        let user = ["alice", "bob", "carol"][number % 3];
        let mut client = server.imap_from([127, 0, 2, u8::try_from(number / 20 + 1).unwrap()].into());
        client.login(user);
        client.ask("SELECT INBOX").ok();
        let tag = client.idle();
        (client, tag)
    };
    (0..count).map(idle).collect()
}

/// They are told of a message, and can go on.
fn all_still_there(server: &Server, clients: &mut [(Imap, String)], messages: usize) {
    for user in ["alice", "bob", "carol"] {
        server.site.deliver(user, "", "Subject: news\n\n");
    }
    for (client, tag) in clients {
        while client.line() != format!("* {messages} EXISTS") {}
        client.done(tag).ok();
        client.ask("NOOP").ok();
        *tag = client.idle();
    }
}

fn nobody_is_cut_off(settings: &str) {
    let server = Server::start(settings);
    let mut clients = idle_clients(&server, 100);
    all_still_there(&server, &mut clients, 1);
    for generation in 2..=3 {
        let settings = format!("{settings}login_greeting = Generation {generation}.\n");
        hang_up(&server, &settings, generation);
        assert_eq!(server.who().len(), 100);
        let mut new = server.imap();
        assert!(new.greeting.ends_with(&format!("] Generation {generation}.")), "{}", new.greeting);
        new.login("alice");
        all_still_there(&server, &mut clients, usize::try_from(generation).unwrap());
        new.ask("LOGOUT").ok();
        server.wait_for_sessions(100);
    }
    let who = server.who();
    assert_eq!(who.iter().filter(|row| row["user"] == "alice").count(), 34);
    clients.truncate(1);
    server.wait_for_sessions(1);
    clients.clear();
    server.wait_for_sessions(0);
    assert!(server.status("difference").is_empty());
}

#[test]
fn of_a_hundred_idle_clients_none_is_cut_off_where_processes_are_shared() {
    nobody_is_cut_off(&format!("{SHARED}protocols = imap\n"));
}

#[test]
fn of_a_hundred_idle_clients_none_is_cut_off_where_each_has_a_process() {
    nobody_is_cut_off(&format!("{PRIVATE}protocols = imap\n"));
}

#[test]
fn the_generations_are_told_apart_and_the_old_one_ends_when_it_is_empty() {
    let settings = format!("{SHARED}protocols = imap\n");
    let server = Server::start(&settings);
    let mut old = server.login("alice");
    let old_worker = server.who()[0]["worker"].clone();
    hang_up(&server, &settings, 2);
    let mut new = server.login("alice");
    let workers = server.status("worker");
    let row = |generation| workers.iter().find(|row| row["generation"] == generation).unwrap();
    assert_eq!(workers.len(), 2, "{workers:?}");
    assert_eq!(
        (&row(1)["pid"], &row(1)["state"], &row(1)["clients"]),
        (&old_worker, &"retired".into(), &1.into())
    );
    assert_eq!((&row(2)["state"], &row(2)["clients"]), (&"open".into(), &1.into()));
    assert_eq!(server.status("master")[0]["generation"], 2);
    old.ask("NOOP").ok();
    old.ask("LOGOUT").ok();
    until("the old worker to end", || (server.status("worker").len() == 1).then_some(()));
    new.ask("NOOP").ok();
}

#[test]
fn the_limit_counts_both_generations_and_changes_with_the_new_one() {
    let settings = |limit| format!("{SHARED}protocols = imap\nmail_max_userip_connections = {limit}\n");
    let server = Server::start(&settings(3));
    let mut old: Vec<_> = (0..3).map(|_| server.login("alice")).collect();
    let status = || server.imap().try_login("alice").status;
    assert!(status().starts_with("NO [LIMIT]"));
    hang_up(&server, &settings(4), 2);
    let _fourth = server.login("alice");
    assert!(status().contains("exceeded (mail_max_userip_connections=4)"));
    hang_up(&server, &settings(2), 3);
    assert!(status().contains("exceeded (mail_max_userip_connections=2)"));
    // Those that are there already stay.
    for client in &mut old {
        client.ask("NOOP").ok();
    }
    old.truncate(1);
    server.wait_for_sessions(2);
    assert!(status().starts_with("NO [LIMIT]"));
    old.clear();
    server.wait_for_sessions(1);
    server.login("alice");
}

#[test]
fn a_client_that_has_connected_before_can_log_in_after() {
    let settings = format!("{SHARED}protocols = imap\n");
    let server = Server::start(&settings);
    let mut early = server.imap();
    let mut half = server.imap();
    half.send(b"a LOGIN al");
    hang_up(&server, &format!("{settings}login_greeting = New.\n"), 2);
    early.login("alice");
    half.send(b"ice secret\r\n");
    half.reply("a").ok();
    // By now there is nothing left for the old login process to do.
    until("it to end", || (server.status("login").len() == 1).then_some(()));
    early.ask("NOOP").ok();
    assert!(server.status("worker").iter().any(|row| row["generation"] == 2 && row["clients"] == 2));
}

#[test]
fn users_that_were_added_can_log_in_without_a_reload() {
    let mut site = Site::new();
    let users = ["alice", "bob"].map(|name| tests::User::new(name, 20001));
    site.set_users(users[..1].to_vec());
    let mut server = site.start(SHARED);
    assert!(server.imap().try_login("bob").status.starts_with("NO [AUTHENTICATIONFAILED]"));
    server.site.set_users(users);
    server.login("bob");
}

#[test]
fn other_addresses_are_listened_on_and_the_old_ones_are_not() {
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    let before = server.site.imap_address();
    let mut alice = server.login("alice");
    let after = SocketAddrV4::new(*before.ip(), 10144);
    let listen =
        |addresses: &str| format!("{SHARED}protocols = imap\nprotocol imap {{\n  listen = {addresses}\n}}\n");
    hang_up(&server, &listen(&format!("{before}, {after}")), 2);
    Imap::connect(before, None).login("bob");
    Imap::connect(after, None).login("bob");
    hang_up(&server, &listen(&after.to_string()), 3);
    Imap::connect(after, None).login("bob");
    until("the old address to be closed", || TcpStream::connect(before).is_err().then_some(()));
    alice.ask("NOOP").ok();
}

#[test]
fn a_protocol_can_go_and_come() {
    let server = Server::start(SHARED);
    let mut bob = server.pop3_login("bob");
    hang_up(&server, &format!("{SHARED}protocols = imap\n"), 2);
    until("POP3 to be closed", || TcpStream::connect(server.site.pop3_address()).is_err().then_some(()));
    assert!(bob.ask("NOOP").starts_with("+OK"));
    server.login("alice");
    hang_up(&server, SHARED, 3);
    server.pop3_login("carol");
}

#[test]
fn sharing_can_be_switched_on_and_off() {
    let server = Server::start(PRIVATE);
    let mut one = server.login("alice");
    hang_up(&server, SHARED, 2);
    let mut two = server.login("alice");
    hang_up(&server, PRIVATE, 3);
    let mut three = server.login("alice");
    let mut states: Vec<String> = server.who().iter().map(|row| row["state"].to_string()).collect();
    states.sort();
    assert_eq!(states, ["\"private\"", "\"private\"", "\"retired\""]);
    for client in [&mut one, &mut two, &mut three] {
        client.ask("NOOP").ok();
    }
}

#[test]
fn a_faulty_configuration_changes_nothing_and_says_where() {
    let settings = format!("{SHARED}protocols = imap\nlogin_greeting = Before.\n");
    let server = Server::start(&settings);
    let mut clients = idle_clients(&server, 6);
    all_still_there(&server, &mut clients, 1);
    let workers = server.status("worker");
    let taken = TcpListener::bind((*server.site.imap_address().ip(), 10145)).unwrap();
    let taken = taken.local_addr().unwrap();
    for (fault, place, why) in [
        ("mail_max_conections = 5", "test.conf:4:1", "mail_max_connections"),
        ("mail_max_connections = many", "test.conf:4:24", "many"),
        ("mail_max_connections = 0", "test.conf:4:24", "0"),
        ("protocol imap {", "test.conf:4:1", ""),
        ("}", "test.conf:4:1", ""),
        ("protocol imap {\n  listen = nowhere\n}", "test.conf:5:12", "nowhere"),
        ("mail_executable = /nonexistent/worker", "test.conf:4:19", "/nonexistent/worker"),
        ("!include nothing.conf", "test.conf:4", "nothing.conf"),
        ("mail_executable = /bin/true", "", "does not speak mail-handoff(7)"),
        (&format!("protocol imap {{\n  listen = {taken}\n}}"), "", &taken.to_string()),
        ("base_dir = /tmp/elsewhere", "", "base_dir cannot change"),
        ("log_path = /nonexistent/log", "test.conf:4:12", "/nonexistent"),
    ] {
        server.site.configure(&format!("{SHARED}protocols = imap\nlogin_greeting = After.\n{fault}\n"));
        let output = server.mailctl(&["reload"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{fault}: {said}");
        assert!(said.contains(place) && said.contains(why), "{fault}: {place} {why}:\n{said}");
        let before = server.log().matches("the one of before stays in force").count();
        server.master().signal(Signal::SIGHUP);
        until("the refusal in the log", || {
            (server.log().matches("the one of before stays in force").count() > before).then_some(())
        });
        assert!(server.log().contains(why), "{fault}");
        assert!(server.imap().greeting.ends_with("] Before."), "{fault}");
        assert_eq!(server.status("master")[0]["generation"], 1, "{fault}");
    }
    let pids = |rows: &[serde_json::Value]| rows.iter().map(|row| row["pid"].as_u64()).collect::<Vec<_>>();
    until("the workers to be those of before", || {
        (pids(&server.status("worker")) == pids(&workers)).then_some(())
    });
    all_still_there(&server, &mut clients, 2);
    fs::remove_file(server.site.path("test.conf")).unwrap();
    assert_eq!(server.mailctl(&["reload"]).status.code(), Some(1));
    hang_up(&server, &settings, 2);
}

#[test]
fn reloads_that_come_fast_do_no_harm() {
    let settings = format!("{SHARED}protocols = imap\n");
    let server = Server::start(&settings);
    let mut alice = server.login("alice");
    for _ in 0..10 {
        for _ in 0..5 {
            server.master().signal(Signal::SIGHUP);
        }
        server.login("bob").ask("NOOP").ok();
    }
    until("a reload to be possible", || server.mailctl(&["reload"]).status.success().then_some(()));
    alice.ask("NOOP").ok();
    until("the old processes to end", || {
        (server.status("worker").len() == 2 && server.status("login").len() == 1).then_some(())
    });
    assert_eq!(server.status("auth").len(), 1);
}
