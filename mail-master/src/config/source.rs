//! The files of a configuration: the one named, and those it includes, as one row of lines.
//!
//! It opens files and nothing else. Sections are balanced within each file: what comes out has as many ends as
//! beginnings. Sizes, depth and number of files are bounded.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::config::grammar::{self, Line};
use crate::config::problem::{Place, Problem, Report};

/// A line and the number of the file that it stands in.
pub(super) type Numbered = (usize, Line);

/// Reads a file, by its absolute path, and all that it includes. What cannot be read is a problem in `report`.
pub(super) fn read(path: &Path, report: &mut Report) -> Vec<Numbered> {
    let mut reader = Reader { report, lines: Vec::new(), open: Vec::new(), files: 0 };
    reader.file(path, None);
    reader.lines
}

struct Reader<'a> {
    report: &'a mut Report,
    lines: Vec<Numbered>,
    /// The files that are being read, each included by the one before.
    open: Vec<PathBuf>,
    files: usize,
}

impl Reader<'_> {
    /// Reads one file; `asked` is the `!include` that wants it.
    fn file(&mut self, path: &Path, asked: Option<&Place>) {
        let opened = if asked.is_some() { open_included(path) } else { File::open(path) };
        let text = match opened.and_then(text_of) {
            Ok(text) => text,
            Err(error) => {
                let problem = cannot(path, &error);
                self.report.add(match asked {
                    Some(place) => problem.at(place),
                    None => problem,
                });
                return;
            }
        };
        let source = self.report.add_source(path, text);
        let text = self.report.source(source).map(|source| source.text.clone()).unwrap_or_default();
        let (lines, faults) = grammar::parse(&text);
        for fault in faults {
            let problem =
                if fault.harmless { Problem::warning(fault.what) } else { Problem::error(fault.what) };
            self.report.add(problem.at(&Place { source, span: fault.span }).help(fault.help));
        }
        self.open.push(path.to_owned());
        let mut sections: Vec<Range<usize>> = Vec::new();
        for line in lines {
            match &line {
                Line::Include { pattern, optional, span } => {
                    let place = Place { source, span: span.clone() };
                    self.include(pattern, *optional, &place);
                    continue;
                }
                Line::Open { span, .. } => sections.push(span.clone()),
                Line::Close { span } => {
                    if sections.pop().is_none() {
                        let problem = Problem::error("this brace closes no section");
                        self.report.add(problem.at(&Place { source, span: span.clone() }).help("remove it"));
                        continue;
                    }
                }
                Line::Set { .. } => {}
            }
            self.lines.push((source, line));
        }
        for span in sections.into_iter().rev() {
            let problem = Problem::error("this section is not closed in its file");
            let end = Line::Close { span: span.clone() };
            self.report
                .add(problem.at(&Place { source, span }).help("write '}' on a line of its own at its end"));
            self.lines.push((source, end));
        }
        self.open.pop();
    }

    fn include(&mut self, pattern: &str, optional: bool, place: &Place) {
        let directory = self.open.last().and_then(|path| path.parent()).unwrap_or(Path::new("/"));
        let full = if pattern.starts_with('/') {
            pattern.to_owned()
        } else {
            format!("{}/{pattern}", glob::Pattern::escape(&directory.to_string_lossy()))
        };
        let paths = match glob::glob(&full) {
            Ok(paths) => paths.filter_map(Result::ok).collect::<Vec<_>>(),
            Err(error) => {
                self.report
                    .add(Problem::error(format!("'{pattern}' is no pattern: {}", error.msg)).at(place));
                return;
            }
        };
        if paths.is_empty() && !optional {
            let problem = Problem::error(format!("there is no file '{pattern}'"));
            self.report.add(problem.at(place).help("write '!include_try' if it may be missing"));
        }
        for path in paths {
            if self.open.contains(&path) {
                let what = format!("{} includes itself", path.display());
                self.report.add(Problem::error(what).at(place).help("remove one of the '!include' lines"));
            } else if self.open.len() >= DEEPEST || self.files >= MOST_FILES {
                self.report
                    .add(Problem::error("too many files are included").at(place).help("put them together"));
            } else if !optional || is_there(&path) {
                self.files += 1;
                self.file(&path, Some(place));
            }
        }
    }
}

/// One that may be missing may also be unreadable; whatever else is wrong with it is told.
fn is_there(path: &Path) -> bool {
    let harmless = [ErrorKind::NotFound, ErrorKind::PermissionDenied];
    open_included(path).err().is_none_or(|why| !harmless.contains(&why.kind()))
}

/// A fifo would hold up the master, and whoever waits for it, until somebody writes to it.
fn open_included(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        return Err(io::Error::other("it is a fifo"));
    }
    Ok(file)
}

fn text_of(file: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|b| **b == b'\n').count() + 1;
        io::Error::other(format!("line {line} is not UTF-8"))
    })
}

fn cannot(path: &Path, error: &io::Error) -> Problem {
    Problem::error(format!("cannot read {}: {error}", path.display()))
}

const LARGEST: u64 = 1024 * 1024;
const DEEPEST: usize = 16;
const MOST_FILES: usize = 256;
