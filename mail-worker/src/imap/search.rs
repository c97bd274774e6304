//! SEARCH and UID SEARCH, RFC 3501 section 6.4.4.
//!
//! Of each message no more is looked at than it takes to know: its flags, what the mailbox's cache has of it, its
//! file's attributes, its header, its size, its text. A message that is gone is not found, and neither is one that
//! cannot be read; the answer says so.

mod contents;
mod query;

use std::io;
use std::rc::Rc;

use message::sent_day;
use protocol::imap::{By, Date, SearchKey, response};
use store::{Kind, Message, View};

use super::reader::Reader;
use super::reply::{Outcome, Reply, Stop};
use super::{Imap, messages};
use crate::cache;
use crate::client::Client;
use crate::session::Ending;
use crate::source::Source;

use contents::Contents;
use query::{Known, Query};

pub(super) async fn run(imap: &mut Imap, by: By, key: SearchKey) -> Outcome {
    let client = Rc::clone(&imap.client);
    let selected = imap.selected()?;
    let numbers = candidates(&selected.view, &key);
    let query = Query::new(key, &selected.view);
    let contents = Contents::new(Rc::clone(&client), &query);
    let reader = Reader::new(client, selected, &numbers);
    let mut search = Search { reader, query: &query, contents };
    let mut found = Vec::new();
    for number in numbers.into_iter().flat_map(|(low, high)| low..=high) {
        if number.is_multiple_of(EASY) {
            search.reader.client.breathe().await?;
        }
        let Some(message) = search.reader.selected.view.message_at(number) else { continue };
        if search.is_found(number, message).await? {
            found.push(if by == By::Uid { message.uid.get() } else { number });
        }
    }
    write(&search.reader.client, &found).await?;
    search.reader.settle().await;
    Ok(Reply::ok(match search.reader.unreadable {
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
    let all = || if view.exists() > 0 { vec![(1, view.exists())] } else { Vec::new() };
    found.unwrap_or_else(all)
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
    reader: Reader<'a>,
    query: &'a Query,
    contents: Contents<'a>,
}

impl Search<'_> {
    async fn is_found(&mut self, number: u32, message: Message) -> Result<bool, Stop> {
        let uid = message.uid;
        let mut known = Known::new(number, message);
        if let Some(verdict) = self.query.judge(&known) {
            return Ok(verdict);
        }
        if self.recall(&mut known).await
            && let Some(verdict) = self.query.judge(&known)
        {
            return Ok(verdict);
        }
        self.reader.client.breathe().await?;
        if self.query.needs.received && known.received.is_none() {
            let Some(received) = self.reader.received(&message).await? else { return Ok(false) };
            // In UTC, as FETCH tells it.
            known.received = Some(Date::at(received, 0));
            if let Some(verdict) = self.query.judge(&known) {
                return Ok(verdict);
            }
        }
        let Some(file) = self.reader.open(uid).await? else { return Ok(false) };
        let mut source = Source::new(file, self.contents.take_buffer());
        let read = self.read(&mut source, &mut known).await?;
        self.contents.give_buffer(source.into_buffer());
        match read {
            Ok(verdict) => Ok(verdict),
            Err(error) => {
                self.reader.complain(uid, &error);
                Ok(false)
            }
        }
    }

    /// Has the cache say what it knows. Whether it was asked.
    async fn recall(&mut self, known: &mut Known) -> bool {
        let needs = self.query.needs;
        let size = needs.size && known.size.is_none();
        if !(size || self.reader.many && (needs.received || needs.sent)) {
            return false;
        }
        let cache = self.reader.cache().await;
        let message = &known.message;
        if size {
            known.size = cache::size(cache, message).map(u64::from);
        }
        if needs.received {
            known.received = cache::received(cache, message).map(|seconds| Date::at(seconds, 0));
        }
        if needs.sent {
            known.sent = cache::sent(cache, message);
        }
        true
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
            if known.sent.is_none() {
                let sent = sent(&header);
                known.sent = Some(sent);
                if needs.sent {
                    self.reader.remember(Kind::Sent, &known.message, &cache::sent_bytes(sent));
                }
            }
            self.contents.fields(&header, known).await?;
            if let Some(verdict) = self.query.judge(known) {
                return Ok(Ok(verdict));
            }
        }
        if needs.size && known.size.is_none() {
            let size = match source.crlf_size(&self.reader.client, 0, source.size()).await? {
                Ok(size) => size,
                Err(error) => return Ok(Err(error)),
            };
            known.size = Some(size);
            self.reader.remember_size(&known.message, u32::try_from(size).unwrap_or(u32::MAX));
            if let Some(verdict) = self.query.judge(known) {
                return Ok(Ok(verdict));
            }
        }
        if let Err(error) = self.contents.texts(source, &header, known).await? {
            return Ok(Err(error));
        }
        Ok(Ok(self.query.judge(known).unwrap_or(false)))
    }
}

/// The day in a header's `Date`. Where there is none, as where clocks begin.
fn sent(header: &[u8]) -> Date {
    let date = message::Fields::new(header).find(|field| field.is("Date"));
    let day = date.and_then(|date| sent_day(&date.unfolded()));
    day.and_then(|(year, month, day)| Date::new(year, month, day)).unwrap_or_else(|| Date::at(0, 0))
}

/// So many messages of which nothing has to be read take a fraction of a turn.
const EASY: u32 = 32;
const NUMBERS_AT_ONCE: usize = 1000;
