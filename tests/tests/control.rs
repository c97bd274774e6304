//! mailctl and a running master.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::server::process;
use tests::{Imap, PRIVATE, SHARED, Server, User, root, until};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn assert_says_no(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains(why), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn each_outcome_has_its_exit_code() {
    let server = Server::start(SHARED);
    for verb in ["ping", "status", "who", "reload"] {
        assert_eq!(server.mailctl(&[verb]).status.code(), Some(0), "{verb}");
    }
    assert_says_no(&server.mailctl(&["kick", "nobody"]), "mailctl: kick: no such session");
    server.site.configure("nonsense = 1\n");
    assert_says_no(&server.mailctl(&["reload"]), "nonsense");
    for usage in [&[][..], &["frobnicate"], &["kick"], &["kick", "--session", "x"], &["who", "--nope"]] {
        let output = server.mailctl(usage);
        assert_eq!(output.status.code(), Some(2), "{usage:?}: {output:?}");
    }
    let socket = server.site.path("run/control");
    assert!(server.stop().success());
    assert!(!socket.exists());
}

#[test]
fn where_no_master_is_there_is_no_answer() {
    let site = tests::Site::new();
    let mut command = std::process::Command::new(site.program("mailctl"));
    let output = command.arg("--base-dir").arg(site.path("run")).arg("who").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn a_master_that_is_stopped_is_no_answer_in_time() {
    let server = Server::start(SHARED);
    server.master().signal(Signal::SIGSTOP);
    until("the master to stop", || server.master().is_stopped().then_some(()));
    let output = server.mailctl(&["ping", "--timeout", "0.2"]);
    server.master().signal(Signal::SIGCONT);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    server.ctl(&["ping"]);
}

#[test]
fn who_says_what_each_client_does() {
    for settings in [SHARED, PRIVATE] {
        let server = Server::start(settings);
        assert!(server.who().is_empty());
        let mut alice = server.login("alice");
        alice.ask("SELECT INBOX").ok();
        let _tag = alice.idle();
        let _bob = server.pop3_login("bob");
        let who = server.who();
        assert_eq!(who.len(), 2, "{who:?}");
        let row = |user: &str| who.iter().find(|row| row["user"] == user).unwrap();
        assert_eq!(
            (&row("alice")["protocol"], &row("alice")["address"]),
            (&"imap".into(), &"127.0.0.1".into())
        );
        assert_eq!(row("bob")["protocol"], "pop3");
        let since = row("alice")["since"].as_u64().unwrap();
        assert!(since > 1_700_000_000);
        let worker = process(&row("alice")["worker"]);
        assert!(server.master().descendants().contains(&worker));
        if settings == SHARED {
            assert_eq!((&row("alice")["mailbox"], &row("alice")["doing"]), (&"INBOX".into(), &"IDLE".into()));
            assert!(row("alice")["in"].as_u64().unwrap() > 0 && row("alice")["out"].as_u64().unwrap() > 0);
            assert!(row("alice")["idle"].as_u64().unwrap() < 60);
        } else {
            assert_eq!(row("alice")["state"], "private");
        }
    }
}

#[test]
fn status_has_a_row_for_everything_that_runs() {
    let server = Server::start(SHARED);
    let _alice = server.login("alice");
    let rows = server.ctl(&["status"]);
    let master = rows.iter().find(|row| row["kind"] == "master").unwrap();
    assert_eq!(master["pid"], server.master().pid);
    assert_eq!((&master["generation"], &master["sessions"]), (&1.into(), &1.into()));
    assert_eq!(master["root"], nix::unistd::geteuid().is_root());
    let listen = format!("imap {}, pop3 {}", server.site.imap_address(), server.site.pop3_address());
    assert_eq!(master["listen"], listen.as_str());
    let mut told: Vec<u64> = rows.iter().filter_map(|row| row["pid"].as_u64()).collect();
    let mut there: Vec<u64> = server.master().children().iter().map(|process| process.pid.into()).collect();
    there.push(server.master().pid.into());
    told.sort_unstable();
    there.sort_unstable();
    assert_eq!(told, there);
    let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    let count = |kind| kinds.iter().filter(|other| **other == kind).count();
    assert_eq!(
        (count("login"), count("auth"), count("worker"), count("difference")),
        (2, 1, 2, 0),
        "{kinds:?}"
    );
    let workers: Vec<&Value> = rows.iter().filter(|row| row["kind"] == "worker").collect();
    for worker in workers {
        assert_eq!(worker["share"], "all");
        assert_ne!(worker["identity"], "", "{worker}");
        assert_eq!(worker["clients"], worker["clients_own"]);
        let imap = worker["protocol"] == "imap";
        assert_eq!(worker["state"], if imap { "open" } else { "spare" }, "{worker}");
    }
    // For people, everything stands in it, too.
    let page = text(&server.mailctl(&["status"]).stdout);
    for word in ["master", "login", "auth", "worker", "listening", "all", &listen] {
        assert!(page.contains(word), "{word} in\n{page}");
    }
}

fn kick(settings: &str) {
    let server = Server::start(settings);
    let mut alice = server.login("alice");
    let mut second = server.login("alice");
    let mut bob = server.login("bob");
    let mut pop3 = server.pop3_login("bob");
    // A process of one client hears the signal that ends it once it has begun.
    for client in [&mut alice, &mut second, &mut bob] {
        client.ask("NOOP").ok();
    }
    assert!(pop3.ask("NOOP").starts_with("+OK"));
    let session = server.who()[0]["session"].clone();
    assert_eq!(server.who()[0]["user"], "alice");
    let bye = |client: &mut Imap| {
        let rest = client.rest();
        assert!(rest.last().is_some_and(|line| line.starts_with("* BYE")), "{rest:?}");
        if settings == SHARED {
            assert_eq!(rest, ["* BYE Disconnected by the administrator."]);
        }
    };
    let rows = server.ctl(&["kick", "--session", &session.to_string()]);
    assert_eq!((rows.len(), &rows[0]["session"], &rows[0]["user"]), (1, &session, &"alice".into()));
    bye(&mut alice);
    server.wait_for_sessions(3);
    second.ask("NOOP").ok();
    assert_eq!(server.ctl(&["kick", "alice"]).len(), 1);
    bye(&mut second);
    bob.ask("NOOP").ok();
    server.wait_for_sessions(2);
    assert_eq!(server.ctl(&["kick", "--user", "bob"]).len(), 2);
    bye(&mut bob);
    pop3.rest();
    server.wait_for_sessions(0);

    let mut from_2 = server.imap_from([127, 0, 0, 2].into());
    from_2.login("alice");
    let mut from_3 = server.imap_from([127, 0, 0, 3].into());
    from_3.login("alice");
    from_2.ask("NOOP").ok();
    assert_eq!(server.ctl(&["kick", "127.0.0.2"]).len(), 1);
    bye(&mut from_2);
    from_3.ask("NOOP").ok();
    assert_says_no(&server.mailctl(&["kick", "127.0.0.2"]), "no such session");
    server.wait_for_log("is kicked, as mailctl asks");
}

#[test]
fn kick_ends_a_session_a_users_and_an_addresses_where_processes_are_shared() {
    kick(SHARED);
}

#[test]
fn kick_ends_a_session_a_users_and_an_addresses_where_each_has_a_process() {
    kick(PRIVATE);
}

#[test]
fn stop_ends_everything_after_its_answer() {
    let server = Server::start(SHARED);
    let mut alice = server.login("alice");
    server.ctl(&["stop"]);
    assert!(alice.rest().last().unwrap().starts_with("* BYE"));
    assert!(server.stop().success());
}

#[test]
fn the_socket_for_all_is_the_masters_users_and_the_one_for_looking_is_for_a_group() {
    let server = Server::start(SHARED);
    let mode =
        |name: &str| fs::metadata(server.site.path("run").join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("control"), mode("status")), (0o600, 0o660));
    let status = server.site.path("run/status");
    let ask = |verb: &[&str]| {
        let mut command = std::process::Command::new(server.site.program("mailctl"));
        command.arg("--socket").arg(&status).args(verb).output().unwrap()
    };
    for verb in ["ping", "who", "status"] {
        assert_eq!(ask(&[verb]).status.code(), Some(0), "{verb}");
    }
    for verb in [&["stop"][..], &["reload"], &["kick", "alice"]] {
        assert_says_no(&ask(verb), "this socket is for status, who and ping");
    }
    assert!(server.stop().success());
}

#[test]
fn strangers_can_ask_nothing() {
    if !root("strangers_can_ask_nothing") {
        return;
    }
    let server = Server::start(SHARED);
    let folder = server.site.path("run");
    for verb in ["who", "stop"] {
        let program = server.site.program("mailctl");
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid", "20001", "--regid", "20001", "--clear-groups"]).arg(program);
        let output = command.arg("--base-dir").arg(&folder).arg(verb).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{verb}: {output:?}");
    }
}

#[test]
fn names_with_controls_are_shown_without_them() {
    let mut site = tests::Site::new();
    // Whatever a name has in it that a configuration lets through.
    site.set_users([User::new("al\u{1b}[31mice", 20001)]);
    let server = site.start(&format!("{SHARED}auth_username_chars =\nprotocols = imap\n"));
    let mut client = server.imap();
    let reply = client.ask("LOGIN \"al\u{1b}[31mice\" secret");
    if reply.status.starts_with("OK") {
        assert!(!text(&server.mailctl(&["who"]).stdout).contains('\u{1b}'));
    }
    assert!(!server.log().contains('\u{1b}'));
}

#[test]
fn the_port_that_the_system_chose_is_told() {
    let server =
        Server::start(&format!("{SHARED}protocols = imap\nprotocol imap {{\n  listen = 127.0.0.1:0\n}}\n"));
    let listen = server.status("master")[0]["listen"].as_str().unwrap().to_owned();
    let address = listen.strip_prefix("imap ").unwrap().parse().unwrap();
    Imap::connect(address, None).login("alice");
}
