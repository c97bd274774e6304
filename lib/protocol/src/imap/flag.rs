//! Flags and keywords of messages, RFC 3501 section 2.3.2.

use super::cursor::{Cursor, Parsed, bad};

/// A set of the flags that begin with a backslash.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct SystemFlags(u8);

impl SystemFlags {
    /// `\Answered`
    pub const ANSWERED: SystemFlags = SystemFlags(1);
    /// `\Flagged`
    pub const FLAGGED: SystemFlags = SystemFlags(2);
    /// `\Deleted`
    pub const DELETED: SystemFlags = SystemFlags(4);
    /// `\Seen`
    pub const SEEN: SystemFlags = SystemFlags(8);
    /// `\Draft`
    pub const DRAFT: SystemFlags = SystemFlags(16);
    /// `\Recent`: the server's own; no client can set it.
    pub const RECENT: SystemFlags = SystemFlags(32);

    /// The five that a client may set.
    pub const SETTABLE: SystemFlags = SystemFlags(31);

    /// Each flag by name, in the order in which they are written.
    pub const NAMES: [(SystemFlags, &str); 6] = [
        (SystemFlags::ANSWERED, "\\Answered"),
        (SystemFlags::FLAGGED, "\\Flagged"),
        (SystemFlags::DELETED, "\\Deleted"),
        (SystemFlags::SEEN, "\\Seen"),
        (SystemFlags::DRAFT, "\\Draft"),
        (SystemFlags::RECENT, "\\Recent"),
    ];

    /// Are all of `flags` here?
    pub const fn contains(self, flags: SystemFlags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These and those.
    pub const fn with(self, flags: SystemFlags) -> SystemFlags {
        SystemFlags(self.0 | flags.0)
    }

    /// These but for those.
    pub const fn without(self, flags: SystemFlags) -> SystemFlags {
        SystemFlags(self.0 & !flags.0)
    }

    /// None at all.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn named(name: &[u8]) -> Option<SystemFlags> {
        let same =
            |known: &str| known.as_bytes().get(1..).is_some_and(|known| known.eq_ignore_ascii_case(name));
        SystemFlags::NAMES.iter().find(|(_, known)| same(known)).map(|(flag, _)| *flag)
    }
}

impl std::fmt::Debug for SystemFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = SystemFlags::NAMES.iter().filter(|(flag, _)| self.contains(*flag));
        f.debug_set().entries(set.map(|(_, name)| name)).finish()
    }
}

/// A flag that a client made up: an atom, kept as written. Two that differ in case only are the same to most
/// clients; whoever stores them decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// As the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Keyword> {
        match std::str::from_utf8(cursor.atom()?) {
            Ok(text) => Ok(Keyword(text.into())),
            Err(_) => bad("Malformed keyword"),
        }
    }
}

/// The flags of a `STORE` or an `APPEND`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagList {
    /// Those with a backslash.
    pub system: SystemFlags,
    /// The others, in the order given; one may come twice.
    pub keywords: Vec<Keyword>,
}

impl FlagList {
    /// `(\Seen Junk)`
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<FlagList> {
        let mut flags = FlagList::default();
        cursor.list(|cursor| flags.parse_one(cursor))?;
        Ok(flags)
    }

    /// `\Seen Junk`, to the end of the command.
    pub(super) fn parse_bare(cursor: &mut Cursor<'_>) -> Parsed<FlagList> {
        let mut flags = FlagList::default();
        loop {
            flags.parse_one(cursor)?;
            cursor.spaces();
            if cursor.is_empty() {
                return Ok(flags);
            }
        }
    }

    fn parse_one(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        if !cursor.eat(b'\\') {
            self.keywords.push(Keyword::parse(cursor)?);
            return Ok(());
        }
        match SystemFlags::named(cursor.atom()?) {
            Some(flag) => {
                self.system = self.system.with(flag);
                Ok(())
            }
            None => bad("Unknown system flag"),
        }
    }
}
