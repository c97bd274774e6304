//! Where the log goes: standard error, files that can be opened again, syslog. The master's own lines and those of its
//! children come through the `log` macros, the latter with their prefix in front and escaped before.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process;
use std::sync::{Mutex, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::config::{Config, LogTo};

/// The logger of the process. `main` makes it live as long as the process.
#[derive(Debug)]
pub(crate) struct LogSink {
    outlets: Mutex<Outlets>,
}

#[derive(Debug)]
struct Outlets {
    all: Outlet,
    /// For informational lines, where they go elsewhere.
    info: Option<Outlet>,
    facility: libc::c_int,
}

#[derive(Debug)]
enum Outlet {
    Stderr,
    Syslog(UnixDatagram),
    File(File),
}

impl LogSink {
    /// To standard error, until there is a configuration.
    pub(crate) fn stderr() -> Self {
        Self { outlets: Mutex::new(Outlets { all: Outlet::Stderr, info: None, facility: libc::LOG_MAIL }) }
    }

    /// From now on where the settings say; also what opens the files again. Without terminal or supervisor, standard
    /// error is syslog.
    ///
    /// # Errors
    /// Which file or socket cannot be opened; all stays as it was then.
    pub(crate) fn open(&self, config: &Config, stderr: bool) -> io::Result<()> {
        let settings = &config.server;
        let open = |to: &LogTo| match to {
            LogTo::Stderr if stderr => Ok(Outlet::Stderr),
            LogTo::Stderr | LogTo::Syslog => syslog(),
            LogTo::File(path) => append_to(path),
        };
        let outlets = Outlets {
            all: open(&settings.log_path)?,
            info: settings.info_log_path.as_ref().map(open).transpose()?,
            facility: settings.syslog_facility.0,
        };
        *self.outlets.lock().unwrap_or_else(PoisonError::into_inner) = outlets;
        let debug = config.served().any(|settings| settings.mail_debug);
        log::set_max_level(if debug { LevelFilter::Debug } else { LevelFilter::Info });
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<Outlet> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    file.map(Outlet::File)
        .map_err(|why| io::Error::new(why.kind(), format!("opening log {}: {why}", path.display())))
}

fn syslog() -> io::Result<Outlet> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket
        .connect("/dev/log")
        .map_err(|why| io::Error::new(why.kind(), format!("connecting to syslog at /dev/log: {why}")))?;
    Ok(Outlet::Syslog(socket))
}

impl Log for LogSink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut outlets = self.outlets.lock().unwrap_or_else(PoisonError::into_inner);
        let Outlets { all, info, facility } = &mut *outlets;
        let outlet = info.as_mut().filter(|_| record.level() >= Level::Info).unwrap_or(all);
        outlet.write(record, *facility);
    }

    fn flush(&self) {}
}

impl Outlet {
    /// A log that cannot be written must not stop the mail; there is nobody left to tell.
    fn write(&mut self, record: &Record<'_>, facility: libc::c_int) {
        let (level, severity) = match record.level() {
            Level::Error => ("Error", libc::LOG_ERR),
            Level::Warn => ("Warning", libc::LOG_WARNING),
            Level::Info => ("Info", libc::LOG_INFO),
            Level::Debug | Level::Trace => ("Debug", libc::LOG_DEBUG),
        };
        // Names and texts of users, clients and workers are in there.
        let text = journal::without_controls(&format!("{level}: {}", record.args()));
        let _ = match self {
            Self::Stderr if !has_room(io::stderr().as_fd()) => Ok(()),
            Self::Stderr => writeln!(io::stderr(), "{} mail-master: {text}", now()),
            Self::File(file) => file.write_all(format!("{} mail-master: {text}\n", now()).as_bytes()),
            Self::Syslog(socket) => {
                let line = format!("<{}>mail-master[{}]: {text}", facility | severity, process::id());
                socket.send(line.as_bytes()).map(drop)
            }
        };
    }
}

/// Whether a line can be written without waiting for whoever reads it: of a pipe POLLOUT says that PIPE_BUF bytes fit.
fn has_room(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// The local time, in the form that log readers of mail servers expect: `Nov 24 09:30:00`.
fn now() -> impl std::fmt::Display {
    jiff::Zoned::now().strftime("%b %d %H:%M:%S").to_string()
}
