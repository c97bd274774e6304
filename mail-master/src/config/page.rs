//! The table of settings as pages: an example to begin with, and the settings' part of mail-master.conf(5).
//!
//! Both are shipped as files, which a test compares with what is made here.

use wire::Protocol;

use crate::config::grammar::quoted;
use crate::config::settings::{ProtocolSettings, ServerSettings};
use crate::config::table::Setting;

/// A file to begin with: every setting with what it does and its default, and the sections.
pub(crate) fn example() -> String {
    let mut out = EXAMPLE_HEAD.to_owned();
    for (group, rows) in groups() {
        out.push_str(&format!("\n##\n## {group}\n##\n"));
        for row in rows {
            let [imap, pop3] = Protocol::ALL.map(|protocol| row.default(protocol));
            out.push('\n');
            row.text
                .iter()
                .flat_map(|sentence| wrapped(sentence))
                .for_each(|line| out.extend(["# ", &line, "\n"]));
            out.push_str(&format!("# ({})\n", row.kind));
            out.extend([format!("#{} = {}", row.name, quoted(imap)).trim_end(), "\n"]);
            if imap != pop3 {
                out.push_str(&format!("#protocol pop3 {{\n#  {} = {}\n#}}\n", row.name, quoted(pop3)));
            }
        }
    }
    out.push_str(EXAMPLE_TAIL);
    out
}

/// The settings as they stand in mail-master.conf(5).
pub(crate) fn mdoc() -> String {
    let mut out = String::new();
    for (group, rows) in groups() {
        out.push_str(&format!(".Ss {group}\n.Bl -tag -width Ds\n"));
        for row in rows {
            let [imap, pop3] = Protocol::ALL.map(|protocol| row.default(protocol));
            out.push_str(&format!(".It Ic {} No = Ar {}\n", row.name, argument(row.kind)));
            row.text
                .iter()
                .flat_map(|sentence| wrapped(sentence))
                .for_each(|line| out.extend([&roff(&line), "\n"]));
            out.push_str(&match imap {
                "" => ".Pq default empty\n".to_owned(),
                _ if imap != pop3 => format!(".Pq default {imap}, in POP3 {pop3}\n"),
                _ => format!(".Pq default Ql {}\n", argument(imap)),
            });
        }
        out.push_str(".El\n");
    }
    out
}

/// The rows of both tables, group by group.
fn groups() -> impl Iterator<Item = (&'static str, &'static [Setting])> {
    let tables = [ServerSettings::TABLE, ProtocolSettings::TABLE];
    let groups = tables.into_iter().flat_map(|table| table.chunk_by(|one, next| one.group == next.group));
    groups.filter_map(|rows| Some((rows.first()?.group, rows)))
}

/// A sentence in lines that fit a terminal.
fn wrapped(sentence: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => line.extend([" ", word]),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Text as roff takes it for what it is.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Text as one argument of a macro.
fn argument(text: &str) -> String {
    let quoted = text.replace('\\', "\\e").replace('"', "\\(dq");
    // Punctuation at the end would be set outside of the quotes.
    let end = if text.ends_with(['.', ',', ':', ';', '!', '?', ')']) { "\\&" } else { "" };
    format!("\"{quoted}{end}\"")
}

const WIDTH: usize = 76;

const EXAMPLE_HEAD: &str = "\
# mail-master.conf: an example; mail-master.conf(5) explains it.
#
# Settings that begin with '#' stand at their defaults. 'mail-master -n' prints
# those that you have changed, 'mail-master -t' checks the file.
#
# What is not in the sections on the server, logs, logins, users, processes
# and the jail may also stand in 'protocol imap { }' or 'protocol pop3 { }', for one of them.
";

const EXAMPLE_TAIL: &str = "
##
## Who may log in, and who they are
##

# Lines of user:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields
passdb passwd-file {
  args = /etc/mail-master/users
}
userdb passwd-file {
  args = /etc/mail-master/users
}

# All users under one uid:
#userdb static {
#  args = uid=vmail gid=vmail home=/var/mail/%d/%n
#}

# A program that checks passwords:
#passdb checkpassword {
#  args = /usr/bin/checkpassword
#}
#userdb prefetch {
#}

# Mailboxes that are for something, and those that everybody is to have: 'auto'
# is no, create or subscribe.
#namespace inbox {
#  mailbox Drafts {
#    special_use = \\Drafts
#  }
#  mailbox Sent {
#    special_use = \\Sent
#    auto = subscribe
#  }
#}

# Free variables for mail processes, in upper case there:
#plugin {
#  quota = maildir:User quota
#}

# More files, by names or patterns, seen from this one's directory:
#!include_try conf.d/*.conf
";
