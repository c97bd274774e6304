//! How a table of settings becomes a type, a parser and a page.
//!
//! `settings!` takes rows of name, type, default and text, and makes a struct with a field for each, which can only be
//! had whole and right, and a [`Setting`] for each, which the example file, the man page, `-n` and `-a` are made of.

use std::collections::BTreeMap;

use wire::Protocol;

use crate::config::host::Host;
use crate::config::problem::{Place, Problem, Report};
use crate::config::value::{Fault, Value};

/// One row of a table, as text.
pub(crate) struct Setting {
    /// What is written before the `=`.
    pub(crate) name: &'static str,
    /// The part of the example file and the man page that it stands in.
    pub(crate) group: &'static str,
    /// What may be written after the `=`.
    pub(crate) kind: &'static str,
    /// What holds where nothing is written: for IMAP, and for POP3 where that differs.
    defaults: &'static [&'static str],
    variable: &'static [&'static str],
    /// What it does, in sentences; each a line of the source.
    pub(crate) text: &'static [&'static str],
    same: fn(&str, &str, &Host) -> bool,
}

impl Setting {
    pub(super) const fn of<T: Value>(
        group: &'static str,
        name: &'static str,
        defaults: &'static [&'static str],
        variable: &'static [&'static str],
        text: &'static [&'static str],
    ) -> Self {
        Self { name, group, kind: T::KIND, defaults, variable, text, same: same::<T> }
    }

    /// Whether two texts mean the same.
    pub(crate) fn same(&self, one: &str, other: &str, host: &Host) -> bool {
        (self.same)(one, other, host)
    }

    /// The environment variable that tells another program of it: mail-auth of the server's, mail processes of others.
    pub(crate) fn variable(&self) -> Option<&'static str> {
        self.variable.first().copied()
    }

    /// What holds for a protocol where nothing is written.
    pub(crate) fn default(&self, protocol: Protocol) -> &'static str {
        default(self.defaults, protocol)
    }

    /// The protocol that alone it means something to.
    pub(crate) fn only(&self) -> Option<Protocol> {
        let belongs = |protocol: &Protocol| self.name.split('_').next() == Some(protocol.name());
        Protocol::ALL.into_iter().find(belongs)
    }
}

fn default(defaults: &'static [&'static str], protocol: Protocol) -> &'static str {
    match (protocol, defaults) {
        (Protocol::Imap, [one, ..]) | (Protocol::Pop3, [one] | [_, one, ..]) => one,
        (_, []) => "",
    }
}

/// Whether two texts are the same value of a type.
fn same<T: Value>(one: &str, other: &str, host: &Host) -> bool {
    matches!((T::parse(one, host), T::parse(other, host)), (Ok(one), Ok(other)) if one == other)
}

/// What was written for a setting, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) name_place: Place,
    pub(super) place: Place,
}

/// What was written in one scope, by name.
pub(super) type Texts = BTreeMap<&'static str, Written>;

/// Turns texts into a table's values, and faults into problems.
pub(super) struct Reader<'a> {
    pub(super) host: &'a Host,
    pub(super) protocol: Protocol,
    /// Where to look, the strongest first.
    pub(super) scopes: &'a [&'a Texts],
    pub(super) report: &'a mut Report,
}

impl Reader<'_> {
    /// The value of a setting; `None`, and a problem reported, where its text is none.
    pub(super) fn read<T: Value>(&mut self, name: &str, defaults: &'static [&'static str]) -> Option<T> {
        let written = self.scopes.iter().find_map(|scope| scope.get(name));
        let text = written.map_or_else(|| default(defaults, self.protocol), |written| &written.text);
        match T::parse(text, self.host) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.report.add(problem(name, written, fault, self.report));
                None
            }
        }
    }
}

fn problem(name: &str, written: Option<&Written>, fault: Fault, report: &Report) -> Problem {
    let problem = Problem::error(format!("{name}: {}", fault.what));
    let problem = match written {
        Some(written) => problem.at(&within(&written.place, fault.part.as_deref(), report)),
        None => problem,
    };
    match fault.help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// The place of a word of a value; of all of the value where the word is not to be seen in it.
pub(super) fn within(place: &Place, part: Option<&str>, report: &Report) -> Place {
    let found = part.and_then(|part| Some((report.text(place).find(part)?, part.len())));
    match found {
        Some((at, length)) => {
            let start = place.span.start + at;
            Place { source: place.source, span: start..start + length }
        }
        None => place.clone(),
    }
}

/// `name: Type = "default" => VARIABLE;`; a second default after `/` is POP3's.
macro_rules! settings {
    ($(#[$doc:meta])* pub(crate) struct $Table:ident $({ $($(#[$also_doc:meta])* $also:ident: $Also:ty,)* })?
        $($group:literal {
            $($(#[doc = $text:literal])+
            $name:ident: $Type:ty = $default:literal $(/ $pop3:literal)? $(=> $variable:ident)?;)+
        })+
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $Table {
            $($($(#[$also_doc])* pub(crate) $also: $Also,)*)?
            $($($(#[doc = $text])+ pub(crate) $name: $Type,)+)+
        }

        impl $Table {
            /// The rows, in the order in which they are explained.
            pub(crate) const TABLE: &'static [Setting] = &[$($(Setting::of::<$Type>(
                $group,
                stringify!($name),
                &[$default $(, $pop3)?],
                &[$(stringify!($variable))?],
                &[$($text),+],
            ),)+)+];

            /// All values, or as many problems as texts that are none.
            pub(super) fn read(reader: &mut Reader<'_> $($(, $also: $Also)*)?) -> Option<Self> {
                $($(let $name = reader.read(stringify!($name), &[$default $(, $pop3)?]);)+)+
                Some(Self { $($($also,)*)? $($($name: $name?,)+)+ })
            }

            /// The environment variables that tell other programs of them.
            pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
                let all: Vec<(&str, Option<String>)> =
                    vec![$($($((stringify!($variable), self.$name.variable()),)?)+)+];
                all.into_iter().filter_map(|(name, value)| Some((name, value?)))
            }
        }
    };
}
pub(super) use settings;
