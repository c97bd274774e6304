//! What a stranger is told that we are and can: the same for all clients, but for whether a password may come
//! in the clear.

use std::num::NonZeroU32;

use protocol::capability::{self, Plaintext};

use crate::conversation::Method;
use crate::settings::Settings;

/// See above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offers {
    pub(crate) greeting: String,
    /// IMAP: capabilities, separated by spaces.
    pub(crate) capability: String,
    /// POP3: the lines of `CAPA`.
    pub(crate) capa: Vec<String>,
    /// What `AUTHENTICATE` and `AUTH` take; none where passwords are refused.
    pub(crate) mechanisms: Vec<Method>,
    pub(crate) plaintext: Plaintext,
}

impl Offers {
    /// What is offered to clients that may, or may not, send a password in the clear.
    pub(crate) fn new(settings: &Settings, plaintext: Plaintext) -> Self {
        let mechanisms = match plaintext {
            Plaintext::Allowed => settings.mechanisms.clone(),
            Plaintext::Refused => Vec::new(),
        };
        Self {
            greeting: settings.greeting.clone(),
            capability: imap(settings.capability.as_deref(), plaintext, &mechanisms),
            capa: pop3(settings.login_delay, plaintext, &mechanisms),
            mechanisms,
            plaintext,
        }
    }

    /// The mechanism of this name, in upper case, if it is offered.
    pub(crate) fn mechanism(&self, name: &str) -> Option<Method> {
        self.mechanisms.iter().copied().find(|method| method.name() == name)
    }
}

/// What stands in the library, or what the administrator wrote; always with how one may log in.
fn imap(instead: Option<&str>, plaintext: Plaintext, mechanisms: &[Method]) -> String {
    let ours = capability::imap_login(plaintext);
    let about_login = |word: &str| word.starts_with("AUTH=") || word == "LOGINDISABLED";
    let offered = |word: &&str| {
        word.strip_prefix("AUTH=").is_none_or(|name| mechanisms.iter().any(|method| method.name() == name))
    };
    let first = instead.unwrap_or(ours).split_whitespace().filter(|word| !about_login(word));
    let last = ours.split_whitespace().filter(|word| about_login(word)).filter(offered);
    first.chain(last).collect::<Vec<_>>().join(" ")
}

fn pop3(delay: Option<NonZeroU32>, plaintext: Plaintext, mechanisms: &[Method]) -> Vec<String> {
    let line = |line: &&str| match line.strip_prefix("SASL ") {
        None => (*line).to_owned(),
        Some(_) => mechanisms.iter().fold("SASL".to_owned(), |line, method| line + " " + method.name()),
    };
    let always = capability::POP3.iter().chain(capability::pop3_login(plaintext)).map(line);
    always.chain(delay.map(capability::pop3_login_delay)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(mechanisms: &str, capability: Option<&str>, plaintext: Plaintext) -> Offers {
        let settings = Settings::read(|name| match name {
            "PROTOCOL" => Some("imap".to_owned()),
            "LISTEN_FDS" => Some("1".to_owned()),
            "AUTH_MECHANISMS" => Some(mechanisms.to_owned()),
            "IMAP_CAPABILITY" => capability.map(str::to_owned),
            _ => None,
        });
        Offers::new(&settings.unwrap(), plaintext)
    }

    #[test]
    fn only_what_is_configured_is_offered() {
        let both = offers("plain login", None, Plaintext::Allowed);
        assert_eq!(both.capability, capability::imap_login(Plaintext::Allowed));
        assert!(both.capa.contains(&"SASL PLAIN LOGIN".to_owned()));
        let one = offers("login", None, Plaintext::Allowed);
        assert!(one.capability.ends_with(" AUTH=LOGIN") && !one.capability.contains("PLAIN"));
        assert!(one.capa.contains(&"SASL LOGIN".to_owned()) && one.capa.contains(&"USER".to_owned()));
        assert_eq!((one.mechanism("PLAIN"), one.mechanism("LOGIN")), (None, Some(Method::Login)));
    }

    #[test]
    fn where_passwords_are_refused_no_way_to_send_one_is_offered() {
        let refused = offers("plain login", None, Plaintext::Refused);
        assert!(refused.capability.ends_with(" LOGINDISABLED") && !refused.capability.contains("AUTH="));
        assert!(!refused.capa.iter().any(|line| line == "USER" || line.starts_with("SASL")));
        assert_eq!(refused.mechanism("PLAIN"), None);
    }

    #[test]
    fn what_the_administrator_wrote_stands_in_place_of_ours() {
        let own = offers("plain", Some("IMAP4rev1 AUTH=NTLM X"), Plaintext::Allowed);
        assert_eq!(own.capability, "IMAP4rev1 X AUTH=PLAIN");
        let own = offers("plain", Some("IMAP4rev1"), Plaintext::Refused);
        assert_eq!(own.capability, "IMAP4rev1 LOGINDISABLED");
    }
}
