use std::fs;

use nix::unistd::{Gid, Uid};
use tempfile::TempDir;

use super::host::Ids;
use super::*;

mod printed;
mod refused;

/// A machine with three accounts and every program, where `files` lie in one directory and the first is read.
struct Machine {
    host: Host,
    directory: TempDir,
}

fn ids(id: u32) -> Ids {
    Ids { uid: Uid::from_raw(id), gid: Gid::from_raw(id) }
}

impl Machine {
    fn root() -> Self {
        let directory = TempDir::new().unwrap();
        let host = Host {
            invoker: ids(0),
            libexec_dir: PathBuf::from("/usr/libexec/mail"),
            login_defs: directory.path().join("login.defs"),
            user: |name| match name {
                "maillogin" => Some(ids(101)),
                "mailauth" => Some(ids(102)),
                "mailbase" => Some(ids(103)),
                "vmail" => Some(ids(5000)),
                "root" | "0" => Some(ids(0)),
                _ => None,
            },
            group: |name| (name == "shared").then(|| Gid::from_raw(6000)),
            executable: |path| !path.ends_with("missing"),
        };
        Self { host, directory }
    }

    /// The same machine, seen by somebody who can become nobody else.
    fn plain() -> Self {
        let mut machine = Self::root();
        machine.host.invoker = ids(1000);
        machine
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn load(&self, text: &str) -> Result<(Config, Report), Report> {
        load(&self.write("mail.conf", text), &self.host)
    }

    /// What is said of a text that is no configuration, a line each, without the directory.
    fn errors(&self, text: &str) -> Vec<String> {
        let report = self.load(text).err().unwrap_or_default();
        self.lines(&report)
    }

    fn lines(&self, report: &Report) -> Vec<String> {
        let directory = format!("{}/", self.directory.path().display());
        report.lines().map(|line| line.replace(&directory, "")).collect()
    }

    /// The configuration of a text that is right, with users.
    fn config(&self, text: &str) -> Config {
        match self.load(&format!("{USERS}{text}")) {
            Ok((config, _)) => config,
            Err(report) => panic!("{report}"),
        }
    }

    /// What is warned of.
    fn warnings(&self, text: &str) -> Vec<String> {
        match self.load(&format!("{USERS}{text}")) {
            Ok((_, report)) => self.lines(&report),
            Err(report) => panic!("{report}"),
        }
    }
}

/// A configuration for the tests of others: users, and `text`.
pub(crate) fn fixture(text: &str) -> Config {
    Machine::plain().config(text)
}

/// The same where root runs the master.
pub(crate) fn fixture_of_root(text: &str) -> Config {
    Machine::root().config(text)
}

/// Users, and nothing that would be warned of; on 8 lines.
const USERS: &str = "\
disable_plaintext_auth = no
passdb static {
  args = password=secret
}
userdb static {
  args = uid=vmail gid=vmail home=/home/%u

}
";

#[test]
fn defaults_are_those_of_the_manual() {
    let config = Machine::root().config("");
    assert_eq!(config.server.base_dir, Path::new("/var/run/mail-master"));
    assert_eq!(config.server.protocols.0, Protocol::ALL);
    assert_eq!(config.server.login_user.ids, ids(101));
    assert_eq!(config.server.first_valid_uid, 500);
    assert_eq!(config.server.max_mail_processes.get(), 512);
    assert_eq!(config.imap.share(), None);
    assert_eq!(config.imap.mail_max_connections.get(), 20);
    assert_eq!(config.imap.clients_per_process(), 1);
    assert_eq!(config.imap.umask.0, 0o077);
    assert_eq!(config.imap.mail_process_size.0, 256 << 20);
    assert_eq!(config.imap.mail_max_userip_connections, 10);
    assert_eq!(config.pop3.mail_max_userip_connections, 3);
    assert_eq!(config.server.log_path, LogTo::Stderr);
    let listeners: Vec<_> = config.served().flat_map(|settings| settings.listeners()).collect();
    assert_eq!(listeners, ["0.0.0.0:143".parse().unwrap(), "0.0.0.0:110".parse().unwrap()]);
    assert_eq!(config.mail_command(Protocol::Imap).0, Path::new("/usr/libexec/mail/mail-worker"));
}

#[test]
fn a_protocol_section_wins_over_the_top_wherever_it_stands() {
    let config = Machine::root().config(
        "protocol pop3 {\n umask = 0027\n mail_max_userip_connections = 5\n}\numask = 0007\nmail_max_userip_connections = 7\n",
    );
    assert_eq!((config.imap.umask.0, config.pop3.umask.0), (0o007, 0o027));
    assert_eq!((config.imap.mail_max_userip_connections, config.pop3.mail_max_userip_connections), (7, 5));
}

#[test]
fn settings_of_one_protocol_may_stand_at_the_top() {
    let config = Machine::root().config("pop3_enable_last = yes\nimap_idle_notify_interval = 29 mins\n");
    assert!(config.pop3.pop3_enable_last);
    assert_eq!(config.imap.imap_idle_notify_interval.as_secs(), 29 * 60);
}

#[test]
fn listeners_take_ports_and_both_kinds_of_addresses() {
    let config = Machine::root()
        .config("listen = 127.0.0.1:1143, [::1]\nprotocol pop3 {\n listen = * [::]:1110 2001:db8::5\n}\n");
    let text = |settings: &ProtocolSettings| {
        settings.listeners().map(|s| s.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(text(&config.imap), "127.0.0.1:1143 [::1]:143");
    assert_eq!(text(&config.pop3), "0.0.0.0:110 [::]:1110 [2001:db8::5]:110");
}

#[test]
fn users_are_names_or_numbers() {
    let config = Machine::root().config(
        "login_user = 201\nmail_uid = vmail\nmail_gid = 5001\nmail_access_groups = shared, 6001 6001\n",
    );
    assert_eq!(config.server.login_user.ids, ids(201));
    assert_eq!(config.imap.mail_uid.unwrap().0, Uid::from_raw(5000));
    assert_eq!(config.imap.mail_gid.unwrap().0, Gid::from_raw(5001));
    assert_eq!(config.imap.mail_access_groups.0, [6000, 6001].map(Gid::from_raw));
}

#[test]
fn without_root_names_are_not_looked_up() {
    let config = Machine::plain().config("login_user = whoever\nmail_uid = whoever\n");
    assert_eq!(config.server.login_user.ids, ids(1000));
    assert_eq!(config.server.login_user.name, "whoever");
    assert_eq!(config.imap.mail_uid.unwrap().0, Uid::from_raw(1000));
}

#[test]
fn databases_may_be_written_in_each_of_dovecots_ways() {
    let machine = Machine::root();
    let users = machine.write("users", "");
    let text = format!(
        "disable_plaintext_auth = no\nauth default {{\n  mechanisms = plain\n  user = vmail\n  passdb passwd-file {{\n    args = scheme=PLAIN {0}\n  }}\n}}\n\
         passdb {{\n  driver = static\n  args = nopassword\n}}\nuserdb prefetch {{\n}}\nuserdb passwd-file {{\n  args = {0}\n}}\n",
        users.display()
    );
    let (config, report) = machine.load(&text).unwrap();
    assert_eq!(machine.lines(&report), [""; 0]);
    assert_eq!(config.server.auth_user.ids, ids(5000));
    let environment = config.auth_environment().unwrap();
    let text = environment.to_text();
    let text =
        String::from_utf8_lossy(&text).replace(&format!("{}/", machine.directory.path().display()), "/etc/");
    assert_eq!(
        text,
        "13\n\
         AUTH_FAILURE_DELAY=2\n\
         AUTH_FAILURE_MAX_DELAY=15\n\
         AUTH_MAX_ATTEMPTS_PER_MINUTE=120\n\
         AUTH_MECHANISMS=plain\n\
         AUTH_USERNAME_CHARS=abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_@\n\
         AUTH_WORKER_MAX_COUNT=30\n\
         PASSDB_1_ARGS=scheme=PLAIN /etc/users\n\
         PASSDB_1_DRIVER=passwd-file\n\
         PASSDB_2_ARGS=nopassword\n\
         PASSDB_2_DRIVER=static\n\
         USERDB_1_DRIVER=prefetch\n\
         USERDB_2_ARGS=/etc/users\n\
         USERDB_2_DRIVER=passwd-file\n"
    );
}

#[test]
fn logins_are_told_what_concerns_them() {
    let config = Machine::root().config(
        "login_greeting = \"Hello # there\"\nprotocol pop3 {\n login_process_per_connection = no\n}\n",
    );
    let imap = config.login_environment(Protocol::Imap).unwrap();
    assert_eq!(imap.text("PROTOCOL"), Some("imap"));
    assert_eq!(imap.text("GREETING"), Some("Hello # there"));
    assert_eq!(imap.text("LOGIN_MAX_CONNECTIONS"), Some("1"));
    assert_eq!(imap.text("LOGIN_TIMEOUT"), Some("180"));
    assert!(imap.is_set("PROCESS_PER_CONNECTION") && !imap.is_set("DISABLE_PLAINTEXT_AUTH"));
    let pop3 = config.login_environment(Protocol::Pop3).unwrap();
    assert_eq!(pop3.text("LOGIN_MAX_CONNECTIONS"), Some("256"));
    assert!(!pop3.is_set("PROCESS_PER_CONNECTION"));
}

#[test]
fn plugin_entries_hold_for_all_or_for_one_protocol() {
    let config = Machine::root().config(
        "protocol imap {\n plugin {\n  quota = special\n }\n}\nplugin {\n quota = maildir:User quota\n expire = Trash 7\n}\n",
    );
    assert_eq!(config.imap.plugin["QUOTA"].text(), "special");
    assert_eq!(config.pop3.plugin["QUOTA"].text(), "maildir:User quota");
    assert_eq!(config.imap.plugin.len(), 2);
}

#[test]
fn files_are_included_in_order_and_from_their_own_directory() {
    let machine = Machine::root();
    machine.write("conf.d/20-b.conf", "umask = 0022\n!include_try ../nowhere.conf\n");
    machine.write("conf.d/10-a.conf", "umask = 0002\nprotocol imap {\n!include sub/imap.conf\n}\n");
    machine.write("conf.d/sub/imap.conf", "mail_max_connections = 3\n");
    let config = machine.config("!include conf.d/*.conf\n!include_try none*.conf\n");
    assert_eq!(config.imap.umask.0, 0o022);
    assert_eq!((config.imap.mail_max_connections.get(), config.pop3.mail_max_connections.get()), (3, 20));
}

#[test]
fn sharing_needs_finite_ranges_only_as_root_and_only_for_all() {
    let ranges =
        "first_valid_uid = 1000\nlast_valid_uid = 60000\nfirst_valid_gid = 1000\nlast_valid_gid = 60000\n";
    let shared = "mail_process_per_connection = no\n";
    let config = Machine::root().config(&format!("{shared}{ranges}"));
    assert_eq!((config.imap.share(), config.imap.clients_per_process()), (Some(Share::All), 20));
    assert_eq!(Machine::plain().config(shared).pop3.share(), Some(Share::All));
    let by_uid = Machine::root().config(&format!("{shared}mail_process_share = uid\nmail_chroot = /srv\n"));
    assert_eq!(by_uid.imap.share(), Some(Share::Uid));
    Machine::root().config(&format!("protocols = pop3\nprotocol imap {{\n{shared}}}\n"));
}

#[test]
fn what_dovecot_has_and_nobody_misses_is_a_warning() {
    let warnings = Machine::root().warnings(
        "lock_method = fcntl\nmmap_disable = no\nssl = no\nssl_disable = yes\nprotocol lda {\n  postmaster_address = x\n  zz = 1\n}\n",
    );
    assert_eq!(warnings.len(), 5, "{warnings:#?}");
    assert!(warnings[0].starts_with("mail.conf:9:1: 'lock_method' has no effect; "), "{}", warnings[0]);
    assert!(warnings[4].starts_with("mail.conf:13:1: 'protocol lda' has no effect; "), "{}", warnings[4]);
}

#[test]
fn it_is_said_when_nobody_from_outside_could_log_in() {
    let warnings = Machine::root().warnings("protocol imap {\n disable_plaintext_auth = yes\n}\n");
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("only clients on this host will be able to log in"), "{}", warnings[0]);
    assert_eq!(
        Machine::root()
            .warnings("listen = 127.0.0.1, [::1]\nprotocol imap {\n disable_plaintext_auth = yes\n}\n"),
        [""; 0]
    );
}
