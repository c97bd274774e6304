//! A running server: the real programs, on a [`Site`].

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::process::Process;
use crate::{Imap, Pop3, Site, until};

/// See above. It is stopped at its end, and nothing of it must be left then.
#[derive(Debug)]
pub struct Server {
    /// What it stands on.
    pub site: Site,
    master: Child,
    process: Process,
    /// Panics in its log are meant.
    panics: bool,
}

impl Site {
    /// Starts a server with these settings behind those that all tests have.
    ///
    /// # Panics
    /// If it does not come to serve.
    pub fn start(self, settings: &str) -> Server {
        self.try_start(settings).unwrap_or_else(|why| panic!("the server does not start:\n{why}"))
    }

    /// The same. If it ends before it serves: what it said.
    pub fn try_start(self, settings: &str) -> Result<Server, String> {
        self.configure(settings);
        let (master, process) = self.launch()?;
        Ok(Server { site: self, master, process, panics: false })
    }

    /// Starts the master and waits until it serves. If it ends before: what it said.
    fn launch(&self) -> Result<(Child, Process), String> {
        let read_log = || fs::read_to_string(self.path("log")).unwrap();
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let before = read_log().matches(READY).count();
        let words = self.master_command();
        let mut master = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let process = Process::find(master.id()).unwrap();
        let ended = until("the server to be ready", || match master.try_wait().unwrap() {
            Some(_) => Some(true),
            None => (read_log().matches(READY).count() > before).then_some(false),
        });
        if ended { Err(read_log()) } else { Ok((master, process)) }
    }
}

impl Server {
    /// Starts one on a new site.
    pub fn start(settings: &str) -> Self {
        Site::new().start(settings)
    }

    /// The master's process.
    pub fn master(&self) -> &Process {
        &self.process
    }

    /// Lets what panics go without this being the test's failure.
    pub fn expect_panics(&mut self) {
        self.panics = true;
    }

    /// An IMAP client that has not logged in.
    pub fn imap(&self) -> Imap {
        Imap::connect(self.site.imap_address(), None)
    }

    /// The same; none if it is not greeted.
    pub fn try_imap(&self) -> Option<Imap> {
        Imap::try_connect(self.site.imap_address(), None)
    }

    /// An IMAP client that has.
    #[track_caller]
    pub fn login(&self, user: &str) -> Imap {
        let mut imap = self.imap();
        imap.login(user);
        imap
    }

    /// An IMAP client from this address that has not logged in.
    pub fn imap_from(&self, address: Ipv4Addr) -> Imap {
        Imap::connect(self.site.imap_address(), Some(address))
    }

    /// A POP3 client that has not logged in.
    pub fn pop3(&self) -> Pop3 {
        Pop3::connect(self.site.pop3_address(), None)
    }

    /// A POP3 client that has.
    #[track_caller]
    pub fn pop3_login(&self, user: &str) -> Pop3 {
        let mut pop3 = self.pop3();
        pop3.login(user);
        pop3
    }

    /// Runs mailctl.
    pub fn mailctl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.site.program("mailctl"));
        command.arg("--base-dir").arg(self.site.path("run")).args(arguments).output().unwrap()
    }

    /// Runs mailctl; the rows of its answer.
    ///
    /// # Panics
    /// Unless it succeeds.
    #[track_caller]
    pub fn ctl(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.mailctl(&[arguments, &["--json"]].concat());
        assert!(
            output.status.success(),
            "mailctl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Who is connected.
    #[track_caller]
    pub fn who(&self) -> Vec<Value> {
        self.ctl(&["who"])
    }

    /// The rows of one kind of what runs.
    #[track_caller]
    pub fn status(&self, kind: &str) -> Vec<Value> {
        self.ctl(&["status"]).into_iter().filter(|row| row["kind"] == kind).collect()
    }

    /// The only process of a kind.
    ///
    /// # Panics
    /// If there are none or several.
    #[track_caller]
    pub fn only(&self, kind: &str) -> Process {
        let rows = self.status(kind);
        assert_eq!(rows.len(), 1, "{rows:?}");
        process(&rows[0]["pid"])
    }

    /// Waits until as many sessions are there.
    pub fn wait_for_sessions(&self, count: usize) {
        until(&format!("{count} sessions"), || (self.who().len() == count).then_some(()));
    }

    /// Waits until a user has this many sessions.
    pub fn wait_for_sessions_of(&self, user: &str, count: usize) {
        until(&format!("{count} sessions of {user}"), || {
            (self.who().iter().filter(|row| row["user"] == user).count() == count).then_some(())
        });
    }

    /// Everything that was logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.site.path("log")).unwrap()
    }

    /// Waits for a line in the log that has this in it; that line.
    pub fn wait_for_log(&self, text: &str) -> String {
        until(&format!("'{text}' in the log"), || {
            self.log().lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    }

    /// Has the configuration read again, with other settings behind those that all tests have, and waits for it.
    pub fn reload(&self, settings: &str) {
        self.site.configure(settings);
        self.ctl(&["reload"]);
    }

    /// Stops it, and starts it again.
    ///
    /// # Panics
    /// If it does not come to serve.
    pub fn restart(&mut self) {
        self.end();
        (self.master, self.process) = self.site.launch().unwrap();
    }

    /// Stops it, and sees that nothing is left; how it ended.
    pub fn stop(mut self) -> ExitStatus {
        self.end()
    }

    fn end(&mut self) -> ExitStatus {
        let all = self.process.descendants();
        self.process.signal(Signal::SIGTERM);
        let status = until("the server to end", || self.master.try_wait().unwrap());
        // A worker that was killed leaves one behind that ends by itself.
        let left = || all.iter().filter(|process| process.is_alive()).count();
        until("all that it has started to end", || (left() == 0).then_some(()));
        let log = self.log();
        assert!(!log.contains("has not ended, killing it"), "not all ended when they were told:\n{log}");
        status
    }

    /// Kills all its processes at once, and starts it again when `between` is done.
    pub fn kill_and_start(&mut self, between: impl FnOnce(&Site)) {
        let all = self.process.descendants();
        self.kill();
        until("all to be dead", || all.iter().all(|process| !process.is_alive()).then_some(()));
        // Who has just been started ends by itself, and has the sockets until then.
        let ports = [self.site.imap_address(), self.site.pop3_address()];
        until("its ports to be free", || {
            ports.iter().all(|port| TcpListener::bind(port).is_ok()).then_some(())
        });
        between(&self.site);
        (self.master, self.process) = self.site.launch().unwrap();
    }

    /// The same, with nothing between.
    pub fn crash(&mut self) {
        self.kill_and_start(|_| ());
    }

    fn kill(&mut self) {
        let all = self.process.descendants();
        // Whatever of this fails, the test has failed before.
        let _ = self.master.kill();
        let _ = self.master.wait();
        for process in all {
            process.signal(Signal::SIGKILL);
        }
    }
}

/// The process with the number in this field.
///
/// # Panics
/// If there is none.
#[track_caller]
pub fn process(pid: &Value) -> Process {
    let pid = pid.as_u64().and_then(|pid| u32::try_from(pid).ok());
    pid.and_then(Process::find).expect("a process that runs")
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            self.kill();
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.get(lines.len().saturating_sub(100)..).unwrap_or_default();
            return eprintln!("--- the end of the server's log:\n{}\n---", last.join("\n"));
        }
        if self.master.try_wait().unwrap().is_none() {
            let status = self.end();
            assert!(status.success(), "{status}\n{}", self.log());
        }
        let log = self.log();
        assert!(self.panics || !log.contains("panicked"), "something panicked:\n{log}");
    }
}

const READY: &str = " is ready";
