//! The configuration: read once, checked whole, and right from then on.
//!
//! [`load`] turns files into a [`Config`] or into a [`Report`] of all that is wrong with them. It opens the files that
//! it is told of, looks up users and groups, and changes nothing. What an administrator may write is in
//! mail-master.conf(5); the settings themselves are in `settings.rs`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

mod allowance;
mod check;
mod children;
mod database;
mod foreign;
mod gather;
mod grammar;
mod host;
mod id_map;
mod mailbox;
mod page;
mod plugin;
mod print;
mod problem;
mod settings;
mod source;
mod table;
mod value;

pub(crate) use database::Database;
pub(crate) use host::Host;
pub(crate) use id_map::IdMap;
pub(crate) use mailbox::Mailbox;
pub(crate) use page::{example, mdoc};
pub(crate) use print::{Shown, print};
pub(crate) use problem::Report;
pub(crate) use settings::{ProtocolSettings, ServerSettings};
pub(crate) use value::{Account, Jail, LogTo, Share};

use wire::Protocol;

use database::Kind;
use expand::Template;
use gather::Gathered;
use table::Reader;

/// What plugin { } says: variables for mail processes, by name in upper case.
pub(crate) type Plugin = BTreeMap<String, Template>;

/// A configuration that can be used as it is.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file that it was read from.
    pub(crate) path: PathBuf,
    /// What holds for the whole server.
    pub(crate) server: ServerSettings,
    /// What holds for IMAP; also when it is not served.
    pub(crate) imap: Rc<ProtocolSettings>,
    /// What holds for POP3; also when it is not served.
    pub(crate) pop3: Rc<ProtocolSettings>,
    /// Who is asked for passwords, in this order.
    pub(crate) passdbs: Vec<Database>,
    /// Who is asked who a user is, in this order.
    pub(crate) userdbs: Vec<Database>,
    /// Where the programs are.
    pub(crate) libexec_dir: PathBuf,
    gathered: Gathered,
}

/// Reads and checks a configuration. With it, or in its place, comes all that is to be said about it.
pub(crate) fn load(path: &Path, host: &Host) -> Result<(Config, Report), Report> {
    let mut report = Report::default();
    // It is read again by the same name, from whatever directory.
    let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let lines = source::read(path, &mut report);
    if report.is_unread() {
        return Err(report);
    }
    let gathered = gather::gather(lines, &mut report);
    check::databases(&gathered, &mut report);
    let config = build(path, gathered, host, &mut report);
    if let Some(config) = &config {
        check::check(config, host, &mut report);
    }
    report.sort();
    match config {
        Some(config) if report.errors() == 0 => Ok((config, report)),
        _ => Err(report),
    }
}

/// Every value from its text; `None` where one has none.
fn build(path: &Path, gathered: Gathered, host: &Host, report: &mut Report) -> Option<Config> {
    let scopes = [&gathered.server];
    let mut reader = Reader { host, protocol: Protocol::Imap, scopes: &scopes, report };
    let server = ServerSettings::read(&mut reader);
    let mailboxes: Rc<[Mailbox]> =
        gathered.mailboxes.iter().filter_map(|draft| draft.finish(report)).collect();
    let [imap, pop3] = Protocol::ALL.map(|protocol| {
        let plugin = plugin::read(&gathered.plugin, protocol, report);
        let scopes = [gathered.of(protocol), &gathered.both];
        ProtocolSettings::read(
            &mut Reader { host, protocol, scopes: &scopes, report },
            protocol,
            plugin,
            mailboxes.clone(),
        )
    });
    let [passdbs, userdbs] = [(&gathered.passdbs, Kind::Passdb), (&gathered.userdbs, Kind::Userdb)]
        .map(|(drafts, kind)| drafts.iter().filter_map(|draft| draft.finish(kind, host, report)).collect());
    let (server, imap, pop3) = (server?, Rc::new(imap?), Rc::new(pop3?));
    let libexec_dir = server.libexec_dir.clone().unwrap_or_else(|| host.libexec_dir.clone());
    Some(Config { path: path.to_owned(), server, imap, pop3, passdbs, userdbs, libexec_dir, gathered })
}

impl Config {
    /// The settings of one protocol.
    pub(crate) fn protocol(&self, protocol: Protocol) -> &Rc<ProtocolSettings> {
        match protocol {
            Protocol::Imap => &self.imap,
            Protocol::Pop3 => &self.pop3,
        }
    }

    /// The settings of the protocols that are served.
    pub(crate) fn served(&self) -> impl Iterator<Item = &Rc<ProtocolSettings>> {
        self.server.protocols.0.iter().map(|protocol| self.protocol(*protocol))
    }

    /// Where one of our own programs is.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.libexec_dir.join(name)
    }

    /// What serves a protocol's clients: program and arguments.
    pub(crate) fn mail_command(&self, protocol: Protocol) -> (PathBuf, Vec<String>) {
        let own = || (self.program("mail-worker"), Vec::new());
        self.protocol(protocol).mail_executable.0.clone().unwrap_or_else(own)
    }

    /// Whether mail-auth is told to start programs that check passwords or know users.
    pub(crate) fn starts_programs_for_passwords(&self) -> bool {
        self.passdbs.iter().chain(&self.userdbs).any(|database| database.driver == "checkpassword")
    }

    /// Whether that program, where each client has its own process, answers the command that logged in: ours does, and
    /// no other is expected to.
    pub(crate) fn mail_command_answers(&self, protocol: Protocol) -> bool {
        self.protocol(protocol).mail_executable.0.is_none()
    }
}

impl ServerSettings {
    /// The accounts that our programs run as, by the settings that name them.
    pub(crate) fn own_accounts(&self) -> [(&'static str, &Account); 3] {
        [
            ("login_user", &self.login_user),
            ("auth_user", &self.auth_user),
            ("mail_base_user", &self.mail_base_user),
        ]
    }
}

impl ProtocolSettings {
    /// The addresses to listen on.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = SocketAddr> {
        self.listen.sockets(port(self.protocol))
    }

    /// Which clients may be together; `None` is nobody with anybody.
    pub(crate) fn share(&self) -> Option<Share> {
        (!self.mail_process_per_connection).then_some(self.mail_process_share)
    }

    /// How many clients one process serves at most.
    pub(crate) fn clients_per_process(&self) -> usize {
        self.share().map_or(1, |_| self.mail_max_connections.get() as usize)
    }
}

/// Where a protocol is spoken without TLS.
fn port(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Imap => 143,
        Protocol::Pop3 => 110,
    }
}

/// A protocol as logs have it, and `%s`.
pub(crate) fn upper(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "IMAP",
        Protocol::Pop3 => "POP3",
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{fixture, fixture_of_root};
