//! What must be true of several settings together, and of this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use wire::Protocol;

use crate::config::gather::Gathered;
use crate::config::host::Host;
use crate::config::problem::{Problem, Report};
use crate::config::table::Written;
use crate::config::value::{Jail, LogTo, Share};
use crate::config::{Config, IdMap, ProtocolSettings, upper};

/// Looks at everything; what is wrong is a problem in `report`.
pub(super) fn check(config: &Config, host: &Host, report: &mut Report) {
    let mut check = Check { config, host, report };
    check.ranges();
    check.accounts();
    check.sharing();
    check.static_users();
    check.jail();
    check.access_groups();
    check.programs();
    check.logs();
    check.listeners();
}

struct Check<'a> {
    config: &'a Config,
    host: &'a Host,
    report: &'a mut Report,
}

impl Check<'_> {
    fn written(&self, protocol: Protocol, name: &str) -> Option<Written> {
        self.config.gathered.written(protocol, name).cloned()
    }

    /// Adds a problem where a setting's value stands, if it stands anywhere.
    fn blame(&mut self, protocol: Protocol, name: &str, problem: Problem) {
        let problem = match self.written(protocol, name) {
            Some(written) => problem.at(&written.place),
            None => problem,
        };
        self.report.add(problem);
    }

    fn ranges(&mut self) {
        let server = &self.config.server;
        let uids = ("last_valid_uid", server.first_valid_uid, server.last_valid_uid);
        let gids = ("last_valid_gid", server.first_valid_gid, server.last_valid_gid);
        for (name, first, last) in [uids, gids] {
            if last != 0 && last < first {
                let problem = Problem::error(format!("{name} is {last}, which is below the first, {first}"));
                self.blame(
                    Protocol::Imap,
                    name,
                    problem.help(format!("write at least {first}, or 0 for no limit")),
                );
            }
        }
    }

    /// Programs that hold different things must not be able to reach each other.
    fn accounts(&mut self) {
        if !self.host.is_root() {
            return;
        }
        let server = &self.config.server;
        let accounts = server.own_accounts();
        for (name, account) in accounts {
            if account.ids.uid.is_root() {
                let problem = if name == "auth_user" {
                    Problem::warning("auth_user is root")
                        .help("only programs that check system passwords need that")
                } else {
                    Problem::error(format!("{name} is root")).help("write a user that owns nothing")
                };
                self.blame(Protocol::Imap, name, problem);
            }
        }
        let [login, auth, base] = accounts;
        for ((one, first), (other, second)) in [(auth, login), (base, login), (base, auth)] {
            if first.ids.uid == second.ids.uid {
                let what = format!("{one} and {other} are the same user, {}", second.name);
                let problem = Problem::error(what)
                    .help("give each a user of its own, so that neither reaches the other");
                self.blame(Protocol::Imap, one, problem);
            }
        }
    }

    fn sharing(&mut self) {
        let config = self.config;
        for settings in config.served().filter(|settings| settings.share() == Some(Share::All)) {
            let protocol = settings.protocol;
            if self.host.is_root() {
                self.finite_ranges(settings);
                self.somebody_to_become(settings);
            }
            if settings.mail_chroot.is_some() {
                let what = "mail_chroot cannot be where clients of all users share a process";
                let help = "remove it, or write 'mail_process_share = uid'";
                self.blame(protocol, "mail_chroot", Problem::error(what).help(help));
            }
        }
    }

    /// A process that becomes other users must be able to become only these.
    fn finite_ranges(&mut self, settings: &ProtocolSettings) {
        let server = &self.config.server;
        let missing: Vec<&str> = RANGES
            .into_iter()
            .filter(|name| {
                let unlimited = match *name {
                    "last_valid_uid" => server.last_valid_uid == 0,
                    "last_valid_gid" => server.last_valid_gid == 0,
                    _ => false,
                };
                unlimited || !self.config.gathered.server.contains_key(name)
            })
            .collect();
        if missing.is_empty() {
            return;
        }
        let ranges = login_defs(&self.host.login_defs);
        let proposed: Vec<String> = missing
            .iter()
            .map(|name| {
                let (key, usual) = match *name {
                    "first_valid_uid" => ("UID_MIN", 1000),
                    "last_valid_uid" => ("UID_MAX", 60000),
                    "first_valid_gid" => ("GID_MIN", 1000),
                    _ => ("GID_MAX", 60000),
                };
                format!("{name} = {}", ranges.get(key).copied().unwrap_or(usual))
            })
            .collect();
        let what = format!("where users share a process, {} must be set", missing.join(", "));
        let help = format!(
            "a shared process can become these users and no other; this machine's ordinary users are: {}",
            proposed.join(", ")
        );
        self.blame(settings.protocol, "mail_process_per_connection", Problem::error(what).help(help));
    }

    /// The map of a shared process has somebody in it, and none of those whom every system has.
    fn somebody_to_become(&mut self, settings: &ProtocolSettings) {
        let server = &self.config.server;
        let map = IdMap::new(server, settings);
        for (name, ids) in [("last_valid_uid", &map.uids), ("last_valid_gid", &map.gids)] {
            if ids.is_empty() {
                let what = format!("nobody is left up to {name} whom a shared process could become");
                let help = "write a range that has more in it than the server's own users and 65534";
                self.blame(Protocol::Imap, name, Problem::error(what).help(help));
            }
        }
        if server.first_valid_uid < FIRST_OF_A_PACKAGE {
            let what = "a shared process may become the system's own users, such as those of other servers";
            let help = "write as first_valid_uid the first uid that has mail";
            self.blame(Protocol::Imap, "first_valid_uid", Problem::warning(what).help(help));
        }
    }

    /// Who is everybody's user in the file system must be allowed to be a mail user.
    fn static_users(&mut self) {
        let server = &self.config.server;
        let uids = (server.first_valid_uid, server.last_valid_uid);
        let gids = (server.first_valid_gid, server.last_valid_gid);
        let config = self.config;
        for settings in config.served().filter(|_| self.host.is_root()) {
            let uid = settings.mail_uid.as_ref().map(|user| user.0.as_raw());
            let gid = settings.mail_gid.as_ref().map(|group| group.0.as_raw());
            for (name, id, kind, (first, last)) in
                [("mail_uid", uid, "uid", uids), ("mail_gid", gid, "gid", gids)]
            {
                let Some(id) = id.filter(|&id| id < first || (last != 0 && id > last)) else { continue };
                let what =
                    format!("{name} is {id}, which is outside of first_valid_{kind} and last_valid_{kind}");
                let problem = Problem::error(what).help("write another, or a range that it is in");
                self.blame(settings.protocol, name, problem);
            }
        }
    }

    /// What cannot be, and what is weaker than it could be.
    fn jail(&mut self) {
        let server = &self.config.server;
        let requires = |part: &str| server.mail_jail_require.has(part);
        let jail = |name: &'static str, problem: Problem, help: &str| (name, problem.help(help));
        let written = self.config.gathered.server.contains_key("mail_jail_require");
        let identity = requires("namespace") || (written && requires("identity"));
        let mut problems = Vec::new();
        match server.mail_jail {
            Jail::No if identity || requires("seccomp") || requires("landlock") => problems.push(jail(
                "mail_jail",
                Problem::error("mail_jail = no leaves out what mail_jail_require asks for"),
                "write 'mail_jail = auto', or nothing in mail_jail_require",
            )),
            Jail::No => problems.push(jail(
                "mail_jail",
                Problem::warning("mail processes are in no jail"),
                "whoever breaks into one that is shared can be any user of this machine, root too: \
                 write 'mail_jail = auto'",
            )),
            Jail::Filter if requires("namespace") => problems.push(jail(
                "mail_jail_require",
                Problem::error("mail_jail = filter is without the namespace that mail_jail_require asks for"),
                "write 'mail_jail = namespace', or 'mail_jail_require = identity'",
            )),
            _ => {}
        }
        let missing = server.mail_jail_paths.iter().find(|path| !path.is_dir());
        if let Some(path) = missing {
            problems.push(jail(
                "mail_jail_paths",
                Problem::error(format!("there is no directory {}", path.display())),
                "create it, or write another",
            ));
        }
        if requires("landlock") && server.mail_jail_paths.is_empty() {
            problems.push(jail(
                "mail_jail_require",
                Problem::error("mail_jail_require asks for landlock, and mail_jail_paths is empty"),
                "write the directories that hold all mail in mail_jail_paths",
            ));
        }
        for (name, problem) in problems {
            self.blame(Protocol::Imap, name, problem);
        }
    }

    /// A group of the system may own what no mail user should reach.
    fn access_groups(&mut self) {
        let config = self.config;
        for settings in config.served().filter(|_| self.host.is_root()) {
            let groups = settings.mail_access_groups.0.iter().map(|gid| gid.as_raw());
            let low: Vec<String> =
                groups.filter(|gid| *gid < FIRST_ORDINARY).map(|g| g.to_string()).collect();
            if low.is_empty() {
                continue;
            }
            let what = format!("every mail user is in the system's group {}", low.join(" and "));
            let help = "make sure that it owns mail and nothing else, or write a group of 1000 or more";
            self.blame(settings.protocol, "mail_access_groups", Problem::warning(what).help(help));
        }
    }

    fn programs(&mut self) {
        let mut wanted = vec!["mail-login", "mail-auth", "mail-jail"];
        let config = self.config;
        for settings in config.served() {
            if settings.mail_executable.0.is_none() {
                wanted.push("mail-worker");
            }
            let (program, _) = config.mail_command(settings.protocol);
            if settings.mail_executable.0.is_some() && !(self.host.executable)(&program) {
                let what = format!("{} cannot be executed", program.display());
                let problem = Problem::error(what).help("write a program, or nothing for mail-worker");
                self.blame(settings.protocol, "mail_executable", problem);
            }
        }
        wanted.dedup();
        for name in wanted {
            let program = config.program(name);
            if !(self.host.executable)(&program) {
                let what = format!("{} is missing, or cannot be executed", program.display());
                let problem = Problem::error(what).help("write 'libexec_dir', the directory of all programs");
                self.blame(Protocol::Imap, "libexec_dir", problem);
            }
        }
    }

    fn logs(&mut self) {
        let server = &self.config.server;
        let logs = [("log_path", Some(&server.log_path)), ("info_log_path", server.info_log_path.as_ref())];
        for (name, log) in logs {
            if let Some(LogTo::File(path)) = log
                && let Some(directory) = path.parent().filter(|directory| !directory.is_dir())
            {
                let problem = Problem::error(format!("there is no directory {}", directory.display()));
                self.blame(Protocol::Imap, name, problem.help("create it, or write another file"));
            }
        }
    }

    fn listeners(&mut self) {
        let mut taken: BTreeMap<SocketAddr, Protocol> = BTreeMap::new();
        let config = self.config;
        for settings in config.served() {
            let protocol = settings.protocol;
            for socket in settings.listeners().filter(|socket| socket.port() != 0) {
                if let Some(other) = taken.insert(socket, protocol) {
                    let what = format!(
                        "{socket} is listened on twice, for {} and {}",
                        upper(other),
                        upper(protocol)
                    );
                    let help =
                        "write 'listen' with its port in 'protocol imap { }' and in 'protocol pop3 { }'";
                    self.blame(protocol, "listen", Problem::error(what).help(help));
                }
            }
            let outside = settings.listeners().any(|socket| !socket.ip().is_loopback());
            if outside && settings.disable_plaintext_auth {
                let what = "only clients on this host will be able to log in";
                let help =
                    "TLS is not supported yet, and disable_plaintext_auth refuses passwords without it";
                self.blame(protocol, "disable_plaintext_auth", Problem::warning(what).help(help));
            }
        }
    }
}

/// Without databases nobody could log in.
pub(super) fn databases(gathered: &Gathered, report: &mut Report) {
    let wanted = [
        (gathered.passdbs.is_empty(), "passdb", "nobody could log in"),
        (gathered.userdbs.is_empty(), "userdb", "nothing says who a user is"),
    ];
    for (_, section, why) in wanted.into_iter().filter(|(missing, ..)| *missing) {
        let help = format!(
            "write '{section} passwd-file {{', 'args = /etc/mail-master/users' and '}}', for example"
        );
        report.add(Problem::error(format!("there is no {section}: {why}")).help(help));
    }
}

/// The numbers of login.defs(5). A machine without the file has the usual ones.
fn login_defs(path: &Path) -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let pair = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// Users below are the same on all machines of a kind: daemon, www-data and the like.
const FIRST_OF_A_PACKAGE: u32 = 100;

/// Groups below are the system's own.
const FIRST_ORDINARY: u32 = 1000;

/// Settings that must be written, be it as the defaults are, where users share a process.
pub(super) const RANGES: [&str; 4] =
    ["first_valid_uid", "last_valid_uid", "first_valid_gid", "last_valid_gid"];
