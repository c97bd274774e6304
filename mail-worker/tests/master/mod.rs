//! Plays the master of one worker: starts it, hands it clients, hears what it says.
#![allow(dead_code, reason = "each test program uses its part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use envdump::Environment;
use fdpass::{Channel, Fill};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use wire::handoff::{FromWorker, ToWorker, assembler, version_line};
use wire::{Assembler, ConnectionId};

/// Users of the tests that change identity.
pub(crate) const ALICE: u32 = 20001;
pub(crate) const BOB: u32 = 20002;
/// Whom a shared worker is when it works for nobody.
pub(crate) const BASE: u32 = 20000;
/// What nothing takes that is going to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Homes, and the program where every user can execute it.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // By another process: a descriptor that is open for writing here, inherited by another test's child, would
        // keep the program from being run.
        let copy = Command::new("cp").arg(env!("CARGO_BIN_EXE_mail-worker")).arg(directory.path()).status();
        assert!(copy.unwrap().success());
        Self(directory)
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.0.path().join("mail-worker")
    }

    /// A user's home; his alone where there are users.
    pub(crate) fn home(&self, user: &str, uid: u32) -> PathBuf {
        let home = self.0.path().join(user);
        if !home.exists() {
            fs::create_dir(&home).unwrap();
            for directory in ["Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"] {
                fs::create_dir(home.join(directory)).unwrap();
            }
            for directory in ["Maildir/tmp", "Maildir/new", "Maildir/cur", "Maildir", ""] {
                fs::set_permissions(home.join(directory), fs::Permissions::from_mode(0o700)).unwrap();
                if geteuid().is_root() {
                    std::os::unix::fs::chown(home.join(directory), Some(uid), Some(uid)).unwrap();
                }
            }
        }
        home
    }

    /// The environment of a client of that user.
    pub(crate) fn environment(&self, user: &str, uid: u32) -> Environment {
        let mut environment = Environment::new();
        let home = self.home(user, uid);
        let mut set = |key: &str, value: &str| environment.set(key, value).unwrap();
        set("PROTOCOL", "imap");
        set("LOGGED_IN", "1");
        set("USER", user);
        set("HOME", home.to_str().unwrap());
        set("MAIL", "maildir:~/Maildir");
        set("MAILDIR_COPY_WITH_HARDLINKS", "1");
        set("IP", "127.0.0.1");
        set("IMAPLOGINTAG", "in");
        if geteuid().is_root() {
            set("ADVISE_SETUID", &uid.to_string());
            set("ADVISE_SETGID", &uid.to_string());
        }
        environment
    }
}

/// Puts a message into a Maildir as a delivery does, and its owner's.
pub(crate) fn deliver(home: &Path, name: &str, text: &str) {
    let (tmp, new) = (home.join("Maildir/tmp").join(name), home.join("Maildir/new").join(name));
    fs::write(&tmp, text).unwrap();
    let owner = fs::metadata(home).unwrap();
    let (uid, gid) =
        (std::os::unix::fs::MetadataExt::uid(&owner), std::os::unix::fs::MetadataExt::gid(&owner));
    std::os::unix::fs::chown(&tmp, Some(uid), Some(gid)).unwrap();
    fs::rename(tmp, new).unwrap();
}

pub(crate) fn id(number: u32) -> ConnectionId {
    ConnectionId(NonZeroU32::new(number).unwrap())
}

/// Who the worker is when it starts.
pub(crate) enum As<'a> {
    /// One who can become users.
    Base,
    /// This one for good.
    User(u32),
    /// As [`As::Base`], with the first client, and his environment.
    BaseWithFirst(ConnectionId, &'a Environment, OwnedFd),
    /// As [`As::User`], with the first client, and his environment.
    UserWithFirst(u32, ConnectionId, &'a Environment, OwnedFd),
}

pub(crate) struct Master {
    channel: Channel,
    assembler: Assembler,
    pub(crate) worker: Child,
    log: Receiver<String>,
    marker: File,
    /// What its hello said of its identity.
    pub(crate) identity: String,
}

impl Master {
    /// Starts a worker. Without root it is whoever runs the tests.
    pub(crate) fn start(scratch: &Scratch, who: As<'_>) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let marker = File::from(memfd_create("working", MFdFlags::MFD_CLOEXEC).unwrap());
        let mut descriptors =
            vec![FdMapping { parent_fd: marker.try_clone().unwrap().into(), child_fd: MARKER }];
        let (uid, capable, first) = match who {
            As::Base => (BASE, true, None),
            As::User(uid) => (uid, false, None),
            As::BaseWithFirst(id, environment, client) => (BASE, true, Some((id, environment, client))),
            As::UserWithFirst(uid, id, environment, client) => (uid, false, Some((id, environment, client))),
        };
        let mut command = program(scratch, uid, capable);
        command.env_clear().env("PERSISTENT_MAIL_PROCESS", "1").env("WORKING_FD", MARKER.to_string());
        if let Some((id, environment, client)) = first {
            command.envs(environment.to_vars()).env("CONNECTION_ID", id.to_string());
            descriptors.push(FdMapping { parent_fd: client, child_fd: 3 });
        }
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
        command.fd_mappings(descriptors).unwrap();
        let mut worker = command.spawn().unwrap();
        drop(command);
        let stderr = BufReader::new(worker.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok());
        });
        let mut channel = Channel::new(ours).unwrap();
        channel.queue(version_line(), None);
        let mut master =
            Self { channel, assembler: assembler(), worker, log, marker, identity: String::new() };
        match master.hear() {
            FromWorker::Hello { program, identity, .. } => {
                assert!(program.starts_with("mail-worker "), "{program}");
                master.identity = identity;
            }
            other => panic!("{other:?} before hello"),
        }
        master
    }

    pub(crate) fn say(&mut self, what: &ToWorker) {
        self.channel.queue(what.to_bytes(), None);
        assert!(self.channel.flush().unwrap());
    }

    /// Sends these bytes, whatever they are.
    pub(crate) fn babble(&mut self, bytes: &[u8]) {
        self.channel.queue(bytes, None);
        assert!(self.channel.flush().unwrap());
    }

    /// The next thing that the worker says.
    pub(crate) fn hear(&mut self) -> FromWorker {
        let heard = self.hear_or_end();
        heard.unwrap_or_else(|| {
            panic!(
                "the worker closed its link, {:?}: {:?}",
                self.worker.wait(),
                self.log.iter().collect::<Vec<_>>()
            )
        })
    }

    /// The same; none when it closed its link.
    pub(crate) fn hear_or_end(&mut self) -> Option<FromWorker> {
        self.channel.flush().unwrap();
        let mut ended = false;
        loop {
            while let Some(line) = self.channel.next_line().unwrap() {
                if let Some(record) = self.assembler.push(&line).unwrap() {
                    return Some(FromWorker::parse(&record).unwrap().unwrap());
                }
            }
            if ended {
                return None;
            }
            wait(self.channel.as_fd());
            ended = self.channel.fill().unwrap() == Fill::Ended;
        }
    }

    /// Gives the worker a client, as far as it goes without `serve`: the client's end.
    pub(crate) fn give(&mut self, id: ConnectionId, environment: Environment) -> Client {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.channel.queue(ToWorker::Client { id, environment }.to_bytes(), Some(theirs.into()));
        assert!(self.channel.flush().unwrap());
        Client::new(ours)
    }

    /// Gives the worker a client and has it served, up to the answer to its login.
    pub(crate) fn hand_over(&mut self, id: ConnectionId, environment: Environment) -> Client {
        let mut client = self.give(id, environment);
        assert_eq!(self.hear(), FromWorker::Ready(id));
        self.say(&ToWorker::Serve(id));
        let answer = client.line();
        assert!(answer.starts_with("in OK [CAPABILITY IMAP4rev1 ") || answer.starts_with("+OK"), "{answer}");
        client
    }

    /// Waits for a line of the log that contains `text`.
    pub(crate) fn logged(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{text:?} is not logged"));
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.worker.id() as i32), signal).unwrap();
    }

    /// For whom the worker works, as it has marked it.
    pub(crate) fn marked(&self) -> u32 {
        let mut bytes = [0; 4];
        match self.marker.read_at(&mut bytes, 0).unwrap() {
            0 => 0,
            _ => u32::from_le_bytes(bytes),
        }
    }

    /// How often the worker changed its identity, and by how many calls.
    pub(crate) fn changes(&self) -> (u64, u64) {
        self.signal(Signal::SIGUSR2);
        let line = self.logged("changed ");
        let mut numbers =
            line.rsplit("changed ").next().unwrap().split(' ').filter_map(|word| word.parse().ok());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    pub(crate) fn end(mut self) -> ExitStatus {
        self.say(&ToWorker::Stop);
        self.worker.wait().unwrap()
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.worker.kill();
        let _ = self.worker.wait();
    }
}

/// The program as that user, if there are users to be had here.
pub(crate) fn program(scratch: &Scratch, uid: u32, capable: bool) -> Command {
    if !geteuid().is_root() {
        return Command::new(scratch.program());
    }
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--reuid", &uid.to_string(), "--regid", &uid.to_string(), "--clear-groups"]);
    if capable {
        let both = "+setuid,+setgid";
        command.args(["--inh-caps", both, "--ambient-caps", both, "--bounding-set", &format!("-all,{both}")]);
    }
    command.arg("--no-new-privs").arg(scratch.program());
    command
}

/// Whether this test can have users; says so where it cannot.
pub(crate) fn has_users(test: &str) -> bool {
    if !geteuid().is_root() {
        return tests::skipped(test, "becoming users needs root");
    }
    Path::new("/usr/bin/setpriv").exists() || tests::skipped(test, "setpriv (util-linux) is not installed")
}

fn wait(fd: impl AsFd) {
    let milliseconds = u16::try_from(PATIENCE.as_millis()).unwrap();
    let events = poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], milliseconds).unwrap();
    assert!(events > 0, "nothing came");
}

/// A client, or what stands for one.
pub(crate) struct Client(BufReader<UnixStream>);

impl Client {
    pub(crate) fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// The next line, without its end; empty at the end of all.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap();
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// What comes up to a line that begins with `start`, that line included.
    pub(crate) fn until(&mut self, start: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "closed before {start:?}, after {lines:#?}");
            lines.push(line);
            if lines.last().is_some_and(|line| line.starts_with(start)) {
                return lines;
            }
        }
    }

    /// Sends a command of IMAP; its answer, the last line first without the tag, then the others in order.
    pub(crate) fn ask(&mut self, command: &str) -> (String, Vec<String>) {
        self.send(format!("t {command}\r\n"));
        let mut lines = self.until("t ");
        let last = lines.pop().unwrap();
        (last.trim_start_matches("t ").to_owned(), lines)
    }

    /// All that comes until the server closes.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset says the same: it is over.
        let _ = self.0.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Whether there is nothing to read, and the connection is there.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut fds = [PollFd::new(self.0.get_ref().as_fd(), PollFlags::POLLIN)];
        self.0.buffer().is_empty() && poll(&mut fds, 0u16).unwrap() == 0
    }
}

const MARKER: i32 = 4;
