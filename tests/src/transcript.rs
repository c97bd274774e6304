//! What several clients of one user say and hear, written down as in an RFC's examples; tests/transcripts/README.md tells
//! how. Here it is read; [`play`] plays it against a server.
//!
//! Lines that are marked for another server are left out as it is read, so that what is played has no alternatives but
//! those within a line.

mod pattern;
mod play;

pub use play::{Stage, play};

use pattern::Pattern;

/// See above.
#[derive(Debug, PartialEq, Eq)]
pub struct Transcript {
    /// Its file.
    pub name: String,
    steps: Vec<Step>,
}

#[derive(Debug, PartialEq, Eq)]
struct Step {
    /// Where it stands.
    line: usize,
    act: Act,
}

#[derive(Debug, PartialEq, Eq)]
enum Act {
    /// A client connects, logs in and, if one is named, selects a mailbox.
    Connect(String, Protocol, Option<String>),
    Send(String, String),
    Expect(String, Vec<Expected>),
    /// A command is repeated until all that is expected has come.
    Until(String, String, Vec<Expected>),
    /// A client closes its connection.
    Close(String),
    /// The server has closed it.
    End(String),
    /// Messages come into a folder; those with flags in their names did so long ago.
    Deliver(String, Vec<String>),
    /// A third party does something in the Maildir.
    Shell(String),
    Restart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Imap,
    Pop3,
}

/// A response.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    line: usize,
    text: String,
    need: Need,
    /// Any of them will do.
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Once,
    /// As often as it likes, or not at all.
    Perhaps,
    /// It stands for all that is no news.
    Rest,
}

impl Transcript {
    /// Reads what is meant for `server`. An error says where it is, and what is wrong.
    pub fn parse(name: &str, text: &str, server: &str) -> Result<Self, String> {
        let mut steps: Vec<Step> = Vec::new();
        let mut lines =
            text.lines().zip(1..).filter_map(|(line, number)| Some((meant(line, server)?, number)));
        while let Some((line, number)) = lines.next() {
            let wrong = || format!("{name}:{number}: not understood: {line}");
            if let Some((who, need, start)) = response(line) {
                let mut text = start.to_owned();
                let mut next = || response(lines.next()?.0).map(|(_, _, text)| text);
                complete(&mut text, &mut next).ok_or_else(wrong)?;
                let expected = Expected::new(number, text, need);
                match steps.last_mut().map(|step| &mut step.act) {
                    Some(Act::Expect(last, all) | Act::Until(last, _, all)) if last == who => {
                        all.push(expected)
                    }
                    _ => {
                        steps.push(Step { line: number, act: Act::Expect(who.to_owned(), vec![expected]) });
                    }
                }
            } else {
                steps.push(Step { line: number, act: act(line).ok_or_else(wrong)? });
            }
        }
        Ok(Self { name: name.to_owned(), steps })
    }
}

/// A line without its mark, if it is one, and for this server.
fn meant<'a>(line: &'a str, server: &str) -> Option<&'a str> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((mark, rest)) => (mark == server).then_some(rest),
        None => Some(line),
    }
}

/// Who is told what, if the line is a response.
fn response(line: &str) -> Option<(&str, Need, &str)> {
    let (who, rest) = line.split_once(' ')?;
    let (mark, text) = rest.split_once(':')?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    match mark {
        "S" if text == "..." => Some((who, Need::Rest, text)),
        "S" => Some((who, Need::Once, text)),
        "S?" => Some((who, Need::Perhaps, text)),
        _ => None,
    }
}

/// Takes the lines that the literals of a response go over.
fn complete<'a>(text: &mut String, next: &mut impl FnMut() -> Option<&'a str>) -> Option<()> {
    while let Some(length) = literal(text) {
        let begin = text.len() + 2;
        while text.len() < begin + length {
            *text += "\r\n";
            *text += next()?;
        }
    }
    Some(())
}

/// How long the literal is that a line ends with the announcement of.
pub(crate) fn literal(line: &str) -> Option<usize> {
    let (_, inside) = line.strip_suffix('}')?.rsplit_once('{')?;
    inside.parse().ok()
}

/// What a line that is no response says.
fn act(line: &str) -> Option<Act> {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut words = rest.split_whitespace().map(str::to_owned).peekable();
    let who = first.to_owned();
    Some(match (first, rest) {
        ("$", command) => Act::Shell(command.to_owned()),
        ("restart", "") => Act::Restart,
        ("deliver", _) => {
            let folder = words.next_if(|word| word.starts_with('.')).unwrap_or_default();
            Act::Deliver(folder, words.collect())
        }
        (_, "imap") => Act::Connect(who, Protocol::Imap, None),
        (_, "pop3") => Act::Connect(who, Protocol::Pop3, None),
        _ if rest.starts_with("imap ") => Act::Connect(who, Protocol::Imap, words.nth(1)),
        (_, "close") => Act::Close(who),
        (_, "end") => Act::End(who),
        _ => match rest.split_once(':')? {
            ("C", text) => Act::Send(who, text.strip_prefix(' ').unwrap_or(text).to_owned()),
            ("until", command) => Act::Until(who, command.trim().to_owned(), Vec::new()),
            _ => return None,
        },
    })
}

impl Expected {
    fn new(line: usize, text: String, need: Need) -> Self {
        let patterns = text.split(" | ").map(Pattern::new).collect();
        Self { line, text, need, patterns }
    }

    /// Whether it has its place among others: an answer, or what changes the numbers of messages.
    fn has_its_place(&self) -> bool {
        !self.text.starts_with("* ") || is_expunge(&self.text)
    }
}

fn is_expunge(response: &str) -> bool {
    response.starts_with("* ") && response.ends_with(" EXPUNGE")
}

#[cfg(test)]
mod tests;
