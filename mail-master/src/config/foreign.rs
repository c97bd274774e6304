//! What Dovecot has and this server has not: names that an administrator brings along, and what to do with each.
//!
//! A name that changes nothing of what clients get is a warning; one that would be missed is an error. Both say where
//! it went, so that nobody has to look.

use crate::config::problem::Problem;

/// What becomes of a name.
#[derive(Clone, Copy)]
enum Fate {
    /// It would be missed.
    Missing,
    /// What it asks for is so anyway, or means nothing here.
    Moot,
}
use Fate::{Missing, Moot};

const TLS: &str = "TLS is not supported yet: remove it, and put a TLS proxy in front of the server";
const LOGIN_JAIL: &str = "login processes are always locked into an empty directory; remove it";
const CACHE: &str = "the cache decides by itself; remove it";
const LOCKS: &str = "a Maildir is always locked as Dovecot locks it; remove it";
const ONLY_MAILDIR: &str = "only Maildir is served; remove it";
const DELIVERY: &str = "it is for programs that deliver or send mail, and belongs in their configuration";
const MAILDIR: &str = "the Maildir is always read in the way that suits it; remove it";
const ONE_LOG: &str = "log lines have one form; remove it";
const SERVICES: &str =
    "see mail_max_connections, max_mail_processes, login_max_connections and mail_process_size";
const NOT_YET: &str = "it is not supported yet; remove it";

/// Names, or with a star their beginnings, and what became of each. Whole names come first.
const SETTINGS: &[(&str, Fate, &str)] = &[
    ("auth_allow_cleartext", Missing, "write 'disable_plaintext_auth', which means the opposite, instead"),
    ("auth_debug", Moot, "write 'mail_debug = yes' instead"),
    ("auth_debug_passwords", Moot, "passwords are never logged; remove it"),
    ("auth_default_realm", Missing, NOT_YET),
    ("auth_executable", Missing, "write 'libexec_dir', the directory of all programs, instead"),
    ("auth_master_user_separator", Missing, "master users are not supported yet; remove it"),
    ("auth_realms", Moot, "the mechanisms that are offered have no realms; remove it"),
    ("auth_username_translation", Missing, "write 'auth_username_format' if it suffices, or remove it"),
    ("auth_verbose", Moot, "failed logins are always logged; remove it"),
    ("auth_anonymous_username", Moot, "nobody logs in anonymously; remove it"),
    ("auth_count", Moot, "one auth process checks many passwords at once; remove it"),
    ("auth_chroot", Moot, "remove it"),
    ("auth_cache_*", Moot, "every password is checked anew; remove it"),
    ("auth_ssl_*", Missing, TLS),
    ("auth_verbose_*", Moot, "passwords are never logged; remove it"),
    ("auth_gssapi_*", Missing, NOT_YET),
    ("auth_krb5_*", Missing, NOT_YET),
    ("auth_ntlm_*", Missing, NOT_YET),
    ("auth_policy_*", Missing, NOT_YET),
    ("auth_proxy_self", Missing, NOT_YET),
    ("auth_socket_path", Missing, NOT_YET),
    ("auth_use_winbind", Missing, NOT_YET),
    ("auth_winbind_*", Missing, NOT_YET),
    ("client_limit", Missing, "write 'mail_max_connections' instead"),
    ("process_limit", Missing, "write 'max_mail_processes' instead"),
    ("service_count", Missing, "write 'mail_process_per_connection' instead"),
    ("process_min_avail", Missing, "write 'login_processes_count' instead"),
    ("vsz_limit", Missing, "write 'mail_process_size' instead"),
    ("default_client_limit", Missing, SERVICES),
    ("default_internal_user", Missing, "write 'auth_user' and 'mail_base_user' instead"),
    ("default_internal_group", Missing, "write 'auth_user' and 'mail_base_user' instead"),
    ("default_login_user", Missing, "write 'login_user' instead"),
    ("default_vsz_limit", Missing, "write 'mail_process_size' instead"),
    ("default_idle_kill", Missing, "write 'mail_worker_idle_time' instead"),
    ("default_process_limit", Missing, SERVICES),
    ("debug_log_path", Moot, "such lines go where info_log_path says; remove it"),
    ("log_timestamp", Moot, ONE_LOG),
    ("log_core_filter", Moot, ONE_LOG),
    ("log_debug", Moot, "write 'mail_debug = yes' instead"),
    ("deliver_*", Moot, DELIVERY),
    ("dict_*", Missing, "dictionaries are not supported yet; remove it"),
    ("dotlock_use_excl", Moot, LOCKS),
    (
        "dovecot_config_version",
        Missing,
        "the settings here are those of mail-master.conf(5), not Dovecot 2.4's; remove it",
    ),
    ("dovecot_storage_version", Moot, "remove it"),
    ("haproxy_*", Missing, NOT_YET),
    ("hostname", Moot, DELIVERY),
    ("imap_hibernate_timeout", Moot, "clients in IDLE need no process of their own; remove it"),
    ("imap_id_*", Moot, "it is not used; remove it"),
    ("imap_literal_minus", Moot, "literals are taken as LITERAL+ has them; remove it"),
    ("imap_metadata", Missing, NOT_YET),
    ("imap_urlauth_*", Missing, NOT_YET),
    ("import_environment", Moot, "programs start with an empty environment; remove it"),
    ("instance_name", Moot, "remove it"),
    ("lda_*", Moot, DELIVERY),
    ("lmtp_*", Moot, DELIVERY),
    ("lock_method", Moot, LOCKS),
    ("login_access_sockets", Missing, NOT_YET),
    ("login_chroot", Moot, LOGIN_JAIL),
    ("login_dir", Moot, LOGIN_JAIL),
    ("login_executable", Missing, "write 'libexec_dir', the directory of all programs, instead"),
    ("login_log_*", Moot, ONE_LOG),
    ("login_plugins", Missing, NOT_YET),
    ("mail_cache_*", Moot, CACHE),
    ("mail_never_cache_fields", Moot, CACHE),
    ("mail_always_cache_fields", Moot, CACHE),
    (
        "mail_drop_priv_before_exec",
        Moot,
        "a process of one client has its user's rights from its first instruction; remove it",
    ),
    ("mail_driver", Missing, "write 'mail_location = maildir:path' instead"),
    ("mail_path", Missing, "write 'mail_location = maildir:path' instead"),
    ("mail_extra_groups", Missing, "write 'mail_access_groups' instead"),
    ("mail_fsync", Moot, "mail that was answered OK is always on disk; remove it"),
    ("mail_full_filesystem_access", Missing, "mailboxes are only in the user's Maildir; remove it"),
    ("mail_home", Missing, "write 'home=' in the args of a static userdb instead"),
    ("mail_nfs_*", Missing, "mail on NFS is not supported yet; remove it"),
    (
        "mail_plugins",
        Missing,
        "plugins are not supported yet; remove it. plugin { } may stay: it goes into the environment",
    ),
    ("mail_plugin_dir", Moot, "plugins are not supported yet; remove it"),
    ("mail_privileged_group", Moot, "only mbox files need it; remove it"),
    ("mail_vsize_*", Moot, CACHE),
    ("mailbox_list_index*", Moot, MAILDIR),
    ("maildir_*", Moot, MAILDIR),
    ("mail_attachment_*", Missing, NOT_YET),
    ("mechanisms", Missing, "write 'auth_mechanisms' instead"),
    ("mbox_*", Moot, ONLY_MAILDIR),
    ("dbox_*", Moot, ONLY_MAILDIR),
    ("mdbox_*", Moot, ONLY_MAILDIR),
    ("sdbox_*", Moot, ONLY_MAILDIR),
    ("managesieve_*", Moot, "it is for another program; remove it"),
    ("submission_*", Moot, "it is for another program; remove it"),
    ("doveadm_*", Moot, "mailctl(8) needs no settings; remove it"),
    ("mmap_disable", Moot, "files are never mapped into memory; remove it"),
    ("nfs_check", Moot, "remove it"),
    ("pop3_fast_size_lookups", Moot, "remove it"),
    ("pop3_save_uidl", Moot, "remove it"),
    ("pop3_deleted_flag", Missing, NOT_YET),
    ("pop3_uidl_duplicates", Missing, NOT_YET),
    ("postmaster_address", Moot, DELIVERY),
    ("rawlog_dir", Missing, NOT_YET),
    ("recipient_delimiter", Moot, DELIVERY),
    ("sendmail_path", Moot, DELIVERY),
    ("ssl", Missing, TLS),
    ("ssl_*", Missing, TLS),
    ("stats_*", Moot, "mailctl(8) has figures without; remove it"),
    ("verbose_ssl", Moot, "remove it"),
    ("version_ignore", Moot, "remove it"),
    ("quota*", Missing, "write it in 'plugin { }'"),
    ("acl*", Missing, "write it in 'plugin { }'"),
    ("sieve*", Moot, DELIVERY),
    ("passdb_*", Missing, "write 'passdb driver {', 'args = ...' and '}'"),
    ("userdb_*", Missing, "write 'userdb driver {', 'args = ...' and '}'"),
];

const SECTIONS: &[(&str, Fate, &str)] = &[
    ("service", Missing, SERVICES),
    ("dict", Missing, "dictionaries are not supported yet; remove it"),
    ("server", Missing, "start one master for each, with a file of its own"),
    ("socket", Missing, "sockets of mail-auth for other programs are not supported yet; remove it"),
    ("local", Missing, "settings by address are not supported; remove it"),
    ("local_name", Missing, "settings by name are not supported; remove it"),
    ("remote", Missing, "settings by address are not supported; remove it"),
    ("metric", Moot, "mailctl(8) has figures without; remove it"),
];

pub(super) const NAMESPACES: &str =
    "namespaces are not supported yet: remove it; there is one, private, with INBOX in it";

/// What to say of a setting; `None` where Dovecot has no such either.
pub(super) fn setting(name: &str, text: &str) -> Option<Problem> {
    let lower = name.to_ascii_lowercase();
    let known = |(pattern, ..): &&(&str, Fate, &str)| match pattern.strip_suffix('*') {
        Some(beginning) => lower.starts_with(beginning),
        None => lower == *pattern,
    };
    let found = SETTINGS.iter().find(known)?;
    let off = matches!(text, "no" | "" | "0") || (lower == "ssl_disable" && text == "yes");
    Some(problem(&format!("'{name}'"), if off { Moot } else { found.1 }, found.2))
}

/// What to say of a section that is none of ours.
pub(super) fn section(kind: &str) -> Problem {
    match SECTIONS.iter().find(|(name, ..)| *name == kind) {
        Some((_, fate, help)) => problem(&format!("a section '{kind}'"), *fate, help),
        None => Problem::error(format!("there is no section '{kind}'"))
            .help("the sections are: protocol imap, protocol pop3, passdb, userdb, plugin, namespace inbox, auth default"),
    }
}

/// What to say of `protocol` with a name that is none of ours.
pub(super) fn protocol(name: &str) -> Problem {
    match name {
        "lda" | "lmtp" | "sieve" | "managesieve" | "submission" | "doveadm" => {
            problem(&format!("'protocol {name}'"), Moot, DELIVERY)
        }
        "imaps" | "pop3s" => problem(&format!("'protocol {name}'"), Missing, TLS),
        _ if name.starts_with('!') => {
            problem("a protocol with '!'", Missing, "write it in each other protocol")
        }
        _ => Problem::error(format!("there is no protocol '{name}'")).help("the protocols are imap and pop3"),
    }
}

/// What to say of a line in a passdb or userdb that is neither driver nor args.
pub(super) fn database(section: &str, key: &str) -> Problem {
    let help = match key {
        "master" | "pass" => "master users are not supported yet; remove it",
        "deny" => "lists of denied users are not supported yet; remove it",
        "default_fields"
        | "override_fields"
        | "result_success"
        | "result_failure"
        | "result_internalfail"
        | "skip" => NOT_YET,
        _ => "write 'driver = ...' or 'args = ...'",
    };
    Problem::error(format!("a {section} has no '{key}'")).help(help)
}

/// What to say of a driver that is not there.
pub(super) fn driver(section: &str, name: &str, known: &[&str]) -> Problem {
    let known = known.join(", ");
    if name.is_empty() {
        return Problem::error(format!("this {section} names no driver"))
            .help(format!("write '{section} driver {{'; the drivers are {known}"));
    }
    let dovecot = [
        "pam", "passwd", "shadow", "sql", "ldap", "bsdauth", "vpopmail", "sia", "nss", "lua", "dict", "imap",
        "oauth2",
    ];
    let what = if dovecot.contains(&name) {
        format!("the {section} driver '{name}' is not supported yet")
    } else {
        format!("there is no {section} driver '{name}'")
    };
    Problem::error(what).help(format!("the drivers are {known}"))
}

fn problem(what: &str, fate: Fate, help: &str) -> Problem {
    match fate {
        Missing => Problem::error(format!("{what} is not supported")).help(help),
        Moot => Problem::warning(format!("{what} has no effect")).help(help),
    }
}
