//! Which messages a command is about, and finding them where other programs have moved them meanwhile.

use protocol::imap::{By, IdSet, SequenceSet};
use store::{Error, Found, Uid, View};

use super::reply::Reply;
use super::selected::Selected;
use crate::client::Client;

/// The messages that a client means, as sequence numbers. They stay the same as long as it is told no news.
pub(super) fn numbers(view: &View, by: By, set: &SequenceSet) -> Result<Vec<(u32, u32)>, Reply> {
    let exists = view.exists();
    match by {
        // In an empty mailbox even `*` is no message.
        By::Sequence if exists == 0 || set.greatest().is_some_and(|greatest| greatest > exists) => {
            Err(Reply::bad("There is no such message."))
        }
        By::Sequence => Ok(set.resolve(exists).ranges().collect()),
        By::Uid => {
            let last = view.uid(exists).map_or(0, Uid::get);
            Ok(by_uid(view, exists, &set.resolve(last)))
        }
    }
}

/// How many they are.
pub(super) fn count(numbers: &[(u32, u32)]) -> u32 {
    // Ranges of one mailbox, each once: never more than it has messages.
    numbers.iter().map(|(low, high)| (high + 1).saturating_sub(*low)).sum()
}

fn by_uid(view: &View, exists: u32, uids: &IdSet) -> Vec<(u32, u32)> {
    let first_from = |uid: u32| {
        let uid = std::num::NonZeroU32::new(uid).map(Uid)?;
        view.at_or_after(uid).map(|(number, _)| number)
    };
    let numbers = uids.ranges().filter_map(|(low, high)| {
        let low = first_from(low)?;
        let above = high.checked_add(1).and_then(first_from);
        let high = above.map_or(exists, |above| above - 1);
        (low <= high).then_some((low, high))
    });
    numbers.collect()
}

impl Selected {
    /// Does `work` on a message; none if it was expunged.
    pub(super) async fn find<T>(
        &mut self,
        client: &Client,
        mut work: impl FnMut(&mut View) -> Result<Found<T>, Error>,
    ) -> Result<Option<T>, Error> {
        for _ in 0..TRIES {
            match work(&mut self.view)? {
                Found::Here(result) => return Ok(Some(result)),
                Found::Gone => break,
                Found::Moved => {
                    let mailbox = std::rc::Rc::clone(self.view.mailbox());
                    client.sync(&mailbox, std::time::Duration::ZERO).await?;
                }
            }
        }
        Ok(None)
    }
}

/// So often in a row nobody renames a file by chance.
const TRIES: usize = 10;
