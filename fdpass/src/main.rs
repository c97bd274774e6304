//! fdpass(1): sends a descriptor over a unix socket, and gives received ones to programs as their standard input and
//! output.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use clap::{Parser, Subcommand};
use fdpass::{inherited, receive, send};

/// Passes descriptors across a unix socket
#[derive(Parser)]
#[command(name = "fdpass", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Connect to SOCKET and send descriptor FD
    Send {
        /// Path of a unix stream socket
        socket: PathBuf,
        /// Number of the descriptor
        #[arg(default_value_t = 0)]
        fd: i32,
    },
    /// Connect to SOCKET, receive a descriptor, and become PROG with it as standard input and output
    Recv {
        /// Path of a unix stream socket
        socket: PathBuf,
        /// The program and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        prog: Vec<OsString>,
    },
    /// Listen at SOCKET and start PROG for each descriptor that is received there
    Listen {
        /// Path for a unix stream socket; one that nobody listens at any more is replaced
        socket: PathBuf,
        /// The program and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        prog: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Send { socket, fd } => give(&socket, fd).map(|()| ExitCode::SUCCESS),
        Verb::Recv { socket, prog } => take(&socket).and_then(|fd| become_program(&prog, fd)),
        Verb::Listen { socket, prog } => listen(&socket, &prog),
    };
    outcome.unwrap_or_else(|what| {
        eprintln!("fdpass: {what}");
        ExitCode::from(1)
    })
}

fn give(path: &Path, number: i32) -> Result<(), String> {
    let fd = match number {
        0 => io::stdin().as_fd().try_clone_to_owned(),
        1 => io::stdout().as_fd().try_clone_to_owned(),
        2 => io::stderr().as_fd().try_clone_to_owned(),
        _ => inherited(number),
    };
    let fd = fd.map_err(|why| format!("descriptor {number}: {why}"))?;
    let socket = connect(path)?;
    send(&socket, b"\n", Some(fd.as_fd())).map_err(|why| named(path, &why))?;
    // The other side closes when it has it: a descriptor in flight is lost if nobody takes it.
    let mut rest = Vec::new();
    (&socket).read_to_end(&mut rest).map(drop).map_err(|why| named(path, &why))
}

fn take(path: &Path) -> Result<OwnedFd, String> {
    take_from(&connect(path)?).map_err(|why| named(path, &why))
}

fn take_from(socket: &UnixStream) -> io::Result<OwnedFd> {
    let got = receive(socket, &mut [0; 1])?;
    got.fd.ok_or_else(|| io::Error::new(ErrorKind::UnexpectedEof, "no descriptor came"))
}

fn connect(path: &Path) -> Result<UnixStream, String> {
    UnixStream::connect(path).map_err(|why| named(path, &why))
}

fn named(path: &Path, why: &io::Error) -> String {
    format!("{}: {why}", path.display())
}

fn command(prog: &[OsString], fd: OwnedFd) -> io::Result<Command> {
    let (program, arguments) = prog.split_first().ok_or(ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::from(fd.try_clone()?)).stdin(Stdio::from(fd));
    Ok(command)
}

fn become_program(prog: &[OsString], fd: OwnedFd) -> Result<ExitCode, String> {
    let why = command(prog, fd).map_err(|why| why.to_string())?.exec();
    let name = prog.first().map(|name| name.display().to_string()).unwrap_or_default();
    eprintln!("fdpass: {name}: {why}");
    Ok(ExitCode::from(if why.kind() == ErrorKind::NotFound { 127 } else { 126 }))
}

fn listen(path: &Path, prog: &[OsString]) -> Result<ExitCode, String> {
    let socket = bind(path).map_err(|why| named(path, &why))?;
    let mut children: Vec<Child> = Vec::new();
    loop {
        let (peer, _) = socket.accept().map_err(|why| named(path, &why))?;
        // One that cannot be waited for is none of ours any more.
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let started = take_from(&peer).and_then(|fd| command(prog, fd)?.spawn());
        match started {
            Ok(child) => children.push(child),
            Err(why) => eprintln!("fdpass: {why}"),
        }
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let stale = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
        && UnixStream::connect(path).is_err_and(|why| why.kind() == ErrorKind::ConnectionRefused);
    if stale {
        fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}
