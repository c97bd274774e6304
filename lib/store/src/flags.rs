//! Flags of a message as one value: the system flags of RFC 3501 and the mailbox's keywords.

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

/// One of a mailbox's keywords: 0 to 25 are the letters a to z on disk, the others stand in a file of their own.
/// [`crate::Mailbox::keywords`] has their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keyword(u8);

/// A set of flags and keywords.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    named: Letters,
    extra: Extra,
}

/// What of them a Maildir name bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Letters(u32);

/// The keywords that it cannot bear, from [`Keyword::LETTERS`] on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Extra([u32; 7]);

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
    pub const COUNT: u8 = 250;
    /// How many have a letter.
    pub const LETTERS: u8 = 26;

    /// The keyword with this number.
    pub fn new(number: u8) -> Option<Keyword> {
        (number < Keyword::COUNT).then_some(Keyword(number))
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Can a file's name bear it?
    pub(crate) fn has_letter(self) -> bool {
        self.0 < Keyword::LETTERS
    }
}

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags { named: Letters(0), extra: Extra::NONE };

    /// What a name bears, and what it cannot.
    pub(crate) fn new(named: Letters, extra: Extra) -> Flags {
        Flags { named, extra }
    }

    /// What a name bears.
    pub(crate) fn named(self) -> Letters {
        self.named
    }

    /// What it cannot.
    pub(crate) fn extra(self) -> Extra {
        self.extra
    }

    /// Is this flag set?
    pub fn has(self, flag: Flag) -> bool {
        self.named.has(flag)
    }

    /// Is this keyword set?
    pub fn has_keyword(self, keyword: Keyword) -> bool {
        match keyword.has_letter() {
            true => self.named.0 & (1 << keyword.0) != 0,
            false => self.extra.has(keyword),
        }
    }

    /// This set and that flag.
    #[must_use]
    pub fn with(self, flag: Flag) -> Flags {
        Flags { named: Letters(self.named.0 | 1 << flag as u8), ..self }
    }

    /// This set and that keyword.
    #[must_use]
    pub fn with_keyword(self, keyword: Keyword) -> Flags {
        match keyword.has_letter() {
            true => Flags { named: Letters(self.named.0 | 1 << keyword.0), ..self },
            false => Flags { extra: self.extra.with(keyword), ..self },
        }
    }

    /// All that is in either.
    #[must_use]
    pub fn union(self, other: Flags) -> Flags {
        Flags { named: Letters(self.named.0 | other.named.0), extra: self.extra.union(other.extra) }
    }

    /// All that is here and not in the other.
    #[must_use]
    pub fn without(self, other: Flags) -> Flags {
        Flags { named: Letters(self.named.0 & !other.named.0), extra: self.extra.without(other.extra) }
    }

    /// Is nothing set?
    pub fn is_empty(self) -> bool {
        self == Flags::NONE
    }

    /// The system flags that are set.
    pub fn system(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.into_iter().filter(move |&flag| self.has(flag))
    }

    /// The keywords that are set, by number.
    pub fn keywords(self) -> impl Iterator<Item = Keyword> {
        let named = (0..Keyword::LETTERS).map(Keyword).filter(move |&keyword| self.has_keyword(keyword));
        let extra = (self.extra != Extra::NONE).then(|| self.extra.keywords());
        named.chain(extra.into_iter().flatten())
    }
}

impl Letters {
    /// Is this flag set?
    pub(crate) fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }

    /// These and those.
    pub(crate) fn union(self, other: Letters) -> Letters {
        Letters(self.0 | other.0)
    }
}

impl From<Flags> for Letters {
    fn from(flags: Flags) -> Letters {
        flags.named
    }
}

impl From<Letters> for Flags {
    fn from(named: Letters) -> Flags {
        Flags { named, extra: Extra::NONE }
    }
}

impl Extra {
    /// None.
    pub(crate) const NONE: Extra = Extra([0; 7]);

    /// The word and the bit of a keyword that has no letter.
    fn place(keyword: Keyword) -> (usize, u32) {
        let index = keyword.0.saturating_sub(Keyword::LETTERS);
        (usize::from(index / 32), 1 << (index % 32))
    }

    fn has(self, keyword: Keyword) -> bool {
        let (word, bit) = Extra::place(keyword);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// This set and that keyword.
    pub(crate) fn with(mut self, keyword: Keyword) -> Extra {
        let (word, bit) = Extra::place(keyword);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
        self
    }

    /// All that is in either.
    pub(crate) fn union(mut self, other: Extra) -> Extra {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        self
    }

    /// All that is here and not in the other.
    pub(crate) fn without(mut self, other: Extra) -> Extra {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
        self
    }

    /// How many there are.
    pub(crate) fn len(self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// All that are set.
    pub(crate) fn keywords(self) -> impl Iterator<Item = Keyword> {
        (Keyword::LETTERS..Keyword::COUNT).map(Keyword).filter(move |&keyword| self.has(keyword))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set()
            .entries(self.system().map(Flag::name))
            .entries(self.keywords().map(Keyword::number))
            .finish()
    }
}
