//! SEARCH against a real Maildir: RFC 3501 section 6.4.4, key by key, and as Dovecot answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod dovecot;
mod keys;
mod mail;
#[path = "../master/mod.rs"]
mod master;

use std::fs::{self, File, FileTimes};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use master::Scratch;
use nix::unistd::getuid;

/// A home with mail in it.
struct Place {
    scratch: Scratch,
    home: PathBuf,
}

impl Place {
    /// With these messages: each with the flags of its file's name, and the day on which it was received, counted from
    /// 1 January 2024. Their UIDs count from 1.
    fn new<'a>(messages: impl IntoIterator<Item = (&'a str, u64, &'a [u8])>) -> Self {
        let scratch = Scratch::new();
        let home = scratch.home("me", getuid().as_raw());
        for (number, (flags, day, text)) in (1..).zip(messages) {
            let path = home.join(format!("Maildir/cur/{number:04}.a:2,{flags}"));
            fs::write(&path, text).unwrap();
            let moment = UNIX_EPOCH + Duration::from_secs(DAY_0 + day * 86_400 + 43_200);
            let times = FileTimes::new().set_modified(moment);
            File::options().write(true).open(path).unwrap().set_times(times).unwrap();
        }
        Self { scratch, home }
    }

    /// A session of ours, INBOX selected.
    fn session(&self) -> Session {
        let mut command = Command::new(self.scratch.program());
        command.env_clear().env("USER", "me").env("HOME", &self.home);
        Session::new(command)
    }
}

/// 1 January 2024.
const DAY_0: u64 = 1_704_067_200;

/// A client of a server that it has for itself.
struct Session {
    server: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    fn new(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = command.spawn().unwrap();
        let (input, output) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
        let mut session = Self { server, input, output: BufReader::new(output) };
        session.line();
        assert!(session.ask("SELECT INBOX").contains("\nt OK"));
        session
    }

    /// All that a command is answered. Synchronising literals it may not have.
    fn ask(&mut self, command: &str) -> String {
        self.input.write_all(format!("t {command}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        loop {
            let line = self.line();
            answer += &line;
            if line.starts_with("t ") {
                return answer;
            }
        }
    }

    /// The numbers found, or what was said instead.
    fn search(&mut self, keys: &str) -> Result<Vec<u32>, String> {
        let answer = self.ask(&format!("SEARCH {keys}"));
        let found = answer.lines().find_map(|line| line.strip_prefix("* SEARCH"));
        match found.filter(|_| answer.contains("t OK")) {
            Some(numbers) => Ok(numbers.split_whitespace().map(|number| number.parse().unwrap()).collect()),
            None => Err(answer),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the server is gone");
        line
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
