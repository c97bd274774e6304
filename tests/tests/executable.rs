//! Which programs can be `mail_executable`: any, where each client has its own process; those that speak the hand-off, where
//! clients share.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use tests::{PRIVATE, SHARED, Server, Site};

fn with_executable(site: &Site, options: &str) -> String {
    let _ = fs::create_dir(site.path("notes"));
    fs::set_permissions(site.path("notes"), Permissions::from_mode(0o777)).unwrap();
    let (worker, folder) = (site.worker("scripted.py"), site.path(""));
    format!("protocols = imap\nmail_executable = {worker} {}notes {options}\n", folder.display())
}

#[test]
fn any_program_serves_clients_of_its_own() {
    let site = Site::new();
    let settings = with_executable(&site, "") + PRIVATE;
    let server = site.start(&settings);
    let mut alice = server.imap();
    let reply = alice.ask("LOGIN alice secret");
    assert_eq!(reply.status, "OK Logged in.");
    let mut bob = server.login("bob");
    let process = |client: &mut tests::Imap| client.ask("PROCESS").ok().named("PID")[0].to_owned();
    assert_ne!(process(&mut alice), process(&mut bob));
    if nix::unistd::geteuid().is_root() {
        assert!(process(&mut alice).ends_with(" UID 20001 GID 20001"), "{}", process(&mut alice));
        assert!(process(&mut bob).ends_with(" UID 20002 GID 20002"), "{}", process(&mut bob));
    }
    alice.ask("LOGOUT").ok();
    assert!(alice.rest().is_empty());
    server.wait_for_sessions(1);
    bob.ask("NOOP").ok();
}

#[test]
fn what_is_pipelined_behind_the_login_reaches_any_program() {
    let site = Site::new();
    let settings = with_executable(&site, "") + PRIVATE;
    let server = site.start(&settings);
    let mut alice = server.imap();
    alice.send(b"a LOGIN alice secret\r\nb NOOP\r\nc NOOP\r\n");
    alice.reply("a").ok();
    alice.reply("b").ok();
    alice.reply("c").ok();
}

/// What the master says of a program that does not speak it.
const HELP: &str = "does not speak mail-handoff(7), so it cannot serve many clients: \
                    write 'mail_process_per_connection = yes' in protocol imap, or name another mail_executable";

#[test]
fn a_program_that_does_not_speak_the_hand_off_is_found_out_at_the_start() {
    for option in ["--nonsense", "--version 2", "--mute"] {
        let site = Site::new();
        let settings = with_executable(&site, option) + SHARED;
        let log = site.try_start(&settings).expect_err("it started");
        assert!(log.contains(HELP), "{option}: {log}");
    }
}

#[test]
fn a_program_that_ends_at_once_is_found_out_at_the_start() {
    let log = Site::new()
        .try_start(&format!("protocols = imap\nmail_executable = /bin/true\n{SHARED}"))
        .expect_err("it started");
    assert!(log.contains(HELP), "{log}");
}

#[test]
fn at_a_reload_it_is_found_out_and_nothing_changes() {
    let site = Site::new();
    let settings = with_executable(&site, "") + SHARED;
    let server: Server = site.start(&settings);
    let mut alice = server.login("alice");
    for program in ["/bin/true", "/bin/cat"] {
        server.site.configure(&format!("protocols = imap\nmail_executable = {program}\n{SHARED}"));
        let output = server.mailctl(&["reload"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(HELP) && said.contains(program), "{said}");
    }
    assert_eq!(server.status("master")[0]["generation"], 1);
    alice.ask("NOOP").ok();
    let mut bob = server.login("bob");
    let process = |client: &mut tests::Imap| client.ask("PROCESS").ok().named("PID")[0].to_owned();
    assert_eq!(process(&mut alice), process(&mut bob));
}

#[test]
fn a_program_that_is_not_there_is_an_error_of_the_configuration() {
    let log = Site::new().try_start("mail_executable = /nonexistent/worker\n").expect_err("it started");
    assert!(log.contains("/nonexistent/worker") && log.contains("test.conf"), "{log}");
}
