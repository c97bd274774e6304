//! The child's side: the `log` macros, through env_logger, onto descriptor 2.

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

use env_logger::{Builder, Target};
use log::{Level, LevelFilter};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::without_controls;

/// Sends what is logged from here on to `stderr`: everything at `level` and above. To be called once, by `main`.
///
/// As a `child` of the master the lines are in this crate's form and descriptor 2 is made non-blocking; by hand
/// they are `program: text` for a person to read.
pub fn init(program: &'static str, level: LevelFilter, child: bool) {
    let mut builder = Builder::new();
    builder.filter_level(level);
    if child {
        let stderr = io::stderr();
        if let Ok(flags) = fcntl(stderr.as_fd(), FcntlArg::F_GETFL) {
            let flags = OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK;
            // If it stays blocking, a master that does not read holds us up; there is nobody to tell.
            let _ = fcntl(stderr.as_fd(), FcntlArg::F_SETFL(flags));
        }
        builder.format(|out, record| {
            let text = record.args().to_string();
            writeln!(out, "\x01{}{}", letter(record.level()), without_controls(&text))
        });
        builder.target(Target::Pipe(Box::new(Dropping { to: io::stderr(), dropped: 0 })));
    } else {
        builder.format(move |out, record| {
            writeln!(out, "{program}: {}", without_controls(&record.args().to_string()))
        });
    }
    // A second call would only find the first one's logger in place.
    let _ = builder.try_init();
}

pub(crate) fn letter(level: Level) -> char {
    match level {
        Level::Error => 'E',
        Level::Warn => 'W',
        Level::Info => 'I',
        Level::Debug | Level::Trace => 'D',
    }
}

/// Writes each line whole or not at all, and never waits.
#[derive(Debug)]
struct Dropping<W> {
    to: W,
    dropped: u64,
}

impl<W: Write> Dropping<W> {
    /// A line of at most PIPE_BUF bytes goes into a pipe whole or not at all.
    fn line(&mut self, line: &[u8]) -> bool {
        let mut cut = line.get(..MAX_LINE).unwrap_or(line).to_vec();
        if cut.len() < line.len() {
            cut.push(b'\n');
        }
        loop {
            match self.to.write(&cut) {
                Ok(_) => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

impl<W: Write> Write for Dropping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.dropped > 0 {
            let note = format!("\x01W{} lines were lost, the log was full\n", self.dropped);
            if self.line(note.as_bytes()) {
                self.dropped = 0;
            }
        }
        if self.dropped > 0 || !self.line(line) {
            self.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Below PIPE_BUF (4096 on Linux), the line's end included.
const MAX_LINE: usize = 4000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a number of lines, then is full until it is told otherwise.
    #[derive(Default)]
    struct Pipe {
        lines: Vec<Vec<u8>>,
        room: usize,
    }

    impl Write for &mut Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= 1;
            self.lines.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lost_lines_are_counted_and_told() {
        let mut pipe = Pipe { room: 1, ..Pipe::default() };
        let mut log = Dropping { to: &mut pipe, dropped: 0 };
        for line in ["a\n", "b\n", "c\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(log.dropped, 2);
        log.to.room = 2;
        log.write_all(b"d\n").unwrap();
        assert_eq!(pipe.lines, [&b"a\n"[..], b"\x01W2 lines were lost, the log was full\n", b"d\n"]);
    }

    #[test]
    fn a_long_line_is_cut_not_split() {
        let mut pipe = Pipe { room: 9, ..Pipe::default() };
        Dropping { to: &mut pipe, dropped: 0 }.write_all(&[b'x'; 100_000]).unwrap();
        assert_eq!(pipe.lines.len(), 1);
        assert_eq!(pipe.lines[0].len(), MAX_LINE + 1);
    }
}
