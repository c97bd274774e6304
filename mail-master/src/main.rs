//! mail-master(8): the privileged process. It reads the configuration, keeps the pool and the ledger, and decides; it
//! speaks neither IMAP nor POP3 nor TLS, and parses no byte of a stranger.
#![deny(unsafe_code)]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

mod admission;
mod auth_process;
mod children;
mod config;
mod control;
mod environ;
mod hand_off;
mod in_force;
mod jail;
mod ledger;
mod limits;
mod link;
mod listener;
mod log_sink;
mod login_delay;
mod login_process;
mod mail_process;
mod master;
mod person;
mod pid_file;
mod pool;
mod quarantine;
mod reload;
mod shutdown;
mod spawn;
mod strangers;
mod views;

use config::{Config, Host, LogTo, Shown};
use log_sink::LogSink;
use master::Master;
use pid_file::PidFile;

/// Serves mail: reads the configuration, and starts and watches all that is needed.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Read this configuration
    #[arg(short, long, value_name = "file", default_value = "/etc/mail-master/mail-master.conf")]
    config: PathBuf,
    /// Stay in the foreground
    #[arg(short = 'F')]
    foreground: bool,
    /// Print the settings that differ from their defaults
    #[arg(short = 'n', conflicts_with_all = ["all", "check"])]
    changed: bool,
    /// Print all settings
    #[arg(short, conflicts_with = "check")]
    all: bool,
    /// Check the configuration
    #[arg(short = 't')]
    check: bool,
    /// Print a configuration to begin with
    #[arg(long, hide = true)]
    print_example: bool,
    /// Print the settings for mail-master.conf(5)
    #[arg(long, hide = true)]
    print_settings_mdoc: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.print_example {
        return print(&config::example());
    }
    if arguments.print_settings_mdoc {
        return print(&config::mdoc());
    }
    let own = std::env::current_exe().unwrap_or_default();
    let host = Host::this(own.parent().unwrap_or(Path::new("/")).to_owned());
    let (config, report) = match config::load(&arguments.config, &host) {
        Ok(loaded) => loaded,
        Err(report) => {
            eprint!("{report}");
            return ExitCode::from(1);
        }
    };
    eprint!("{report}");
    if arguments.changed {
        return print(&config::print(&config, &host, Shown::Changed));
    }
    if arguments.all {
        return print(&config::print(&config, &host, Shown::All));
    }
    if !arguments.check
        && let Err(why) = serve(config, host, arguments.foreground)
    {
        eprintln!("mail-master: {why}");
        return ExitCode::from(1);
    }
    ExitCode::SUCCESS
}

/// A reader that has seen enough is no failure.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("mail-master: writing: {why}");
            ExitCode::from(1)
        }
        _ => ExitCode::SUCCESS,
    }
}

fn serve(config: Config, host: Host, foreground: bool) -> Result<(), String> {
    // The logger lives as long as the process.
    let sink: &'static LogSink = Box::leak(Box::new(LogSink::stderr()));
    log::set_logger(sink).map_err(|why| why.to_string())?;
    // Without root, whoever broke into a child is the same user, and would find all of us in /proc.
    nix::sys::prctl::set_dumpable(false).map_err(|why| format!("protecting memory: {why}"))?;
    // As many descriptors as the machine lets us have: each child's pipes and links are here.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // A limit that stays as it is only means fewer children.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let base_dir = config.server.base_dir.clone();
    fs::create_dir_all(&base_dir).map_err(|why| format!("making {}: {why}", base_dir.display()))?;
    let mut pid_file = PidFile::take(&base_dir)?;
    if host.is_root() {
        login_process::make_empty(&base_dir)?;
    }
    if !foreground {
        let stderr = config.server.log_path != LogTo::Stderr;
        sink.open(&config, stderr).map_err(|why| why.to_string())?;
        nix::unistd::daemon(true, false).map_err(|why| format!("going into the background: {why}"))?;
    }
    sink.open(&config, foreground).map_err(|why| why.to_string())?;
    pid_file.write()?;
    Master::new(config, host, std::env::var_os("TZ"), sink)?.run()
}
