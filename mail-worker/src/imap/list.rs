//! LIST, RFC 3501 section 6.3.8, with the attributes of RFC 3348 and RFC 6154.

use protocol::imap::{MailboxName, Pattern, response};

use super::reply::{Outcome, Reply};
use super::{Imap, PATIENCE};
use crate::client::NAMES_A_TURN;

/// Which mailboxes are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    All,
    SpecialUse,
}

pub(super) async fn run(imap: &Imap, asked: Asked, reference: Vec<u8>, pattern: Vec<u8>) -> Outcome {
    imap.furnish().await?;
    let client = &imap.client;
    let mail = client.user.mail();
    let separator = mail.location().separator;
    if pattern.is_empty() {
        client.write(|out| response::list_separator(out, "LIST", separator, root(&reference, separator)));
        return Ok(Reply::ok("List completed."));
    }
    let pattern = Pattern::new(&reference, &pattern, separator);
    let mut listing = mail.list();
    client.carry_out(PATIENCE, |_| listing.step(NAMES_A_TURN)).await?;
    for listed in listing.mailboxes() {
        if let Some(name) = nameable(&listed.name).filter(|name| pattern.matches(name.wire(), separator)) {
            let children = if listed.children { "\\HasChildren" } else { "\\HasNoChildren" };
            let special_use = client.user.settings.special_use(&name).filter(|_| listed.selectable);
            if asked == Asked::All || special_use.is_some() {
                let noselect = (!listed.selectable).then_some("\\Noselect");
                let attributes = noselect.into_iter().chain([children]).chain(special_use);
                let attributes: Vec<&str> = attributes.collect();
                client.write(|out| response::list(out, "LIST", &attributes, Some(separator), &name));
            }
        }
        client.breathe().await?;
    }
    Ok(Reply::ok("List completed."))
}

/// What of a reference is its root.
pub(super) fn root(reference: &[u8], separator: u8) -> &[u8] {
    reference.get(..1).filter(|first| *first == [separator]).unwrap_or_default()
}

/// A name on disk, if a client that sends it back would mean the same: not if it is no mUTF-7, or not the only way
/// to write it.
pub(super) fn nameable(name: &str) -> Option<MailboxName> {
    MailboxName::from_wire(name.as_bytes()).ok().filter(|parsed| parsed.wire() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rooted_reference_has_a_root() {
        assert_eq!(root(b"/a/b", b'/'), b"/");
        assert_eq!(root(b"a/b", b'/'), b"");
        assert_eq!(root(b"", b'/'), b"");
    }

    #[test]
    fn what_cannot_be_sent_back_is_not_listed() {
        for good in ["INBOX", "INBOX.a", "Entw&APw-rfe", "a&-b", "with space"] {
            assert_eq!(nameable(good).unwrap().wire(), good);
        }
        for bad in ["a&b", "&AGE-", "inbox.a"] {
            assert_eq!(nameable(bad), None, "{bad}");
        }
    }
}
