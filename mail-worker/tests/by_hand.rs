//! Without a master: one client on descriptors 0 and 1, whatever these are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod master;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};

use master::{Client, Scratch, deliver};
use nix::unistd::getuid;

fn worker(scratch: &Scratch) -> Command {
    let mut command = Command::new(scratch.program());
    let home = scratch.home("me", getuid().as_raw());
    command.env_clear().env("USER", "me").env("HOME", home);
    command
}

fn run(mut command: Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have ended before it has read all.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_pipe_is_a_client() {
    let scratch = Scratch::new();
    let output = run(worker(&scratch), b"a NOOP\r\nb LOGOUT\r\n");
    let lines = said(&output);
    assert!(lines.starts_with("* PREAUTH [CAPABILITY IMAP4rev1 "), "{lines}");
    assert!(lines.ends_with("a OK Done.\r\n* BYE Logging out\r\nb OK Logout completed.\r\n"), "{lines}");
    assert!(output.stderr.is_empty(), "{output:?}");
    // The end of input is one, too.
    assert!(said(&run(worker(&scratch), b"a NOOP\r\n")).ends_with("a OK Done.\r\n"));
}

#[test]
fn files_are_a_client() {
    let scratch = Scratch::new();
    let home = scratch.home("me", getuid().as_raw());
    let (input, output) = (home.join("in"), home.join("out"));
    fs::write(&input, "a CAPABILITY\r\nb LOGOUT\r\n").unwrap();
    let mut command = worker(&scratch);
    command.stdin(File::open(&input).unwrap()).stdout(File::create(&output).unwrap());
    assert!(command.status().unwrap().success());
    assert!(fs::read_to_string(output).unwrap().ends_with("b OK Logout completed.\r\n"));
}

#[test]
fn one_socket_on_both_is_a_client_and_is_not_greeted_twice() {
    let scratch = Scratch::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = worker(&scratch);
    command.env("LOGGED_IN", "1").env("IMAPLOGINTAG", "in").stderr(Stdio::piped());
    command.stdin(OwnedFd::from(theirs.try_clone().unwrap())).stdout(OwnedFd::from(theirs));
    let mut child = command.spawn().unwrap();
    drop(command);
    if getuid().is_root() {
        let mut why = String::new();
        child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
        assert!(why.contains("never served as root"), "{why}");
        assert_eq!(child.wait().unwrap().code(), Some(1));
        return;
    }
    let mut client = Client::new(ours);
    assert!(client.is_quiet());
    assert_eq!(client.ask("NOOP").0, "OK Done.");
    assert_eq!(client.ask("LOGOUT").0, "OK Logout completed.");
    assert_eq!(client.rest(), "");
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_missing_is_named() {
    let scratch = Scratch::new();
    for (variable, value, why) in [
        ("USER", None, "USER is missing"),
        ("HOME", None, "HOME is missing"),
        ("MAIL", Some("mbox:~/mail"), "only maildir:<directory>"),
        ("PROTOCOL", Some("smtp"), "neither imap nor pop3"),
        ("UMASK", Some("9"), "invalid digit"),
        ("RESTRICT_SETUID", Some("29999"), "for good, and cannot be"),
    ] {
        let mut command = worker(&scratch);
        command.env("RESTRICT_SETGID", "29999");
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
        let output = run(command, b"");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.starts_with("mail-worker: not started: ") && stderr.contains(why), "{stderr}");
    }
}

#[test]
fn too_much_nonsense_ends_the_session() {
    let scratch = Scratch::new();
    let lines = said(&run(worker(&scratch), &b"a XYZZY\r\n".repeat(30)));
    assert_eq!(lines.matches("a BAD ").count(), 20);
    assert!(lines.ends_with("* BYE Too many invalid commands.\r\n"), "{lines}");
    let input = [b"a XYZZY\r\n".repeat(19), b"b NOOP\r\n".to_vec()].concat().repeat(2);
    assert!(said(&run(worker(&scratch), &input)).ends_with("b OK Done.\r\n"));
}

#[test]
fn commands_out_of_season_have_done_nothing() {
    let scratch = Scratch::new();
    let input = b"a CLOSE\r\nb CHECK\r\nc LOGIN a b\r\nd APPEND nowhere {3}\r\ne APPEND nowhere {3+}\r\nabc\r\nf IDLE\r\nx\r\n\
        g IDLE\r\nDONE\r\nDONE\r\n";
    let lines = said(&run(worker(&scratch), input));
    let answers: Vec<&str> = lines.lines().skip(1).collect();
    assert_eq!(
        answers,
        [
            "a BAD No mailbox selected.",
            "b BAD No mailbox selected.",
            "c BAD Already logged in.",
            "d NO [TRYCREATE] No such mailbox.",
            "e NO [TRYCREATE] No such mailbox.",
            "+ idling",
            "f BAD Expected DONE.",
            "+ idling",
            "g OK Idle completed.",
            "* BAD Unexpected DONE",
        ]
    );
}

#[test]
fn select_tells_what_there_is_and_recent_once() {
    let scratch = Scratch::new();
    let home = scratch.home("me", getuid().as_raw());
    deliver(&home, "1.a", "Subject: 1\n\n1\n");
    deliver(&home, "2.b", "Subject: 2\n\n2\n");
    let input = b"a EXAMINE INBOX\r\nb SELECT inbox\r\nc SELECT INBOX\r\nd SELECT nowhere\r\ne CHECK\r\n";
    let lines = said(&run(worker(&scratch), input));
    let counts: Vec<&str> =
        lines.lines().filter(|line| line.ends_with("EXISTS") || line.ends_with("RECENT")).collect();
    assert_eq!(counts[..4], ["* 2 EXISTS", "* 2 RECENT", "* 2 EXISTS", "* 2 RECENT"]);
    assert_eq!(counts[4..], ["* 2 EXISTS", "* 0 RECENT"]);
    assert!(lines.contains("* OK [UNSEEN 1] "));
    assert!(lines.contains("* OK [UIDNEXT 3] "));
    assert!(lines.contains("a OK [READ-ONLY] "));
    assert!(lines.contains("b OK [READ-WRITE] "));
    assert!(lines.contains("d NO [NONEXISTENT] "));
    assert!(lines.ends_with("e BAD No mailbox selected.\r\n"), "{lines}");
}

#[test]
fn a_mailbox_that_is_locked_before_it_is_known_is_not_shown_as_empty() {
    let scratch = Scratch::new();
    let home = scratch.home("me", getuid().as_raw());
    deliver(&home, "1.new", "Subject: hello\n\n");
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    // Whoever runs this test lives.
    let lock = home.join("Maildir/dovecot-uidlist.lock");
    fs::write(&lock, format!("{}:{host}", std::process::id())).unwrap();
    let answers = said(&run(worker(&scratch), b"a SELECT INBOX\r\nb STATUS INBOX (MESSAGES)\r\n"));
    assert!(answers.contains("\r\na NO ") && answers.contains("\r\nb NO "), "{answers}");
    fs::remove_file(&lock).unwrap();
    assert!(said(&run(worker(&scratch), b"a SELECT INBOX\r\n")).contains("* 1 EXISTS"));
}
