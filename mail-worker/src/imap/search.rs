//! SEARCH and UID SEARCH, RFC 3501 section 6.4.4.
//!
//! Of each message no more is looked at than it takes to know: its flags, its file's attributes, its header, its size,
//! its text. A message that is gone is not found, and neither is one that cannot be read; the answer says so.

mod contents;
mod query;

use std::io;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use message::sent_day;
use protocol::imap::{By, Date, SearchKey, response};
use store::{Reach, Uid, View};

use super::reply::{Outcome, Reply, Stop};
use super::selected::Selected;
use super::{Imap, messages};
use crate::client::Client;
use crate::session::Ending;
use crate::source::Source;

use contents::Contents;
use query::{Known, Query};

pub(super) async fn run(imap: &mut Imap, by: By, key: SearchKey) -> Outcome {
    let client = Rc::clone(&imap.client);
    let Some(selected) = &mut imap.selected else { return Ok(Reply::bad("No mailbox selected.")) };
    let numbers = candidates(&selected.view, &key);
    let query = Query::new(key, &selected.view);
    let contents = Contents::new(Rc::clone(&client), &query);
    let mut search = Search { client, selected, query: &query, contents, unreadable: false };
    let mut found = Vec::new();
    for number in numbers.into_iter().flat_map(|(low, high)| low..=high) {
        search.client.breathe().await?;
        let Some(uid) = search.selected.view.uid(number) else { continue };
        if search.is_found(number, uid).await? {
            found.push(if by == By::Uid { uid.get() } else { number });
        }
    }
    write(&search.client, &found).await?;
    Ok(Reply::ok(match search.unreadable {
        true => "Search completed, but for messages that cannot be read.",
        false => "Search completed.",
    }))
}

/// The messages among which those must be that are looked for.
fn candidates(view: &View, key: &SearchKey) -> Vec<(u32, u32)> {
    let within = |key: &SearchKey| match key {
        SearchKey::Sequence(set) => Some(set.resolve(view.exists()).ranges().collect()),
        SearchKey::Uid(set) => messages::numbers(view, By::Uid, set).ok(),
        _ => None,
    };
    let found = match key {
        SearchKey::And(keys) => keys.iter().find_map(within),
        key => within(key),
    };
    found.unwrap_or_else(|| vec![(1, view.exists())])
}

async fn write(client: &Client, found: &[u32]) -> Result<(), Ending> {
    client.set_within(true);
    client.write(response::search_start);
    for some in found.chunks(NUMBERS_AT_ONCE) {
        client.write(|out| response::search_found(out, some));
        client.breathe().await?;
    }
    client.write(response::search_end);
    client.set_within(false);
    Ok(())
}

/// One command at work.
struct Search<'a> {
    client: Rc<Client>,
    selected: &'a mut Selected,
    query: &'a Query,
    contents: Contents<'a>,
    /// A message could not be read.
    unreadable: bool,
}

impl Search<'_> {
    async fn is_found(&mut self, number: u32, uid: Uid) -> Result<bool, Stop> {
        let Some(message) = self.selected.view.message(uid) else { return Ok(false) };
        let mut known = Known::new(number, message);
        if let Some(verdict) = self.query.judge(&known) {
            return Ok(verdict);
        }
        if self.query.needs.received {
            let Some(received) = self.received(uid).await? else { return Ok(false) };
            known.received = Some(received);
            if let Some(verdict) = self.query.judge(&known) {
                return Ok(verdict);
            }
        }
        let opened = self.selected.find(&self.client, |view| view.open(uid)).await;
        let Some(file) = self.unless_bad(uid, opened)? else { return Ok(false) };
        let mut source = Source::new(file, self.contents.take_buffer());
        let read = self.read(&mut source, &mut known).await?;
        self.contents.give_buffer(source.into_buffer());
        match read {
            Ok(verdict) => Ok(verdict),
            Err(error) => {
                self.complain(uid, &error);
                Ok(false)
            }
        }
    }

    /// Looks into a message until it is known whether it is looked for.
    async fn read(&mut self, source: &mut Source, known: &mut Known) -> Result<io::Result<bool>, Ending> {
        let needs = self.query.needs;
        let mut header = Vec::new();
        if needs.contents
            && let Err(error) = source.read(0, u64::MAX)
        {
            return Ok(Err(error));
        }
        if needs.header || needs.contents {
            header = match self.contents.header(source).await? {
                Ok(header) => header,
                Err(error) => return Ok(Err(error)),
            };
            known.sent = Some(sent(&header));
            self.contents.fields(&header, known).await?;
            if let Some(verdict) = self.query.judge(known) {
                return Ok(Ok(verdict));
            }
        }
        if needs.size && known.size.is_none() {
            let size = match source.crlf_size(&self.client, 0, source.size()).await? {
                Ok(size) => size,
                Err(error) => return Ok(Err(error)),
            };
            known.size = Some(size);
            self.selected.view.remember_size(known.message.uid, u32::try_from(size).unwrap_or(u32::MAX));
            if let Some(verdict) = self.query.judge(known) {
                return Ok(Ok(verdict));
            }
        }
        if let Err(error) = self.contents.texts(source, &header, known).await? {
            return Ok(Err(error));
        }
        Ok(Ok(self.query.judge(known).unwrap_or(false)))
    }

    /// The day on which a message was received; none if it is gone or bad.
    async fn received(&mut self, uid: Uid) -> Result<Option<Date>, Stop> {
        let attributes = self.selected.find(&self.client, |view| view.attributes(uid)).await;
        Ok(self.unless_bad(uid, attributes)?.map(|attributes| day(attributes.received)))
    }

    /// A fault of one message is logged, and reaches no further.
    fn unless_bad<T>(
        &mut self,
        uid: Uid,
        result: Result<Option<T>, store::Error>,
    ) -> Result<Option<T>, Stop> {
        match result {
            Err(error) if error.reach() > Reach::Command => Err(error.into()),
            Err(error) => {
                self.complain(uid, &error);
                Ok(None)
            }
            Ok(found) => Ok(found),
        }
    }

    /// Says for the first one what is wrong: where a disk is broken, it is wrong with all of them.
    fn complain(&mut self, uid: Uid, error: &dyn std::error::Error) {
        if !std::mem::replace(&mut self.unreadable, true) {
            log::error!("{}message {uid} of {}: {error}", self.client, self.selected.name.wire());
        }
    }
}

/// The day of an INTERNALDATE, which FETCH tells in UTC.
fn day(received: SystemTime) -> Date {
    let seconds = received.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Date::at(i64::try_from(seconds).unwrap_or(i64::MAX), 0)
}

/// The day in a header's `Date`. Where there is none, as where clocks begin.
fn sent(header: &[u8]) -> Date {
    let date = message::Fields::new(header).find(|field| field.is("Date"));
    let day = date.and_then(|date| sent_day(&date.unfolded()));
    day.and_then(|(year, month, day)| Date::new(year, month, day)).unwrap_or_else(|| Date::at(0, 0))
}

const NUMBERS_AT_ONCE: usize = 1000;
