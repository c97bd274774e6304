//! Texts with a form of their own: locations, commands, capabilities, what is filled in at a session's end.

use std::path::PathBuf;

use super::{Fault, Value, written};
use crate::config::host::Host;
use expand::Template;

/// Where mail is; only maildir is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailLocation(pub(crate) Template);

impl Value for MailLocation {
    const KIND: &'static str = "maildir:path[:part=value ...], with %-variables";

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        let driver = text.split_once(':').map_or(text, |(driver, _)| driver);
        if text.is_empty() || driver == "maildir" || driver.starts_with(['/', '~', '%']) {
            return Ok(Self(<Template as Value>::parse(text, host)?));
        }
        let help = "write 'maildir:' and a path, as maildir:~/Maildir";
        Err(Fault::new(format!("'{driver}' is no kind of mailbox that is served here"), help).of(driver))
    }

    /// Only expanded, which is the client's affair.
    fn variable(&self) -> Option<String> {
        None
    }
}

/// A program and its arguments; none at all is the setting's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command(pub(crate) Option<(PathBuf, Vec<String>)>);

impl Value for Command {
    const KIND: &'static str = "absolute path of a program, and arguments";

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        let mut words = text.split_whitespace();
        let Some(program) = words.next() else { return Ok(Self(None)) };
        if text.ends_with('!') {
            let help = "remove it: a program is asked at start whether it speaks mail-handoff(7), and not taken at its word";
            return Err(Fault::new("a '!' at the end forces nothing here", help).of("!"));
        }
        let program = PathBuf::parse(program, host).map_err(|fault| fault.of(program))?;
        Ok(Self(Some((program, words.map(str::to_owned).collect()))))
    }

    fn variable(&self) -> Option<String> {
        None
    }
}

/// A type for each, made of a check.
macro_rules! formats {
    ($($(#[$doc:meta])* $Type:ident: $kind:literal, $check:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $Type(String);

        impl Value for $Type {
            const KIND: &'static str = $kind;

            fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
                let check: fn(&str) -> Result<(), Fault> = $check;
                check(text)?;
                String::parse(text, host).map(Self)
            }

            fn variable(&self) -> Option<String> {
                written(&self.0)
            }
        }
    )+};
}

formats! {
    /// What POP3 calls a message: `%v` UIDVALIDITY, `%u` UID, `%m` MD5 of the header, `%f` file name.
    UidlFormat: "text with %v %u %m %f", |text| {
        let found = letters(text, "vumf")?;
        if found.contains(['u', 'm', 'f']) {
            return Ok(());
        }
        Err(Fault::new("all messages of a mailbox would have the same UIDL", "write %u, %m or %f in it"))
    };
    /// What an IMAP session says of itself in the log at its end.
    ImapLogoutFormat: "text with %i %o", |text| letters(text, "io").map(drop);
    /// What a POP3 session says of itself in the log at its end.
    Pop3LogoutFormat: "text with %t %p %r %b %d %m %s %i %o", |text| letters(text, "tprbdmsio").map(drop);
    /// A capability string in place of our own.
    Capability: "capabilities", |text| {
        let atoms = text.bytes().all(|b| matches!(b, b' ' | b'!' | b'#'..=b'~') && !b"%*()\\{]".contains(&b));
        if !atoms {
            return Err(Fault::new("this is no list of capabilities", "write words with single blanks between"));
        }
        if !text.is_empty() && !text.split(' ').any(|word| word.eq_ignore_ascii_case("IMAP4rev1")) {
            let help = "write the whole list, 'IMAP4rev1' first; nothing is added to it";
            return Err(Fault::new("IMAP4rev1 is missing in it", help));
        }
        Ok(())
    };
}

/// The letters that follow a `%`, after an optional width and `X`; each must be one of `known`.
fn letters(text: &str, known: &str) -> Result<String, Fault> {
    let mut found = String::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        let modifiers = after.trim_start_matches(|c: char| c.is_ascii_digit() || "-.XLUR".contains(c));
        let letter = modifiers.chars().next();
        match letter {
            Some('%') => {}
            Some(letter) if known.contains(letter) => found.push(letter),
            _ => {
                let shown: String = std::iter::once('%').chain(letter).collect();
                let all: Vec<String> = known.chars().map(|letter| format!("%{letter}")).collect();
                let help = format!("known here are {}; a percent sign itself is written %%", all.join(" "));
                return Err(Fault::new(format!("'{shown}' stands for nothing here"), help).of(&shown));
            }
        }
        rest = letter.and_then(|letter| modifiers.strip_prefix(letter)).unwrap_or("");
    }
    Ok(found)
}
