//! Plays the master to a `mail-auth` that runs as it would under the real one.
#![allow(dead_code, reason = "each test program uses its part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "it is a part of tests, and ends them")]

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use fdpass::Channel;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tempfile::TempDir;
use wire::Assembler;
use wire::auth::{FromAuth, ToAuth, assembler, version_line};

/// A running `mail-auth`.
pub(crate) struct Auth {
    child: Child,
    control: Option<Channel>,
    assembler: Assembler,
    log: Option<JoinHandle<String>>,
    folder: TempDir,
}

/// A connection to it.
pub(crate) struct Peer {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Auth {
    /// Starts one with these settings; neither delays nor counts attempts unless it is told so.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_mail-auth"))
            .env_clear()
            .env("AUTH_FAILURE_DELAY", "0")
            .env("AUTH_MAX_ATTEMPTS_PER_MINUTE", "0")
            .envs(settings.iter().copied())
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).replace('\x01', "")
        });
        let mut control = Channel::new(ours).unwrap();
        control.queue(version_line(), None);
        // One that ends at once may be gone already.
        let _ = control.flush();
        Self { child, control: Some(control), assembler: assembler(), log: Some(log), folder: folder() }
    }

    /// Starts one whose users stand in a passwd-file, `users` in its folder.
    pub(crate) fn with_users(text: &str, settings: &[(&str, &str)]) -> Self {
        let folder = folder();
        let path = folder.path().join("users");
        std::fs::write(&path, text).unwrap();
        let arguments = format!("scheme=PLAIN {}", path.display());
        let databases = [
            ("PASSDB_1_DRIVER", "passwd-file"),
            ("PASSDB_1_ARGS", &*arguments),
            ("USERDB_1_DRIVER", "passwd-file"),
            ("USERDB_1_ARGS", &*arguments),
        ];
        let mut auth = Self::start(&[&databases[..], settings].concat());
        auth.folder = folder;
        auth
    }

    /// A file in a folder of its own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn tell(&mut self, message: &ToAuth, fd: Option<OwnedFd>) {
        let control = self.control.as_mut().unwrap();
        control.queue(message.to_bytes(), fd);
        assert!(control.flush().unwrap());
    }

    /// What it says next to the master.
    pub(crate) fn heard(&mut self) -> FromAuth {
        let control = self.control.as_mut().unwrap();
        loop {
            while let Some(line) = control.next_line().unwrap() {
                if let Some(record) = self.assembler.push(&line).unwrap() {
                    return FromAuth::parse(&record).unwrap().unwrap();
                }
            }
            let mut fds = [PollFd::new(control.as_fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut fds, PollTimeout::from(60_000u16)).unwrap(), 1);
            control.fill().unwrap();
        }
    }

    /// Says something on the control channel that no master would.
    pub(crate) fn tell_raw(&mut self, bytes: &[u8]) {
        let control = self.control.as_mut().unwrap();
        control.queue(bytes, None);
        control.flush().unwrap();
    }

    fn hand_over(&mut self, message: &ToAuth) -> Peer {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.tell(message, Some(theirs.into()));
        Peer::new(ours)
    }

    /// A client that the master vouches for, which has said nothing yet.
    pub(crate) fn raw_client(&mut self, pid: u32) -> Peer {
        self.hand_over(&ToAuth::Client { pid })
    }

    /// A client that the master vouches for, greeted both ways.
    pub(crate) fn client(&mut self, pid: u32) -> Peer {
        let mut peer = self.raw_client(pid);
        peer.greet(pid);
        peer
    }

    /// A master side, greeted both ways.
    pub(crate) fn master(&mut self) -> Peer {
        let mut peer = self.hand_over(&ToAuth::Master);
        assert_eq!(peer.hear(), "VERSION\t1\t1");
        assert_eq!(peer.hear(), format!("SPID\t{}", self.pid()));
        peer.say("VERSION\t1\t1");
        peer
    }

    /// Has it listen at `path`.
    pub(crate) fn listen(&mut self, path: &Path) {
        let listener = UnixListener::bind(path).unwrap();
        self.tell(&ToAuth::Listen, Some(listener.into()));
    }

    /// Lets go of it, as a master that ends or reloads.
    pub(crate) fn let_go(&mut self) {
        self.control = None;
    }

    /// Lets go of it and waits for its end; its log.
    pub(crate) fn end(mut self) -> String {
        self.let_go();
        let (status, log) = self.wait();
        assert!(status.success(), "{status}: {log}");
        log
    }

    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Auth {
    fn drop(&mut self) {
        // Most have ended by themselves.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    pub(crate) fn new(stream: UnixStream) -> Self {
        // Far more than anything here takes; it turns a hang into a failure.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        Self { stream, lines }
    }

    /// Both sides of a client's handshake; its cookie.
    pub(crate) fn greet(&mut self, pid: u32) -> String {
        self.say("VERSION\t1\t1");
        self.say(&format!("CPID\t{pid}"));
        let mut cookie = String::new();
        loop {
            let line = self.hear();
            if let Some(text) = line.strip_prefix("COOKIE\t") {
                cookie = text.to_owned();
            }
            if line == "DONE" {
                return cookie;
            }
        }
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.say_raw(format!("{line}\n").as_bytes());
    }

    /// Bytes as they are; a peer that was cut off can't be told anything.
    pub(crate) fn say_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.strip_suffix('\n').unwrap_or_else(|| panic!("ended after {line:?}")).to_owned()
    }

    /// Says one thing and hears one.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }

    /// PLAIN in one line.
    pub(crate) fn plain(&mut self, id: u32, user: &str, password: &str) -> String {
        self.ask(&plain(id, user, password))
    }

    /// Waits until the connection was cut; what came before.
    pub(crate) fn until_cut(&mut self) -> String {
        let mut rest = Vec::new();
        // One that is reset was cut too.
        let _ = self.lines.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Writes a program, by another process: if it were open for writing here, a process that another test starts at that
/// moment could hold it open, too, and it could not be executed.
pub(crate) fn program(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::set_permissions(&draft, Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new("cp").arg("-p").args([&*draft, path]).status().unwrap().success());
}

pub(crate) fn plain(id: u32, user: &str, password: &str) -> String {
    let response = base64(format!("\0{user}\0{password}").as_bytes());
    format!("AUTH\t{id}\tPLAIN\tservice=imap\trip=127.0.0.1\tlip=127.0.0.1\tresp={response}")
}

/// The same, from 192.0.2.`host`.
pub(crate) fn plain_from(id: u32, host: u8, user: &str, password: &str) -> String {
    plain(id, user, password).replace("rip=127.0.0.1", &format!("rip=192.0.2.{host}"))
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
