//! A mailbox's cache, for the length of a command: loaded when it is of use, and settled at the end, in bounded turns.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::imap::Date;
use store::{Cache, Kind, Mailbox, Message, Step};

use crate::client::Client;
use crate::session::Wants;

/// So few messages' dates and headers are looked at sooner than the cache.
pub(crate) const FEW: u32 = 8;

/// Loads it into `place`, unless it is there.
pub(crate) async fn load<'a>(
    place: &'a mut Option<Cache>,
    client: &Client,
    mailbox: &Mailbox,
) -> &'a mut Cache {
    match place {
        Some(cache) => cache,
        None => {
            let mut cache = mailbox.cache();
            while cache.load() != Step::Done(()) {
                client.rest(Wants::turn()).await;
            }
            place.insert(cache)
        }
    }
}

/// Writes what is new.
pub(crate) async fn settle(cache: Option<Cache>, client: &Client, mailbox: &Mailbox) {
    let Some(mut cache) = cache else { return };
    while cache.settle(mailbox) != Step::Done(()) {
        client.rest(Wants::turn()).await;
    }
}

/// RFC822.SIZE.
pub(crate) fn size(cache: &mut Cache, message: &Message) -> Option<u32> {
    Some(u32::from_le_bytes(cache.get(Kind::Size, message)?.try_into().ok()?))
}

/// INTERNALDATE: seconds since 1970.
pub(crate) fn received(cache: &mut Cache, message: &Message) -> Option<i64> {
    Some(i64::from_le_bytes(cache.get(Kind::Received, message)?.try_into().ok()?))
}

/// A file's date as that.
pub(crate) fn seconds(received: SystemTime) -> i64 {
    let since = received.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// The day that the header bears.
pub(crate) fn sent(cache: &mut Cache, message: &Message) -> Option<Date> {
    let [low, high, month, day] = cache.get(Kind::Sent, message)?.try_into().ok()?;
    Date::new(u16::from_le_bytes([low, high]), month, day)
}

/// The same as bytes.
pub(crate) fn sent_bytes(date: Date) -> [u8; 4] {
    let (year, month, day) = date.parts();
    let [low, high] = year.to_le_bytes();
    [low, high, month, day]
}
