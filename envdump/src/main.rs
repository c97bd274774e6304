//! envdump(1): prints the current environment in the form of envdump(5), or becomes another program in exactly
//! the environment that such a text describes.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use envdump::Environment;

/// An environment as text
#[derive(Parser)]
#[command(name = "envdump", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Print one JSON object instead; a value that is not UTF-8 is an error
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// Become PROG in exactly the environment that FILE (- for standard input) describes
    Run {
        /// A text in the form of envdump(5)
        file: PathBuf,
        /// The program, found by its path or along the PATH of that environment, and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        prog: Vec<OsString>,
    },
    /// Say whether FILE (- for standard input) is well-formed
    Check {
        /// A text in the form of envdump(5)
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.verb {
        None => print(arguments.json),
        Some(Verb::Check { file }) => read(&file).map(|_| ExitCode::SUCCESS),
        Some(Verb::Run { file, prog }) => run(&file, &prog),
    };
    outcome.unwrap_or_else(|what| {
        eprintln!("envdump: {what}");
        ExitCode::from(1)
    })
}

fn print(json: bool) -> Result<ExitCode, String> {
    let environment = Environment::from_vars(std::env::vars_os());
    let text = if json { as_json(&environment)? } else { environment.to_text() };
    match io::stdout().write_all(&text) {
        Err(broken) if broken.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        other => other.map(|()| ExitCode::SUCCESS).map_err(|why| format!("writing: {why}")),
    }
}

fn as_json(environment: &Environment) -> Result<Vec<u8>, String> {
    let mut object = serde_json::Map::new();
    for (key, value) in environment.iter() {
        let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
        let (Ok(name), Ok(value)) = (utf8(key), utf8(value)) else {
            return Err(format!("{}: not UTF-8, which JSON cannot hold", String::from_utf8_lossy(key)));
        };
        object.insert(name, value.into());
    }
    Ok(format!("{}\n", serde_json::Value::Object(object)).into_bytes())
}

fn read(file: &Path) -> Result<Environment, String> {
    let named = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let mut text = Vec::new();
    if file == Path::new("-") {
        io::stdin().read_to_end(&mut text).map_err(|why| named(&why))?;
    } else {
        text = std::fs::read(file).map_err(|why| named(&why))?;
    }
    Environment::from_text(&text).map_err(|why| named(&why))
}

fn run(file: &Path, prog: &[OsString]) -> Result<ExitCode, String> {
    let environment = read(file)?;
    let Some((program, arguments)) = prog.split_first() else {
        return Err("no program".to_owned());
    };
    let why = Command::new(program).args(arguments).env_clear().envs(environment.to_vars()).exec();
    eprintln!("envdump: {}: {why}", program.display());
    Ok(ExitCode::from(if why.kind() == io::ErrorKind::NotFound { 127 } else { 126 }))
}
