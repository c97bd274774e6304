//! What is looked for, made ready for one mailbox; and whether a message is that, as far as it is known.

use protocol::imap::{Date, DateTest, IdSet, SearchKey, SystemFlags};
use store::{Flags, Keyword, Message, View};

use message::Needle;

use super::super::flags;

/// See above.
pub(super) struct Query {
    key: Key,
    /// Texts to be found; keys have their index.
    pub(super) texts: Vec<Text>,
    pub(super) needs: Needs,
}

/// A text, and where it has to be.
pub(super) struct Text {
    pub(super) place: Place,
    pub(super) needle: Needle,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The value of a header field of this name.
    Field(Vec<u8>),
    Body,
    Anywhere,
}

/// What of messages has to be looked at, unless less is enough.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Needs {
    pub(super) received: bool,
    pub(super) sent: bool,
    pub(super) header: bool,
    pub(super) size: bool,
    pub(super) contents: bool,
}

enum Key {
    All,
    And(Vec<Key>),
    Or(Vec<Key>),
    Not(Box<Key>),
    Number(IdSet),
    Uid(IdSet),
    Recent,
    Flags(Flags),
    /// None: no message has it.
    Keyword(Option<Keyword>),
    Received(DateTest, Date),
    Sent(DateTest, Date),
    Larger(u64),
    Smaller(u64),
    Text(usize),
}

/// What is known of a message.
pub(super) struct Known {
    pub(super) number: u32,
    pub(super) message: Message,
    pub(super) received: Option<Date>,
    pub(super) sent: Option<Date>,
    pub(super) size: Option<u64>,
    /// Of each text, whether it is there; those beyond its end are unknown.
    pub(super) found: Vec<Option<bool>>,
}

impl Known {
    /// What is known without a look at the disk.
    pub(super) fn new(number: u32, message: Message) -> Self {
        let size = message.size.map(u64::from);
        Self { number, message, received: None, sent: None, size, found: Vec::new() }
    }
}

impl Query {
    pub(super) fn new(key: SearchKey, view: &View) -> Self {
        let mut query = Self { key: Key::All, texts: Vec::new(), needs: Needs::default() };
        query.key = query.ready(key, view);
        query
    }

    /// The length of the longest text.
    pub(super) fn longest(&self) -> usize {
        self.texts.iter().map(|text| text.needle.length()).max().unwrap_or(0)
    }

    /// Whether a message is what is looked for; none if too little is known of it.
    pub(super) fn judge(&self, known: &Known) -> Option<bool> {
        self.key.judge(known)
    }

    fn ready(&mut self, key: SearchKey, view: &View) -> Key {
        match key {
            SearchKey::All => Key::All,
            SearchKey::And(keys) => Key::And(keys.into_iter().map(|key| self.ready(key, view)).collect()),
            SearchKey::Or(keys) => Key::Or(keys.into_iter().map(|key| self.ready(key, view)).collect()),
            SearchKey::Not(key) => Key::Not(Box::new(self.ready(*key, view))),
            SearchKey::Sequence(set) => Key::Number(set.resolve(view.exists())),
            SearchKey::Uid(set) => Key::Uid(set.resolve(view.uid(view.exists()).map_or(0, store::Uid::get))),
            SearchKey::Flag(SystemFlags::RECENT) => Key::Recent,
            SearchKey::Flag(flag) => Key::Flags(flags::from_wire(flag)),
            SearchKey::Keyword(keyword) => Key::Keyword(view.mailbox().find_keyword(keyword.as_str())),
            SearchKey::Internal(test, date) => {
                self.needs.received = true;
                Key::Received(test, date)
            }
            SearchKey::Sent(test, date) => {
                self.needs.sent = true;
                self.needs.header = true;
                Key::Sent(test, date)
            }
            SearchKey::Larger(size) => {
                self.needs.size = true;
                Key::Larger(size)
            }
            SearchKey::Smaller(size) => {
                self.needs.size = true;
                Key::Smaller(size)
            }
            SearchKey::Header { name, .. } if name.is_empty() => Key::Not(Box::new(Key::All)),
            SearchKey::Header { name, text } => {
                self.needs.header = true;
                self.text(Place::Field(name), &text)
            }
            SearchKey::Body(text) | SearchKey::Text(text) if text.is_empty() => Key::All,
            SearchKey::Body(text) => {
                self.needs.contents = true;
                self.text(Place::Body, &text)
            }
            SearchKey::Text(text) => {
                self.needs.contents = true;
                self.text(Place::Anywhere, &text)
            }
        }
    }

    fn text(&mut self, place: Place, text: &str) -> Key {
        self.texts.push(Text { place, needle: Needle::new(text) });
        Key::Text(self.texts.len() - 1)
    }
}

impl Key {
    fn judge(&self, known: &Known) -> Option<bool> {
        match self {
            Self::All => Some(true),
            Self::And(keys) => first(keys, known, false),
            Self::Or(keys) => first(keys, known, true),
            Self::Not(key) => key.judge(known).map(|verdict| !verdict),
            Self::Number(set) => Some(set.contains(known.number)),
            Self::Uid(set) => Some(set.contains(known.message.uid.get())),
            Self::Recent => Some(known.message.recent),
            Self::Flags(flags) => Some(flags.without(known.message.flags).is_empty()),
            Self::Keyword(keyword) => {
                Some(keyword.is_some_and(|keyword| known.message.flags.has_keyword(keyword)))
            }
            Self::Received(test, date) => known.received.map(|day| compare(*test, day, *date)),
            Self::Sent(test, date) => known.sent.map(|day| compare(*test, day, *date)),
            Self::Larger(size) => known.size.map(|known| known > *size),
            Self::Smaller(size) => known.size.map(|known| known < *size),
            Self::Text(index) => known.found.get(*index).copied().flatten(),
        }
    }
}

/// `verdict` if that is the verdict of one key; its opposite if it is that of none.
fn first(keys: &[Key], known: &Known, verdict: bool) -> Option<bool> {
    let mut sure = true;
    for key in keys {
        match key.judge(known) {
            Some(found) if found == verdict => return Some(verdict),
            Some(_) => {}
            None => sure = false,
        }
    }
    sure.then_some(!verdict)
}

fn compare(test: DateTest, day: Date, date: Date) -> bool {
    match test {
        DateTest::Before => day < date,
        DateTest::On => day == date,
        DateTest::Since => day >= date,
    }
}
