//! What we say that we can, in one place; a name stands here only when the command behind it works.

use std::num::NonZeroU32;

/// May a password come over this connection in the clear?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plaintext {
    /// Local, or encrypted.
    Allowed,
    /// Not here.
    Refused,
}

/// IMAP, once logged in. SASL-IR is of no use then, but some clients look only here what they may do the next time.
pub const IMAP: &str = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE UNSELECT CHILDREN SPECIAL-USE UIDPLUS \
    MULTIAPPEND MOVE";

/// IMAP, to a stranger. Some clients never ask again, so it has what they look for before they use it.
pub fn imap_login(plaintext: Plaintext) -> &'static str {
    match plaintext {
        Plaintext::Allowed => "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE AUTH=PLAIN AUTH=LOGIN",
        Plaintext::Refused => "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE LOGINDISABLED",
    }
}

/// POP3, whoever asks: lines of `CAPA`. `LOGIN-DELAY` comes to them where there is one: see [`pop3_login_delay`].
pub const POP3: &[&str] =
    &["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8", "LANG"];

/// POP3, to a stranger besides: how one may log in.
pub fn pop3_login(plaintext: Plaintext) -> &'static [&'static str] {
    match plaintext {
        Plaintext::Allowed => &["USER", "SASL PLAIN LOGIN"],
        Plaintext::Refused => &[],
    }
}

/// POP3: that a user has to wait for so many seconds between two logins.
pub fn pop3_login_delay(seconds: NonZeroU32) -> String {
    format!("LOGIN-DELAY {seconds}")
}
