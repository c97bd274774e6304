//! The messages as they were at login, under the numbers that they had then: what RFC 1939 calls the maildrop.
//!
//! What others deliver meanwhile is not seen; what others delete stays in the list, and whoever asks for it is told that
//! it is gone. With pop3_lock_session others delete nothing: then it is locked, as the RFC has it.

use std::io;
use std::num::NonZeroU32;
use std::rc::{Rc, Weak};
use std::time::Duration;

use store::{
    Access, Cache, Change, Error, Expunges, Flag, Flags, Found, Hold, Kind, Mailbox, Now, Pop3Record, Uid,
    View,
};

use super::reply::Stop;
use crate::cache;
use crate::client::Client;
use crate::source::Source;

/// See above.
pub(super) struct Maildrop {
    pub(super) client: Rc<Client>,
    pub(super) view: View,
    /// It is ours alone until this is let go.
    pub(super) hold: Option<Rc<Hold>>,
    /// The mail that the mailbox was opened in.
    pub(super) mail: Rc<store::User>,
    pub(super) letters: Vec<Letter>,
    /// The highest number of a message that was read, now and at login; 0 is none.
    pub(super) last: u32,
    pub(super) last_before: u32,
    pub(super) uid_validity: u32,
    /// What another server said of messages, by UID.
    pub(super) records: Vec<Pop3Record>,
    /// The unique ids in the order of the letters, where they had to be told apart; none of one that was gone.
    pub(super) ids: Option<Vec<Option<Box<str>>>>,
}

/// One message.
pub(super) struct Letter {
    pub(super) uid: Uid,
    /// Once it is known.
    pub(super) size: Option<u64>,
    pub(super) deleted: bool,
}

impl Maildrop {
    /// If the user's mail had to be loaded anew since, goes on there. The numbers stay what they are.
    pub(super) async fn renew(&mut self) -> Result<(), Error> {
        let mail = self.client.user.mail();
        if Rc::ptr_eq(&self.mail, &mail) {
            return Ok(());
        }
        let mailbox = mail.open(INBOX, self.client.now())?;
        let mut view = another_view(&mailbox, self.view.access(), self.hold.as_ref());
        self.client.sync(&mailbox, PATIENCE).await?;
        if mailbox.status().uid_validity != self.uid_validity {
            return Err(Error::Replaced);
        }
        view.update(Expunges::Tell)?;
        (self.view, self.mail) = (view, mail);
        Ok(())
    }

    /// By what it is ours alone, if it is.
    pub(super) fn hold(&self) -> Weak<Hold> {
        self.hold.as_ref().map(Rc::downgrade).unwrap_or_default()
    }

    /// Others may have it again.
    pub(super) fn release(&mut self) {
        self.hold = None;
    }

    /// A message that is not marked as deleted.
    pub(super) fn letter(&self, number: NonZeroU32) -> Result<&Letter, Stop> {
        match index(number).and_then(|index| self.letters.get(index)) {
            None => Err(Stop::Command(format!("There is no message {number}.").into())),
            Some(letter) if letter.deleted => Err(Stop::Command("The message is marked as deleted.".into())),
            Some(letter) => Ok(letter),
        }
    }

    pub(super) fn letter_mut(&mut self, number: NonZeroU32) -> Result<&mut Letter, Stop> {
        self.letter(number)?;
        index(number).and_then(|index| self.letters.get_mut(index)).ok_or_else(Stop::gone)
    }

    /// The numbers of all messages that are not marked as deleted.
    pub(super) fn numbers(&self) -> Vec<NonZeroU32> {
        let all = (1..).map_while(NonZeroU32::new).zip(&self.letters);
        all.filter(|(_, letter)| !letter.deleted).map(|(number, _)| number).collect()
    }

    /// All that QUIT is to delete.
    pub(super) fn marked(&self) -> Vec<Uid> {
        self.letters.iter().filter(|letter| letter.deleted).map(|letter| letter.uid).collect()
    }

    /// Takes all marks back.
    pub(super) fn reset(&mut self) {
        self.letters.iter_mut().for_each(|letter| letter.deleted = false);
        self.last = self.last_before;
    }
}

// Sizes.
impl Maildrop {
    /// How many messages there are, and their size. What has to be found out for that, the mailbox's cache keeps.
    pub(super) async fn totals(&mut self) -> Result<(usize, u64), Stop> {
        let numbers = self.numbers();
        let many = numbers.len() > cache::FEW as usize;
        let mut cache = None;
        let mut total: u64 = 0;
        for &number in &numbers {
            let size = match self.known_size(number) {
                Some(size) => size,
                None if many => self.size_by(&mut cache, number).await?,
                None => self.size(number).await?,
            };
            total = total.saturating_add(size);
            self.client.breathe().await?;
        }
        cache::settle(cache, &self.client, self.view.mailbox()).await;
        Ok((numbers.len(), total))
    }

    async fn size_by(&mut self, place: &mut Option<Cache>, number: NonZeroU32) -> Result<u64, Stop> {
        let uid = self.letter(number)?.uid;
        let Some(message) = self.view.message(uid) else { return self.size(number).await };
        let cache = cache::load(place, &self.client, self.view.mailbox()).await;
        if let Some(size) = cache::size(cache, &message) {
            self.view.remember_size(uid, size);
            self.note_size(number, size.into());
            return Ok(size.into());
        }
        let size = self.size(number).await?;
        if let Ok(small) = u32::try_from(size) {
            cache.put(Kind::Size, &message, &small.to_le_bytes());
        }
        Ok(size)
    }

    /// A message's size, found out if it must be. 0 for one that was gone before anybody could.
    pub(super) async fn size(&mut self, number: NonZeroU32) -> Result<u64, Stop> {
        if let Some(size) = self.known_size(number) {
            return Ok(size);
        }
        let uid = self.letter(number)?.uid;
        let size = match self.measure(uid).await {
            Err(Stop::Store(error @ Error::NotAFile(_))) => {
                log::warn!("{}{error}", self.client);
                0
            }
            measured => measured?,
        };
        self.note_size(number, size);
        Ok(size)
    }

    /// A message's size, if that takes no look at its text.
    pub(super) fn known_size(&mut self, number: NonZeroU32) -> Option<u64> {
        let letter = self.letter(number).ok()?;
        if letter.size.is_some() {
            return letter.size;
        }
        let size = self.view.message(letter.uid)?.size?.into();
        self.note_size(number, size);
        Some(size)
    }

    fn note_size(&mut self, number: NonZeroU32, size: u64) {
        let tally = &self.client.tally().size;
        tally.set(tally.get().saturating_add(size));
        if let Some(letter) = index(number).and_then(|index| self.letters.get_mut(index)) {
            letter.size = Some(size);
        }
    }

    async fn measure(&mut self, uid: Uid) -> Result<u64, Stop> {
        let Some(mut source) = self.open_file(uid).await? else { return Ok(0) };
        let read = source.crlf_size(&self.client, 0, source.size()).await?;
        let size = read.map_err(|error| self.cannot_read(error))?;
        if let Ok(small) = u32::try_from(size) {
            self.view.remember_size(uid, small);
        }
        Ok(size)
    }
}

// Messages.
impl Maildrop {
    /// Opens a message; none if it is gone.
    pub(super) async fn open_file(&mut self, uid: Uid) -> Result<Option<Source>, Error> {
        let found = self.find(|view, _| view.open(uid)).await?;
        Ok(found.map(|file| Source::new(file, Vec::new())))
    }

    /// Removes a message; none if it was gone.
    pub(super) async fn expunge(&mut self, uid: Uid) -> Result<Option<()>, Error> {
        if self.view.access() == Access::ReadOnly {
            // It was opened so that flags stay as they are.
            self.view = another_view(self.view.mailbox(), Access::ReadWrite, self.hold.as_ref());
        }
        self.find(|view, now| view.expunge(uid, now)).await
    }

    /// The client has read a message.
    pub(super) async fn read(&mut self, number: NonZeroU32) {
        self.last = self.last.max(number.get());
        let Ok(&Letter { uid, .. }) = self.letter(number) else { return };
        if self.view.access() == Access::ReadOnly {
            return;
        }
        let seen = Change::Add(Flags::default().with(Flag::Seen));
        if let Err(error) = self.find(|view, now| view.store(uid, seen, now)).await {
            log::warn!("{}{error}", self.client);
        }
    }

    /// The name of a message's file, without flags.
    pub(super) fn file_name(&self, uid: Uid) -> Option<Vec<u8>> {
        self.view.file_name(uid)
    }

    /// The unique id that a message has from another server.
    pub(super) fn foreign_id(&self, uid: Uid) -> Option<&[u8]> {
        let found = self.records.binary_search_by_key(&uid, |record| record.uid).ok();
        self.records.get(found?)?.id.as_deref()
    }

    pub(super) fn cannot_read(&self, source: io::Error) -> Error {
        Error::Io { doing: "read a message of", path: self.view.mailbox().path().to_owned(), source }
    }

    /// Does `work` on a message, wherever other programs may have moved it.
    async fn find<T>(
        &mut self,
        mut work: impl FnMut(&mut View, Now) -> Result<Found<T>, Error>,
    ) -> Result<Option<T>, Error> {
        for _ in 0..TRIES {
            match work(&mut self.view, self.client.now())? {
                Found::Here(done) => return Ok(Some(done)),
                Found::Gone => return Ok(None),
                Found::Moved => {
                    let mailbox = Rc::clone(self.view.mailbox());
                    self.client.sync(&mailbox, PATIENCE).await?;
                }
            }
        }
        let path = self.view.mailbox().path().to_owned();
        let source = io::Error::other("a message moves too fast");
        Err(Error::Io { doing: "find a message of", path, source })
    }
}

impl Drop for Maildrop {
    fn drop(&mut self) {
        self.client.user.stirred.set(true);
    }
}

/// A view that may do what the one before it might.
pub(super) fn another_view(mailbox: &Rc<Mailbox>, access: Access, hold: Option<&Rc<Hold>>) -> View {
    let view = mailbox.view(access);
    hold.into_iter().for_each(|hold| view.bear(hold));
    view
}

fn index(number: NonZeroU32) -> Option<usize> {
    usize::try_from(number.get()).ok()?.checked_sub(1)
}

pub(super) const INBOX: &[u8] = b"INBOX";
/// How long a lock may keep messages from being seen.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How often a message is looked for that other programs rename meanwhile.
const TRIES: u8 = 5;
