//! mail-jail(8): confines itself, then becomes another program.
//!
//! It knows nothing of mail. It must never become the program with more than it was told to leave.
#![forbid(unsafe_code)]

mod jail;
mod plan;
mod status;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::{CommandFactory, Parser};

use plan::{Arguments, Plan};

#[derive(Parser)]
#[command(name = "mail-jail", version, about = "Confines itself, then becomes another program")]
struct CommandLine {
    #[command(flatten)]
    jail: Arguments,
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// The program, found by its path or along PATH, and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    prog: Vec<OsString>,
}

fn main() -> ExitCode {
    let line = CommandLine::parse();
    let plan = match Plan::new(&line.jail) {
        Ok(plan) => plan,
        Err(wrong) => CommandLine::command().error(clap::error::ErrorKind::ValueValidation, wrong).exit(),
    };
    if line.dry_run {
        return print(&plan, &line.prog);
    }
    if let Err(why) = jail::enter(&plan) {
        eprintln!("mail-jail: {why}");
        return ExitCode::from(NOT_STARTED);
    }
    let Some((program, arguments)) = line.prog.split_first() else {
        return ExitCode::from(NOT_STARTED);
    };
    let why = Command::new(program).args(arguments).exec();
    eprintln!("mail-jail: {}: {why}", program.display());
    ExitCode::from(if why.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED })
}

fn print(plan: &Plan, prog: &[OsString]) -> ExitCode {
    let words: Vec<_> = prog.iter().map(|word| word.to_string_lossy()).collect();
    match writeln!(io::stdout(), "{plan}become {}", words.join(" ")) {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => {
            eprintln!("mail-jail: writing: {why}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// The jail could not be entered, or the program could not be executed.
const NOT_STARTED: u8 = 126;
/// There is no such program.
const NOT_FOUND: u8 = 127;
