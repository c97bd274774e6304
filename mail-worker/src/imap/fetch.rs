//! FETCH and UID FETCH, RFC 3501 section 6.4.5.
//!
//! Of each message no more is looked at than the items need: its name, what the mailbox's cache has of it, its file's
//! attributes, its header, all of it. A message that is gone (RFC 2180, section 4.1), or whose file cannot be read, is
//! left out, and the answer says so; of one that was asked for by its UID and is gone, RFC 3501 wants no complaint.

mod content;
mod wanted;

use std::io;
use std::rc::Rc;

use message::Part;
use protocol::imap::{By, Code, FetchItem, SequenceSet, response};
use store::{Change, Flag, Flags, Kind, Message, Reach, Uid};

use super::reader::Reader;
use super::reply::{Outcome, Reply, Stop};
use super::{Imap, flags, messages};
use crate::cache;
use crate::session::Ending;
use crate::source::Source;

pub(super) use content::Resume;
use wanted::Wanted;

pub(super) async fn run(imap: &mut Imap, by: By, set: SequenceSet, items: Vec<FetchItem>) -> Outcome {
    let client = Rc::clone(&imap.client);
    let selected = imap.selected()?;
    let numbers = messages::numbers(&selected.view, by, &set).map_err(Stop::Command)?;
    let keywords = selected.view.mailbox().keywords();
    let reader = Reader::new(client, selected, &numbers);
    let mut fetch = Fetch { reader, wanted: Wanted::new(items), keywords, buffer: Vec::new() };
    for number in numbers.into_iter().flat_map(|(low, high)| low..=high) {
        // Not after the last one: what ends the answer goes with it.
        fetch.reader.client.breathe().await?;
        fetch.message(number).await?;
    }
    fetch.reader.settle().await;
    Ok(match (fetch.reader.unreadable, fetch.reader.gone, by) {
        (true, ..) => Reply::no(Some(Code::ServerBug), "Some messages cannot be read."),
        (false, true, By::Sequence) => Reply::no(Some(Code::ExpungeIssued), EXPUNGED),
        (false, true, By::Uid) => Reply::ok(EXPUNGED).with_code(Code::ExpungeIssued),
        (false, false, _) => Reply::ok("Fetch completed."),
    })
}

/// One command at work.
struct Fetch<'a> {
    reader: Reader<'a>,
    wanted: Wanted,
    keywords: Vec<String>,
    /// Of the last source, for the next one.
    buffer: Vec<u8>,
}

/// What of a message the items need.
struct Looked {
    message: Message,
    /// The client is told its flags unasked, since they changed.
    flags_changed: bool,
    source: Option<Source>,
    size: Option<u32>,
    /// Seconds since 1970.
    received: Option<i64>,
    envelope: Option<Vec<u8>>,
    body: Option<Vec<u8>>,
    bodystructure: Option<Vec<u8>>,
    /// For contents.
    structure: Option<Part>,
}

impl Fetch<'_> {
    /// Answers for one message, if it is to be had.
    async fn message(&mut self, number: u32) -> Result<(), Stop> {
        let Some(message) = self.reader.selected.view.message_at(number) else {
            self.reader.gone |= self.reader.selected.view.uid(number).is_some();
            return Ok(());
        };
        let Some(mut looked) = self.look(message).await? else { return Ok(()) };
        if (self.wanted.flags || looked.flags_changed)
            && let Some(keywords) = self.reader.selected.show(&self.reader.client, &looked.message)
        {
            self.keywords = keywords;
        }
        self.reader.client.write(|out| response::fetch_start(out, number));
        self.reader.client.set_within(looked.source.is_some());
        let mut before: &[u8] = b"";
        for index in 0..self.wanted.items.len() {
            self.reader.client.write(|out| out.extend_from_slice(before));
            before = b" ";
            self.item(index, &mut looked).await?;
        }
        self.reader.client.write(|out| {
            if looked.flags_changed {
                out.extend_from_slice(before);
                flags::write(out, &looked.message, &self.keywords);
            }
            response::fetch_end(out);
        });
        self.reader.client.set_within(false);
        if let Some(source) = looked.source {
            self.buffer = source.into_buffer();
        }
        Ok(())
    }

    /// Looks at a message, as closely as is needed. None if it is gone or cannot be read.
    async fn look(&mut self, message: Message) -> Result<Option<Looked>, Stop> {
        let uid = message.uid;
        let mut looked = Looked {
            message,
            flags_changed: false,
            source: None,
            size: message.size,
            received: None,
            envelope: None,
            body: None,
            bodystructure: None,
            structure: None,
        };
        self.recall(&mut looked).await;
        if self.wanted.content || self.lacks(&looked) {
            let Some(file) = self.reader.open(uid).await? else { return Ok(None) };
            looked.received = Some(cache::seconds(file.attributes.received));
            let mut source = Source::new(file, std::mem::take(&mut self.buffer));
            let read = self.read(&mut source, &mut looked).await?;
            looked.source = Some(source);
            if let Err(error) = read {
                self.reader.complain(uid, &error);
                return Ok(None);
            }
        } else if self.wanted.date && looked.received.is_none() {
            let Some(received) = self.reader.received(&message).await? else { return Ok(None) };
            looked.received = Some(received);
        }
        // Last: what cannot be read stays unread.
        looked.flags_changed = self.wanted.marks_seen && self.mark_seen(&mut looked.message).await?;
        Ok(Some(looked))
    }

    /// Has the cache say what it knows.
    async fn recall(&mut self, looked: &mut Looked) {
        let Wanted { size, date, envelope, body, bodystructure, content, .. } = self.wanted;
        let size = size && looked.size.is_none();
        let headers = (date || envelope) && self.reader.many && !content;
        if !(size || headers || body || bodystructure) {
            return;
        }
        let cache = self.reader.cache().await;
        let message = &looked.message;
        if size {
            looked.size = cache::size(cache, message);
        }
        if date {
            looked.received = cache::received(cache, message);
        }
        let mut text =
            |wanted: bool, kind| wanted.then(|| cache.get(kind, message).map(<[u8]>::to_vec)).flatten();
        looked.envelope = text(envelope, Kind::Envelope);
        looked.body = text(body, Kind::Body);
        looked.bodystructure = text(bodystructure, Kind::BodyStructure);
    }

    /// Whether the file has to be read for something else than contents.
    fn lacks(&self, looked: &Looked) -> bool {
        let Wanted { size, envelope, .. } = self.wanted;
        size && looked.size.is_none() || envelope && looked.envelope.is_none() || self.lacks_structure(looked)
    }

    fn lacks_structure(&self, looked: &Looked) -> bool {
        let Wanted { body, bodystructure, .. } = self.wanted;
        body && looked.body.is_none() || bodystructure && looked.bodystructure.is_none()
    }

    /// Reads what is lacking.
    async fn read(&mut self, source: &mut Source, looked: &mut Looked) -> Result<io::Result<()>, Ending> {
        let message = looked.message;
        if self.wanted.size && looked.size.is_none() {
            let size = match source.crlf_size(&self.reader.client, 0, source.size()).await? {
                Ok(size) => u32::try_from(size).unwrap_or(u32::MAX),
                Err(error) => return Ok(Err(error)),
            };
            looked.size = Some(size);
            self.reader.remember_size(&message, size);
        }
        if self.lacks_structure(looked) || self.needs_parts(message.uid) {
            let structure = match source.structure(&self.reader.client).await? {
                Ok(structure) => structure,
                Err(error) => return Ok(Err(error)),
            };
            self.describe(&structure, looked);
            looked.structure = Some(structure);
        }
        if self.wanted.envelope && looked.envelope.is_none() {
            let end = match source.header_end(&self.reader.client).await? {
                Ok(end) => end,
                Err(error) => return Ok(Err(error)),
            };
            let header = match source.bytes(&self.reader.client, 0, end).await? {
                Ok(header) => header,
                Err(error) => return Ok(Err(error)),
            };
            let mut envelope = Vec::new();
            message::write_envelope(&header, &mut envelope);
            self.reader.remember(Kind::Envelope, &message, &envelope);
            looked.envelope = Some(envelope);
        }
        Ok(Ok(()))
    }

    fn describe(&mut self, structure: &Part, looked: &mut Looked) {
        let message = looked.message;
        let mut made = |kind, wanted: bool, place: &mut Option<Vec<u8>>, write: fn(&Part, &mut Vec<u8>)| {
            if wanted && place.is_none() {
                let mut text = Vec::new();
                write(structure, &mut text);
                self.reader.remember(kind, &message, &text);
                *place = Some(text);
            }
        };
        let Wanted { envelope, body, bodystructure, .. } = self.wanted;
        made(Kind::Envelope, envelope, &mut looked.envelope, Part::write_envelope);
        made(Kind::Body, body, &mut looked.body, Part::write_body);
        made(Kind::BodyStructure, bodystructure, &mut looked.bodystructure, Part::write_bodystructure);
    }

    /// Whether parts have to be found: not again for each slice of the same one.
    fn needs_parts(&self, uid: Uid) -> bool {
        let mut contents = self.wanted.contents();
        match (contents.next(), contents.next()) {
            (Some(only), None) => {
                let known =
                    self.reader.selected.resume.as_ref().is_some_and(|resume| resume.is_of(uid, only));
                !only.section.part.is_empty() && !known
            }
            _ => self.wanted.contents().any(|content| !content.section.part.is_empty()),
        }
    }

    /// Sets `\Seen`; whether that changed anything. Where it cannot be stored, reading goes on all the same.
    async fn mark_seen(&mut self, message: &mut Message) -> Result<bool, Stop> {
        if self.reader.selected.is_read_only() || message.flags.has(Flag::Seen) {
            return Ok(false);
        }
        let (uid, now) = (message.uid, self.reader.client.now());
        let change = Change::Add(Flags::NONE.with(Flag::Seen));
        let stored =
            self.reader.selected.find(&self.reader.client, |view| view.store(uid, change, now)).await;
        match stored {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(false),
            Err(error) if error.reach() > Reach::Command => return Err(error.into()),
            Err(error) => {
                log::warn!(
                    "{}message {uid} of {}: {error}",
                    self.reader.client,
                    self.reader.selected.name.wire()
                );
                self.wanted.marks_seen = false;
                return Ok(false);
            }
        }
        let Some(changed) = self.reader.selected.view.message(uid) else { return Ok(false) };
        *message = changed;
        Ok(!self.wanted.flags)
    }

    async fn item(&mut self, index: usize, looked: &mut Looked) -> Result<(), Stop> {
        let Some(item) = self.wanted.items.get(index) else { return Ok(()) };
        if let FetchItem::Content(content) = item {
            if let Some(source) = &mut looked.source {
                let uid = looked.message.uid;
                let (client, resume) = (&self.reader.client, &mut self.reader.selected.resume);
                content::write(client, content, uid, source, looked.structure.as_ref(), resume).await?;
            }
            return Ok(());
        }
        self.reader.client.write(|out| write(out, item, looked, &self.keywords));
        Ok(())
    }
}

/// All items but contents.
fn write(out: &mut Vec<u8>, item: &FetchItem, looked: &Looked, keywords: &[String]) {
    match item {
        FetchItem::Flags => flags::write(out, &looked.message, keywords),
        FetchItem::Uid => {
            out.extend_from_slice(b"UID ");
            response::number(out, looked.message.uid.get().into());
        }
        FetchItem::Rfc822Size => {
            out.extend_from_slice(b"RFC822.SIZE ");
            response::number(out, looked.size.unwrap_or(0).into());
        }
        FetchItem::InternalDate => {
            response::internal_date(out, looked.received.unwrap_or(0), 0);
        }
        FetchItem::Envelope => text(out, b"ENVELOPE ", &looked.envelope),
        FetchItem::Body => text(out, b"BODY ", &looked.body),
        FetchItem::BodyStructure => text(out, b"BODYSTRUCTURE ", &looked.bodystructure),
        FetchItem::Content(_) => {}
    }
}

fn text(out: &mut Vec<u8>, name: &[u8], value: &Option<Vec<u8>>) {
    out.extend_from_slice(name);
    out.extend_from_slice(value.as_deref().unwrap_or_default());
}

const EXPUNGED: &str = "Some messages were expunged.";
