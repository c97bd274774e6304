//! How a command ends: what the client is answered, and how far a failure reaches.

use std::borrow::Cow;

use store::Error;

use crate::session::Ending;

/// What a command comes to.
pub(super) type Outcome = Result<Reply, Stop>;

/// What the client is answered.
pub(super) enum Reply {
    /// `+OK` and this.
    Ok(Cow<'static, str>),
    /// The command has written all of it.
    Written,
    /// This, and the session ends.
    Goodbye(fn(&mut Vec<u8>)),
}

/// Why a command did not come to its end.
pub(super) enum Stop {
    /// `-ERR` and this.
    Command(Cow<'static, str>),
    /// The mail cannot be had; how far that reaches, the error says.
    Store(Error),
    /// The session ends.
    Session(Ending),
}

impl Reply {
    pub(super) fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Ok(text.into())
    }
}

impl Stop {
    /// The message was there at login. Others may have deleted it since.
    pub(super) fn gone() -> Self {
        Self::Command("[SYS/TEMP] The message is gone.".into())
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<Ending> for Stop {
    fn from(ending: Ending) -> Self {
        Self::Session(ending)
    }
}
