//! Processes that are killed: they take their own clients along, and nobody else; what must be there comes back.
#![allow(clippy::unwrap_used, clippy::panic)]

use nix::sys::signal::Signal;
use tests::server::process;
use tests::{Imap, PRIVATE, SHARED, Server, until};

/// Logs in as soon as that is possible again.
fn login_again(server: &Server, user: &str) -> Imap {
    until("a login to succeed", || {
        let mut client = server.imap();
        client.try_login(user).status.starts_with("OK").then_some(client)
    })
}

#[test]
fn a_worker_that_is_killed_takes_its_own_clients_along_and_the_account_is_right() {
    let server = Server::start(&format!("{SHARED}protocols = imap\nmail_max_connections = 2\n"));
    let mut alice = server.login("alice");
    let mut bob = server.login("bob");
    let mut carol = server.login("carol");
    let of = |user: &str| server.who().iter().find(|row| row["user"] == user).unwrap()["worker"].clone();
    let worker = of("alice");
    assert_eq!(worker, of("bob"));
    assert_ne!(worker, of("carol"));
    let tag = carol.idle();

    process(&worker).signal(Signal::SIGKILL);
    assert!(alice.rest().is_empty());
    assert!(bob.rest().is_empty());
    server.wait_for_sessions(1);
    let line = server.wait_for_log("was killed by SIGKILL: sessions of 2 users lost");
    assert!(line.contains(&format!("mail process {worker} ")) && line.ends_with("alice, bob"), "{line}");
    assert_eq!(server.who()[0]["user"], "carol");
    assert!(server.status("worker").iter().all(|row| row["pid"] != worker));
    assert!(server.status("difference").is_empty());
    carol.done(&tag).ok();
    login_again(&server, "alice").ask("NOOP").ok();
}

#[test]
fn a_worker_of_one_client_that_is_killed_takes_that_one_along() {
    let server = Server::start(PRIVATE);
    let mut alice = server.login("alice");
    let mut bob = server.login("bob");
    let who = server.who();
    let worker = &who.iter().find(|row| row["user"] == "alice").unwrap()["worker"];
    process(worker).signal(Signal::SIGKILL);
    assert!(alice.rest().is_empty());
    server.wait_for_sessions(1);
    bob.ask("NOOP").ok();
    login_again(&server, "alice").ask("NOOP").ok();
}

#[test]
fn clients_count_again_as_soon_as_their_worker_is_dead() {
    let server = Server::start(&format!("{SHARED}mail_max_userip_connections = 2\n"));
    for _ in 0..5 {
        let mut clients = [server.login("alice"), server.login("alice")];
        assert!(server.imap().try_login("alice").status.starts_with("NO [LIMIT]"));
        process(&server.who()[0]["worker"]).signal(Signal::SIGKILL);
        for client in &mut clients {
            assert!(client.rest().is_empty());
        }
        server.wait_for_sessions(0);
    }
}

#[test]
fn a_login_process_that_is_killed_comes_back_and_sessions_stay() {
    for settings in [SHARED, PRIVATE] {
        let server = Server::start(&format!("{settings}protocols = imap\n"));
        let mut alice = server.login("alice");
        let mut unknown = server.imap();
        let login = server.only("login");
        login.signal(Signal::SIGKILL);
        assert!(unknown.rest().is_empty());
        let mut bob = login_again(&server, "bob");
        alice.ask("NOOP").ok();
        bob.ask("NOOP").ok();
        assert_ne!(server.only("login"), login);
        assert_eq!(server.who().len(), 2);
        server.wait_for_log(&format!("mail-login for imap, pid {}, was killed by SIGKILL", login.pid));
    }
}

#[test]
fn an_auth_process_that_is_killed_comes_back_and_logins_go_on() {
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    let mut alice = server.login("alice");
    let mut waiting = server.imap();
    for _ in 0..3 {
        let auth = server.only("auth");
        auth.signal(Signal::SIGKILL);
        // The same connection as before, and a new one.
        until("a login to succeed", || waiting.try_login("bob").status.starts_with("OK").then_some(()));
        waiting = server.imap();
        login_again(&server, "carol");
        alice.ask("NOOP").ok();
        until("another auth process", || {
            let rows = server.status("auth");
            (rows.len() == 1 && rows[0]["pid"] != auth.pid).then_some(())
        });
        server.wait_for_log(&format!("mail-auth, pid {}, was killed by SIGKILL", auth.pid));
    }
}

#[test]
fn nobody_is_refused_because_auth_was_started_anew() {
    let server = Server::start(&format!("{SHARED}protocols = imap\nlogin_processes_count = 4\n"));
    for _ in 0..5 {
        let mut clients: Vec<Imap> = (0..10).map(|_| server.imap()).collect();
        // It ends well, so that the next one need not wait.
        server.only("auth").signal(Signal::SIGTERM);
        let tags: Vec<String> = clients.iter_mut().map(|client| client.begin("LOGIN alice secret")).collect();
        for (client, tag) in clients.iter_mut().zip(&tags) {
            client.reply(tag).ok();
        }
        drop(clients);
        server.wait_for_sessions(0);
    }
}

#[test]
fn all_at_once_killed_are_all_back() {
    let server = Server::start(SHARED);
    let mut alice = server.login("alice");
    for process in server.master().descendants() {
        process.signal(Signal::SIGKILL);
    }
    assert!(alice.rest().is_empty());
    server.wait_for_sessions(0);
    login_again(&server, "alice").ask("NOOP").ok();
    until("POP3, too", || server.pop3().try_login("bob").starts_with("+OK").then_some(()));
}

#[test]
fn what_a_dead_login_process_had_achieved_is_nobodys() {
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    for _ in 0..4 {
        let mut client = server.imap();
        client.begin("LOGIN alice secret");
        server.only("login").signal(Signal::SIGKILL);
        // Either it was served before, or it is gone.
        let _ = client.try_line();
        drop(client);
        until("a login process", || (server.status("login").len() == 1).then_some(()));
    }
    server.wait_for_sessions(0);
    login_again(&server, "bob").ask("NOOP").ok();
}
