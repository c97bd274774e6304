//! mail-jail(8): confines itself, then becomes another program.
//!
//! It knows nothing of mail. It must never become the program with more than it was told to leave.
#![forbid(unsafe_code)]

mod jail;
mod limits;
mod namespace;
mod paths;
mod plan;
mod status;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::{CommandFactory, Parser};

use jail::Confined;
use plan::{Arguments, Plan};

#[derive(Parser)]
#[command(name = "mail-jail", version, about = "Confines itself, then becomes another program")]
#[command(override_usage = "mail-jail [OPTIONS] [--] PROG [ARG]...")]
struct CommandLine {
    #[command(flatten)]
    jail: Arguments,
    /// Print what would be done, try it, say what is missing here, and start nothing
    #[arg(long)]
    dry_run: bool,
    /// Be the helper that writes the maps of that process when a line comes in
    #[arg(long, hide = true, value_name = "PID", requires = "map_uids", requires = "map_gids")]
    write_maps_of: Option<u32>,
    /// The program, found by its path or along PATH, and its arguments
    #[arg(required_unless_present = "write_maps_of", trailing_var_arg = true, allow_hyphen_values = true)]
    prog: Vec<OsString>,
}

fn main() -> ExitCode {
    let line = CommandLine::parse();
    if let Some(process) = line.write_maps_of {
        return ExitCode::from(namespace::help(process, &line.jail));
    }
    let plan = match Plan::new(&line.jail) {
        Ok(plan) => plan,
        Err(wrong) => CommandLine::command().error(clap::error::ErrorKind::ValueValidation, wrong).exit(),
    };
    if line.dry_run {
        return match rehearse(&plan, &line.prog) {
            Err(why) if why.kind() != ErrorKind::BrokenPipe => {
                eprintln!("mail-jail: writing: {why}");
                ExitCode::FAILURE
            }
            Err(_) => ExitCode::SUCCESS,
            Ok(code) => code,
        };
    }
    let confined = match jail::enter(&plan) {
        Ok(confined) => confined,
        Err(why) => {
            eprintln!("mail-jail: {why}");
            return ExitCode::from(NOT_STARTED);
        }
    };
    for missing in &confined.missing {
        eprintln!("mail-jail: {missing}");
    }
    start(&confined, &line.prog)
}

fn start(confined: &Confined, prog: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = prog.split_first() else {
        return ExitCode::from(NOT_STARTED);
    };
    let why = Command::new(program).args(arguments).env("MAIL_JAIL", confined.words()).exec();
    eprintln!("mail-jail: {}: {why}", program.display());
    ExitCode::from(if why.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED })
}

/// Says each step, and goes into the jail, in which nothing is then started.
fn rehearse(plan: &Plan, prog: &[OsString]) -> io::Result<ExitCode> {
    let words: Vec<_> = prog.iter().map(|word| word.to_string_lossy()).collect();
    let mut out = io::stdout();
    writeln!(out, "{plan}become {}", words.join(" "))?;
    match jail::enter(plan) {
        Ok(confined) => {
            writeln!(out, "here: {}", confined.words())?;
            confined.missing.iter().try_for_each(|missing| writeln!(out, "here: {missing}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            writeln!(out, "here: not started: {why}")?;
            Ok(ExitCode::from(NOT_STARTED))
        }
    }
}

/// The jail could not be entered, or the program could not be executed.
const NOT_STARTED: u8 = 126;
/// There is no such program.
const NOT_FOUND: u8 = 127;
