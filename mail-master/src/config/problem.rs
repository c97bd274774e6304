//! What is wrong with a configuration, shown where it is wrong.
//!
//! Everything found is collected in one [`Report`], so that an administrator corrects a file once and not once for
//! each mistake. Nothing here decides; it only remembers and shows.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can; something in it has no effect, or another one than may be thought.
    Warning,
}

/// A part of one of the files that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Which of the report's sources.
    pub(super) source: usize,
    /// Bytes of its text.
    pub(super) span: Range<usize>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    severity: Severity,
    what: String,
    place: Option<Place>,
    help: Option<String>,
}

/// A file that was read, kept so that its lines can be shown.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// All problems of one configuration, errors before warnings.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sources: Vec<Source>,
    problems: Vec<Problem>,
    /// Errors that came when there were enough to show.
    more: usize,
}

impl Problem {
    pub(super) fn error(what: impl Into<String>) -> Self {
        Self { severity: Severity::Error, what: what.into(), place: None, help: None }
    }

    pub(super) fn warning(what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(what) }
    }

    pub(super) fn at(self, place: &Place) -> Self {
        Self { place: Some(place.clone()), ..self }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl Report {
    /// Takes a file in; the number that places name it by.
    pub(super) fn add_source(&mut self, path: &Path, text: String) -> usize {
        self.sources.push(Source { path: path.to_owned(), text });
        self.sources.len() - 1
    }

    /// Whether not even one file could be read.
    pub(super) fn is_unread(&self) -> bool {
        self.sources.is_empty()
    }

    pub(super) fn source(&self, source: usize) -> Option<&Source> {
        self.sources.get(source)
    }

    /// The text of a place.
    pub(super) fn text(&self, place: &Place) -> &str {
        self.source(place.source).and_then(|source| source.text.get(place.span.clone())).unwrap_or_default()
    }

    /// Notes a problem, once: a top-level setting that both protocols read is wrong twice and told once.
    pub(super) fn add(&mut self, problem: Problem) {
        if self.problems.contains(&problem) {
            return;
        }
        if self.problems.len() < MOST_KEPT {
            self.problems.push(problem);
        } else if problem.severity == Severity::Error {
            self.more += 1;
        }
    }

    /// Puts errors before warnings, and both into the order of the files; those of no place first.
    pub(super) fn sort(&mut self) {
        let place = |problem: &Problem| problem.place.as_ref().map(|place| (place.source, place.span.start));
        self.problems.sort_by_key(|problem| (problem.severity, place(problem)));
    }

    /// How many errors there are; with any, the configuration cannot be used.
    pub(crate) fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count() + self.more
    }

    /// Every problem as one line, `file:line:column: what; help`, for a log.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.problems.iter().take(MOST_SHOWN).map(|problem| {
            let place = problem.place.as_ref().and_then(|place| self.position(place)).unwrap_or_default();
            let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            format!("{place}{}{help}", problem.what)
        })
    }

    /// `file:line:column: ` of where a place begins; columns are counted in characters.
    fn position(&self, place: &Place) -> Option<String> {
        let source = self.source(place.source)?;
        let before = source.text.get(..place.span.start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some(format!("{}:{line}:{column}: ", source.path.display()))
    }

    fn show(&self, problem: &Problem) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(problem.what.as_str()));
        if let Some(place) = &problem.place
            && let Some(source) = self.source(place.source)
        {
            // Of a value that goes on over several lines, the first is enough to find it.
            let first_line = self.text(place).find('\n').map_or(place.span.end, |at| place.span.start + at);
            let mark = AnnotationKind::Primary.span(place.span.start..first_line);
            let snippet = Snippet::source(source.text.as_str()).path(source.path.to_string_lossy());
            group = group.element(snippet.annotation(mark));
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        Renderer::plain().render(&[group])
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems.iter().take(MOST_SHOWN) {
            writeln!(f, "{}\n", self.show(problem))?;
        }
        let more = self.problems.len().saturating_sub(MOST_SHOWN) + self.more;
        if more > 0 {
            writeln!(f, "... and {more} more\n")?;
        }
        Ok(())
    }
}

/// More than this help nobody; the rest is counted.
const MOST_SHOWN: usize = 30;
/// More than this are not even compared with each other.
const MOST_KEPT: usize = 200;
