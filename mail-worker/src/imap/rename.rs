//! RENAME, RFC 3501 section 6.3.5. A client that renames the mailbox that it has selected keeps it; who has it selected
//! elsewhere finds it gone with his next command.

use ::store::Expunges;
use protocol::imap::MailboxName;

use super::reply::{Outcome, Reply};
use super::{Imap, PATIENCE};
use crate::client::NAMES_A_TURN;

pub(super) async fn run(imap: &mut Imap, from: MailboxName, to: MailboxName) -> Outcome {
    let mail = imap.client.user.mail();
    let mut renaming = mail.rename(imap.wire(&from), imap.wire(&to))?;
    imap.client.carry_out(PATIENCE, |now| renaming.step(now, NAMES_A_TURN)).await?;
    let separator = mail.location().separator;
    let selected = imap.selected.as_ref().map(|selected| &selected.name);
    if let Some(name) = selected.and_then(|name| moved(name, &from, &to, separator)) {
        imap.client.set_mailbox(Some(name.wire()));
        if let Some(selected) = &mut imap.selected {
            selected.name = name;
        }
        imap.reopen(Expunges::Tell).await?;
    }
    Ok(Reply::ok("Rename completed."))
}

/// What a mailbox is called now, if it was `from` or lay below. INBOX stays.
fn moved(name: &MailboxName, from: &MailboxName, to: &MailboxName, separator: u8) -> Option<MailboxName> {
    let more = name.wire().strip_prefix(from.wire()).filter(|_| !from.is_inbox())?;
    let is_it = more.is_empty() || more.as_bytes().first() == Some(&separator);
    is_it.then(|| MailboxName::from_wire(format!("{}{more}", to.wire()).as_bytes()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_moves_and_what_looks_alike_does_not() {
        let name = |name: &str| MailboxName::from_wire(name.as_bytes()).unwrap();
        let now = |was| moved(&name(was), &name("A"), &name("B.C"), b'.').map(|name| name.wire().to_owned());
        assert_eq!(now("A").as_deref(), Some("B.C"));
        assert_eq!(now("A.x.y").as_deref(), Some("B.C.x.y"));
        assert_eq!(now("AB"), None);
        assert_eq!(moved(&name("INBOX"), &name("INBOX"), &name("B"), b'.'), None);
    }
}
