//! What a client is told first, depending on how it came here.

use envdump::Environment;
use protocol::imap::Tag;

/// See above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// The answer to the command that logged in. IMAP's has its tag.
    Answer(Option<Tag>),
    /// Nothing: whoever started us has said it.
    Nothing,
    /// By hand: there was no login.
    Welcome,
}

impl Greeting {
    /// That of a client whose login nobody has answered yet. None if the tag is none.
    pub(crate) fn answer(environment: &Environment) -> Option<Self> {
        match environment.get("IMAPLOGINTAG") {
            Some(tag) => Some(Self::Answer(Some(Tag::new(tag)?))),
            None => Some(Self::Answer(None)),
        }
    }

    /// That of the one client of a process.
    pub(crate) fn of_single(environment: &Environment) -> Option<Self> {
        match environment.is_set("LOGGED_IN") {
            true if environment.is_set("ANSWER_LOGIN") => Self::answer(environment),
            true => Some(Self::Nothing),
            false => Some(Self::Welcome),
        }
    }
}
