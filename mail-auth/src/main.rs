//! mail-auth(8): is the password right, and who is this user.
//!
//! Started by the master with a socket as descriptor 0 and settings in the environment. It runs as its own user, knows
//! no mailbox, and is asked by login processes (and Postfix and Exim) and by the master, who both speak the protocol
//! of mail-auth(7). As `mail-auth checkpassword-reply` it is what a checkpassword program becomes.
#![forbid(unsafe_code)]

mod account;
mod auth;
mod checkpassword;
mod client;
mod control;
mod fields;
mod guesses;
mod identity;
mod link;
mod master;
mod mechanism;
mod passdb;
mod passwd_file;
mod peer;
mod pool;
mod query;
mod request;
mod scheme;
mod secret;
mod settings;
mod static_users;
mod userdb;

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use log::LevelFilter;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{getsockopt, sockopt::SockType};

use auth::Auth;
use settings::Settings;

/// Answers whether passwords are right and who users are. It is started by mail-master, which see.
#[derive(Debug, Parser)]
#[command(name = "mail-auth")]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print who this process is: what a checkpassword program runs when the password is right.
    CheckpasswordReply,
}

fn main() -> ExitCode {
    if let Some(Verb::CheckpasswordReply) = Arguments::parse().verb {
        return match checkpassword::reply::print(env::vars_os()) {
            Ok(()) => ExitCode::SUCCESS,
            // What djb's interface calls a temporary problem.
            Err(_) => ExitCode::from(111),
        };
    }
    let child = io::stdin().as_fd().try_clone_to_owned().ok().filter(is_socket);
    let debug = env::var_os("DEBUG").is_some();
    journal::init("mail-auth", if debug { LevelFilter::Debug } else { LevelFilter::Info }, child.is_some());
    let Some(control) = child else {
        log::error!("descriptor 0 is no socket: this program is started by mail-master(8)");
        return ExitCode::from(2);
    };
    shield();
    let variable = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let settings = env::current_exe()
        .map_err(|error| format!("where am I: {error}"))
        .and_then(|program| Settings::read(variable, program).map_err(|error| error.to_string()));
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => {
            log::error!("{error}");
            return ExitCode::from(2);
        }
    };
    let served = give_up(&settings)
        .and_then(|()| File::open("/dev/urandom"))
        .and_then(|random| Auth::new(settings, control, random))
        .and_then(Auth::run);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::from(3)
        }
    }
}

/// Keeps what is in memory here out of core files and from processes of the same user, and makes room for as many
/// peers as there may be. Both are better than not, and no more.
fn shield() {
    if let Err(error) = prctl::set_dumpable(false) {
        log::warn!("prctl(PR_SET_DUMPABLE): {error}");
    }
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // What fails here shows when the descriptors run out.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// Gives up, for good, what no database needs that stands in `settings`: before the first question is heard. Other
/// programs may need anything.
fn give_up(settings: &Settings) -> io::Result<()> {
    if settings.start_programs() {
        return Ok(());
    }
    for limit in [Resource::RLIMIT_FSIZE, Resource::RLIMIT_CORE] {
        setrlimit(limit, 0, 0)?;
    }
    confine::auth_filter(std::process::id()).install().map_err(io::Error::other)
}

fn is_socket(fd: &OwnedFd) -> bool {
    getsockopt(fd, SockType).is_ok()
}
