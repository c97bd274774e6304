//! mail-login(8): speaks to strangers until they have logged in.
//!
//! It is started by the master with everything that it needs, and opens nothing itself: no file, no other
//! process. It must never see a user's mail, and never decide who anybody is: that is between auth and the
//! master.
#![forbid(unsafe_code)]

mod auth;
mod client;
mod confinement;
mod conversation;
mod dialogue;
mod imap;
mod link;
mod login;
mod master;
mod offers;
mod pop3;
mod settings;

use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Parser;
use ioloop::Signals;
use log::LevelFilter;
use nix::sys::signal::Signal;

use login::Login;
use settings::Settings;

#[derive(Parser)]
#[command(name = "mail-login", version, about = "Speaks to clients until they have logged in")]
#[command(after_help = "It is started by mail-master(8), and of no use without it.")]
struct CommandLine {}

fn main() -> ExitCode {
    CommandLine::parse();
    let settings = match Settings::read(|name| std::env::var_os(name)?.into_string().ok()) {
        Ok(settings) => settings,
        Err(why) => {
            eprintln!("mail-login: {why}; it is to be started by mail-master(8)");
            return ExitCode::from(USAGE);
        }
    };
    journal::init("mail-login", if settings.debug { LevelFilter::Debug } else { LevelFilter::Info }, true);
    match start(settings).and_then(|login| Ok(login.run()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            log::error!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn start(settings: Settings) -> Result<Login, Box<dyn Error>> {
    let master = io::stdin().as_fd().try_clone_to_owned()?;
    let listeners = (FIRST_LISTENER..)
        .take(settings.listeners.into())
        .map(|number| {
            let inherited = fdpass::inherited(number).map_err(|why| format!("listener {number}: {why}"))?;
            Ok(TcpListener::from(inherited))
        })
        .collect::<Result<_, String>>()?;
    let signals = Signals::new(&[Signal::SIGTERM as i32, Signal::SIGINT as i32])?;
    let pid = std::process::id();
    let login = Login::new(settings, pid, master, listeners, signals)?;
    confinement::enter(std::env::var_os("EMPTY_ROOT"), pid)?;
    Ok(login)
}

/// Where listening sockets begin.
const FIRST_LISTENER: i32 = 3;

/// Exit code of one that was started wrongly.
const USAGE: u8 = 2;
