//! A configuration as text: what differs from the defaults, or everything.
//!
//! What is printed can be read again, and means the same; only passwords are left out.

use wire::Protocol;

use crate::config::check::RANGES;
use crate::config::database::Kind;
use crate::config::grammar::{quoted, quoted_word};
use crate::config::host::Host;
use crate::config::settings::{ProtocolSettings, ServerSettings};
use crate::config::table::{Setting, Texts};
use crate::config::{Config, Database, IdMap, Plugin, Share};

/// How much of a configuration is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// What differs from the defaults.
    Changed,
    /// Every setting.
    All,
}

/// A configuration, to be read again.
pub(crate) fn print(config: &Config, host: &Host, shown: Shown) -> String {
    let mut printer = Printer { config, host, shown, out: String::new() };
    printer.line(0, &format!("# mail-master {}: {}", env!("CARGO_PKG_VERSION"), config.path.display()));
    printer.server_settings();
    printer.common_settings();
    printer.databases(Kind::Passdb, &config.passdbs);
    printer.databases(Kind::Userdb, &config.userdbs);
    printer.mailboxes();
    printer.plugin(0, &printer.common_plugin());
    for protocol in Protocol::ALL {
        printer.protocol(protocol);
    }
    if shown == Shown::All && host.is_root() {
        printer.id_maps();
    }
    printer.out
}

struct Printer<'a> {
    config: &'a Config,
    host: &'a Host,
    shown: Shown,
    out: String,
}

impl<'a> Printer<'a> {
    fn server_settings(&mut self) {
        let shared = self.config.served().any(|settings| settings.share() == Some(Share::All));
        let texts = &self.config.gathered.server;
        for row in ServerSettings::TABLE {
            let wanted = shared && RANGES.contains(&row.name) && texts.contains_key(row.name);
            let text = text(row, &[texts], Protocol::Imap);
            if wanted || self.is_shown(row, text, Protocol::Imap) {
                self.entry(0, row.name, text);
            }
        }
    }

    /// Those that are the same for all protocols that they mean something to.
    fn common_settings(&mut self) {
        for row in ProtocolSettings::TABLE {
            let protocols = Protocol::ALL.into_iter().filter(|protocol| belongs(row, *protocol));
            let changed =
                protocols.clone().any(|protocol| self.is_shown(row, self.text(row, protocol), protocol));
            if let Some(protocol) = protocols.clone().next().filter(|_| changed && self.is_common(row)) {
                self.entry(0, row.name, self.text(row, protocol));
            }
        }
    }

    /// What is different for this protocol.
    fn protocol(&mut self, protocol: Protocol) {
        let before = self.out.len();
        self.line(0, &format!("protocol {protocol} {{"));
        let empty = self.out.len();
        for row in ProtocolSettings::TABLE {
            let text = self.text(row, protocol);
            if !self.is_common(row) && self.is_shown(row, text, protocol) {
                self.entry(2, row.name, text);
            }
        }
        let mut own = self.config.protocol(protocol).plugin.clone();
        own.retain(|name, _| !self.common_plugin().contains_key(name));
        self.plugin(2, &own);
        if self.out.len() == empty {
            self.out.truncate(before);
        } else {
            self.line(0, "}");
        }
    }

    /// What no setting says by itself.
    fn id_maps(&mut self) {
        let config = self.config;
        self.line(0, "# Whom a mail process that all users share may become, and nobody else:");
        for settings in config.served() {
            let map = IdMap::new(&config.server, settings);
            self.line(0, &format!("# {}: uids {}", settings.protocol, map.uids));
            self.line(0, &format!("# {}: gids {}", settings.protocol, map.gids));
        }
    }

    fn databases(&mut self, kind: Kind, databases: &[Database]) {
        for database in databases {
            self.line(0, &format!("{} {} {{", kind.name(), database.driver));
            if !database.args.is_empty() {
                self.entry(2, "args", &database.shown_args());
            }
            self.line(0, "}");
        }
    }

    fn mailboxes(&mut self) {
        let config = self.config;
        if config.imap.mailboxes.is_empty() {
            return;
        }
        self.line(0, "namespace inbox {");
        for mailbox in config.imap.mailboxes.iter() {
            self.line(2, &format!("mailbox {} {{", quoted_word(&mailbox.name)));
            if !mailbox.special_use.is_empty() {
                self.line(4, &format!("special_use = {}", mailbox.special_use));
            }
            if mailbox.auto != "no" {
                self.line(4, &format!("auto = {}", mailbox.auto));
            }
            self.line(2, "}");
        }
        self.line(0, "}");
    }

    fn plugin(&mut self, indent: usize, plugin: &Plugin) {
        if plugin.is_empty() {
            return;
        }
        self.line(indent, "plugin {");
        for (name, template) in plugin {
            self.entry(indent + 2, &name.to_ascii_lowercase(), template.text());
        }
        self.line(indent, "}");
    }

    fn common_plugin(&self) -> Plugin {
        let mut common = self.config.imap.plugin.clone();
        common.retain(|name, template| self.config.pop3.plugin.get(name) == Some(template));
        common
    }

    fn is_shown(&self, row: &'static Setting, text: &str, protocol: Protocol) -> bool {
        self.shown == Shown::All || !row.same(text, row.default(protocol), self.host)
    }

    fn is_common(&self, row: &'static Setting) -> bool {
        let [imap, pop3] = Protocol::ALL.map(|protocol| self.text(row, protocol));
        row.only().is_some() || row.same(imap, pop3, self.host)
    }

    fn text(&self, row: &'static Setting, protocol: Protocol) -> &'a str {
        text(row, &[self.config.gathered.of(protocol), &self.config.gathered.both], protocol)
    }

    fn entry(&mut self, indent: usize, name: &str, text: &str) {
        let line = format!("{name} = {}", quoted(text));
        self.line(indent, line.trim_end());
    }

    fn line(&mut self, indent: usize, line: &str) {
        self.out.extend([&" ".repeat(indent), line, "\n"]);
    }
}

fn belongs(row: &Setting, protocol: Protocol) -> bool {
    row.only().is_none_or(|only| only == protocol)
}

fn text<'a>(row: &'static Setting, scopes: &[&'a Texts], protocol: Protocol) -> &'a str {
    let written = scopes.iter().find_map(|scope| scope.get(row.name));
    written.map_or_else(|| row.default(protocol), |written| &written.text)
}
