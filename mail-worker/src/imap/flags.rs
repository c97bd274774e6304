//! Flags of messages, as the store has them and as IMAP writes them.

use protocol::imap::{By, SystemFlags, response};
use store::{Flag, Flags, Message};

/// The store's flags and IMAP's.
const PAIRS: [(Flag, SystemFlags); 5] = [
    (Flag::Answered, SystemFlags::ANSWERED),
    (Flag::Flagged, SystemFlags::FLAGGED),
    (Flag::Deleted, SystemFlags::DELETED),
    (Flag::Seen, SystemFlags::SEEN),
    (Flag::Draft, SystemFlags::DRAFT),
];

/// Appends `FLAGS (...)`; `keywords` are the mailbox's, by number.
pub(super) fn write(out: &mut Vec<u8>, message: &Message, keywords: &[String]) {
    let recent = if message.recent { SystemFlags::RECENT } else { SystemFlags::default() };
    let names = message.flags.keywords().filter_map(|keyword| keywords.get(usize::from(keyword.number())));
    response::flags(out, to_wire(message.flags).with(recent), names.map(String::as_str));
}

/// Appends a message's flags as a response of their own; with the UID where the client speaks of messages by it.
pub(super) fn write_fetch(out: &mut Vec<u8>, by: By, number: u32, message: &Message, keywords: &[String]) {
    response::fetch_start(out, number);
    if by == By::Uid {
        out.extend_from_slice(b"UID ");
        response::number(out, message.uid.get().into());
        out.push(b' ');
    }
    write(out, message, keywords);
    response::fetch_end(out);
}

/// The system flags as IMAP has them.
pub(super) fn to_wire(flags: Flags) -> SystemFlags {
    let set = PAIRS.iter().filter(|(flag, _)| flags.has(*flag));
    set.fold(SystemFlags::default(), |all, (_, wire)| all.with(*wire))
}

/// The system flags as the store has them.
pub(super) fn from_wire(flags: SystemFlags) -> Flags {
    let set = PAIRS.iter().filter(|(_, wire)| flags.contains(*wire));
    set.fold(Flags::NONE, |all, (flag, _)| all.with(*flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_there_and_back() {
        for (flag, wire) in PAIRS {
            assert_eq!(to_wire(Flags::NONE.with(flag)), wire);
            assert_eq!(from_wire(wire), Flags::NONE.with(flag));
        }
        assert_eq!(from_wire(SystemFlags::RECENT), Flags::NONE);
    }
}
