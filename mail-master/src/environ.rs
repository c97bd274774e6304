//! The environment of a mail process and of each client in it, as mail-environ(7) has it.
//!
//! Settings come first, then what the user database says besides, as far as that may be said, and last who the client
//! is: nothing that a database says can stand in for that. Identity comes from a typed [`Person`], and is never read
//! back from an environment.

use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;

use envdump::{Environment, Invalid};
use thiserror::Error;
use wire::{ConnectionId, Protocol};

use crate::config::{ProtocolSettings, upper};
use crate::person::Person;
use crate::spawn::Credentials;
use expand::{NoHome, Variables};

/// What is known of a client when it is handed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientFacts<'a> {
    /// Its number; a process that knows nothing of the hand-off is told it as well.
    pub(crate) id: ConnectionId,
    /// Who it is.
    pub(crate) person: &'a Person,
    /// Our address and port.
    pub(crate) local: (IpAddr, u16),
    /// Its address and port.
    pub(crate) remote: (IpAddr, u16),
    /// The tag that its login waits for an answer to; empty where there is none.
    pub(crate) tag: &'a str,
    /// Whether nobody could listen in.
    pub(crate) secured: bool,
    /// How its process takes up the identity.
    pub(crate) form: Form,
    /// The process that will serve it, where that is there already; `%p`.
    pub(crate) pid: Option<u32>,
}

/// How a process comes to work as a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One client; it is the user for good, and may know nothing of the hand-off.
    Alone,
    /// Several clients of one identity; it is that for good.
    Dropped,
    /// Clients of any users; it becomes each in turn.
    Shared,
}

/// Why there is no environment for a client. It costs this client its login and nobody else's.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum NoEnvironment {
    #[error("mail_location or plugin {{ }}: {0}")]
    Home(#[from] NoHome),
    #[error("the client's environment: {0}")]
    Invalid(#[from] Invalid),
}

/// The environment of a process that serves nobody yet.
///
/// # Errors
/// [`Invalid`] where a setting is larger than an environment can hold.
pub(crate) fn spare_environment(settings: &ProtocolSettings) -> Result<Environment, Invalid> {
    let mut environment = settings_environment(settings)?;
    environment.set("PROTOCOL", settings.protocol.name())?;
    environment.set("PERSISTENT_MAIL_PROCESS", "1")?;
    Ok(environment)
}

/// The environment of one client.
///
/// # Errors
/// [`NoEnvironment`], about this client alone.
pub(crate) fn client_environment(
    settings: &ProtocolSettings,
    client: &ClientFacts<'_>,
) -> Result<Environment, NoEnvironment> {
    let mut environment = settings_environment(settings)?;
    expanded(&mut environment, settings, client)?;
    for (key, value) in &client.person.extra {
        extra_field(&mut environment, settings, key, value)?;
    }
    connection(&mut environment, settings.protocol, client)?;
    identity(&mut environment, settings, client)?;
    Ok(environment)
}

/// What the settings say, the same for each client.
fn settings_environment(settings: &ProtocolSettings) -> Result<Environment, Invalid> {
    let mut environment = Environment::new();
    let other = match settings.protocol {
        Protocol::Imap => "POP3_",
        Protocol::Pop3 => "IMAP_",
    };
    // Dovecot tells IMAP processes of the UIDL format as well, and programs for it may look.
    let ours = |name: &str| !name.starts_with(other) || name == "POP3_UIDL_FORMAT";
    for (name, value) in settings.variables().filter(|(name, _)| ours(name)) {
        environment.set(name, value)?;
    }
    let mailboxes = settings.mailboxes.iter().filter(|_| settings.protocol == Protocol::Imap);
    for (number, mailbox) in (1..).zip(mailboxes) {
        let number: u32 = number;
        environment.set(format!("MAILBOX_{number}_NAME"), &mailbox.name)?;
        environment.set(format!("MAILBOX_{number}_SPECIAL_USE"), &mailbox.special_use)?;
        environment.set(format!("MAILBOX_{number}_AUTO"), mailbox.auto)?;
    }
    environment.set("MAIL_MAX_CONNECTIONS", settings.clients_per_process().to_string())?;
    Ok(environment)
}

/// What the settings say with this client's facts put in.
fn expanded(
    environment: &mut Environment,
    settings: &ProtocolSettings,
    client: &ClientFacts<'_>,
) -> Result<(), NoEnvironment> {
    let (local, remote) = (client.local.0.to_string(), client.remote.0.to_string());
    let pid = client.pid.map_or_else(|| "*".to_owned(), |pid| pid.to_string());
    let uid = client.person.credentials.uid.to_string();
    let variables = Variables {
        user: client.person.user.as_bytes(),
        home: client.person.home.as_deref(),
        service: upper(settings.protocol).as_bytes(),
        local_ip: local.as_bytes(),
        remote_ip: remote.as_bytes(),
        pid: pid.as_bytes(),
        uid: uid.as_bytes(),
    };
    for (name, template) in &settings.plugin {
        environment.set(name, template.expand(&variables)?)?;
    }
    let location = &settings.mail_location.0;
    match &client.person.mail {
        Some(mail) => environment.set("MAIL", mail)?,
        None if location.is_empty() => {}
        None => environment.set("MAIL", location.expand(&variables)?)?,
    }
    Ok(())
}

/// Takes a field of the user database, if it may say such a thing.
fn extra_field(
    environment: &mut Environment,
    settings: &ProtocolSettings,
    key: &[u8],
    value: &[u8],
) -> Result<(), Invalid> {
    let name = key.to_ascii_uppercase();
    let Ok(text) = std::str::from_utf8(&name) else { return Ok(()) };
    if FLAGS.contains(&text) && value.eq_ignore_ascii_case(b"no") {
        environment.remove(text);
        return Ok(());
    }
    let allowed = FLAGS.contains(&text)
        || SETTINGS.contains(&text)
        || settings.plugin.contains_key(text)
        || (is_plugin(text) && !is_ours(&name));
    // All else was for somebody else, or should not have been tried; what is left out here is in mail-environ(7).
    if allowed { environment.set(text, value) } else { Ok(()) }
}

/// Where the client comes from and who it says it is.
fn connection(
    environment: &mut Environment,
    protocol: Protocol,
    client: &ClientFacts<'_>,
) -> Result<(), Invalid> {
    let person = client.person;
    environment.set("PROTOCOL", protocol.name())?;
    environment.set("LOGGED_IN", "1")?;
    environment.set("USER", &person.user)?;
    environment.set("IP", client.remote.0.to_string())?;
    environment.set("REMOTE_PORT", client.remote.1.to_string())?;
    environment.set("LOCAL_IP", client.local.0.to_string())?;
    environment.set("LOCAL_PORT", client.local.1.to_string())?;
    environment.set("CONNECTION_ID", client.id.to_string())?;
    if let Some(home) = &person.home {
        environment.set("HOME", home)?;
    }
    if let Some(master) = &person.master_user {
        environment.set("MASTER_USER", master)?;
    }
    if !client.tag.is_empty() {
        environment.set("IMAPLOGINTAG", client.tag)?;
    }
    if client.secured {
        environment.set("SECURED", "1")?;
    }
    Ok(())
}

/// As whom the client's mail is worked on.
fn identity(
    environment: &mut Environment,
    settings: &ProtocolSettings,
    client: &ClientFacts<'_>,
) -> Result<(), Invalid> {
    if client.form != Form::Alone {
        environment.set("PERSISTENT_MAIL_PROCESS", "1")?;
    }
    let verb = if client.form == Form::Shared { "ADVISE" } else { "RESTRICT" };
    let Credentials { uid, gid, groups } = &client.person.credentials;
    environment.set(format!("{verb}_SETUID"), uid.to_string())?;
    environment.set(format!("{verb}_SETGID"), gid.to_string())?;
    if !groups.is_empty() {
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        environment.set(format!("{verb}_SETEXTRAGROUPS"), groups.join(","))?;
    }
    let chroot = client.person.chroot.as_deref();
    let chroot = chroot.or_else(|| Some(settings.mail_chroot.as_ref()?.as_os_str().as_bytes()));
    if let Some(chroot) = chroot.filter(|_| client.form != Form::Shared) {
        environment.set("RESTRICT_CHROOT", chroot)?;
    }
    Ok(())
}

/// Whether a variable is one that the master sets, or that changes how programs run: never a plugin's.
pub(crate) fn is_ours(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return true };
    let begins = [
        "RESTRICT_",
        "ADVISE_",
        "LD_",
        "LC_",
        "RUST_",
        "MALLOC_",
        "GLIBC_",
        "IMAP_",
        "POP3_",
        "NAMESPACE_",
        "MAILBOX_",
        "DOVECOT_",
    ];
    begins.iter().any(|beginning| name.starts_with(beginning))
        || [OURS, FLAGS, SETTINGS].iter().any(|names| names.contains(&name))
        || ProtocolSettings::TABLE.iter().any(|row| row.variable() == Some(name))
}

/// Whether a field of a user database belongs to a plugin that is known from Dovecot: `quota_rule`, `quota2`, `acl_groups`.
fn is_plugin(name: &str) -> bool {
    let family = name.split(|c: char| c == '_' || c.is_ascii_digit()).next().unwrap_or_default();
    let rest = name.get(family.len()..).unwrap_or_default();
    let plain = rest.bytes().all(|b| b == b'_' || b.is_ascii_uppercase() || b.is_ascii_digit());
    plain && (PLUGINS.contains(&family) || name.starts_with("MAIL_LOG_") || name.starts_with("LAZY_EXPUNGE"))
}

/// What a user database may say of its users, by the variable's name: texts and numbers ...
const SETTINGS: &[&str] = &[
    "MAIL",
    "MAILBOX_IDLE_CHECK_INTERVAL",
    "MAIL_MAX_KEYWORD_LENGTH",
    "IMAP_MAX_LINE_LENGTH",
    "IMAP_CAPABILITY",
    "IMAP_CLIENT_WORKAROUNDS",
    "IMAP_LOGOUT_FORMAT",
    "IMAP_IDLE_NOTIFY_INTERVAL",
    "POP3_CLIENT_WORKAROUNDS",
    "POP3_LOGOUT_FORMAT",
    "POP3_UIDL_FORMAT",
];

/// ... and flags, which `no` takes away.
const FLAGS: &[&str] = &[
    "DEBUG",
    "MAIL_SAVE_CRLF",
    "FSYNC_DISABLE",
    "MAILDIR_COPY_WITH_HARDLINKS",
    "POP3_NO_FLAG_UPDATES",
    "POP3_REUSE_XUIDL",
    "POP3_ENABLE_LAST",
    "POP3_LOCK_SESSION",
];

/// Plugins whose settings differ from user to user, whether plugin { } has them or not.
const PLUGINS: &[&str] =
    &["QUOTA", "ACL", "TRASH", "EXPIRE", "FTS", "ZLIB", "SIEVE", "CONVERT", "NOTIFY", "VIRTUAL"];

/// Variables that are never anybody else's.
const OURS: &[&str] = &[
    "HOME",
    "USER",
    "IP",
    "LOCAL_IP",
    "REMOTE_PORT",
    "LOCAL_PORT",
    "SECURED",
    "LOGGED_IN",
    "MASTER_USER",
    "PROTOCOL",
    "IMAPLOGINTAG",
    "ANSWER_LOGIN",
    "CONNECTION_ID",
    "PERSISTENT_MAIL_PROCESS",
    "LOG_TO_MASTER",
    "SYSLOG_FACILITY",
    "MAIL_JAIL",
    "CLIENT_INPUT",
    "DUMP_CAPABILITY",
    "STDERR_CLOSE_SHUTDOWN",
    "PATH",
    "SHELL",
    "LOGNAME",
    "PWD",
    "IFS",
    "ENV",
    "BASH_ENV",
    "CDPATH",
    "TZ",
    "TZDIR",
    "LANG",
    "LANGUAGE",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "HOSTALIASES",
    "NLSPATH",
    "GCONV_PATH",
    "GETCONF_DIR",
    "LOCPATH",
    "TMPDIR",
    "TERM",
    "DISPLAY",
];

#[cfg(test)]
mod tests;
