//! What of a client's environment is settings, read once: mail-environ(7) says what each variable means.
//!
//! Clients with the same settings share one value. A setting that cannot be understood refuses the client.

use std::num::NonZeroU32;
use std::time::Duration;

use envdump::Environment;
use protocol::capability;
use protocol::imap::MailboxName;
use store::Saving;
use thiserror::Error;
use wire::Protocol;

use crate::pop3::Format;

/// A variable that cannot be understood.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{variable}: {why}")]
pub(crate) struct BadSetting {
    pub(crate) variable: &'static str,
    pub(crate) why: String,
}

/// See above.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) protocol: Protocol,
    /// How often a mailbox that cannot be watched is looked at.
    pub(crate) poll_interval: Duration,
    /// How long one line of a client may be.
    pub(crate) longest_line: usize,
    /// How long the name of a new keyword may be.
    pub(crate) longest_keyword: usize,
    /// What the client is told that we can; IMAP.
    pub(crate) capability: Box<str>,
    pub(crate) delay_new_mail: bool,
    pub(crate) extra_mailbox_separator: bool,
    /// How often an idle client is told that we are still here.
    pub(crate) still_here_interval: Option<Duration>,
    pub(crate) logout_format: Box<str>,
    /// Mailboxes that are something special; IMAP.
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) saving: Saving,
    pub(crate) pop3: Pop3,
}

/// A mailbox that is for something, or that everybody is to have.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) name: MailboxName,
    /// As LIST has them (RFC 6154).
    special_use: Box<str>,
    pub(crate) auto: Auto,
}

/// What is done about a mailbox that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auto {
    No,
    Create,
    Subscribe,
}

/// Those of POP3 alone.
#[derive(Debug)]
pub(crate) struct Pop3 {
    pub(crate) uidl_format: Format,
    pub(crate) no_nuls: bool,
    pub(crate) end_of_header: bool,
    pub(crate) no_flag_updates: bool,
    pub(crate) reuse_xuidl: bool,
    pub(crate) last: bool,
    pub(crate) lock_session: bool,
    /// Seconds; what the client is told of it.
    pub(crate) login_delay: Option<NonZeroU32>,
}

impl Settings {
    pub(crate) fn parse(environment: &Environment) -> Result<Self, BadSetting> {
        let protocol = match text(environment, "PROTOCOL")? {
            None => Protocol::Imap,
            Some(name) => name.parse().map_err(|why| bad("PROTOCOL", why))?,
        };
        let imap = words(environment, "IMAP_CLIENT_WORKAROUNDS", &IMAP_WORKAROUNDS)?;
        let pop3 = words(environment, "POP3_CLIENT_WORKAROUNDS", &POP3_WORKAROUNDS)?;
        let logout_format = match protocol {
            Protocol::Imap => text(environment, "IMAP_LOGOUT_FORMAT")?.unwrap_or("bytes=%i/%o"),
            Protocol::Pop3 => text(environment, "POP3_LOGOUT_FORMAT")?
                .unwrap_or("top=%t/%p, retr=%r/%b, del=%d/%m, size=%s"),
        };
        let uidl_format = match protocol {
            Protocol::Imap => None,
            Protocol::Pop3 => text(environment, "POP3_UIDL_FORMAT")?,
        };
        let uidl_format = uidl_format.unwrap_or("%08Xu%08Xv").parse();
        let uidl_format = uidl_format.map_err(|why: String| bad("POP3_UIDL_FORMAT", why))?;
        Ok(Self {
            protocol,
            poll_interval: seconds(environment, "MAILBOX_IDLE_CHECK_INTERVAL", 30)?
                .max(Duration::from_secs(1)),
            longest_line: number(environment, "IMAP_MAX_LINE_LENGTH", 65_536)?,
            longest_keyword: number(environment, "MAIL_MAX_KEYWORD_LENGTH", 50)?,
            capability: text(environment, "IMAP_CAPABILITY")?.unwrap_or(capability::IMAP).into(),
            delay_new_mail: imap.contains(&"delay-newmail"),
            extra_mailbox_separator: imap.contains(&"tb-extra-mailbox-sep"),
            still_here_interval: Some(seconds(environment, "IMAP_IDLE_NOTIFY_INTERVAL", 120)?)
                .filter(|interval| !interval.is_zero()),
            logout_format: logout_format.into(),
            mailboxes: mailboxes(environment)?,
            saving: Saving {
                crlf: environment.is_set("MAIL_SAVE_CRLF"),
                fsync: !environment.is_set("FSYNC_DISABLE"),
                links: environment.is_set("MAILDIR_COPY_WITH_HARDLINKS"),
            },
            pop3: Pop3 {
                uidl_format,
                no_nuls: pop3.contains(&"outlook-no-nuls"),
                end_of_header: pop3.contains(&"oe-ns-eoh"),
                no_flag_updates: environment.is_set("POP3_NO_FLAG_UPDATES"),
                reuse_xuidl: environment.is_set("POP3_REUSE_XUIDL"),
                last: environment.is_set("POP3_ENABLE_LAST"),
                login_delay: NonZeroU32::new(number(environment, "POP3_LOGIN_DELAY", 0)?),
                lock_session: environment.is_set("POP3_LOCK_SESSION"),
            },
        })
    }
}

impl Settings {
    /// What a mailbox is for, as attributes.
    pub(crate) fn special_use(&self, name: &MailboxName) -> Option<&str> {
        let mailbox = self.mailboxes.iter().find(|mailbox| mailbox.name == *name)?;
        Some(&*mailbox.special_use).filter(|uses| !uses.is_empty())
    }
}

/// `MAILBOX_1_NAME` and so on, as far as they go.
fn mailboxes(environment: &Environment) -> Result<Vec<Mailbox>, BadSetting> {
    let mut mailboxes = Vec::new();
    for number in 1_u32.. {
        let value = |what| environment.text(format!("MAILBOX_{number}_{what}"));
        let Some(name) = value("NAME") else { break };
        let special_use = value("SPECIAL_USE").unwrap_or_default();
        let is_use = |word: &str| {
            word.strip_prefix('\\').is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        };
        if !special_use.split(' ').all(|word| word.is_empty() || is_use(word)) {
            return Err(bad(
                "MAILBOX_<number>_SPECIAL_USE",
                format_args!("{special_use:?} are no attributes"),
            ));
        }
        mailboxes.push(Mailbox {
            name: MailboxName::from_utf8(name).map_err(|why| bad("MAILBOX_<number>_NAME", why))?,
            special_use: special_use.into(),
            auto: match value("AUTO") {
                None | Some("no" | "") => Auto::No,
                Some("create") => Auto::Create,
                Some("subscribe") => Auto::Subscribe,
                Some(other) => {
                    let why = format_args!("{other:?} is none of no, create and subscribe");
                    return Err(bad("MAILBOX_<number>_AUTO", why));
                }
            },
        });
    }
    Ok(mailboxes)
}

fn bad(variable: &'static str, why: impl ToString) -> BadSetting {
    BadSetting { variable, why: why.to_string() }
}

fn text<'a>(environment: &'a Environment, variable: &'static str) -> Result<Option<&'a str>, BadSetting> {
    match environment.get(variable) {
        None => Ok(None),
        Some(value) => std::str::from_utf8(value).map(Some).map_err(|_| bad(variable, "not UTF-8")),
    }
}

fn number<T: std::str::FromStr>(
    environment: &Environment,
    variable: &'static str,
    default: T,
) -> Result<T, BadSetting> {
    match text(environment, variable)? {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| bad(variable, format_args!("{value:?} is no number"))),
    }
}

fn seconds(environment: &Environment, variable: &'static str, default: u32) -> Result<Duration, BadSetting> {
    number(environment, variable, default).map(|count| Duration::from_secs(count.into()))
}

fn words<'a>(
    environment: &'a Environment,
    variable: &'static str,
    known: &[&str],
) -> Result<Vec<&'a str>, BadSetting> {
    let words: Vec<&str> = text(environment, variable)?.unwrap_or_default().split_whitespace().collect();
    match words.iter().find(|word| !known.contains(word)) {
        Some(word) => Err(bad(variable, format_args!("{word:?} is unknown; known are {}", known.join(", ")))),
        None => Ok(words),
    }
}

/// What `netscape-eoh` asks for is always done: chosen header fields end with an empty line.
const IMAP_WORKAROUNDS: [&str; 3] = ["delay-newmail", "netscape-eoh", "tb-extra-mailbox-sep"];
const POP3_WORKAROUNDS: [&str; 2] = ["outlook-no-nuls", "oe-ns-eoh"];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(variables: &[(&str, &str)]) -> Result<Settings, BadSetting> {
        let mut environment = Environment::new();
        variables.iter().for_each(|(key, value)| environment.set(key, value).unwrap());
        Settings::parse(&environment)
    }

    #[test]
    fn an_empty_environment_is_imap_with_defaults() {
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.protocol, Protocol::Imap);
        assert_eq!(settings.longest_line, 65_536);
        assert_eq!(settings.still_here_interval, Some(Duration::from_secs(120)));
    }

    #[test]
    fn mailboxes_are_numbered() {
        let settings = parse(&[
            ("MAILBOX_1_NAME", "Entwürfe"),
            ("MAILBOX_1_SPECIAL_USE", "\\Drafts"),
            ("MAILBOX_1_AUTO", "subscribe"),
            ("MAILBOX_2_NAME", "Plain"),
            ("MAILBOX_4_NAME", "Lost"),
        ])
        .unwrap();
        assert_eq!(settings.mailboxes.len(), 2);
        let name = |name| MailboxName::from_utf8(name).unwrap();
        assert_eq!(settings.special_use(&name("Entwürfe")), Some("\\Drafts"));
        assert_eq!(settings.special_use(&name("Plain")), None);
        assert!(parse(&[("MAILBOX_1_NAME", "x"), ("MAILBOX_1_AUTO", "maybe")]).is_err());
        assert!(parse(&[("MAILBOX_1_NAME", "x"), ("MAILBOX_1_SPECIAL_USE", "\\Sent)")]).is_err());
        assert!(parse(&[("MAILBOX_1_NAME", "x\ty")]).is_err());
    }

    #[test]
    fn no_notices_and_flags_without_value() {
        let settings = parse(&[("IMAP_IDLE_NOTIFY_INTERVAL", "0"), ("POP3_ENABLE_LAST", "")]).unwrap();
        assert_eq!(settings.still_here_interval, None);
        assert!(settings.pop3.last);
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        let error = parse(&[("IMAP_CLIENT_WORKAROUNDS", "delay-newmail oops")]).unwrap_err();
        assert!(error.to_string().starts_with("IMAP_CLIENT_WORKAROUNDS: \"oops\" is unknown"), "{error}");
        assert!(parse(&[("IMAP_MAX_LINE_LENGTH", "-1")]).is_err());
        assert!(parse(&[("PROTOCOL", "smtp")]).is_err());
        assert!(parse(&[("PROTOCOL", "pop3"), ("POP3_UIDL_FORMAT", "%v")]).is_err());
        assert!(parse(&[("PROTOCOL", "imap"), ("POP3_UIDL_FORMAT", "%v")]).is_ok());
    }
}
