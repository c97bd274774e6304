//! How FETCH and SEARCH look at one message after the other: in the mailbox's cache, which is loaded when it is of use
//! and settled at the end, and then in the files.
//!
//! A fault of one message is logged, and reaches no further than that message.

use std::error::Error as Fault;
use std::rc::Rc;

use store::{Cache, Error, Kind, Message, MessageFile, Reach, Uid};

use super::messages;
use super::reply::Stop;
use super::selected::Selected;
use crate::cache;
use crate::client::Client;

/// See above.
pub(super) struct Reader<'a> {
    pub(super) client: Rc<Client>,
    pub(super) selected: &'a mut Selected,
    /// More messages than can be looked at sooner than the cache.
    pub(super) many: bool,
    /// A message was expunged.
    pub(super) gone: bool,
    /// A message could not be read.
    pub(super) unreadable: bool,
    cache: Option<Cache>,
}

impl<'a> Reader<'a> {
    /// For the messages with these `numbers`.
    pub(super) fn new(client: Rc<Client>, selected: &'a mut Selected, numbers: &[(u32, u32)]) -> Self {
        let many = messages::count(numbers) > cache::FEW;
        Self { client, selected, many, gone: false, unreadable: false, cache: None }
    }

    /// The cache, loaded.
    pub(super) async fn cache(&mut self) -> &mut Cache {
        cache::load(&mut self.cache, &self.client, self.selected.view.mailbox()).await
    }

    /// Has the cache know it next time, if it is loaded.
    pub(super) fn remember(&mut self, kind: Kind, message: &Message, value: &[u8]) {
        if let Some(cache) = &mut self.cache {
            cache.put(kind, message, value);
        }
    }

    /// The same of a message's size, which the mailbox knows from now on, too.
    pub(super) fn remember_size(&mut self, message: &Message, size: u32) {
        self.selected.view.remember_size(message.uid, size);
        self.remember(Kind::Size, message, &size.to_le_bytes());
    }

    /// When a message was received, in seconds since 1970; none if it is not to be had.
    pub(super) async fn received(&mut self, message: &Message) -> Result<Option<i64>, Stop> {
        let attributes = self.selected.find(&self.client, |view| view.attributes(message.uid)).await;
        let Some(attributes) = self.unless_bad(message.uid, attributes)? else { return Ok(None) };
        let seconds = cache::seconds(attributes.received);
        self.remember(Kind::Received, message, &seconds.to_le_bytes());
        Ok(Some(seconds))
    }

    /// A message's file; none if it is not to be had.
    pub(super) async fn open(&mut self, uid: Uid) -> Result<Option<MessageFile>, Stop> {
        let opened = self.selected.find(&self.client, |view| view.open(uid)).await;
        self.unless_bad(uid, opened)
    }

    fn unless_bad<T>(&mut self, uid: Uid, found: Result<Option<T>, Error>) -> Result<Option<T>, Stop> {
        match found {
            // Somebody has deleted it all.
            Err(error @ Error::NoSuchMailbox(_)) => Err(error.into()),
            Err(error) if error.reach() > Reach::Command => Err(error.into()),
            Err(error) => {
                self.complain(uid, &error);
                Ok(None)
            }
            Ok(found) => {
                self.gone |= found.is_none();
                Ok(found)
            }
        }
    }

    /// Says for the first one what is wrong: where a disk is broken, it is wrong with all of them.
    pub(super) fn complain(&mut self, uid: Uid, fault: &dyn Fault) {
        if !std::mem::replace(&mut self.unreadable, true) {
            log::error!("{}message {uid} of {}: {fault}", self.client, self.selected.name.wire());
        }
    }

    /// Writes what the cache is to know.
    pub(super) async fn settle(&mut self) {
        cache::settle(self.cache.take(), &self.client, self.selected.view.mailbox()).await;
    }
}
