//! The driver `checkpassword`: another program checks the password, by djb's interface (cr.yp.to/checkpwd).
//!
//! The program reads name, password and timestamp from descriptor 3. If the password is right, it sets its
//! environment up (and, where it may, its ids) and becomes the program named by its arguments: that is
//! `mail-auth checkpassword-reply`, which says on descriptor 4 who it has become ([`reply`]).
//! All here blocks and is for a thread that may; the program gets a time limit, and can say a bounded amount.

pub(crate) mod reply;

use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use command_fds::{CommandFdExt, FdMapping};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thiserror::Error;

use crate::account::Account;
use crate::passdb::Verdict;
use crate::query::Query;
use crate::secret::Secret;
use reply::Reply;

/// A program that checks passwords.
#[derive(Debug, Clone)]
pub(crate) struct Checkpassword {
    program: String,
    arguments: Vec<String>,
    /// This program, which the other one becomes.
    reply: PathBuf,
    limit: Duration,
}

/// What a program is asked.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// Is this password right?
    Password(Secret),
    /// Who is this user? (`AUTHORIZED=1`: no password is asked for.)
    User,
}

/// The path of the program is missing.
#[derive(Debug, Error)]
#[error("the path of the program is missing")]
pub(crate) struct NoProgram;

impl Checkpassword {
    /// Reads `PROGRAM [ARGUMENT ...]`, separated by blanks.
    pub(crate) fn parse(arguments: &str, reply: PathBuf) -> Result<Self, NoProgram> {
        let mut words = arguments.split_ascii_whitespace().map(str::to_owned);
        let program = words.next().ok_or(NoProgram)?;
        Ok(Self { program, arguments: words.collect(), reply, limit: TIME_LIMIT })
    }

    /// Runs the program and waits for what it says.
    pub(crate) fn ask(&self, query: &Query, question: &Question) -> Verdict {
        let password = match question {
            Question::Password(password) => password.expose(),
            Question::User => b"",
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let parts = [query.user.as_bytes(), password, now.as_bytes()];
        let input =
            Secret::new(parts.into_iter().flat_map(|part| [part, b"\0"]).flatten().copied().collect());
        if input.expose().len() > MAX_INPUT {
            return Verdict::Mismatch("name and password are longer than the checkpassword interface allows");
        }
        match self.run(query, question, &input) {
            Ok((status, said)) => self.verdict(query, question, status, &said),
            Err(error) => Verdict::Trouble(format!("{}: {error}", self.program)),
        }
    }

    fn run(&self, query: &Query, question: &Question, input: &Secret) -> io::Result<(ExitStatus, Vec<u8>)> {
        let deadline = Instant::now() + self.limit;
        let (theirs, mut ours) = io::pipe()?;
        // A pipe holds far more than the little that this is.
        ours.write_all(input.expose())?;
        drop(ours);
        let (reply, said) = io::pipe()?;
        let mut child = self.spawn(query, question, theirs.into(), said.into())?;
        let outcome =
            read_until(reply, deadline).and_then(|said| Ok((wait_until(&mut child, deadline)?, said)));
        if outcome.is_err() {
            end(child);
        }
        outcome
    }

    fn spawn(
        &self,
        query: &Query,
        question: &Question,
        input: OwnedFd,
        output: OwnedFd,
    ) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        let address = |address: Option<std::net::IpAddr>| address.map(|a| a.to_string()).unwrap_or_default();
        command
            .args(&self.arguments)
            .arg(&self.reply)
            .arg(reply::VERB)
            .env_clear()
            .env("PATH", PATH)
            .env("PROTO", "TCP")
            .env("SERVICE", &query.service)
            .env("TCPLOCALIP", address(query.local))
            .env("TCPREMOTEIP", address(query.remote))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0);
        if let Question::User = question {
            command.env("AUTHORIZED", "1");
        }
        let input = FdMapping { parent_fd: input, child_fd: 3 };
        let output = FdMapping { parent_fd: output, child_fd: reply::DESCRIPTOR };
        command.fd_mappings(vec![input, output]).map_err(io::Error::other)?.spawn()
    }

    fn verdict(&self, query: &Query, question: &Question, status: ExitStatus, said: &[u8]) -> Verdict {
        let trouble = |what: &str| Verdict::Trouble(format!("{}: {what}", self.program));
        match status.code() {
            Some(0) => match Reply::parse(said) {
                Some(reply) if matches!(question, Question::User) && !reply.authorized => {
                    trouble("does not know AUTHORIZED, so it can't look a user up")
                }
                Some(reply) => Verdict::Match(Account {
                    user: reply.user.unwrap_or_else(|| query.user.clone()),
                    told: reply.told,
                    prefetched: reply.userdb,
                }),
                None => trouble("ended without an error, yet did not become the program that replies"),
            },
            // 100 is what djb's programs end with in general when it is no use to try again; some say it here.
            Some(1 | 100) => Verdict::Mismatch("password mismatch"),
            Some(2) => trouble("says that it is misused (exit status 2)"),
            Some(3) => Verdict::Unknown,
            Some(111) => trouble("has a temporary problem (exit status 111)"),
            Some(code) => trouble(&format!("unexpected exit status {code}")),
            None => trouble(&format!("killed by signal {}", status.signal().unwrap_or_default())),
        }
    }
}

/// All that comes from `pipe` until its end.
fn read_until(mut pipe: PipeReader, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = PollTimeout::try_from(deadline.saturating_duration_since(Instant::now()))
            .unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match pipe.read(&mut buffer)? {
            0 => return Ok(said),
            count => said.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
        if said.len() > MAX_REPLY {
            return Err(io::Error::other("it says too much"));
        }
    }
}

fn wait_until(child: &mut Child, deadline: Instant) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // It has nothing to say any more, so its end is near; a strange one costs its own thread some time.
        thread::sleep(Duration::from_millis(1));
    }
}

/// Kills a program that did not end, and all that it started. One that we may not kill is left alone.
fn end(mut child: Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // What can fail here is that it has ended meanwhile, or is not ours any more.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    if wait_until(&mut child, Instant::now() + Duration::from_secs(1)).is_err() {
        log::error!("checkpassword: process {} does not end and can't be killed", child.id());
    }
}

/// How long a program may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// What the interface allows on descriptor 3.
const MAX_INPUT: usize = 512;

/// What the program that replies may say.
const MAX_REPLY: usize = 64 * 1024;

/// Where a program that is a script finds others.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

#[cfg(test)]
mod tests;
