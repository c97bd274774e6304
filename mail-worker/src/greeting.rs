//! What a client is told first, depending on how it came here.

use envdump::Environment;
use protocol::imap::Tag;

/// See above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// Handed over: the answer to the command that logged in. IMAP's has its tag.
    Answer(Option<Tag>),
    /// Nothing: whoever started us has said it.
    Nothing,
    /// By hand: there was no login.
    Welcome,
}

impl Greeting {
    /// That of a client that the master handed over. None if the tag is none.
    pub(crate) fn of_handed_over(environment: &Environment) -> Option<Self> {
        match environment.get("IMAPLOGINTAG") {
            Some(tag) => Some(Self::Answer(Some(Tag::new(tag)?))),
            None => Some(Self::Answer(None)),
        }
    }

    /// That of the one client of a process.
    pub(crate) fn of_single(environment: &Environment) -> Self {
        if environment.is_set("LOGGED_IN") { Self::Nothing } else { Self::Welcome }
    }
}
