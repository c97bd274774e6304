//! What a FETCH asks for, and what has to be looked at for it.

use protocol::imap::{Content, FetchItem};

/// See above.
pub(super) struct Wanted {
    /// In the order asked for; each once, but for contents, of which there may be thousands.
    pub(super) items: Vec<FetchItem>,
    /// FLAGS.
    pub(super) flags: bool,
    /// The file's date.
    pub(super) date: bool,
    /// RFC822.SIZE.
    pub(super) size: bool,
    /// The header, for the envelope.
    pub(super) envelope: bool,
    /// BODY.
    pub(super) body: bool,
    /// BODYSTRUCTURE.
    pub(super) bodystructure: bool,
    /// Bytes of the message.
    pub(super) content: bool,
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
        Self {
            flags: any(|item| *item == FetchItem::Flags),
            date: any(|item| *item == FetchItem::InternalDate),
            size: any(|item| *item == FetchItem::Rfc822Size),
            envelope: any(|item| *item == FetchItem::Envelope),
            body: any(|item| *item == FetchItem::Body),
            bodystructure: any(|item| *item == FetchItem::BodyStructure),
            content: any(|item| matches!(item, FetchItem::Content(_))),
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
