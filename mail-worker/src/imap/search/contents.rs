//! Looking for texts in a message: in fields of its header, in its texts as people read them, in the headers of its
//! parts. Never more of it is in memory than a piece and the longest text looked for; each piece, and each text looked
//! for in it, may end the turn.

use std::io;
use std::mem::take;
use std::rc::Rc;

use message::{Content, Fields, Part, Stretch, TextReader, Window};

use super::query::{Known, Place, Query};
use crate::client::Client;
use crate::session::Ending;
use crate::source::{Reading, Source};

/// See above.
pub(super) struct Contents<'a> {
    client: Rc<Client>,
    query: &'a Query,
    window: Window,
    /// A header, or some of it, as text.
    text: String,
    /// Of the last source, for the next one.
    buffer: Vec<u8>,
}

impl<'a> Contents<'a> {
    pub(super) fn new(client: Rc<Client>, query: &'a Query) -> Self {
        let window = Window::new(query.longest());
        Self { client, query, window, text: String::new(), buffer: Vec::new() }
    }

    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        take(&mut self.buffer)
    }

    pub(super) fn give_buffer(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }

    /// The header of a message.
    pub(super) async fn header(&self, source: &mut Source) -> Reading<Vec<u8>> {
        match source.header_end(&self.client).await? {
            Ok(end) => source.bytes(&self.client, 0, end).await,
            Err(error) => Ok(Err(error)),
        }
    }

    /// Looks for texts in the fields where they have to be. Which are there is known afterwards.
    pub(super) async fn fields(&mut self, header: &[u8], known: &mut Known) -> Result<(), Ending> {
        known.found.resize(self.query.texts.len(), None);
        for field in Fields::new(header) {
            let mut is_read = false;
            for (text, found) in self.query.texts.iter().zip(&mut known.found) {
                let is_wanted = matches!(&text.place, Place::Field(name) if field.is(name));
                if !is_wanted || found.is_some() {
                    continue;
                }
                if !is_read {
                    self.text.clear();
                    field.decode(&mut self.text);
                    // `a (comment) @ b` is found by `a@b`, too: an envelope has it so (RFC 3501, section 6.4.4).
                    field.addresses(&mut self.text);
                    self.window.clear();
                    self.window.push(&self.text);
                    is_read = true;
                }
                if text.needle.is_in(&self.window) {
                    *found = Some(true);
                }
                self.client.breathe().await?;
            }
        }
        for (text, found) in self.query.texts.iter().zip(&mut known.found) {
            if matches!(text.place, Place::Field(_)) {
                found.get_or_insert(false);
            }
        }
        Ok(())
    }

    /// Looks for texts in all of a message until that is enough for a verdict, or there is no more.
    pub(super) async fn texts(
        &mut self,
        source: &mut Source,
        header: &[u8],
        known: &mut Known,
    ) -> Reading<()> {
        let is_anywhere = self.query.texts.iter().any(|text| text.place == Place::Anywhere);
        if is_anywhere && self.look_in_header(header, known).await? {
            return Ok(Ok(()));
        }
        let stretches = match self.stretches(source, header).await? {
            Ok(stretches) => stretches,
            Err(error) => return Ok(Err(error)),
        };
        for stretch in stretches {
            let is_enough = match stretch.coding {
                Some(coding) => self.look_in_text(source, &stretch, TextReader::new(coding), known).await?,
                None if is_anywhere => match source.bytes(&self.client, stretch.start, stretch.end).await? {
                    Ok(header) => Ok(self.look_in_header(&header, known).await?),
                    Err(error) => Err(error),
                },
                None => Ok(false),
            };
            match is_enough {
                Ok(true) => return Ok(Ok(())),
                Ok(false) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        for found in &mut known.found {
            found.get_or_insert(false);
        }
        Ok(Ok(()))
    }

    /// The header alone says where the text is, unless there are parts.
    async fn stretches(&self, source: &mut Source, header: &[u8]) -> Reading<Vec<Stretch>> {
        let message = message::structure(header);
        if matches!(message.content, Content::Leaf | Content::Opaque) {
            let start = match source.header_end(&self.client).await? {
                Ok(start) => start,
                Err(error) => return Ok(Err(error)),
            };
            let end = source.size();
            let text = message.coding().map(|coding| Stretch { start, end, coding: Some(coding) });
            return Ok(Ok(Vec::from_iter(text)));
        }
        Ok(source.structure(&self.client).await?.map(|message: Part| message.stretches()))
    }

    /// Whether a header made for a verdict.
    async fn look_in_header(&mut self, header: &[u8], known: &mut Known) -> Result<bool, Ending> {
        self.window.clear();
        self.text.clear();
        for field in Fields::new(header) {
            if !field.name.is_empty() {
                self.text.push_str(&String::from_utf8_lossy(field.name));
                self.text.push_str(": ");
            }
            field.decode(&mut self.text);
            self.text.push('\n');
            if self.text.len() >= PIECE {
                self.window.push(&self.text);
                self.text.clear();
                if self.look(true, known).await? {
                    return Ok(true);
                }
            }
        }
        self.window.push(&self.text);
        self.look(true, known).await
    }

    /// Whether a text made for a verdict.
    async fn look_in_text(
        &mut self,
        source: &mut Source,
        stretch: &Stretch,
        mut reader: TextReader,
        known: &mut Known,
    ) -> Result<io::Result<bool>, Ending> {
        self.window.clear();
        let mut at = stretch.start;
        while at < stretch.end {
            let piece = match source.read(at, stretch.end) {
                Ok([]) => break,
                Ok(piece) => piece.get(..PIECE).unwrap_or(piece),
                Err(error) => return Ok(Err(error)),
            };
            at += piece.len() as u64;
            self.window.push(reader.push(piece));
            if self.look(false, known).await? {
                return Ok(Ok(true));
            }
        }
        self.window.push(reader.finish());
        self.look(false, known).await.map(Ok)
    }

    /// Looks for what has not been found where it may be; whether that made for a verdict.
    async fn look(&self, in_header: bool, known: &mut Known) -> Result<bool, Ending> {
        let mut is_news = false;
        for (text, found) in self.query.texts.iter().zip(&mut known.found) {
            let may_be_here = match text.place {
                Place::Field(_) => false,
                Place::Body => !in_header,
                Place::Anywhere => true,
            };
            if may_be_here && found.is_none() && text.needle.is_in(&self.window) {
                *found = Some(true);
                is_news = true;
            }
            self.client.breathe().await?;
        }
        Ok(is_news && self.query.judge(known).is_some())
    }
}

/// So much text is looked at at once.
const PIECE: usize = 16 * 1024;
