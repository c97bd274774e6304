//! Settings that are one, or some, of a few known words.

use std::path::PathBuf;

use wire::Protocol;

use super::{Fault, Value, list, written};
use crate::config::host::Host;

/// What is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocols(pub(crate) Vec<Protocol>);

impl Value for Protocols {
    const KIND: &'static str = "imap, pop3 or both";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        let mut protocols = list(text).map(one_protocol).collect::<Result<Vec<_>, _>>()?;
        if protocols.is_empty() {
            return Err(Fault::new("nothing would be served", "write 'imap', 'pop3' or 'imap pop3'"));
        }
        protocols.sort();
        protocols.dedup();
        Ok(Self(protocols))
    }

    fn variable(&self) -> Option<String> {
        let names: Vec<&str> = self.0.iter().map(|protocol| protocol.name()).collect();
        written(names.join(" "))
    }
}

fn one_protocol(word: &str) -> Result<Protocol, Fault> {
    let lower = word.to_ascii_lowercase();
    lower.parse().map_err(|_| {
        let help = match lower.as_str() {
            "imaps" | "pop3s" => {
                "TLS is not supported yet: remove it, and put a TLS proxy in front of the server"
            }
            "lda" | "lmtp" => "remove it: mail arrives in the Maildirs by whatever delivers there",
            "none" => "write 'imap', 'pop3' or 'imap pop3'",
            _ => "the protocols are imap and pop3",
        };
        Fault::new(format!("'{word}' is not served here"), help).of(word)
    })
}

/// Which clients may be together in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Share {
    /// Any; the process becomes each one's user while it works for him.
    All,
    /// Those of the same uid, gid and groups; the process is that for good.
    Uid,
    /// Those of the same login name; the process is that user for good.
    User,
}

impl Value for Share {
    const KIND: &'static str = "all, uid or user";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        match text {
            "all" => Ok(Self::All),
            "uid" => Ok(Self::Uid),
            "user" => Ok(Self::User),
            _ => Err(Fault::new(format!("'{text}' says nothing of sharing"), "write 'all', 'uid' or 'user'")),
        }
    }

    fn variable(&self) -> Option<String> {
        let name = match self {
            Self::All => "all",
            Self::Uid => "uid",
            Self::User => "user",
        };
        written(name)
    }
}

/// How a process that all share is kept to the mail users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jail {
    /// The strongest that can be had.
    Auto,
    /// A user namespace that has the mail users and nobody else.
    Namespace,
    /// A filter of the system calls that change who a process is.
    Filter,
    /// It is not.
    No,
}

impl Jail {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Namespace => "namespace",
            Self::Filter => "filter",
            Self::No => "no",
        }
    }
}

impl Value for Jail {
    const KIND: &'static str = "auto, namespace, filter or no";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        let known = [Self::Auto, Self::Namespace, Self::Filter, Self::No];
        known.into_iter().find(|jail| jail.name() == text).ok_or_else(|| {
            Fault::new(format!("'{text}' is no jail"), "write 'auto', 'namespace', 'filter' or 'no'")
        })
    }

    fn variable(&self) -> Option<String> {
        written(self.name())
    }
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogTo {
    /// The master's standard error.
    Stderr,
    /// syslog(3).
    Syslog,
    /// A file, appended to, opened again on SIGUSR1.
    File(PathBuf),
}

impl Value for LogTo {
    const KIND: &'static str = "absolute path, /dev/stderr or syslog";

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        match text {
            "" | "/dev/stderr" => Ok(Self::Stderr),
            "syslog" => Ok(Self::Syslog),
            _ => PathBuf::parse(text, host).map(Self::File),
        }
    }

    fn variable(&self) -> Option<String> {
        None
    }
}

/// A syslog facility.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facility(pub(crate) libc::c_int);

const FACILITIES: [(&str, libc::c_int); 12] = [
    ("mail", libc::LOG_MAIL),
    ("daemon", libc::LOG_DAEMON),
    ("auth", libc::LOG_AUTH),
    ("user", libc::LOG_USER),
    ("local0", libc::LOG_LOCAL0),
    ("local1", libc::LOG_LOCAL1),
    ("local2", libc::LOG_LOCAL2),
    ("local3", libc::LOG_LOCAL3),
    ("local4", libc::LOG_LOCAL4),
    ("local5", libc::LOG_LOCAL5),
    ("local6", libc::LOG_LOCAL6),
    ("local7", libc::LOG_LOCAL7),
];

impl Value for Facility {
    const KIND: &'static str = "mail, daemon, auth, user, local0 to local7";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        let known = FACILITIES.iter().find(|(name, _)| *name == text);
        let help = "write mail, daemon, auth, user, or one of local0 to local7";
        known
            .map(|(_, number)| Self(*number))
            .ok_or_else(|| Fault::new(format!("'{text}' is no facility"), help))
    }

    fn variable(&self) -> Option<String> {
        written(self.0)
    }
}

/// Lists of known words: a type each, so that one cannot stand for the other. The second list has words that are known
/// elsewhere, and what to say of each.
macro_rules! words {
    ($($(#[$doc:meta])* $Type:ident: $what:literal [$first:literal $(, $word:literal)*] [$(($gone:literal, $why:literal)),*];)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $Type(Vec<String>);

        impl Value for $Type {
            const KIND: &'static str = concat!("any of: ", $first $(, ", ", $word)*);

            fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
                let gone: &[(&str, &str)] = &[$(($gone, $why)),*];
                some_of(text, $what, &[$first $(, $word)*], gone).map(Self)
            }

            fn variable(&self) -> Option<String> {
                written(self.0.join(" "))
            }
        }
    )+};
}

impl JailParts {
    /// Whether a part is among them.
    pub(crate) fn has(&self, part: &str) -> bool {
        self.0.iter().any(|word| word == part)
    }
}

words! {
    /// What passwords may be sent by.
    Mechanisms: "mechanism" ["plain", "login"] [
        ("cram-md5", "it needs passwords in plain text; not supported yet"),
        ("digest-md5", "it is obsolete (RFC 6331)"),
        ("gssapi", "not supported yet"),
        ("ntlm", "it is obsolete"),
        ("anonymous", "not supported yet")
    ];
    /// What a jail can be made of.
    JailParts: "part of a jail" ["identity", "namespace", "seccomp", "landlock"] [];
    /// Ways of misbehaving that IMAP clients want.
    ImapWorkarounds: "workaround" ["delay-newmail", "netscape-eoh", "tb-extra-mailbox-sep"] [
        ("outlook-idle", "remove it: connections in IDLE are kept alive by imap_idle_notify_interval"),
        ("tb-lsub-flags", "remove it: not supported yet")
    ];
    /// Ways of misbehaving that POP3 clients want.
    Pop3Workarounds: "workaround" ["outlook-no-nuls", "oe-ns-eoh"] [];
}

fn some_of(text: &str, what: &str, known: &[&str], gone: &[(&str, &str)]) -> Result<Vec<String>, Fault> {
    let mut words: Vec<String> = Vec::new();
    for word in list(text) {
        let lower = word.to_ascii_lowercase();
        if !known.contains(&lower.as_str()) {
            let why = gone.iter().find(|(name, _)| *name == lower).map(|(_, why)| (*why).to_owned());
            let help = why.unwrap_or_else(|| format!("the known ones are: {}", known.join(" ")));
            return Err(Fault::new(format!("'{word}' is no {what} here"), help).of(word));
        }
        if !words.contains(&lower) {
            words.push(lower);
        }
    }
    Ok(words)
}
