//! The SASL mechanisms PLAIN (RFC 4616) and LOGIN: from a client's responses to a name and a password.

use thiserror::Error;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A way to show who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    Login,
}

/// An exchange that waits for the client's next response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exchange {
    Plain,
    LoginName,
    LoginPassword { name: String },
}

/// What follows from a response.
#[derive(Debug)]
pub(crate) enum Step {
    /// The client is to be sent this, and to respond.
    Challenge(&'static [u8], Exchange),
    /// It has said all.
    Done { name: String, password: Secret },
}

/// Why a response leads nowhere.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum BadResponse {
    #[error("response that is not of the mechanism's form")]
    Form,
    #[error("user name that is not UTF-8")]
    NotText,
    #[error("password longer than {MAX_PASSWORD} bytes, or with a NUL")]
    Password,
    /// A name to act for that is not the name that logs in.
    #[error("to act for another user is not possible")]
    Authorization { name: String },
}

impl Mechanism {
    /// All there are.
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Login];

    /// As the protocol and SASL write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The one of that name, in upper or lower case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Begins an exchange, with the client's initial response if it has sent one.
    pub(crate) fn begin(self, initial: Option<&[u8]>) -> Result<Step, BadResponse> {
        match (self, initial) {
            (Self::Plain, None) => Ok(Step::Challenge(b"", Exchange::Plain)),
            (Self::Plain, Some(response)) => Exchange::Plain.respond(response),
            (Self::Login, None) => Ok(Step::Challenge(b"Username:", Exchange::LoginName)),
            (Self::Login, Some(response)) => Exchange::LoginName.respond(response),
        }
    }
}

impl Exchange {
    /// Goes on with a response.
    pub(crate) fn respond(self, response: &[u8]) -> Result<Step, BadResponse> {
        match self {
            Self::Plain => plain(response),
            Self::LoginName => {
                Ok(Step::Challenge(b"Password:", Self::LoginPassword { name: text(response)? }))
            }
            Self::LoginPassword { name } => Ok(Step::Done { name, password: password(response)? }),
        }
    }
}

fn plain(response: &[u8]) -> Result<Step, BadResponse> {
    let mut parts = response.splitn(3, |&b| b == 0);
    let (Some(authorization), Some(name), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(BadResponse::Form);
    };
    let name = text(name)?;
    if !authorization.is_empty() && authorization != name.as_bytes() {
        return Err(BadResponse::Authorization { name });
    }
    Ok(Step::Done { name, password: password(secret)? })
}

fn text(response: &[u8]) -> Result<String, BadResponse> {
    String::from_utf8(response.to_vec()).map_err(|_| BadResponse::NotText)
}

fn password(response: &[u8]) -> Result<Secret, BadResponse> {
    if response.len() > MAX_PASSWORD || response.contains(&0) {
        return Err(BadResponse::Password);
    }
    Ok(Secret::new(response.to_vec()))
}

/// Decodes what the protocol sends as base64; none if it is none. `=` alone is an empty response (RFC 4954 and 3501).
pub(crate) fn decode(base64: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    use base64::Engine as _;
    if base64 == b"=" {
        return Some(Zeroizing::default());
    }
    // Room from the start, so that no half-grown buffer is left behind unwiped.
    let mut decoded = Zeroizing::new(Vec::with_capacity(base64.len()));
    base64::engine::general_purpose::STANDARD.decode_vec(base64, &mut decoded).ok()?;
    Some(decoded)
}

/// Longer ones cost more time than they are worth: some hashes take it to the square.
const MAX_PASSWORD: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn done(step: Result<Step, BadResponse>) -> (String, Vec<u8>) {
        match step.unwrap() {
            Step::Done { name, password } => (name, password.expose().to_vec()),
            other => panic!("{other:?}"),
        }
    }

    fn challenge(step: Result<Step, BadResponse>) -> (&'static [u8], Exchange) {
        match step.unwrap() {
            Step::Challenge(challenge, exchange) => (challenge, exchange),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn plain_with_and_without_an_initial_response() {
        let expected = ("alice".to_owned(), b"secret".to_vec());
        assert_eq!(done(Mechanism::Plain.begin(Some(b"\0alice\0secret"))), expected);
        assert_eq!(done(Mechanism::Plain.begin(Some(b"alice\0alice\0secret"))), expected);
        let (text, exchange) = challenge(Mechanism::Plain.begin(None));
        assert_eq!(text, b"");
        assert_eq!(done(exchange.respond(b"\0alice\0secret")), expected);
    }

    #[test]
    fn login_with_and_without_an_initial_response() {
        let expected = ("alice".to_owned(), b"secret".to_vec());
        let (text, exchange) = challenge(Mechanism::Login.begin(None));
        assert_eq!(text, b"Username:");
        let (text, exchange) = challenge(exchange.respond(b"alice"));
        assert_eq!(text, b"Password:");
        assert_eq!(done(exchange.respond(b"secret")), expected);
        let (text, exchange) = challenge(Mechanism::Login.begin(Some(b"alice")));
        assert_eq!(text, b"Password:");
        assert_eq!(done(exchange.respond(b"secret")), expected);
    }

    #[test]
    fn bad_responses_say_which_they_are() {
        let begin = |response: &[u8]| Mechanism::Plain.begin(Some(response)).map(|_| ()).unwrap_err();
        assert_eq!(begin(b""), BadResponse::Form);
        assert_eq!(begin(b"\0alice"), BadResponse::Form);
        assert_eq!(begin(b"\0al\xffice\0x"), BadResponse::NotText);
        assert_eq!(begin(b"\0alice\0a\0b"), BadResponse::Password);
        assert_eq!(begin(&[b"\0alice\0", &[b'x'; 1025][..]].concat()), BadResponse::Password);
        assert_eq!(begin(b"bob\0alice\0secret"), BadResponse::Authorization { name: "alice".into() });
    }

    #[test]
    fn base64_is_strict_and_an_equal_sign_is_empty() {
        assert_eq!(decode(b"AGEAYg==").unwrap().as_slice(), b"\0a\0b");
        assert_eq!(decode(b"=").unwrap().as_slice(), b"");
        assert_eq!(decode(b"").unwrap().as_slice(), b"");
        for bad in [&b"A"[..], b"AGEAYg", b"AGE AYg==", b"\xff"] {
            assert!(decode(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn mechanisms_are_found_in_any_case() {
        assert_eq!(Mechanism::named("plain"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::named("CRAM-MD5"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(first: Vec<u8>, second: Vec<u8>) {
            decode(&first);
            for mechanism in Mechanism::ALL {
                if let Ok(Step::Challenge(_, exchange)) = mechanism.begin(Some(&first)) {
                    let _ = exchange.respond(&second);
                }
            }
        }

        #[test]
        fn plain_there_and_back(name in "[^\\x00]{1,40}", password in "[^\\x00]{0,40}") {
            let response = format!("\0{name}\0{password}");
            prop_assert_eq!(done(Mechanism::Plain.begin(Some(response.as_bytes()))), (name, password.into_bytes()));
        }
    }
}
