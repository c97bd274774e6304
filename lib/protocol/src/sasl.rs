//! The two SASL mechanisms of old, PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login), for the side that is
//! told a password; base64 as the mail protocols wrap it (RFC 4422 profiles).
//!
//! Whether a password is right is not asked here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Secret;

/// Who somebody claims to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Whom to act as; empty for the one whose password it is.
    pub authorization: Vec<u8>,
    /// Whose password it is.
    pub user: Vec<u8>,
    /// The password.
    pub password: Secret,
}

/// Why an exchange came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The client sent `*`.
    #[error("reading a SASL response: the client gave up")]
    Cancelled,
    /// Not base64.
    #[error("reading a SASL response: it is not base64")]
    NotBase64,
    /// Base64 of something that the mechanism does not have.
    #[error("reading a SASL response: it is malformed")]
    Malformed,
}

/// An exchange that waits for the client's next response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// PLAIN: all in one.
    Plain,
    /// LOGIN: the name.
    LoginUser,
    /// LOGIN: the password.
    LoginPassword {
        /// The name, as it came.
        user: Vec<u8>,
    },
}

/// How far a response brought an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Send [`Exchange::challenge`], and wait.
    Ask(Exchange),
    /// It is over.
    Done(Credentials),
}

impl Exchange {
    /// Begins with a mechanism, named in upper case; none where we don't have it.
    pub fn new(mechanism: &str) -> Option<Exchange> {
        match mechanism {
            "PLAIN" => Some(Exchange::Plain),
            "LOGIN" => Some(Exchange::LoginUser),
            _ => None,
        }
    }

    /// What the client is asked, in base64: `Username:`, `Password:`, or nothing.
    pub fn challenge(&self) -> &'static str {
        match self {
            Exchange::Plain => "",
            Exchange::LoginUser => "VXNlcm5hbWU6",
            Exchange::LoginPassword { .. } => "UGFzc3dvcmQ6",
        }
    }

    /// Takes the client's response, already out of base64.
    pub fn step(self, response: Secret) -> Result<Progress, Error> {
        match self {
            Exchange::Plain => Credentials::from_plain(&response).map(Progress::Done),
            Exchange::LoginUser if response.expose().is_empty() => Err(Error::Malformed),
            Exchange::LoginUser => {
                Ok(Progress::Ask(Exchange::LoginPassword { user: response.expose().to_vec() }))
            }
            Exchange::LoginPassword { user } => {
                Ok(Progress::Done(Credentials { authorization: Vec::new(), user, password: response }))
            }
        }
    }
}

impl Credentials {
    /// `authorization NUL user NUL password`
    pub fn from_plain(response: &Secret) -> Result<Credentials, Error> {
        let mut parts = response.expose().split(|byte| *byte == 0);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(authorization), Some(user), Some(password), None) if !user.is_empty() => Ok(Credentials {
                authorization: authorization.to_vec(),
                user: user.to_vec(),
                password: password.into(),
            }),
            _ => Err(Error::Malformed),
        }
    }

    /// What a client of PLAIN would send, out of base64; malformed where a part holds a NUL.
    pub fn to_plain(&self) -> Result<Secret, Error> {
        let parts = [self.authorization.as_slice(), &self.user, self.password.expose()];
        if parts.iter().any(|part| part.contains(&0)) {
            return Err(Error::Malformed);
        }
        Ok(Secret::new(parts.join(&0)))
    }
}

/// A response out of base64: `*` gives up, `=` (in a command) is an empty one. With or without a line's end.
pub fn decode(response: &[u8]) -> Result<Secret, Error> {
    let response = response.strip_suffix(b"\n").unwrap_or(response);
    match response.strip_suffix(b"\r").unwrap_or(response) {
        b"*" => Err(Error::Cancelled),
        b"=" => Ok(Secret::default()),
        base64 => STANDARD.decode(base64).map(Secret::new).map_err(|_| Error::NotBase64),
    }
}

/// Into base64.
pub fn encode(response: &Secret) -> Secret {
    Secret::new(STANDARD.encode(response.expose()).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret(bytes: &[u8]) -> Secret {
        bytes.into()
    }

    #[test]
    fn plain_is_done_in_one_response() {
        let exchange = Exchange::new("PLAIN").unwrap();
        assert_eq!(exchange.challenge(), "");
        let response = decode(b"AGFsaWNlAHNlY3JldA==\r\n").unwrap();
        let credentials =
            Credentials { authorization: Vec::new(), user: b"alice".to_vec(), password: secret(b"secret") };
        assert_eq!(exchange.step(response), Ok(Progress::Done(credentials)));
    }

    #[test]
    fn login_asks_twice() {
        let exchange = Exchange::new("LOGIN").unwrap();
        assert_eq!(decode(exchange.challenge().as_bytes()), Ok(secret(b"Username:")));
        let Ok(Progress::Ask(exchange)) = exchange.step(secret(b"alice")) else { panic!() };
        assert_eq!(decode(exchange.challenge().as_bytes()), Ok(secret(b"Password:")));
        let Ok(Progress::Done(credentials)) = exchange.step(secret(b"secret")) else { panic!() };
        assert_eq!(
            (credentials.user.as_slice(), credentials.password.expose()),
            (&b"alice"[..], &b"secret"[..])
        );
    }

    #[test]
    fn what_is_no_response_is_told_apart() {
        assert_eq!(decode(b"*\r\n"), Err(Error::Cancelled));
        assert_eq!(decode(b"="), Ok(secret(b"")));
        assert_eq!(decode(b""), Ok(secret(b"")));
        for base64 in [&b"a"[..], b"AGFs aWNl", b"====", b"\xff"] {
            assert_eq!(decode(base64), Err(Error::NotBase64));
        }
        for plain in [&b""[..], b"alice", b"\0alice", b"\0\0secret", b"\0a\0b\0c"] {
            assert_eq!(Credentials::from_plain(&secret(plain)), Err(Error::Malformed));
        }
        assert_eq!(Exchange::new("GSSAPI"), None);
    }

    proptest! {
        #[test]
        fn credentials_go_there_and_back(authorization: Vec<u8>, user: Vec<u8>, password: Vec<u8>) {
            let credentials = Credentials { authorization, user, password: Secret::new(password) };
            if let Ok(plain) = credentials.to_plain() {
                let wire = encode(&plain);
                let back = Credentials::from_plain(&decode(wire.expose()).unwrap());
                prop_assert_eq!(back.ok(), Some(credentials).filter(|claim| !claim.user.is_empty()));
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            if let Ok(response) = decode(&bytes) {
                let _ = Credentials::from_plain(&response);
            }
            let _ = Credentials::from_plain(&secret(&bytes));
        }
    }
}
