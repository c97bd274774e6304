//! Nonsense on every socket that there is inside: whoever says it is dropped, and nobody else notices.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::process::Process;
use tests::server::process;
use tests::{Imap, PATIENCE, SHARED, Server, root, until};

/// Lines that are none, or that say what cannot be.
fn nonsense() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        &b"\n"[..],
        b"\0\0\0\0\n",
        b"\xff\xfe\xfd\t=\n",
        b"request\n",
        b"request\tid=1\tauth=1\tprotocol=imap\tlip=127.0.0.1\tlport=1\trip=127.0.0.1\trport=1\ttag=a\n",
        b"request\tid=99999999999999999999999\n",
        b"ready\tid=0\n",
        b"ready\tid=\\x\n",
        b"gone\tid=-1\treason=logout\n",
        b"state\tlines=18446744073709551615\n",
        b"hello\tlines=x\n",
        b"kick\tsession=abc\n",
        b"USER\tx\talice\tuid=0\n",
        b"REQUEST\t1\n",
        b"VERSION\tmail-handoff\t99\t0\n",
    ]
    .iter()
    .map(|line| line.to_vec())
    .collect();
    all.push(vec![b'x'; 300_000]);
    all.push((0..=255).cycle().take(10_000).collect());
    all.push(b"a\tb=c\n".repeat(10_000));
    all
}

/// A server with a client that must not notice anything.
struct Calm {
    server: Server,
    alice: Imap,
}

impl Calm {
    fn new() -> Self {
        let server = Server::start(&format!("{SHARED}protocols = imap\n"));
        let mut alice = server.login("alice");
        alice.ask("SELECT INBOX").ok();
        Self { server, alice }
    }

    fn check(&mut self, what: &str) {
        self.alice.ask("NOOP").ok();
        until(&format!("a login after {what}"), || {
            // The process that has said it may end just now, with bob in it.
            let mut bob = self.server.try_imap()?;
            bob.send(b"b LOGIN bob secret\r\n");
            bob.try_line().filter(|line| line.starts_with("b OK"))
        });
        self.server.wait_for_sessions_of("bob", 0);
        assert_eq!(self.server.who().len(), 1, "{what}");
    }
}

/// Has `speaker` say something on every link that it has, all of which the master made.
fn inject(server: &Server, speaker: &Process, bytes: &[u8], options: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("workers/inject.py");
    let mut python = Command::new("/usr/bin/python3")
        .arg(script)
        .args([speaker.pid.to_string(), server.master().pid.to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout != b"0\n", "{output:?}");
}

fn shown(bytes: &[u8]) -> String {
    bytes.get(..bytes.len().min(60)).unwrap_or_default().escape_ascii().to_string()
}

#[test]
fn whatever_a_login_process_says_to_the_master_and_to_auth() {
    if !root("whatever_a_login_process_says_to_the_master_and_to_auth") {
        return;
    }
    let mut calm = Calm::new();
    let before = calm.server.master().descriptors().len();
    // Each may cost a login process, and one that dies young is not replaced at once: a few are enough here.
    for bytes in [&b"\xff\xfe\n"[..], b"request\tid=1\n", b"greeted\tid=77\nclients\tcount=1\nnews\n"] {
        inject(&calm.server, &calm.server.only("login"), bytes, &[]);
        calm.check(&shown(bytes));
    }
    inject(&calm.server, &calm.server.only("login"), b"clients\tcount=0\n", &["--descriptor"]);
    calm.check("a descriptor that no line carries");
    calm.server.wait_for_log("imap-login, pid ");
    until("all descriptors to be closed", || {
        (calm.server.master().descriptors().len() == before).then_some(())
    });
}

#[test]
fn whatever_a_worker_says_to_the_master() {
    if !root("whatever_a_worker_says_to_the_master") {
        return;
    }
    for bytes in nonsense() {
        let mut calm = Calm::new();
        let worker = process(&calm.server.who()[0]["worker"]);
        inject(&calm.server, &worker, &bytes, &[]);
        calm.check(&shown(&bytes));
        if bytes.starts_with(b"\xff") {
            // It serves on whom it has.
            assert_eq!(calm.server.who()[0]["state"], "unlinked");
        }
        calm.alice.ask("LOGOUT").ok();
        calm.server.wait_for_sessions(0);
    }
}

#[test]
fn whatever_auth_says_to_the_master_and_to_logins() {
    if !root("whatever_auth_says_to_the_master_and_to_logins") {
        return;
    }
    for bytes in [&b"\xff\n"[..], b"USER\t1\tbob\tuid=0\tgid=0\nOK\t1\tuser=root\n", &[b'x'; 300_000]] {
        let mut calm = Calm::new();
        inject(&calm.server, &calm.server.only("auth"), bytes, &[]);
        calm.check(&shown(bytes));
    }
}

/// Nobody says such things to the children but a master that has lost its wits; they go on as if it were gone.
#[test]
fn whatever_is_said_to_children_in_the_masters_name() {
    if !root("whatever_is_said_to_children_in_the_masters_name") {
        return;
    }
    for bytes in [
        &b"\xff\n"[..],
        b"client\tid=0\tlines=1\nA\n",
        b"serve\tid=4000000000\nwithdraw\tid=7\nrefused\tid=7\n",
    ] {
        let mut calm = Calm::new();
        inject(&calm.server, calm.server.master(), bytes, &[]);
        calm.check(&shown(bytes));
    }
}

fn control_sockets(name: &str) {
    let mut calm = Calm::new();
    let before = calm.server.master().descriptors().len();
    let path = calm.server.site.path("run").join(name);
    for bytes in nonsense() {
        for greeting in [
            &b""[..],
            b"VERSION\tmail-control\t1\t0\n",
            b"VERSION\tmail-control\t2\t0\n",
            b"VERSION\tmail-dict\t1\t0\n",
        ] {
            let mut peer = UnixStream::connect(&path).unwrap();
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            peer.set_write_timeout(Some(PATIENCE)).unwrap();
            // It may be closed before it has said all.
            let _ = peer.write_all(greeting).and_then(|()| peer.write_all(&bytes));
            let _ = peer.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            match peer.read_to_end(&mut answer) {
                Ok(_) => {}
                Err(why) => assert_eq!(why.kind(), ErrorKind::ConnectionReset, "{}", shown(&bytes)),
            }
            let text = String::from_utf8(answer).unwrap();
            assert!(!text.contains("done\n"), "{}: {text}", shown(&bytes));
        }
    }
    // Some that say nothing, and one that begins and does not go on.
    let silent: Vec<_> = (0..10).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let mut half = UnixStream::connect(&path).unwrap();
    half.write_all(b"VERSION\tmail-cont").unwrap();
    calm.check(name);
    calm.server.ctl(&["ping"]);
    drop((silent, half));
    until("all descriptors to be closed", || {
        (calm.server.master().descriptors().len() == before).then_some(())
    });
}

#[test]
fn whatever_is_said_on_the_control_socket() {
    control_sockets("control");
}

#[test]
fn whatever_is_said_on_the_status_socket() {
    control_sockets("status");
}

#[test]
fn one_who_asks_and_does_not_read_holds_nobody_up() {
    let mut calm = Calm::new();
    let path = calm.server.site.path("run/control");
    let deaf: Vec<UnixStream> = (0..20)
        .map(|_| {
            let mut peer = UnixStream::connect(&path).unwrap();
            peer.write_all(b"VERSION\tmail-control\t1\t0\nstatus\n").unwrap();
            peer
        })
        .collect();
    calm.check("those who do not read");
    drop(deaf);
}

#[test]
fn whatever_strangers_say_to_a_login_process() {
    let server = Server::start(SHARED);
    let mut alice = server.login("alice");
    let mut waiting = server.imap();
    for bytes in nonsense() {
        let mut imap = server.imap();
        imap.send(&bytes);
        imap.finish_sending();
        imap.rest();
        let mut pop3 = server.pop3();
        pop3.send(&bytes);
        drop(pop3);
        waiting.ask("NOOP").ok();
    }
    alice.ask("NOOP").ok();
    waiting.login("bob");
    let log = server.log();
    let restarted = ["imap", "pop3"].iter().any(|it| log.contains(&format!("mail-login for {it}, pid ")));
    assert!(!restarted, "{log}");
}

#[test]
fn whatever_a_client_says_to_a_worker() {
    let server = Server::start(SHARED);
    let mut alice = server.login("alice");
    for bytes in nonsense() {
        let mut bob = server.login("bob");
        bob.send(&bytes);
        bob.finish_sending();
        bob.rest();
        let mut pop3 = server.pop3_login("carol");
        pop3.send(&bytes);
        drop(pop3);
        alice.ask("NOOP").ok();
    }
    server.wait_for_sessions(1);
    assert!(!server.log().contains("Error"), "{}", server.log());
}
