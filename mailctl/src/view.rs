//! How the rows of an answer look to people: one table of kinds and their columns, which says also which fields are
//! numbers. A kind or a field that stands not in it is shown all the same: a newer master can say more.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wire::Record;

use crate::table::{Layout, Table};

/// One kind of row.
struct Kind {
    name: &'static str,
    layout: Layout,
    columns: &'static [Column],
}

/// A field, and how its value is shown.
type Column = (&'static str, Form);

/// What a field's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text, shown as it is.
    Text,
    /// Yes or no.
    Truth,
    /// A whole number.
    Number,
    /// A number of bytes.
    Bytes,
    /// A number of seconds.
    Seconds,
    /// A point of time, in seconds since 1970.
    Time,
}

use Form::{Bytes, Number, Seconds, Text, Time, Truth};

/// mail-control(7) says what each means.
const KINDS: &[Kind] = &[
    Kind {
        name: "master",
        layout: Layout::Lines,
        columns: &[
            ("pid", Number),
            ("version", Text),
            ("since", Time),
            ("config", Text),
            ("generation", Number),
            ("root", Truth),
            ("identity", Text),
            ("listen", Text),
            ("sessions", Number),
            ("workers", Number),
        ],
    },
    Kind {
        name: "login",
        layout: Layout::Rows,
        columns: &[
            ("pid", Number),
            ("protocol", Text),
            ("generation", Number),
            ("state", Text),
            ("clients", Number),
            ("since", Time),
            ("jail", Text),
            ("missing", Text),
        ],
    },
    Kind {
        name: "auth",
        layout: Layout::Rows,
        columns: &[("pid", Number), ("state", Text), ("since", Time), ("jail", Text), ("missing", Text)],
    },
    Kind {
        name: "worker",
        layout: Layout::Rows,
        columns: &[
            ("pid", Number),
            ("protocol", Text),
            ("generation", Number),
            ("share", Text),
            ("state", Text),
            ("clients", Number),
            ("clients_own", Number),
            ("since", Time),
            ("program", Text),
            ("identity", Text),
            ("jail", Text),
            ("missing", Text),
        ],
    },
    Kind { name: "difference", layout: Layout::Rows, columns: &[("worker", Number), ("text", Text)] },
    Kind { name: "quarantine", layout: Layout::Rows, columns: &[("user", Text), ("until", Time)] },
    Kind {
        name: "session",
        layout: Layout::Rows,
        columns: &[
            ("session", Number),
            ("user", Text),
            ("protocol", Text),
            ("address", Text),
            ("since", Time),
            ("idle", Seconds),
            ("mailbox", Text),
            ("doing", Text),
            ("worker", Number),
            ("in", Bytes),
            ("out", Bytes),
            ("state", Text),
        ],
    },
    Kind { name: "kicked", layout: Layout::Rows, columns: &[("session", Number), ("user", Text)] },
];

/// What the value of a field of a kind is.
pub(crate) fn form(kind: &str, field: &str) -> Form {
    columns(kind).iter().find(|(name, _)| *name == field).map_or(Text, |(_, form)| *form)
}

fn columns(kind: &str) -> &'static [Column] {
    KINDS.iter().find(|known| known.name == kind).map_or(&[], |known| known.columns)
}

/// All rows as text: those of one kind together, under the kind's name where there are several.
pub(crate) fn page(rows: &[Record], now: SystemTime) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for row in rows {
        let kind = kind(row);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let several = kinds.len() > 1;
    let sections = kinds.iter().map(|&name| {
        let layout = KINDS.iter().find(|known| known.name == name).map_or(Layout::Rows, |known| known.layout);
        let table = table(name, rows.iter().filter(|row| kind(row) == name), now);
        let title = if several { format!("{}\n", crate::table::safe(name)) } else { String::new() };
        format!("{title}{}", table.text(layout))
    });
    sections.collect::<Vec<_>>().join("\n")
}

/// What kind of row it is.
pub(crate) fn kind(row: &Record) -> &str {
    row.get("kind").and_then(|kind| std::str::from_utf8(kind).ok()).unwrap_or("row")
}

fn table<'a>(kind: &str, rows: impl Iterator<Item = &'a Record>, now: SystemTime) -> Table {
    let rows: Vec<_> = rows.collect();
    let mut fields: Vec<&str> = columns(kind).iter().map(|(field, _)| *field).collect();
    for (field, _) in rows.iter().flat_map(|row| row.fields()) {
        if field != "kind" && !fields.contains(&field) {
            fields.push(field);
        }
    }
    let cell = |row: &Record, field: &str| {
        let value = String::from_utf8_lossy(row.get(field).unwrap_or_default()).into_owned();
        shown(value, form(kind, field), now)
    };
    let cells = rows.iter().map(|row| fields.iter().map(|field| cell(row, field)).collect()).collect();
    Table { titles: fields.into_iter().map(str::to_owned).collect(), rows: cells }
}

fn shown(value: String, form: Form, now: SystemTime) -> String {
    let Ok(number) = value.parse::<u64>() else { return value };
    match form {
        Text | Truth | Number => value,
        Bytes => size(number),
        Seconds => duration(number),
        Time => {
            let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
            if number > now {
                format!("in {}", duration(number - now))
            } else {
                format!("{} ago", duration(now - number))
            }
        }
    }
}

/// The two largest units of a time.
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{}s", seconds % 60),
        3600..86400 => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// In the unit that leaves at most four digits.
fn size(bytes: u64) -> String {
    let mut size = bytes;
    for unit in ["B", "K", "M", "G"] {
        if size < 10_000 {
            return format!("{size}{unit}");
        }
        size /= 1024;
    }
    format!("{size}T")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::control::Answer;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn rows_of_one_kind_are_one_table() {
        let session = |id: &str, user: &str| {
            Answer::row("session")
                .with("session", id)
                .with("user", user)
                .with("protocol", "imap")
                .with("address", "127.0.0.1")
                .with("since", "1000")
                .with("idle", "61")
                .with("mailbox", "INBOX")
                .with("doing", "IDLE")
                .with("worker", "42")
                .with("in", "12")
                .with("out", "20000")
                .with("state", "served")
        };
        assert_eq!(
            page(&[session("1", "alice"), session("12", "bob")], at(8260)),
            "session  user   protocol  address    since     idle  mailbox  doing  worker  in   out  state\n\
             1        alice  imap      127.0.0.1  2h1m ago  1m1s  INBOX    IDLE   42      12B  19K  served\n\
             12       bob    imap      127.0.0.1  2h1m ago  1m1s  INBOX    IDLE   42      12B  19K  served\n"
        );
    }

    #[test]
    fn kinds_have_sections_and_the_unknown_is_shown() {
        let rows = [
            Answer::row("master").with("pid", "7").with("root", "yes").with("mood", "good"),
            Answer::row("planet").with("name", "mars"),
            Answer::row("quarantine").with("user", "eve").with("until", "90"),
        ];
        let page = page(&rows, at(30));
        assert!(page.starts_with("master\n"), "{page}");
        assert!(page.contains("pid         7\n") && page.contains("mood        good\n"), "{page}");
        assert!(page.contains("\nplanet\nname\nmars\n"), "{page}");
        assert!(page.ends_with("\nquarantine\nuser  until\neve   in 1m0s\n"), "{page}");
    }

    #[test]
    fn times_and_sizes_have_a_readable_unit() {
        assert_eq!([0, 59, 60, 3600, 90_000].map(duration), ["0s", "59s", "1m0s", "1h0m", "1d1h"]);
        assert_eq!([0, 9999, 10_240, 20 << 20].map(size), ["0B", "9999B", "10K", "20M"].map(String::from));
        assert_eq!(shown("never".to_owned(), Time, at(5)), "never");
    }
}
