//! What a FETCH asks for, and what has to be looked at for it.

use protocol::imap::{Content, FetchItem};

/// See above.
pub(super) struct Wanted {
    /// In the order asked for; each once, but for contents, of which there may be thousands.
    pub(super) items: Vec<FetchItem>,
    /// The file has to be opened.
    pub(super) file: bool,
    /// The file's date.
    pub(super) date: bool,
    /// RFC822.SIZE.
    pub(super) size: bool,
    /// The header, for the envelope.
    pub(super) envelope: bool,
    /// All of the message, to describe its parts.
    pub(super) structure: bool,
    /// Whoever asks for this has read the message.
    pub(super) marks_seen: bool,
}

impl Wanted {
    pub(super) fn new(asked: Vec<FetchItem>) -> Self {
        let mut items: Vec<FetchItem> = Vec::with_capacity(asked.len());
        for item in asked {
            if matches!(item, FetchItem::Content(_)) || !items.contains(&item) {
                items.push(item);
            }
        }
        let any = |test: fn(&FetchItem) -> bool| items.iter().any(test);
        let envelope = any(|item| *item == FetchItem::Envelope);
        let structure = any(|item| matches!(item, FetchItem::Body | FetchItem::BodyStructure));
        Self {
            file: envelope || structure || any(|item| matches!(item, FetchItem::Content(_))),
            date: any(|item| *item == FetchItem::InternalDate),
            size: any(|item| *item == FetchItem::Rfc822Size),
            envelope,
            structure,
            marks_seen: any(|item| matches!(item, FetchItem::Content(Content { peek: false, .. }))),
            items,
        }
    }

    /// Those items that are bytes of the message.
    pub(super) fn contents(&self) -> impl Iterator<Item = &Content> {
        self.items.iter().filter_map(|item| match item {
            FetchItem::Content(content) => Some(content),
            _ => None,
        })
    }
}
