//! What settings can hold, and how each is read from its text.
//!
//! Every type is parsed once, at load, and is right from then on. A text that is not of its type is a [`Fault`] that
//! says what to write instead.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::host::Host;
use expand::{Template, Wrong};

mod account;
mod address;
mod format;
mod number;
mod words;

pub(crate) use account::{Account, Groups, MailGroup, MailUser};
pub(crate) use address::Listen;
pub(crate) use format::{Capability, Command, ImapLogoutFormat, MailLocation, Pop3LogoutFormat, UidlFormat};
pub(crate) use number::{Bytes, Count, MegaBytes, Mode};
pub(crate) use words::{
    Facility, ImapWorkarounds, Jail, JailParts, LogTo, Mechanisms, Pop3Workarounds, Protocols, Share,
};

/// A type of setting.
pub(crate) trait Value: Sized + PartialEq {
    /// What an administrator may write, in a few words: it stands in the man page.
    const KIND: &'static str;

    /// Reads a text.
    ///
    /// # Errors
    /// [`Fault`] where it says nothing of this type.
    fn parse(text: &str, host: &Host) -> Result<Self, Fault>;

    /// What a mail process is told of it in its environment; a flag that is off, and an empty text, are not there.
    fn variable(&self) -> Option<String>;
}

/// A text that is not of a setting's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What is wrong.
    pub(crate) what: String,
    /// What to write instead.
    pub(crate) help: Option<String>,
    /// The word that it is about, where the text is a list.
    pub(crate) part: Option<String>,
}

impl Fault {
    fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: Some(help.into()), part: None }
    }

    fn of(self, part: &str) -> Self {
        Self { part: Some(part.to_owned()), ..self }
    }
}

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Self {
        let (Wrong::Unknown(part) | Wrong::Open(part) | Wrong::Number(part)) = &wrong;
        let part = part.clone();
        let help = "the variables are %u %n %d %s %h %l %r %p %i; mail-master.conf(5) explains them";
        Self::new(wrong.to_string(), help).of(&part)
    }
}

/// The words of a list: blanks, commas, or both stand between them.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', ',']).filter(|word| !word.is_empty())
}

/// `None` for an empty text.
fn written<T: Display>(value: T) -> Option<String> {
    Some(value.to_string()).filter(|text| !text.is_empty())
}

impl Value for bool {
    const KIND: &'static str = "yes or no";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        match text.to_ascii_lowercase().as_str() {
            "yes" => Ok(true),
            "no" => Ok(false),
            "true" | "on" | "1" | "y" => {
                Err(Fault::new(format!("'{text}' is neither yes nor no"), "write 'yes'"))
            }
            "false" | "off" | "0" | "n" => {
                Err(Fault::new(format!("'{text}' is neither yes nor no"), "write 'no'"))
            }
            _ => Err(Fault::new(format!("'{text}' is neither yes nor no"), "write 'yes' or 'no'")),
        }
    }

    fn variable(&self) -> Option<String> {
        self.then(|| "1".to_owned())
    }
}

impl Value for String {
    const KIND: &'static str = "text";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        match text.chars().find(|c| c.is_control()) {
            Some(_) => Err(Fault::new("the text has a control character", "write it without")),
            None => Ok(text.to_owned()),
        }
    }

    fn variable(&self) -> Option<String> {
        written(self)
    }
}

impl Value for PathBuf {
    const KIND: &'static str = "absolute path";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        match text.strip_prefix('/') {
            Some(_) => Ok(Self::from(text)),
            None => Err(Fault::new(format!("'{text}' is not an absolute path"), "begin it with '/'")),
        }
    }

    fn variable(&self) -> Option<String> {
        written(self.display())
    }
}

/// Nothing written is nothing said.
impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        if text.is_empty() { Ok(None) } else { T::parse(text, host).map(Some) }
    }

    fn variable(&self) -> Option<String> {
        self.as_ref()?.variable()
    }
}

impl Value for Vec<PathBuf> {
    const KIND: &'static str = "absolute paths with colons between";

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        let paths = text.split(':').filter(|path| !path.is_empty());
        paths.map(|path| PathBuf::parse(path, host).map_err(|fault| fault.of(path))).collect()
    }

    fn variable(&self) -> Option<String> {
        let paths: Vec<String> = self.iter().map(|path| path.display().to_string()).collect();
        written(paths.join(":"))
    }
}

impl Value for Duration {
    const KIND: &'static str = "time: 30, 30 secs, 2 mins, 1h";

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        number::duration(text, host)
    }

    fn variable(&self) -> Option<String> {
        written(self.as_secs())
    }
}

impl Value for Template {
    const KIND: &'static str = "text with %-variables";

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        Ok(Self::parse(&String::parse(text, host)?)?)
    }

    /// As it is written: whoever is told expands it.
    fn variable(&self) -> Option<String> {
        written(self.text())
    }
}

#[cfg(test)]
mod tests;
