//! fdpass(1) as a user has it: what goes in at one process comes out at another.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn fdpass() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fdpass"))
}

/// Ends with the test.
struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A descriptor whose other end the program at the socket answers on.
fn ask(socket: &Path, question: &str) -> String {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let sent =
        fdpass().arg("send").arg(socket).stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs))).status();
    assert!(sent.unwrap().success());
    (&ours).write_all(question.as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(&ours).read_line(&mut answer).unwrap();
    answer
}

#[test]
fn each_descriptor_has_a_program_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("door");
    let mut listener = fdpass();
    listener.arg("listen").arg(&socket).args(["sh", "-c", "read line; echo \"heard $line\""]);
    let _listener = Listener(listener.spawn().unwrap());
    while UnixStream::connect(&socket).is_err() {
        std::thread::yield_now();
    }
    assert_eq!(ask(&socket, "one\n"), "heard one\n");
    assert_eq!(ask(&socket, "two\n"), "heard two\n");
}

#[test]
fn a_program_becomes_the_one_that_uses_it() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("door");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut taker = fdpass();
    let taker = taker.arg("recv").arg(&socket).args(["sh", "-c", "read line; echo \"heard $line\"; exit 5"]);
    let mut taker = taker.spawn().unwrap();
    let (peer, _) = listener.accept().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    assert_eq!(fdpass::send(&peer, b"\n", Some(theirs.as_fd())).unwrap(), 1);
    drop(theirs);
    (&ours).write_all(b"it\n").unwrap();
    let mut answer = String::new();
    BufReader::new(&ours).read_line(&mut answer).unwrap();
    assert_eq!(answer, "heard it\n");
    assert_eq!(taker.wait().unwrap().code(), Some(5));
}

#[test]
fn nobody_there_and_no_such_program_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("door");
    let output = fdpass().arg("send").arg(&socket).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("fdpass: "));
    let listener = UnixListener::bind(&socket).unwrap();
    let mut taker = fdpass().arg("recv").arg(&socket).arg("/nonexistent/program").spawn().unwrap();
    let (peer, _) = listener.accept().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(fdpass::send(&peer, b"\n", Some(null.as_fd())).unwrap(), 1);
    assert_eq!(taker.wait().unwrap().code(), Some(127));
    assert_eq!(fdpass().arg("hand").output().unwrap().status.code(), Some(2));
}
