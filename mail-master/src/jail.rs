//! The jails that children are started in, in the words of mail-jail(8): each program is left what it needs.
//!
//! A process of one user for good is confined by `spawn` itself, so that it is not executed twice.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use confine::Filter;
use wire::Protocol;

use crate::config::{Account, Config, Host, IdMap, Jail, Share};
use crate::spawn::Confinement;

/// A command that enters a jail and becomes a program in it.
pub(crate) type Jailed = (PathBuf, Vec<OsString>);

/// mail-login; `locked` into an empty directory where that can be.
pub(crate) fn login(config: &Config, host: &Host, locked: bool) -> Jailed {
    let mut line = Line::new(&config.server.login_user, host);
    if locked {
        // To lock itself into an empty directory, and then to leave no capability even as a bound.
        line.option("--keep-cap", "sys_chroot");
        line.option("--keep-cap", "setpcap");
    }
    line.flag("--signal-self");
    line.around(config, config.program("mail-login"), &[])
}

/// mail-auth: where it starts no programs to check passwords, it reads files and does nothing else.
pub(crate) fn auth(config: &Config, host: &Host) -> Jailed {
    let program = config.program("mail-auth");
    let mut line = Line::new(&config.server.auth_user, host);
    if !config.starts_programs_for_passwords() {
        line.flag("--signal-self");
        line.option("--read", "/");
        line.executables(&program);
    }
    line.around(config, program, &[])
}

/// A mail process that is nobody's yet. Where all users share it, it may become them, and nobody else.
pub(crate) fn shared(config: &Config, host: &Host, protocol: Protocol) -> Jailed {
    let (program, arguments) = config.mail_command(protocol);
    let jail = config.server.mail_jail;
    let mut line = Line::new(&config.server.mail_base_user, host);
    if host.is_root() && config.protocol(protocol).share() == Some(Share::All) {
        line.option("--keep-cap", "setuid");
        line.option("--keep-cap", "setgid");
        if jail != Jail::No {
            let map = IdMap::new(&config.server, config.protocol(protocol));
            line.option("--map-uids", map.uids.to_string());
            line.option("--map-gids", map.gids.to_string());
            line.option("--identity", jail.name());
            line.parts.extend(["identity", "namespace"]);
        }
    }
    line.flag("--signal-self");
    line.paths(config, &program, &arguments);
    line.around(config, program, &arguments)
}

/// A mail process that is one user for good. Where paths are said, mail-jail confines it; else, or where it has a root
/// of its own, it is confined before it is executed.
pub(crate) fn of_one_user(
    config: &Config,
    protocol: Protocol,
    chroot: Option<&Path>,
) -> (Jailed, Option<Confinement>) {
    let (program, arguments) = config.mail_command(protocol);
    let server = &config.server;
    if server.mail_jail == Jail::No || server.mail_jail_paths.is_empty() || chroot.is_some() {
        let confinement = (server.mail_jail != Jail::No).then(|| Confinement {
            filter: Filter::new(),
            required: server.mail_jail_require.has("seccomp"),
        });
        return ((program, arguments.into_iter().map(OsString::from).collect()), confinement);
    }
    let mut line = Line { options: Vec::new(), parts: vec!["seccomp"] };
    line.paths(config, &program, &arguments);
    (line.around(config, program, &arguments), None)
}

/// Options of mail-jail(8).
struct Line {
    options: Vec<OsString>,
    /// Parts that it can have.
    parts: Vec<&'static str>,
}

impl Line {
    /// For a program that runs as this account, where there is root to give up.
    fn new(account: &Account, host: &Host) -> Self {
        let mut line = Self { options: Vec::new(), parts: vec!["seccomp"] };
        if host.is_root() {
            line.option("--user", account.ids.uid.to_string());
            line.option("--group", account.ids.gid.to_string());
        }
        line
    }

    fn flag(&mut self, name: &str) {
        self.options.push(name.into());
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) {
        self.options.extend([name.into(), value.into()]);
    }

    /// The directories of mail, and what a program needs besides.
    fn paths(&mut self, config: &Config, program: &Path, arguments: &[String]) {
        let paths = &config.server.mail_jail_paths;
        if paths.is_empty() {
            return;
        }
        self.parts.push("landlock");
        for path in paths {
            self.option("--write", path);
        }
        let files = arguments.iter().map(Path::new).filter(|path| path.is_absolute());
        self.option("--write", "/dev/null");
        for path in ["/etc", "/proc", "/dev/urandom"]
            .into_iter()
            .map(Path::new)
            .chain(files)
            .filter(|path| path.exists())
        {
            self.option("--read", path);
        }
        self.executables(program);
    }

    /// What has to be executable for `program` to be: it, and where systems have their loaders and libraries.
    fn executables(&mut self, program: &Path) {
        let libraries = ["/usr", "/lib", "/lib64"].into_iter().map(Path::new).filter(|path| path.exists());
        for path in libraries.chain([program]) {
            self.option("--execute", path);
        }
    }

    fn around(mut self, config: &Config, program: PathBuf, arguments: &[String]) -> Jailed {
        let required: Vec<&str> =
            self.parts.iter().copied().filter(|part| config.server.mail_jail_require.has(part)).collect();
        let required = if required.is_empty() { "none".to_owned() } else { required.join(",") };
        self.option("--require", required);
        self.options.extend(["--".into(), program.into()]);
        self.options.extend(arguments.iter().map(OsString::from));
        (config.program("mail-jail"), self.options)
    }
}
