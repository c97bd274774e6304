//! Every setting there is: the one table that the parser, `-n`, `-a`, the example file and the man page come from.
//!
//! A text is whole sentences that an administrator understands. Names and defaults are Dovecot's where it has the
//! setting. What is not in here is an unknown setting, or one of those in `foreign.rs`.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use wire::Protocol;

use crate::config::table::{Reader, Setting, settings};
use crate::config::value::{
    Account, Bytes, Capability, Command, Count, Facility, Groups, ImapLogoutFormat, ImapWorkarounds, Jail,
    JailParts, Listen, LogTo, MailGroup, MailLocation, MailUser, Mechanisms, MegaBytes, Mode,
    Pop3LogoutFormat, Pop3Workarounds, Protocols, Share, UidlFormat, Value,
};
use crate::config::{Mailbox, Plugin};
use expand::Template;
use strangers::Networks;

settings! {
    /// What holds for the whole server, and cannot be set for one protocol.
    pub(crate) struct ServerSettings

    "Server" {
        /// Directory of the master's sockets and of its pid file.
        /// It is made when it is not there.
        base_dir: PathBuf = "/var/run/mail-master";
        /// What is served.
        protocols: Protocols = "imap pop3";
        /// Directory of the programs that the master starts.
        /// Empty means where mail-master itself is.
        libexec_dir: Option<PathBuf> = "";
    }

    "Log" {
        /// Where log lines go: a file, syslog, or the master's standard error.
        /// Empty means standard error in the foreground, and syslog in the background.
        log_path: LogTo = "";
        /// Where lines of no more than informational weight go.
        /// Empty means where log_path says.
        info_log_path: Option<LogTo> = "";
        /// Which syslog facility is used.
        syslog_facility: Facility = "mail";
        /// How many lines a second each process may log before lines are dropped and counted; 0 is no limit.
        mail_log_max_lines_per_sec: u32 = "10";
    }

    "Login and passwords" {
        /// Unprivileged user that mail-login runs as.
        /// It must own nothing and be used for nothing else.
        login_user: Account = "maillogin";
        /// Unprivileged user that mail-auth runs as.
        /// It must be able to read the password files.
        auth_user: Account = "mailauth";
        /// What a password may be sent by.
        auth_mechanisms: Mechanisms = "plain login" => AUTH_MECHANISMS;
        /// How long the answer to a wrong password is held back; 0 is not at all.
        /// Each further one from an address, or for a user, is held back twice as long.
        auth_failure_delay: Duration = "2 secs" => AUTH_FAILURE_DELAY;
        /// How long an answer is held back at most, up to a minute.
        auth_failure_max_delay: Duration = "15 secs" => AUTH_FAILURE_MAX_DELAY;
        /// How many attempts to log in without success there may be from one address in a minute; 0 is no limit.
        auth_max_attempts_per_minute: u32 = "120" => AUTH_MAX_ATTEMPTS_PER_MINUTE;
        /// How many connections that are not logged in there may be from one address; 0 is no limit.
        /// One more is told so and closed.
        login_max_connections_per_ip: u32 = "256";
        /// How many connections that are not logged in there may be in all; 0 is no limit.
        /// When one more comes, the oldest goes.
        login_max_connections_total: u32 = "1024";
        /// Networks whose addresses are not counted, as 192.0.2.0/24, because many users are behind each: webmail, proxies.
        /// In IPv6, an address stands for all of its /64.
        /// Passwords in plain text are taken from there whatever disable_plaintext_auth says.
        login_trusted_networks: Networks = "" => LOGIN_TRUSTED_NETWORKS;
        /// The characters that a user's name may have; a name with any other is refused.
        /// Empty allows all but control characters and slashes.
        auth_username_chars: String = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_@" => AUTH_USERNAME_CHARS;
        /// What a user's name is changed to before it is looked up, as %Lu for lower case.
        /// Empty leaves it as the client wrote it.
        auth_username_format: Template = "" => AUTH_USERNAME_FORMAT;
        /// How many checkpassword programs may run at once.
        auth_worker_max_count: Count = "30" => AUTH_WORKER_MAX_COUNT;
        /// How much memory mail-auth may have; 0 is no limit.
        auth_process_size: MegaBytes = "256";
    }

    "Users" {
        /// The lowest uid that a mail user may have; 0 is refused always.
        first_valid_uid: u32 = "500";
        /// The highest uid that a mail user may have; 0 is no limit.
        last_valid_uid: u32 = "0";
        /// The lowest gid that a mail user may have as primary group; 0 is refused always.
        /// Other groups that a user database names are left out where they are below it or above the highest, unless
        /// mail_access_groups has them.
        first_valid_gid: u32 = "1";
        /// The highest gid that a mail user may have as primary group; 0 is no limit.
        last_valid_gid: u32 = "0";
        /// Unprivileged user that a process is while it serves nobody, where clients of several users share it.
        /// It must own nothing and be used for nothing else.
        mail_base_user: Account = "mailbase";
    }

    "Processes" {
        /// How many mail processes there may be at once, of both protocols together.
        max_mail_processes: Count = "512";
        /// How many connections that are logged in there may be in all; 0 is no limit but that of processes.
        mail_max_connections_total: u32 = "0";
        /// How long a shared process that has no client left is kept for the next one.
        mail_worker_idle_time: Duration = "60 secs";
        /// How long a user whose clients made two processes die is served in a process of his own.
        mail_quarantine_time: Duration = "10 mins";
    }

    "Jail" {
        /// What keeps a process that all users share from becoming anybody else.
        /// namespace: in it there are the mail users and nobody else.
        /// filter: it may ask to become a mail user and nobody else; users with further groups get processes of their own.
        /// auto: a namespace, or a filter where this machine allows none.
        /// no: nothing does, so that whoever breaks into it can be any user, root too.
        mail_jail: Jail = "auto";
        /// Without which parts of a jail nothing is served.
        /// identity: a namespace or a filter.
        /// namespace: a namespace.
        /// seccomp: system calls that no such program needs are refused.
        /// landlock: nothing is seen but mail_jail_paths.
        mail_jail_require: JailParts = "identity";
        /// Directories that hold all mail and what belongs to it: mail processes can write nowhere else.
        /// Empty means that users' permissions alone decide.
        mail_jail_paths: Vec<PathBuf> = "";
    }
}

settings! {
    /// What holds for one protocol.
    pub(crate) struct ProtocolSettings {
        /// Which one.
        protocol: Protocol,
        /// What plugin { } says.
        plugin: Plugin,
        /// Mailboxes that are something special.
        mailboxes: Rc<[Mailbox]>,
    }

    "Listening" {
        /// Addresses to listen on, each with a port if it is not the protocol's own.
        /// A star is every IPv4 address, [::] every IPv6 address; both are written '*, [::]'.
        listen: Listen = "*";
        /// What the server says to a client that connects.
        login_greeting: String = "Mail server ready.";
        /// Whether passwords in plain text are refused where they could be overheard.
        /// They cannot be if the client is on this host.
        disable_plaintext_auth: bool = "yes";
        /// Whether each connection that is not logged in has a process of its own.
        /// With no, each process holds many: much faster, but a fault in one connection can reach the others.
        login_process_per_connection: bool = "yes";
        /// How many login processes are kept waiting for connections.
        login_processes_count: Count = "3";
        /// How many login processes there may be at most.
        login_max_processes_count: Count = "128";
        /// How many connections that are not logged in a process holds, where it holds many.
        /// When one more comes, the oldest goes.
        login_max_connections: Count = "256";
        /// How long a client may take to log in.
        login_timeout: Duration = "3 mins";
        /// How much memory a login process may have; 0 is no limit.
        login_process_size: MegaBytes = "64";
    }

    "Mail processes" {
        /// Program that serves a client that has logged in, and its arguments.
        /// Empty means mail-worker in libexec_dir.
        /// Where processes are shared, it must speak mail-handoff(7).
        mail_executable: Command = "";
        /// Whether each client has a process of its own, which is his user for good.
        /// With no, a process serves many clients, as mail_process_share and mail_max_connections say.
        mail_process_per_connection: bool = "yes";
        /// How many clients a process serves at most, where it serves many.
        mail_max_connections: Count = "20" => MAIL_MAX_CONNECTIONS;
        /// Which clients may be together in one process: all, those of one uid and its groups, or those of one user.
        /// With all, first_valid_uid, last_valid_uid, first_valid_gid and last_valid_gid must be written.
        mail_process_share: Share = "all";
        /// How many connections one user may have from one address; 0 is no limit.
        mail_max_userip_connections: u32 = "10" / "3";
        /// How many connections one user may have from all addresses together; 0 is no limit.
        mail_max_user_connections: u32 = "0";
        /// How much memory a mail process may have; 0 is no limit.
        /// A process that serves many clients needs more.
        mail_process_size: MegaBytes = "256" => MAIL_PROCESS_SIZE;
        /// Whether clients are told BYE and cut off when the master stops.
        /// With no, they are served until they leave.
        shutdown_clients: bool = "yes" => STDERR_CLOSE_SHUTDOWN;
        /// What begins each log line of a mail process.
        mail_log_prefix: Template = "%Us(%u): ";
        /// Whether ps(1) shows whom a process serves.
        verbose_proctitle: bool = "no" => VERBOSE_PROCTITLE;
        /// Whether much more is logged, to find out why something does not work; passwords never are.
        mail_debug: bool = "no" => DEBUG;
    }

    "Mail" {
        /// Where a user's mail is, as maildir:~/Maildir.
        /// Parts are INBOX=path, where INBOX is elsewhere; CONTROL=path, for UIDs, keywords and subscriptions;
        /// INDEX=path or INDEX=MEMORY, for what can be found out anew;
        /// LAYOUT=fs, for mailboxes in directories A/B, not .A.B.
        /// Empty means ~/Maildir.
        mail_location: MailLocation = "";
        /// The uid of users of whom the user database says none.
        mail_uid: Option<MailUser> = "";
        /// The gid of users of whom the user database says none.
        mail_gid: Option<MailGroup> = "";
        /// Groups that every mail user is in besides his own, to reach shared mailboxes.
        mail_access_groups: Groups = "";
        /// Directories that a user database may chroot users below.
        valid_chroot_dirs: Vec<PathBuf> = "";
        /// Directory that mail processes are chrooted to; not where all share processes.
        mail_chroot: Option<PathBuf> = "";
        /// Permissions that new files do not get.
        umask: Mode = "0077" => UMASK;
        /// How often a mailbox is looked at for new mail where the system cannot tell of it.
        mailbox_idle_check_interval: Duration = "30 secs" => MAILBOX_IDLE_CHECK_INTERVAL;
        /// How long a keyword may be.
        mail_max_keyword_length: Count = "50" => MAIL_MAX_KEYWORD_LENGTH;
        /// Whether line ends of messages that clients save are stored as CRLF, which costs space; else as LF.
        mail_save_crlf: bool = "no" => MAIL_SAVE_CRLF;
        /// Whether nothing waits for the disk: faster, and after a loss of power, mail that was answered OK may be gone.
        fsync_disable: bool = "no" => FSYNC_DISABLE;
        /// Whether a copy of a message is a hard link, where the file system allows it.
        maildir_copy_with_hardlinks: bool = "yes" => MAILDIR_COPY_WITH_HARDLINKS;
    }

    "IMAP" {
        /// How long a command may be, literals apart.
        imap_max_line_length: Bytes = "65536" => IMAP_MAX_LINE_LENGTH;
        /// What is sent as capabilities in place of what the server has.
        /// Empty means what it has.
        imap_capability: Capability = "" => IMAP_CAPABILITY;
        /// Ways of misbehaving that some clients need.
        /// delay-newmail: new mail is not told in answer to every command, for Outlook Express.
        /// netscape-eoh: headers without an empty line at their end get one.
        /// tb-extra-mailbox-sep: a separator at the end of a mailbox name is forgiven, for Thunderbird.
        imap_client_workarounds: ImapWorkarounds = "" => IMAP_CLIENT_WORKAROUNDS;
        /// What a session says in the log at its end: %i bytes read, %o bytes sent.
        imap_logout_format: ImapLogoutFormat = "bytes=%i/%o" => IMAP_LOGOUT_FORMAT;
        /// How often a client in IDLE is sent something, so that nothing between takes the connection for dead; 0 is never.
        imap_idle_notify_interval: Duration = "2 mins" => IMAP_IDLE_NOTIFY_INTERVAL;
    }

    "POP3" {
        /// Whether messages that were read stay without the \Seen flag.
        pop3_no_flag_updates: bool = "no" => POP3_NO_FLAG_UPDATES;
        /// Whether the obsolete command LAST is there.
        pop3_enable_last: bool = "no" => POP3_ENABLE_LAST;
        /// Whether a message's X-UIDL header is its UIDL, where it has one.
        pop3_reuse_xuidl: bool = "no" => POP3_REUSE_XUIDL;
        /// Whether a session has the mailbox for itself: other POP3 sessions wait for a moment and are refused then, and in
        /// IMAP nothing can be deleted or marked meanwhile.
        /// With no, messages keep their numbers for a session all the same.
        pop3_lock_session: bool = "no" => POP3_LOCK_SESSION;
        /// How long a user has to wait after a login before the next one; 0 is not at all.
        /// Clients are told so before they try, as LOGIN-DELAY.
        pop3_login_delay: Duration = "0" => POP3_LOGIN_DELAY;
        /// What a message is called in UIDL: %v UIDVALIDITY, %u UID, %m MD5 of its header, %f its file's name.
        pop3_uidl_format: UidlFormat = "%08Xu%08Xv" => POP3_UIDL_FORMAT;
        /// What a session says in the log at its end: %t, %p number and bytes of TOP, %r, %b of RETR, %d, %m deleted and all
        /// messages, %s size of the mailbox, %i, %o bytes read and sent.
        pop3_logout_format: Pop3LogoutFormat = "top=%t/%p, retr=%r/%b, del=%d/%m, size=%s" => POP3_LOGOUT_FORMAT;
        /// Ways of misbehaving that some clients need.
        /// outlook-no-nuls: NUL bytes are sent as 0x80.
        /// oe-ns-eoh: headers without an empty line at their end get one.
        pop3_client_workarounds: Pop3Workarounds = "" => POP3_CLIENT_WORKAROUNDS;
    }
}
