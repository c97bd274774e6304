//! Flags of a message as one word: the system flags of RFC 3501 and the 26 keywords that a Maildir name can bear.

use std::fmt;

/// A system flag that is stored with the message (`\Recent` is not: see [`crate::View`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Flag {
    /// `\Answered`, R on disk.
    Answered = 26,
    /// `\Flagged`, F on disk.
    Flagged,
    /// `\Deleted`, T on disk.
    Deleted,
    /// `\Seen`, S on disk.
    Seen,
    /// `\Draft`, D on disk.
    Draft,
}

/// One of a mailbox's keywords: 0 to 25, the letters a to z on disk. [`crate::Mailbox::keywords`] has their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keyword(u8);

/// A set of flags and keywords.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

impl Flag {
    /// All of them, in the order in which servers commonly list them.
    pub const ALL: [Flag; 5] = [Flag::Answered, Flag::Flagged, Flag::Deleted, Flag::Seen, Flag::Draft];

    /// The name as it stands on the wire, with its backslash.
    pub fn name(self) -> &'static str {
        match self {
            Flag::Answered => "\\Answered",
            Flag::Flagged => "\\Flagged",
            Flag::Deleted => "\\Deleted",
            Flag::Seen => "\\Seen",
            Flag::Draft => "\\Draft",
        }
    }

    /// The letter in a file name.
    pub(crate) fn letter(self) -> u8 {
        match self {
            Flag::Answered => b'R',
            Flag::Flagged => b'F',
            Flag::Deleted => b'T',
            Flag::Seen => b'S',
            Flag::Draft => b'D',
        }
    }
}

impl Keyword {
    /// How many a mailbox can have.
    pub const COUNT: u8 = 26;

    /// The keyword with this number.
    pub fn new(number: u8) -> Option<Keyword> {
        (number < Keyword::COUNT).then_some(Keyword(number))
    }

    /// Its number, 0 to 25.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);

    /// Is this flag set?
    pub fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }

    /// Is this keyword set?
    pub fn has_keyword(self, keyword: Keyword) -> bool {
        self.0 & (1 << keyword.0) != 0
    }

    /// This set and that flag.
    #[must_use]
    pub fn with(self, flag: Flag) -> Flags {
        Flags(self.0 | 1 << flag as u8)
    }

    /// This set and that keyword.
    #[must_use]
    pub fn with_keyword(self, keyword: Keyword) -> Flags {
        Flags(self.0 | 1 << keyword.0)
    }

    /// All that is in either.
    #[must_use]
    pub fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// All that is here and not in the other.
    #[must_use]
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// Is nothing set?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The system flags that are set.
    pub fn system(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.into_iter().filter(move |&flag| self.has(flag))
    }

    /// The keywords that are set, by number.
    pub fn keywords(self) -> impl Iterator<Item = Keyword> {
        (0..Keyword::COUNT).map(Keyword).filter(move |&keyword| self.has_keyword(keyword))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set()
            .entries(self.system().map(Flag::name))
            .entries(self.keywords().map(|keyword| char::from(b'a' + keyword.0)))
            .finish()
    }
}
