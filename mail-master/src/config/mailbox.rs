//! `namespace inbox { mailbox NAME { } }`: which mailbox is for what (RFC 6154), and which everybody is to have.
//!
//! There is one namespace, private, with INBOX in it; a section for it may say what it is, and nothing else.

use crate::config::foreign::NAMESPACES;
use crate::config::problem::{Place, Problem, Report};
use crate::config::table::{Written, within};

/// A mailbox that is something special.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mailbox {
    /// As people write it.
    pub(crate) name: String,
    /// `\Sent` and the like, separated by blanks.
    pub(crate) special_use: String,
    /// `no`, `create` or `subscribe`.
    pub(crate) auto: &'static str,
}

/// One as it was written.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) name: String,
    place: Place,
    special_use: Option<Written>,
    auto: Option<Written>,
}

impl Draft {
    pub(super) fn new(name: &str, place: &Place) -> Self {
        Self { name: name.to_owned(), place: place.clone(), special_use: None, auto: None }
    }

    /// Takes a line of the section.
    pub(super) fn put(&mut self, key: &str, written: Written, report: &mut Report) {
        match key {
            "special_use" => self.special_use = Some(written),
            "auto" => self.auto = Some(written),
            _ => {
                let help = match key {
                    "autoexpunge" | "autoexpunge_max_mails" => {
                        "old messages are not removed by themselves; remove it"
                    }
                    _ => "write 'special_use = ...' or 'auto = ...'",
                };
                let problem = Problem::error(format!("a mailbox has no '{key}'"));
                report.add(problem.at(&written.name_place).help(help));
            }
        }
    }

    /// The mailbox, if all of it makes sense; what does not is in `report`.
    pub(super) fn finish(&self, report: &mut Report) -> Option<Mailbox> {
        let before = report.errors();
        if self.name.is_empty() || self.name.chars().any(char::is_control) {
            let problem = Problem::error("this mailbox has no name");
            report.add(problem.at(&self.place).help("write 'mailbox Sent {', for example"));
        }
        let mut special_use = Vec::new();
        if let Some(written) = &self.special_use {
            for word in written.text.split_whitespace() {
                match USES.iter().find(|known| known.eq_ignore_ascii_case(word)) {
                    Some(known) => special_use.push(*known),
                    None => {
                        let problem = Problem::error(format!("special_use: there is no '{word}'"));
                        let help = format!("it is one of: {}", USES.join(", "));
                        report.add(problem.at(&within(&written.place, Some(word), report)).help(help));
                    }
                }
            }
        }
        let mut auto = "no";
        if let Some(written) = &self.auto {
            match AUTO.iter().find(|known| **known == written.text) {
                Some(known) => auto = known,
                None => {
                    let problem =
                        Problem::error(format!("auto: '{}' is nothing that can be done", written.text));
                    report.add(problem.at(&written.place).help("write no, create or subscribe"));
                }
            }
        }
        let fine = report.errors() == before;
        fine.then(|| Mailbox { name: self.name.clone(), special_use: special_use.join(" "), auto })
    }
}

/// What to say of a line in a namespace: nothing, if it is as it says.
pub(super) fn namespace(key: &str, written: &Written) -> Option<Problem> {
    let is_so = [
        ("inbox", "yes"),
        ("type", "private"),
        ("prefix", ""),
        ("location", ""),
        ("hidden", "no"),
        ("list", "yes"),
        ("subscriptions", "yes"),
    ];
    if is_so.contains(&(key, &written.text)) {
        return None;
    }
    Some(
        Problem::error(format!("'{key}' in a namespace is not supported"))
            .at(&written.name_place)
            .help(NAMESPACES),
    )
}

const USES: [&str; 7] = ["\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash"];
const AUTO: [&str; 3] = ["no", "create", "subscribe"];
