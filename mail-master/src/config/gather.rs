//! What a configuration's lines say, sorted by where it holds: which setting, in which section, written where.
//!
//! It knows which names there are and where each may stand, and nothing of what their values mean.

use std::fmt;

use wire::Protocol;

use crate::config::database::Draft;
use crate::config::foreign;
use crate::config::grammar::Line;
use crate::config::mailbox;
use crate::config::problem::{Place, Problem, Report};
use crate::config::settings::{ProtocolSettings, ServerSettings};
use crate::config::source::Numbered;
use crate::config::table::{Setting, Texts, Written};
use crate::config::upper;

/// Everything written, still as text.
#[derive(Default, Clone)]
pub(super) struct Gathered {
    pub(super) server: Texts,
    /// What is written outside any protocol section, and holds for both.
    pub(super) both: Texts,
    pub(super) imap: Texts,
    pub(super) pop3: Texts,
    /// The entries of plugin { }, those of all protocols first; `None` is all.
    pub(super) plugin: Vec<(Option<Protocol>, String, Written)>,
    pub(super) mailboxes: Vec<mailbox::Draft>,
    pub(super) passdbs: Vec<Draft>,
    pub(super) userdbs: Vec<Draft>,
}

/// Texts may hold passwords: none of them is shown.
impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gathered")
    }
}

impl Gathered {
    pub(super) fn of(&self, protocol: Protocol) -> &Texts {
        match protocol {
            Protocol::Imap => &self.imap,
            Protocol::Pop3 => &self.pop3,
        }
    }

    /// What was written of a setting, for this protocol.
    pub(super) fn written(&self, protocol: Protocol, name: &str) -> Option<&Written> {
        self.of(protocol).get(name).or_else(|| self.both.get(name)).or_else(|| self.server.get(name))
    }
}

/// The section that a line stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Top,
    Protocol(Protocol),
    Plugin(Option<Protocol>),
    Auth,
    Namespace,
    /// By its place among the mailboxes.
    Mailbox(usize),
    Passdb,
    Userdb,
    /// One that has been told to be of no use.
    Skipped,
}

/// Sorts lines; names that there are not, and those in wrong places, are problems in `report`.
pub(super) fn gather(lines: Vec<Numbered>, report: &mut Report) -> Gathered {
    let mut gatherer = Gatherer { gathered: Gathered::default(), report };
    let mut scopes = Vec::new();
    for (source, line) in lines {
        let scope = scopes.last().copied().unwrap_or(Scope::Top);
        match line {
            Line::Set { key, value, key_span, value_span } => {
                let name_place = Place { source, span: key_span };
                let written = Written { text: value, name_place, place: Place { source, span: value_span } };
                gatherer.set(scope, &key, written);
            }
            Line::Open { kind, name, span } => {
                let place = Place { source, span };
                scopes.push(gatherer.open(scope, &kind, &name, &place));
            }
            Line::Close { .. } => {
                scopes.pop();
            }
            // Its lines stand in its place already.
            Line::Include { .. } => {}
        }
    }
    gatherer.gathered.plugin.sort_by_key(|(protocol, ..)| *protocol);
    gatherer.gathered
}

struct Gatherer<'a> {
    gathered: Gathered,
    report: &'a mut Report,
}

impl Gatherer<'_> {
    fn open(&mut self, scope: Scope, kind: &str, name: &str, place: &Place) -> Scope {
        match (scope, kind) {
            (Scope::Skipped, _) => Scope::Skipped,
            (Scope::Top, "protocol") => match name.parse().ok() {
                Some(protocol) => Scope::Protocol(protocol),
                None => self.skip(foreign::protocol(name), place),
            },
            (Scope::Top, "plugin") => Scope::Plugin(None),
            (Scope::Protocol(protocol), "plugin") => Scope::Plugin(Some(protocol)),
            (Scope::Top, "auth") => Scope::Auth,
            (Scope::Top | Scope::Auth, "passdb") => {
                self.gathered.passdbs.push(Draft::new(name, place));
                Scope::Passdb
            }
            (Scope::Top | Scope::Auth, "userdb") => {
                self.gathered.userdbs.push(Draft::new(name, place));
                Scope::Userdb
            }
            (Scope::Top, "namespace") => Scope::Namespace,
            (Scope::Top | Scope::Namespace, "mailbox") => Scope::Mailbox(self.mailbox(name, place)),
            (_, "protocol" | "passdb" | "userdb" | "auth" | "namespace" | "mailbox") => {
                let problem = Problem::error(format!("a section '{kind}' cannot stand here"));
                self.skip(problem.help("move it out of the section around it"), place)
            }
            _ => self.skip(foreign::section(kind), place),
        }
    }

    /// A mailbox that stands in several sections is one.
    fn mailbox(&mut self, name: &str, place: &Place) -> usize {
        let mailboxes = &mut self.gathered.mailboxes;
        mailboxes.iter().position(|draft| draft.name == name).unwrap_or_else(|| {
            mailboxes.push(mailbox::Draft::new(name, place));
            mailboxes.len() - 1
        })
    }

    fn skip(&mut self, problem: Problem, place: &Place) -> Scope {
        self.report.add(problem.at(place));
        Scope::Skipped
    }

    fn set(&mut self, scope: Scope, key: &str, written: Written) {
        match scope {
            Scope::Skipped => {}
            Scope::Top => self.setting(key, written),
            Scope::Auth if key.starts_with("auth_") => self.setting(key, written),
            Scope::Auth => self.setting(&format!("auth_{key}"), written),
            Scope::Protocol(protocol) => self.protocol_setting(protocol, key, written),
            Scope::Namespace => {
                mailbox::namespace(key, &written).into_iter().for_each(|problem| self.report.add(problem))
            }
            Scope::Mailbox(at) => {
                if let Some(draft) = self.gathered.mailboxes.get_mut(at) {
                    draft.put(key, written, self.report);
                }
            }
            Scope::Plugin(protocol) => self.gathered.plugin.push((protocol, key.to_owned(), written)),
            Scope::Passdb => put(self.gathered.passdbs.last_mut(), "passdb", key, written, self.report),
            Scope::Userdb => put(self.gathered.userdbs.last_mut(), "userdb", key, written, self.report),
        }
    }

    fn setting(&mut self, key: &str, written: Written) {
        if let Some(row) = row(ServerSettings::TABLE, key) {
            insert(&mut self.gathered.server, row, written, self.report);
        } else if let Some(row) = row(ProtocolSettings::TABLE, key) {
            insert(&mut self.gathered.both, row, written, self.report);
        } else {
            self.unknown(key, &written);
        }
    }

    fn protocol_setting(&mut self, protocol: Protocol, key: &str, written: Written) {
        let Some(row) = row(ProtocolSettings::TABLE, key) else {
            if row(ServerSettings::TABLE, key).is_none() {
                return self.unknown(key, &written);
            }
            let problem = Problem::error(format!("{key} holds for the whole server"));
            let help = format!("move it out of 'protocol {} {{ }}'", protocol.name());
            return self.report.add(problem.at(&written.name_place).help(help));
        };
        if let Some(other) = row.only().filter(|only| *only != protocol) {
            let problem = Problem::error(format!("{key} means nothing to {}", upper(protocol)));
            let help = format!("write it in 'protocol {} {{ }}'", other.name());
            return self.report.add(problem.at(&written.name_place).help(help));
        }
        let texts = match protocol {
            Protocol::Imap => &mut self.gathered.imap,
            Protocol::Pop3 => &mut self.gathered.pop3,
        };
        insert(texts, row, written, self.report);
    }

    fn unknown(&mut self, key: &str, written: &Written) {
        let problem = foreign::setting(key, &written.text).unwrap_or_else(|| {
            let problem = Problem::error(format!("there is no setting '{key}'"));
            match nearest(key) {
                Some(name) => problem.help(format!("did you mean '{name}'?")),
                None => problem.help("mail-master.conf(5) has them all; 'mail-master -a' prints them"),
            }
        });
        self.report.add(problem.at(&written.name_place));
    }
}

fn row(table: &'static [Setting], name: &str) -> Option<&'static Setting> {
    table.iter().find(|row| row.name == name)
}

/// The last one counts; twice in one file is told, since it is hardly meant.
fn insert(texts: &mut Texts, row: &'static Setting, written: Written, report: &mut Report) {
    let place = written.name_place.clone();
    if let Some(before) = texts.insert(row.name, written)
        && before.name_place.source == place.source
    {
        let problem = Problem::warning(format!("{} is set a second time", row.name));
        report.add(problem.at(&place).help("this one counts; remove the other"));
    }
}

fn put(draft: Option<&mut Draft>, section: &str, key: &str, written: Written, report: &mut Report) {
    let Some(draft) = draft else { return };
    match key {
        "driver" => draft.driver = Some(written),
        "args" => draft.args = Some(written),
        _ => report.add(foreign::database(section, key).at(&written.name_place)),
    }
}

/// The known name that a wrong one is most like, if it is like any.
fn nearest(key: &str) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase();
    let names = ServerSettings::TABLE.iter().chain(ProtocolSettings::TABLE).map(|row| row.name);
    let distances = names.map(|name| (strsim::damerau_levenshtein(&lower, name), name));
    distances.min().filter(|(distance, _)| *distance <= 2.max(lower.len() / 4)).map(|(_, name)| name)
}
