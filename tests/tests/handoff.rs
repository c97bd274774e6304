//! The master's side of the hand-off, against a worker that does whatever is wrong (workers/scripted.py): a client is served
//! once or refused in words, is counted exactly, and nobody else notices.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::thread;

use nix::sys::signal::Signal;
use tests::{Imap, Server, Site, User, until};

/// What is written in the user database of those whom the worker mistreats: their names.
const SCRIPTS: [&str; 20] = [
    "serve",
    "refuse",
    "refuse-once",
    "silence",
    "silence-once",
    "die",
    "die-once",
    "die-served",
    "late",
    "gone-once",
    "nonsense-once",
    "binary-once",
    "endless-once",
    "descriptor-once",
    "unlink-once",
    "flood",
    "babble",
    "wrong",
    "gone-twice",
    "full",
];

fn site() -> Site {
    let mut site = Site::new();
    let users = SCRIPTS.iter().zip(20001..);
    let users = users.map(|(name, uid)| User::new(name, uid).with_extra(&format!("userdb_script={name}")));
    let others = ["alice", "bob"].iter().zip(20101..).map(|(name, uid)| User::new(name, uid));
    site.set_users(users.chain(others));
    fs::create_dir(site.path("notes")).unwrap();
    fs::set_permissions(site.path("notes"), Permissions::from_mode(0o777)).unwrap();
    site
}

/// A server whose IMAP clients are served by that worker.
fn start(settings: &str) -> Server {
    let site = site();
    let settings = scripted(&site, "", settings);
    site.start(&settings)
}

fn scripted(site: &Site, options: &str, settings: &str) -> String {
    format!(
        "protocols = imap\n\
         mail_process_per_connection = no\n\
         mail_executable = {} {}/notes {options}\n\
         plugin {{\n  script = serve\n}}\n\
         {settings}",
        site.worker("scripted.py"),
        site.path("").display()
    )
}

fn has_note(server: &Server, name: &str) -> bool {
    server.site.path("notes").join(name).exists()
}

/// In which process a client is.
#[track_caller]
fn process_of(client: &mut Imap) -> u32 {
    let reply = client.ask("PROCESS").ok();
    reply.named("PID")[0].split(' ').nth(1).unwrap().parse().unwrap()
}

#[track_caller]
fn refused(server: &Server, user: &str, text: &str) -> Imap {
    let mut client = server.imap();
    let reply = client.try_login(user);
    assert_eq!(reply.status, format!("NO [UNAVAILABLE] {text}"));
    client
}

#[test]
fn a_client_is_told_once_that_it_is_logged_in_and_is_served() {
    let server = start("");
    let mut client = server.imap();
    let reply = client.ask("LOGIN serve secret").ok();
    assert!(reply.untagged.is_empty() && reply.status.starts_with("OK [WORKER "), "{reply:?}");
    assert!(client.ask("NOOP").ok().untagged.is_empty());
    client.ask("LOGOUT").ok();
    assert!(client.rest().is_empty());
    server.wait_for_sessions(0);
}

#[test]
fn clients_of_several_users_share_the_worker_that_was_there() {
    let server = start("");
    let mut clients: Vec<_> = ["serve", "alice", "bob"].iter().map(|user| server.login(user)).collect();
    let processes: Vec<_> = clients.iter_mut().map(process_of).collect();
    assert!(processes.iter().all(|pid| *pid == processes[0]), "{processes:?}");
    let workers = server.status("worker");
    assert_eq!(workers.len(), 1, "{workers:?}");
    assert_eq!((&workers[0]["clients"], &workers[0]["clients_own"]), (&3.into(), &3.into()));
    assert_eq!(workers[0]["pid"], processes[0]);
}

#[test]
fn a_refusal_tries_the_next_worker() {
    let server = start("");
    let mut alice = server.login("alice");
    let mut client = server.login("refuse-once");
    assert_ne!(process_of(&mut client), process_of(&mut alice));
    server.wait_for_log("does not take it: no\\troom");
    assert_eq!(server.who().len(), 2);
}

#[test]
fn whom_all_workers_refuse_the_login_serves_on() {
    let server = start("");
    let mut client =
        refused(&server, "refuse", "Internal login failure. Refer to server log for more information.");
    server.wait_for_log("no process takes this client");
    assert_eq!(server.who().len(), 0);
    client.ask("NOOP").ok();
    client.login("alice");
    assert_eq!(server.who().len(), 1);
}

#[test]
fn a_worker_that_does_not_answer_is_told_to_withdraw_and_the_next_one_serves() {
    let server = start("");
    let mut alice = server.login("alice");
    let mut client = server.login("silence-once");
    assert_ne!(process_of(&mut client), process_of(&mut alice));
    server.wait_for_log("does not answer, trying another");
    let session =
        server.who().iter().find(|row| row["user"] == "silence-once").unwrap()["session"].to_string();
    until("the withdrawal", || has_note(&server, &format!("withdrawn-{session}")).then_some(()));
    assert!(alice.ask("NOOP").ok().untagged.is_empty());
    // It has closed the client and said so: it is given others again.
    until("the worker to be trusted again", || {
        let mut bob = server.login("bob");
        (process_of(&mut bob) == process_of(&mut alice)).then_some(())
    });
}

#[test]
fn a_client_that_has_to_wait_for_its_worker_is_served_when_it_is_ready() {
    let server = start("");
    let mut alice = server.login("alice");
    let mut client = server.imap();
    let tag = client.begin("LOGIN late secret");
    server.wait_for_sessions_of("late", 1);
    let states: Vec<_> = server.who().iter().map(|row| row["state"].to_string()).collect();
    assert!(states.contains(&"\"reserved\"".to_owned()), "{states:?}");
    alice.ask("NOOP").ok();
    assert!(client.is_silent());
    fs::write(server.site.path("notes").join("go"), "").unwrap();
    client.reply(&tag).ok();
    assert_eq!(process_of(&mut client), process_of(&mut alice));
}

#[test]
fn a_death_before_serve_is_tried_once_more_and_alone() {
    let server = start("");
    let mut alice = server.login("alice");
    let mut client = server.login("die-once");
    server.wait_for_log("a mail process died while it worked for this user");
    // Who was in that worker is lost with it, and nobody else.
    assert!(alice.rest().is_empty());
    server.wait_for_log("sessions of 1 users lost: alice");
    let workers = server.status("worker");
    let own = workers.iter().find(|row| row["pid"] == process_of(&mut client)).unwrap();
    assert_eq!(own["state"], "alone");
    assert!(server.status("quarantine").is_empty());
    let mut bob = server.login("bob");
    assert_ne!(process_of(&mut bob), process_of(&mut client));
    assert_eq!(server.who().len(), 2);
}

#[test]
fn the_second_death_before_serve_refuses_and_is_the_quarantine() {
    let server = start("");
    let mut alice = server.login("alice");
    refused(&server, "die", "Serving this account has failed, try again later");
    assert!(alice.rest().is_empty());
    server.wait_for_log("die: two mail processes died while they worked for this user: in quarantine");
    let quarantine = server.status("quarantine");
    assert_eq!(quarantine.len(), 1, "{quarantine:?}");
    assert_eq!(quarantine[0]["user"], "die");
    // From now on only its own processes die.
    let mut alice = server.login("alice");
    refused(&server, "die", "Serving this account has failed, try again later");
    alice.ask("NOOP").ok();
    assert_eq!(server.who().len(), 1);
}

#[test]
fn deaths_after_serve_count_too() {
    let server = start("");
    let mut alice = server.login("alice");
    for _ in 0..2 {
        let mut client = server.imap();
        client.begin("LOGIN die-served secret");
        assert!(client.rest().is_empty());
    }
    assert!(alice.rest().is_empty());
    server.wait_for_log("die-served: two mail processes died");
    let quarantine = server.status("quarantine");
    assert_eq!(quarantine.len(), 1, "{quarantine:?}");
    assert_eq!(server.who().len(), 0);
    let mut alice = server.login("alice");
    let mut client = server.imap();
    client.begin("LOGIN die-served secret");
    assert!(client.rest().is_empty());
    alice.ask("NOOP").ok();
}

#[test]
fn whoever_the_worker_did_not_work_for_when_it_died_is_not_blamed() {
    let server = start("");
    let mut alice = server.login("alice");
    let mut bob = server.login("bob");
    bob.begin("DIE");
    assert!(bob.rest().is_empty());
    assert!(alice.rest().is_empty());
    server.wait_for_sessions(0);
    let mut alice = server.login("alice");
    // He is served alone now, so that the second time it costs nobody else anything.
    let mut bob = server.login("bob");
    assert_ne!(process_of(&mut bob), process_of(&mut alice));
    bob.begin("DIE");
    assert!(bob.rest().is_empty());
    server.wait_for_sessions(1);
    alice.ask("NOOP").ok();
    let users: Vec<_> = server.status("quarantine").iter().map(|row| row["user"].to_string()).collect();
    assert_eq!(users, ["\"bob\""]);
}

#[test]
fn ids_that_are_not_the_workers_are_logged_and_do_nothing() {
    let server = start("");
    let mut alice = server.login("alice");
    let mut client = server.login("wrong");
    assert_eq!(process_of(&mut client), process_of(&mut alice));
    for text in [
        "is ready for session 4000000000, which it was not offered",
        "refuses session 4000000000, which it was not offered",
        "says that session 4000000000 is gone, which is not its",
    ] {
        server.wait_for_log(text);
    }
    assert_eq!(server.who().len(), 2);
    client.ask("LOGOUT").ok();
    server.wait_for_sessions(1);
    alice.ask("NOOP").ok();
}

#[test]
fn a_worker_that_goes_on_about_what_is_not_its_fills_no_log() {
    let server = start("");
    let _client = server.login("babble");
    server.wait_for_log("link: peer goes on about what it does not have; it gets no more clients");
    let lines = server.log().matches("says that session 4000000000 is gone, which is not its").count();
    assert!((500..=1001).contains(&lines), "{lines} lines");
    server.login("alice").ask("NOOP").ok();
}

#[test]
fn a_client_that_is_gone_twice_is_gone_once() {
    let server = start("mail_max_userip_connections = 2\n");
    let _one = server.login("gone-twice");
    server.login("gone-twice").ask("LOGOUT").ok();
    server.wait_for_sessions_of("gone-twice", 1);
    let _two = server.login("gone-twice");
    let reply = server.imap().try_login("gone-twice");
    assert!(reply.status.starts_with("NO [LIMIT]"), "{reply:?}");
}

#[test]
fn a_client_that_is_closed_before_serve_is_tried_elsewhere() {
    let server = start("");
    let mut alice = server.login("alice");
    let mut client = server.login("gone-once");
    assert_ne!(process_of(&mut client), process_of(&mut alice));
    server.wait_for_log("has closed it before it was served");
}

/// A worker whose link ends while it is offered a client: `user` is served elsewhere, who was there before is served on.
fn link_ends(user: &str, logged: &str) {
    let server = start("");
    let mut alice = server.login("alice");
    let mut client = server.login(user);
    server.wait_for_log(logged);
    alice.ask("NOOP").ok();
    assert_ne!(process_of(&mut client), process_of(&mut alice));
    let states: Vec<_> = server.who().iter().map(|row| format!("{} {}", row["user"], row["state"])).collect();
    assert!(states.contains(&"\"alice\" \"unlinked\"".to_owned()), "{states:?}");
    assert_eq!(states.len(), 2, "{states:?}");
    alice.ask("LOGOUT").ok();
    server.wait_for_sessions(1);
}

#[test]
fn lines_that_are_none_end_their_link_and_the_client_is_tried_elsewhere() {
    thread::scope(|scope| {
        for (user, logged) in [
            ("nonsense-once", "link: line is not well-formed"),
            ("binary-once", "link: "),
            ("endless-once", "link: line longer than"),
            ("descriptor-once", "link: "),
            ("unlink-once", "trying another"),
        ] {
            scope.spawn(move || link_ends(user, logged));
        }
    });
}

#[test]
fn clients_of_a_lost_link_count_until_their_process_is_reaped() {
    let server = start("mail_max_userip_connections = 2\n");
    let mut one = server.login("alice");
    let mut two = server.login("alice");
    one.ask("NONSENSE").ok();
    server.wait_for_log("it gets no more clients");
    assert_eq!(server.status("worker")[0]["state"], "unlinked");
    let limited = |server: &Server| server.imap().try_login("alice").status.starts_with("NO [LIMIT]");
    assert!(limited(&server));
    one.ask("LOGOUT").ok();
    // One that has no link cannot say who is gone.
    assert!(limited(&server));
    assert_eq!(server.who().len(), 2);
    two.ask("LOGOUT").ok();
    server.wait_for_sessions(0);
    server.login("alice");
}

#[test]
fn a_worker_that_closes_its_link_serves_its_clients_on() {
    let server = start("");
    let mut alice = server.login("alice");
    alice.ask("UNLINK").ok();
    until("the link to be lost", || (server.status("worker")[0]["state"] == "unlinked").then_some(()));
    let mut bob = server.login("bob");
    assert_ne!(process_of(&mut bob), process_of(&mut alice));
    alice.ask("NOOP").ok();
    alice.ask("LOGOUT").ok();
    server.wait_for_sessions(1);
}

#[test]
fn a_flood_of_lines_holds_nobody_up() {
    let server = start("");
    let mut alice = server.login("alice");
    let mut client = server.imap();
    let tag = client.begin("LOGIN flood secret");
    server.imap().ask("NOOP").ok();
    server.ctl(&["ping"]);
    client.reply(&tag).ok();
    alice.ask("NOOP").ok();
    assert_eq!(server.who().len(), 2);
    assert!(server.master().private_memory() < 32 * 1024);
}

#[test]
fn a_worker_that_says_full_gets_no_more_until_it_says_open() {
    let server = start("");
    let mut client = server.login("full");
    until("the worker to be full", || (server.status("worker")[0]["state"] == "full").then_some(()));
    let mut alice = server.login("alice");
    assert_ne!(process_of(&mut client), process_of(&mut alice));
    client.ask("OPEN").ok();
    until("the worker to be open", || {
        let workers = server.status("worker");
        let own = workers.iter().find(|row| row["pid"] == process_of(&mut client))?;
        (own["state"] == "open").then_some(())
    });
    // Both have one client now, and the second clients of both.
    let mut others: Vec<_> = (0..2).map(|_| server.login("bob")).collect();
    let processes: Vec<_> = others.iter_mut().map(process_of).collect();
    assert!(processes.contains(&process_of(&mut client)), "{processes:?}");
}

#[test]
fn a_worker_gets_no_more_clients_than_it_says_it_takes() {
    let site = site();
    let settings = scripted(&site, "--room 2", "");
    let server = site.start(&settings);
    let mut clients: Vec<_> = (0..5).map(|_| server.login("alice")).collect();
    let mut processes: Vec<_> = clients.iter_mut().map(process_of).collect();
    processes.sort();
    let mut counts: Vec<_> = processes.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 2]);
}

#[test]
fn a_worker_that_was_stopped_and_goes_on_after_the_withdrawal_touches_nothing() {
    let server = start("");
    let stopped = server.only("worker");
    stopped.signal(Signal::SIGSTOP);
    until("the worker to stop", || stopped.is_stopped().then_some(()));
    let mut client = server.imap();
    let tag = client.begin("LOGIN alice secret");
    // All of this is in the socket before anybody serves it.
    for number in 0..20 {
        client.send(format!("n{number} NOOP\r\n").as_bytes());
    }
    client.reply(&tag).ok();
    let first = server.wait_for_log("does not answer, trying another");
    stopped.signal(Signal::SIGCONT);
    for number in 0..20 {
        assert_eq!(client.line(), format!("n{number} OK NOOP done"), "{first}");
    }
    assert_ne!(process_of(&mut client), stopped.pid);
    let session = server.who()[0]["session"].to_string();
    until("the withdrawal", || has_note(&server, &format!("withdrawn-{session}")).then_some(()));
    let sockets = stopped.descriptors().iter().filter(|(_, to)| to.starts_with("socket:")).count();
    assert_eq!(sockets, 1, "{:?}", stopped.descriptors());
    for number in 0..20 {
        assert!(client.ask("NOOP").ok().untagged.is_empty(), "{number}");
    }
    client.ask("LOGOUT").ok();
    assert!(client.rest().is_empty());
}

#[test]
fn a_client_that_leaves_while_it_is_handed_over_leaves_no_trace() {
    let server = start("");
    for _ in 0..20 {
        let mut client = server.imap();
        client.begin("LOGIN alice secret");
    }
    server.wait_for_sessions(0);
}
