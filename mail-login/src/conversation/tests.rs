//! What the tests of both languages share: a conversation without a socket.

use protocol::capability::Plaintext;
use protocol::sasl::Credentials;

use super::{Attempt, Conversation, Method, Next};
use crate::offers::Offers;
use crate::settings::Settings;

/// What is offered where nothing is configured.
pub(crate) fn offers(plaintext: Plaintext) -> Offers {
    let settings = Settings::read(|name| match name {
        "PROTOCOL" => Some("imap".to_owned()),
        "LISTEN_FDS" => Some("1".to_owned()),
        _ => None,
    });
    Offers::new(&settings.unwrap(), plaintext)
}

/// Feeds `input` until it is all taken or the client is not to be fed any more: what is said, what is wanted
/// last, and what is left.
pub(crate) fn talk(conversation: &mut dyn Conversation, input: &[u8]) -> (String, Next, Vec<u8>) {
    let mut out = Vec::new();
    let mut rest = input;
    let mut next = Next::More;
    while !rest.is_empty() && matches!(next, Next::More | Next::Disallowed) {
        let (taken, then) = conversation.feed(rest, &mut out);
        assert!(taken > 0);
        rest = &rest[taken..];
        next = then;
    }
    (String::from_utf8(out).unwrap(), next, rest.to_vec())
}

/// What a conversation wants that was told name and password.
pub(crate) fn attempt(method: Method, user: &str, password: &str) -> Next {
    let credentials = Credentials {
        authorization: Vec::new(),
        user: user.as_bytes().to_vec(),
        password: password.as_bytes().into(),
    };
    Next::Authenticate(Attempt { credentials, method })
}
