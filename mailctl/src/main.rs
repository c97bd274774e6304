//! mailctl(8): asks and steers a running master.
//!
//! One request a connection, as mail-control(7) says. What the master tells of clients (names, mailboxes) is shown
//! with its control characters escaped.
#![forbid(unsafe_code)]

mod asking;
mod json;
mod table;
mod view;

use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand};
use wire::control::{Request, Whom};
use wire::{ConnectionId, Record};

use asking::{Failure, Sockets};

/// Asks and steers a running mail-master
#[derive(Parser)]
#[command(name = "mailctl", version)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
    /// The base_dir of the master [default: $MAILCTL_BASE_DIR, or /var/run/mail-master]
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "socket")]
    base_dir: Option<PathBuf>,
    /// The socket to ask, in place of the two in base_dir
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, global = true)]
    json: bool,
    /// For how long an answer is awaited
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
}

#[derive(Subcommand)]
enum Verb {
    /// Print what runs, and how it stands
    Status,
    /// Print who is connected
    Who,
    /// Have the configuration read again
    Reload,
    /// End all sessions and the master
    Stop,
    /// End the sessions of a user, of an address, or one
    Kick(Target),
    /// Ask whether a master answers
    Ping,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// A session's number, an address, or else a user
    #[arg(value_name = "WHOM", value_parser = |text: &str| Ok::<_, clap::Error>(guess(text)))]
    whom: Option<Whom>,
    /// The session, as `who` names it
    #[arg(long, value_name = "NUMBER")]
    session: Option<ConnectionId>,
    /// All sessions of the user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// All sessions from the address
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
}

fn main() -> ExitCode {
    let line = CommandLine::parse();
    let (request, name) = line.verb.request();
    let base_dir = || {
        let set = std::env::var_os("MAILCTL_BASE_DIR").filter(|dir| !dir.is_empty());
        line.base_dir.clone().unwrap_or_else(|| set.map_or_else(|| DEFAULT_BASE_DIR.into(), PathBuf::from))
    };
    let sockets = line.socket.clone().map_or_else(|| Sockets::below(&base_dir()), Sockets::one);
    let outcome = asking::ask(&sockets, &request, line.timeout)
        .and_then(|rows| if kicked_nobody(&request, &rows) { Err(nobody()) } else { Ok(rows) });
    let told = match outcome {
        Ok(rows) => tell(&line.verb, &rows, line.json),
        Err(why) => {
            // A report on a configuration ends with empty lines.
            eprintln!("mailctl: {name}: {}", why.to_string().trim_end());
            return ExitCode::from(if matches!(why, Failure::No(_)) { ANSWERED_NO } else { NO_ANSWER });
        }
    };
    match told {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => {
            eprintln!("mailctl: {name}: writing: {why}");
            ExitCode::from(ANSWERED_NO)
        }
        _ => ExitCode::SUCCESS,
    }
}

fn tell(verb: &Verb, rows: &[Record], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return rows.iter().try_for_each(|row| writeln!(out, "{}", json::object(row)));
    }
    match verb {
        Verb::Status | Verb::Who | Verb::Kick(_) => {
            out.write_all(view::page(rows, SystemTime::now()).as_bytes())
        }
        Verb::Reload => writeln!(out, "reloaded"),
        Verb::Stop => writeln!(out, "stopping"),
        Verb::Ping => writeln!(out, "alive"),
    }
}

impl Verb {
    /// What it asks, and its name.
    fn request(&self) -> (Request, &'static str) {
        match self {
            Self::Status => (Request::Status, "status"),
            Self::Who => (Request::Who, "who"),
            Self::Reload => (Request::Reload, "reload"),
            Self::Stop => (Request::Stop, "stop"),
            Self::Kick(target) => (Request::Kick(target.whom()), "kick"),
            Self::Ping => (Request::Ping, "ping"),
        }
    }
}

impl Target {
    fn whom(&self) -> Whom {
        match (&self.whom, self.session, self.address) {
            (Some(whom), _, _) => whom.clone(),
            (_, Some(session), _) => Whom::Session(session),
            (_, _, Some(address)) => Whom::Address(address),
            _ => Whom::User(self.user.clone().unwrap_or_default()),
        }
    }
}

/// A word without an option is what it looks like.
fn guess(text: &str) -> Whom {
    if let Ok(session) = text.parse() {
        return Whom::Session(session);
    }
    text.parse().map_or_else(|_| Whom::User(text.to_owned()), Whom::Address)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "a number of seconds above 0".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or_else(wrong)
}

fn kicked_nobody(request: &Request, rows: &[Record]) -> bool {
    matches!(request, Request::Kick(_)) && rows.is_empty()
}

fn nobody() -> Failure {
    Failure::No("no such session".to_owned())
}

const DEFAULT_BASE_DIR: &str = "/var/run/mail-master";
/// It was done: success. It was asked and answered with no.
const ANSWERED_NO: u8 = 1;
/// Nobody answered.
const NO_ANSWER: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        <CommandLine as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_word_is_what_it_looks_like() {
        assert_eq!(guess("7"), Whom::Session("7".parse().unwrap()));
        assert_eq!(guess("::1"), Whom::Address("::1".parse().unwrap()));
        assert_eq!(guess("127.0.0.1"), Whom::Address("127.0.0.1".parse().unwrap()));
        assert_eq!(guess("alice"), Whom::User("alice".to_owned()));
        assert_eq!(guess("0"), Whom::User("0".to_owned()));
    }

    #[test]
    fn a_timeout_is_a_positive_number() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "x", "1e30", "NaN", "inf"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
