//! A client's conversation before it has logged in: bytes in, answers out, and what it wants done. No I/O, no
//! time.
//!
//! [`crate::imap::Imap`] and [`crate::pop3::Pop3`] are the two languages. Neither may take a byte more than
//! belongs to the current command: what follows a login is for whoever serves the client next.

use protocol::sasl::Credentials;
use wire::login::Refusal;

/// One client, in one language.
pub(crate) trait Conversation {
    /// The first line.
    fn greet(&self, out: &mut Vec<u8>);

    /// Looks at what has arrived: how many bytes were taken, and what to do. Unless all were taken, feed the
    /// others again, but after [`Next::Authenticate`] only when [`Conversation::answer`] has been called.
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, Next);

    /// Answers the command that asked for authentication.
    fn answer(&mut self, verdict: &Verdict, out: &mut Vec<u8>);

    /// A last word that nobody has asked for.
    fn bye(&self, why: Departure, out: &mut Vec<u8>);

    /// The tag of the command that waits for an answer; empty where the language has none.
    fn tag(&self) -> &str;
}

/// What is to be done after some bytes were taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Feed on.
    More,
    /// Find out whether this is right.
    Authenticate(Attempt),
    /// It tried a way to log in that would show the password to others, and was refused. Feed on.
    Disallowed,
    /// All is said. Close when it is sent.
    Leave(Departure),
}

/// Somebody claims to be somebody.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) credentials: Credentials,
    pub(crate) method: Method,
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// RFC 4616, and all commands that are made of name and password.
    Plain,
    /// Name and password, each asked for.
    Login,
}

impl Method {
    /// As SASL names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// In any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Plain, Self::Login].into_iter().find(|method| method.name().eq_ignore_ascii_case(name))
    }
}

/// How an attempt to log in ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The name or the password is wrong.
    Failed {
        /// What the client is told instead of the usual text.
        reason: Option<String>,
        /// Which of the two, and why: for the log only.
        why: Option<String>,
    },
    /// It could not be found out.
    Temporary,
    /// It was right, but the client is not taken.
    Refused {
        code: Refusal,
        text: String,
    },
    LoggedIn,
}

impl Verdict {
    /// For the client, whatever its language.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Failed { reason: Some(text), .. } | Self::Refused { text, .. } if !text.is_empty() => text,
            Self::Failed { .. } => "Authentication failed.",
            Self::Temporary => "Temporary authentication failure.",
            Self::Refused { .. } => "The server cannot take you now.",
            Self::LoggedIn => "Logged in.",
        }
    }
}

/// Why a client leaves that has not logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It closed the connection, or the network did.
    HungUp,
    /// It said so.
    Quit,
    Inactivity,
    /// Others came, and it was the oldest.
    Displaced,
    /// Others are there from its address.
    Crowded,
    BadCommands,
    FailedLogins,
    ShuttingDown,
    /// A fault in here.
    Panicked,
}

impl Departure {
    /// For the client.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::HungUp | Self::Quit => "Logging out.",
            Self::Inactivity => "Disconnected for inactivity.",
            Self::Displaced => "Too many connections, try again later.",
            Self::Crowded => "Too many connections from your address.",
            Self::BadCommands => "Too many invalid commands.",
            Self::FailedLogins => "Too many failed logins.",
            Self::ShuttingDown => "Server shutting down.",
            Self::Panicked => "Internal error.",
        }
    }

    /// For the log; nothing where the client has simply gone.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::HungUp => "",
            Self::Quit => ": Logged out",
            Self::Inactivity => ": Inactivity",
            Self::Displaced => ": Too many connections",
            Self::Crowded => ": Too many connections from this address",
            Self::BadCommands => ": Too many invalid commands",
            Self::FailedLogins => ": Too many failed logins",
            Self::ShuttingDown => ": Shutting down",
            Self::Panicked => ": Internal error",
        }
    }
}

/// What is told to one who may not send a password in the clear.
pub(crate) const DISALLOWED: &str =
    "Plaintext authentication disallowed on non-secure (SSL/TLS) connections.";

/// The longest command line, and the most that a command's literals may have.
pub(crate) const LONGEST: usize = 8192;

/// So many commands in a row that are none, and the client is no client.
pub(crate) const MOST_BAD_COMMANDS: u8 = 10;

#[cfg(test)]
pub(crate) mod tests;
