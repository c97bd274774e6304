//! mailctl against a master that says what each test wants: exit codes, both sockets, no answer at all.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;
use wire::control::{Answer, Request, Whom, assembler, version_line};

/// Answers one request at `path` with these lines; what it was.
fn master(path: &Path, answer: Vec<u8>) -> JoinHandle<Request> {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut assembler = assembler();
        for line in BufReader::new(&socket).split(b'\n') {
            if let Some(record) = assembler.push(&line.unwrap()).unwrap() {
                (&socket).write_all(&answer).unwrap();
                return Request::parse(&record).unwrap().unwrap();
            }
        }
        panic!("the connection ended without a request");
    })
}

fn answer(answers: &[Answer]) -> Vec<u8> {
    std::iter::once(version_line()).chain(answers.iter().map(Answer::to_bytes)).collect::<Vec<_>>().concat()
}

fn mailctl(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailctl"));
    command.args(arguments).env("MAILCTL_BASE_DIR", folder.path()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn each_verb_is_sent_and_done_is_0() {
    for (arguments, request, shown) in [
        (&["status"][..], Request::Status, ""),
        (&["who"], Request::Who, ""),
        (&["reload"], Request::Reload, "reloaded\n"),
        (&["stop"], Request::Stop, "stopping\n"),
        (&["ping"], Request::Ping, "alive\n"),
        (&["--json", "ping"], Request::Ping, ""),
    ] {
        let folder = folder();
        let master = master(&folder.path().join("control"), answer(&[Answer::Done]));
        let output = mailctl(&folder, arguments);
        assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), (shown, ""));
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(master.join().unwrap(), request);
    }
}

#[test]
fn whom_to_kick_is_said_or_guessed() {
    let alice = || Whom::User("alice".to_owned());
    for (arguments, whom) in [
        (&["kick", "--session", "7"][..], Whom::Session("7".parse().unwrap())),
        (&["kick", "7"], Whom::Session("7".parse().unwrap())),
        (&["kick", "--user", "alice"], alice()),
        (&["kick", "alice"], alice()),
        (&["kick", "--user", "7"], Whom::User("7".to_owned())),
        (&["kick", "--address", "::1"], Whom::Address("::1".parse().unwrap())),
        (&["kick", "127.0.0.1"], Whom::Address("127.0.0.1".parse().unwrap())),
    ] {
        let folder = folder();
        let row = Answer::Row(Answer::row("kicked").with("session", "7").with("user", "alice"));
        let master = master(&folder.path().join("control"), answer(&[row, Answer::Done]));
        let output = mailctl(&folder, arguments);
        assert_eq!(text(&output.stdout), "session  user\n7        alice\n");
        assert_eq!(master.join().unwrap(), Request::Kick(whom));
    }
}

#[test]
fn an_answer_with_no_is_1_and_says_why() {
    let folder = folder();
    let refusal = Answer::Error("mail.conf:3:1: unknown setting".to_owned());
    let master = master(&folder.path().join("control"), answer(&[refusal]));
    let output = mailctl(&folder, &["reload"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "mailctl: reload: mail.conf:3:1: unknown setting\n");
    master.join().unwrap();
}

#[test]
fn kicking_nobody_is_1() {
    let folder = folder();
    let master = master(&folder.path().join("control"), answer(&[Answer::Done]));
    let output = mailctl(&folder, &["kick", "alice"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "mailctl: kick: no such session\n");
    master.join().unwrap();
}

#[test]
fn wrong_usage_is_2() {
    let folder = folder();
    let usages: [&[&str]; 8] = [
        &[],
        &["shrug"],
        &["status", "extra"],
        &["kick"],
        &["kick", "--session", "0"],
        &["kick", "alice", "--user", "bob"],
        &["--timeout", "0", "ping"],
        &["--socket", "a", "--base-dir", "b", "ping"],
    ];
    for arguments in usages {
        let output = mailctl(&folder, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn no_master_no_answer_and_a_stranger_are_3() {
    let folder = folder();
    let path = folder.path().join("control");
    let fails = |why: &str| {
        let output = mailctl(&folder, &["--timeout", "0.2", "who"]);
        assert_eq!(output.status.code(), Some(3));
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    };
    fails("no master runs here: no such socket");
    drop(UnixListener::bind(&path).unwrap());
    fails("no master runs here: nobody listens");
    fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    fails("no answer within 200ms");
    drop(listener);
    for (said, why) in [
        (b"* OK IMAP4rev1\n".to_vec(), "does not speak mail-control(7)"),
        (b"VERSION\tmail-control\t9\t0\n".to_vec(), "version 9"),
        (answer(&[]), "closed the connection before"),
        (b"\x00\xff\n".to_vec(), "does not speak mail-control(7)"),
    ] {
        fs::remove_file(&path).unwrap();
        let master = master(&path, said);
        fails(why);
        master.join().unwrap();
    }
}

#[test]
fn who_may_not_steer_may_look() {
    let test = "who_may_not_steer_may_look";
    if !nix::unistd::geteuid().is_root() && !tests::skipped(test, "not root") {
        return;
    }
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("mailctl");
    fs::copy(env!("CARGO_BIN_EXE_mailctl"), &program).unwrap();
    let control = UnixListener::bind(folder.path().join("control")).unwrap();
    fs::set_permissions(folder.path().join("control"), Permissions::from_mode(0o600)).unwrap();
    let status = folder.path().join("status");
    let looking = master(&status, answer(&[Answer::Done]));
    fs::set_permissions(&status, Permissions::from_mode(0o666)).unwrap();
    let somebody = |verb| {
        let mut command = Command::new(&program);
        command.args(["--base-dir", folder.path().to_str().unwrap(), verb]).uid(19001).gid(19001);
        command.output().unwrap()
    };
    let output = somebody("ping");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(looking.join().unwrap(), Request::Ping);
    let output = somebody("reload");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("control: Permission denied"), "{}", text(&output.stderr));
    drop(control);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder();
    let row = Answer::Row(Answer::row("session").with("user", "a".repeat(60_000)));
    let rows: Vec<_> = std::iter::repeat_n(row, 20).chain([Answer::Done]).collect();
    let master = master(&folder.path().join("control"), answer(&rows));
    let mut child = Command::new(env!("CARGO_BIN_EXE_mailctl"))
        .args(["who", "--json"])
        .env("MAILCTL_BASE_DIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    master.join().unwrap();
}

#[test]
fn json_is_one_object_a_line() {
    let folder = folder();
    let row = |id: &str| Answer::Row(Answer::row("session").with("session", id).with("user", "a\nb"));
    let master = master(&folder.path().join("control"), answer(&[row("1"), row("2"), Answer::Done]));
    let output = mailctl(&folder, &["who", "--json"]);
    assert_eq!(
        text(&output.stdout),
        "{\"kind\":\"session\",\"session\":1,\"user\":\"a\\nb\"}\n{\"kind\":\"session\",\"session\":2,\"user\":\"a\\nb\"}\n"
    );
    master.join().unwrap();
}
