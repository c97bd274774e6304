//! The name of a mailbox, RFC 3501 section 5.1.

use std::borrow::Cow;

use super::cursor::{Cursor, Parsed, no};
use super::mutf7;

/// A name of a mailbox, held as it goes over the wire: printable ASCII, in modified UTF-7, `INBOX` in capitals
/// (also as the first level of a longer name, where the separator is `/` or `.`).
///
/// It may be empty, hold any separator, wildcards, `..` or `~`: which names can exist is the store's to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(Box<str>);

/// These bytes are no modified UTF-7, or hide a control character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reading the name of a mailbox: it is not modified UTF-7, or holds a control character")]
pub struct InvalidName;

impl MailboxName {
    /// `INBOX`.
    pub fn inbox() -> MailboxName {
        MailboxName("INBOX".into())
    }

    /// A name as a client or a disk has it.
    pub fn from_wire(wire: &[u8]) -> Result<MailboxName, InvalidName> {
        let name = mutf7::decode(wire).ok_or(InvalidName)?;
        MailboxName::from_utf8(&name)
    }

    /// A name as people write it.
    pub fn from_utf8(name: &str) -> Result<MailboxName, InvalidName> {
        if name.chars().any(char::is_control) {
            return Err(InvalidName);
        }
        let mut wire = mutf7::encode(name);
        if let Some((level, after)) = wire.split_at_mut_checked(5)
            && (after.is_empty() || after.starts_with(['/', '.']))
            && level.eq_ignore_ascii_case("INBOX")
        {
            level.make_ascii_uppercase();
        }
        Ok(MailboxName(wire.into()))
    }

    /// The name for the wire and the disk; ASCII.
    pub fn wire(&self) -> &str {
        &self.0
    }

    /// The name for people.
    pub fn decoded(&self) -> Cow<'_, str> {
        let shifted = self.0.contains('&').then(|| mutf7::decode(self.0.as_bytes())).flatten();
        shifted.map_or(Cow::Borrowed(&*self.0), Cow::Owned)
    }

    /// Is it the one mailbox that everybody has?
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<MailboxName> {
        MailboxName::from_wire(&cursor.astring()?)
            .or_else(|_| no("[CANNOT] Mailbox name is not valid modified UTF-7"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(bytes: &[u8]) -> String {
        MailboxName::from_wire(bytes).unwrap().wire().to_owned()
    }

    #[test]
    fn inbox_is_the_same_in_any_case() {
        assert!(MailboxName::from_wire(b"iNbOx").unwrap().is_inbox());
        assert_eq!(wire(b"inbox"), "INBOX");
        assert_eq!(wire(b"Inbox/a"), "INBOX/a");
        assert_eq!(wire(b"inbox.a"), "INBOX.a");
        assert_eq!(wire(b"inboxes"), "inboxes");
        assert_eq!(wire(b"a/inbox"), "a/inbox");
    }

    #[test]
    fn both_forms_can_be_had() {
        let name = MailboxName::from_wire(b"Entw&APw-rfe").unwrap();
        assert_eq!(name.decoded(), "Entwürfe");
        assert_eq!(MailboxName::from_utf8("Entwürfe"), Ok(name));
    }

    #[test]
    fn control_characters_cannot_hide() {
        assert_eq!(MailboxName::from_wire(b"a&AAA-"), Err(InvalidName));
        assert_eq!(MailboxName::from_wire(b"a&AAo-b"), Err(InvalidName));
        assert_eq!(MailboxName::from_wire(b"a\nb"), Err(InvalidName));
        assert_eq!(MailboxName::from_wire(b"\xe4"), Err(InvalidName));
    }
}
