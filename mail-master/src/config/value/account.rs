//! Users and groups of this machine: names or numbers, resolved when the configuration is read.

use nix::unistd::{Gid, Uid};

use super::{Fault, Value, list, written};
use crate::config::host::{Host, Ids};

/// A user that a program runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// The name or number as written.
    pub(crate) name: String,
    /// Its ids; the invoker's own where the master is not root.
    pub(crate) ids: Ids,
}

/// The uid for users of whom the user database says none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MailUser(pub(crate) Uid);

/// The gid for users of whom the user database says none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MailGroup(pub(crate) Gid);

/// Groups that every mail user is in besides his own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Groups(pub(crate) Vec<Gid>);

impl Value for Account {
    const KIND: &'static str = "user: name or number";

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::new("a user is needed here", "write the name of one"));
        }
        Ok(Self { name: text.to_owned(), ids: ids(text, host)? })
    }

    fn variable(&self) -> Option<String> {
        written(self.ids.uid)
    }
}

impl Value for MailUser {
    const KIND: &'static str = "user: name or number";

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        match ids(text, host)?.uid {
            uid if uid.is_root() => Err(Fault::new("nobody's mail is read as root", "write another user")),
            uid => Ok(Self(uid)),
        }
    }

    fn variable(&self) -> Option<String> {
        written(self.0)
    }
}

impl Value for MailGroup {
    const KIND: &'static str = "group: name or number";

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        match group(text, host)? {
            gid if gid.as_raw() == 0 => {
                Err(Fault::new("nobody's mail is read as group 0", "write another group"))
            }
            gid => Ok(Self(gid)),
        }
    }

    fn variable(&self) -> Option<String> {
        written(self.0)
    }
}

impl Value for Groups {
    const KIND: &'static str = "groups: names or numbers";

    fn parse(text: &str, host: &Host) -> Result<Self, Fault> {
        let gid = |word| MailGroup::parse(word, host).map_err(|fault| fault.of(word));
        let mut groups = list(text).map(|word| Ok(gid(word)?.0)).collect::<Result<Vec<_>, Fault>>()?;
        groups.sort_by_key(|gid| gid.as_raw());
        groups.dedup();
        Ok(Self(groups))
    }

    fn variable(&self) -> Option<String> {
        let numbers: Vec<String> = self.0.iter().map(Gid::to_string).collect();
        written(numbers.join(","))
    }
}

/// A user's ids. A number needs no account: its group is the same number then.
fn ids(text: &str, host: &Host) -> Result<Ids, Fault> {
    if !host.is_root() {
        return Ok(host.invoker);
    }
    match number(text)? {
        Some(id) => Ok((host.user)(text).unwrap_or(Ids { uid: Uid::from_raw(id), gid: Gid::from_raw(id) })),
        None => (host.user)(text).ok_or_else(|| {
            let help =
                format!("create it (useradd --system --shell /usr/sbin/nologin {text}), or write another");
            Fault::new(format!("this machine has no user '{text}'"), help)
        }),
    }
}

fn group(text: &str, host: &Host) -> Result<Gid, Fault> {
    if !host.is_root() {
        return Ok(host.invoker.gid);
    }
    match number(text)? {
        Some(id) => Ok(Gid::from_raw(id)),
        None => (host.group)(text).ok_or_else(|| {
            let help = format!("create it (groupadd --system {text}), or write another");
            Fault::new(format!("this machine has no group '{text}'"), help)
        }),
    }
}

/// The number that a text is, where it is one. The last 32-bit number means "no change" to the kernel: never an id.
fn number(text: &str) -> Result<Option<u32>, Fault> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let id = text.parse().ok().filter(|id| *id != u32::MAX);
    id.map(Some).ok_or_else(|| {
        Fault::new(format!("{text} is too large for an id"), "write a name, or a smaller number")
    })
}
