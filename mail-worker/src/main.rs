//! mail-worker(8): serves logged-in clients, of many users in one process.
//!
//! How it was born stands in its environment, which is looked at here and nowhere else: handed over by a master over
//! descriptor 0 (`PERSISTENT_MAIL_PROCESS`), or with one client on descriptors 0 and 1. From there on there is one
//! path for all.
#![deny(unsafe_code)]

mod cache;
mod client;
mod disk;
mod environ;
#[cfg(debug_assertions)]
mod fault;
mod greeting;
mod identity;
mod imap;
mod jitter;
mod link;
mod marker;
mod orders;
mod pop3;
mod seat;
mod serving;
mod session;
mod settings;
mod size;
mod source;
mod stream;
mod tally;
mod user;
mod watch;
mod worker;

use std::error::Error;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use clap::Parser;
use envdump::Environment;
use log::LevelFilter;
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

use crate::disk::Disk;
use crate::identity::{Credentials, Identity};
use crate::link::Link;
use crate::marker::Marker;
use crate::size::Size;
use crate::stream::Stream;
use crate::user::Users;
use crate::worker::Worker;

#[derive(Parser)]
#[command(name = "mail-worker", version, about = "Serves logged-in mail clients")]
struct CommandLine {
    /// Whom it serves, where verbose_proctitle has the master say so: for ps(1) to show
    #[arg(hide = true)]
    _shown: Vec<String>,
    /// Wait for the disk in place of the mail-worker at the other end of standard input, which starts this itself
    #[arg(long)]
    sync: bool,
}

fn main() -> ExitCode {
    if CommandLine::parse().sync {
        let Err(why) = standard(io::stdin()).and_then(disk::serve) else { return ExitCode::SUCCESS };
        // A worker has closed its ears, and finds out that nobody answers.
        journal::init("mail-worker", LevelFilter::Warn, false);
        log::error!("waiting for a worker's disk: {why}");
        return ExitCode::FAILURE;
    }
    let environment = Environment::from_vars(std::env::vars_os());
    let linked = environment.is_set("PERSISTENT_MAIL_PROCESS");
    let child = linked || environment.is_set("LOGGED_IN");
    let level = match environment.is_set("DEBUG") {
        true => LevelFilter::Debug,
        false if child => LevelFilter::Info,
        // A person who tries it does not want to be told that he has connected.
        false => LevelFilter::Warn,
    };
    journal::init("mail-worker", level, child);
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    // Others who are the same user are to find nothing here.
    let worker = set_dumpable(false).map_err(Into::into).and_then(|()| match linked {
        true => be_handed_clients(&environment),
        false => serve_one(&environment),
    });
    match worker {
        Ok(worker) => worker.run(),
        Err(why) => {
            log::error!("not started: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Descriptor 0 is the master. The first client, if there is one, is taken as all that come later.
fn be_handed_clients(environment: &Environment) -> Result<Worker, Box<dyn Error>> {
    let identity = Identity::of_worker()?;
    let link = Link::new(standard(io::stdin())?)?;
    // The link is closed when this process closes it, and not held by its old number.
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    let marker = environment
        .text("WORKING_FD")
        .map(|number| -> Result<File, Box<dyn Error>> { Ok(fdpass::inherited(number.parse()?)?.into()) });
    let first = environment
        .text("CONNECTION_ID")
        .map(|id| -> Result<_, Box<dyn Error>> { Ok((id.parse()?, fdpass::inherited(FIRST_CLIENT)?)) });
    let first = first.transpose()?;
    // All that this process was born with is close-on-exec by now. Only where there may be two clients.
    let shared = environment.text("MAIL_MAX_CONNECTIONS") != Some("1");
    let disk = (shared && !environment.is_set("FSYNC_DISABLE")).then(Disk::start);
    let disk = disk.transpose().unwrap_or_else(|why| {
        log::warn!("starting a process that waits for the disk: {why}");
        None
    });
    let marker = Marker::new(marker.transpose()?);
    let mut worker = start(environment, identity, disk.map(Rc::new), Some(link), marker)?;
    worker.introduce(environment)?;
    if let Some((id, descriptor)) = first {
        worker.take(id, environment, descriptor);
    }
    Ok(worker)
}

/// Descriptors 0 and 1 are the client.
fn serve_one(environment: &Environment) -> Result<Worker, Box<dyn Error>> {
    let identity = Identity::of_single()?;
    if environment.is_set("LOGGED_IN") && Credentials::of_process()?.is_root() {
        return Err("a client that has logged in is never served as root".into());
    }
    let stream = Stream::pair(standard(io::stdin())?, standard(io::stdout())?)?;
    let mut worker = start(environment, identity, None, None, Marker::new(None))?;
    if environment.is_set("STDERR_CLOSE_SHUTDOWN") {
        // Where it is no pipe, nobody can go away from its other end.
        if let Err(why) = worker.end_with_log() {
            log::debug!("watching the log: {why}");
        }
    }
    worker.take_single(environment, stream)?;
    Ok(worker)
}

fn start(
    environment: &Environment,
    identity: Identity,
    disk: Option<Rc<Disk>>,
    link: Option<Link>,
    marker: Marker,
) -> Result<Worker, Box<dyn Error>> {
    if let Some(mask) = environment.text("UMASK") {
        umask(Mode::from_bits_truncate(u32::from_str_radix(mask, 8)?));
    }
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let host = nix::unistd::gethostname()?;
    let syncer = disk.clone().map(|disk| -> Rc<dyn store::Syncer> { disk });
    let pid = std::process::id();
    let process = store::Process::with_syncer(pid, host.as_encoded_bytes(), syncer);
    let users = Users::new(process, Rc::new(Credentials::of_process()?));
    let size = Size::new(environment, Instant::now())?;
    let worker = Worker::new(identity, users, disk, link, marker, size)?;
    give_up(pid)?;
    Ok(worker)
}

/// Gives up, for good, what is not needed from here on: before the first byte of a client is read.
fn give_up(pid: u32) -> Result<(), Box<dyn Error>> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    Ok(confine::worker_filter(pid).install()?)
}

fn standard(stream: impl AsFd) -> io::Result<std::os::fd::OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}

/// Where a process is born with its first client.
const FIRST_CLIENT: i32 = 3;
