//! A message's file, read in pieces: as much of it as is wanted, and as much at once as one turn may take.
//!
//! A small message is read once, whatever is then asked of it; a large one is never in memory as a whole. Messages are
//! what strangers sent, and a file may shrink while it is read: what is missing then reads as the end.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use message::{CrlfSize, HeaderEnd, Parser, Part};
use store::MessageFile;

use crate::client::Client;
use crate::session::Ending;

/// See above.
pub(crate) struct Source {
    file: File,
    size: u64,
    buffer: Vec<u8>,
    /// Of the file, the buffer holds `filled` bytes from `start` on.
    start: u64,
    filled: usize,
}

/// Either there is something wrong with the file, which reaches no further than the message, or the session is over.
pub(crate) type Reading<T> = Result<io::Result<T>, Ending>;

impl Source {
    /// `buffer` is any that is not needed, for its memory.
    pub(crate) fn new(message: MessageFile, buffer: Vec<u8>) -> Self {
        Self { file: message.file, size: message.attributes.size, buffer, start: 0, filled: 0 }
    }

    /// Bytes as stored.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Its buffer, for the next one.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Some of the bytes from `offset` up to `end`; none at the end.
    pub(crate) fn read(&mut self, offset: u64, end: u64) -> io::Result<&[u8]> {
        let wanted = usize::try_from(end.min(self.size).saturating_sub(offset)).unwrap_or(usize::MAX);
        let skip = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        let skip = match skip.filter(|skip| *skip < self.filled) {
            Some(skip) => skip,
            None if wanted == 0 => return Ok(&[]),
            None => {
                self.fill(offset, PIECE)?;
                0
            }
        };
        let held = self.buffer.get(skip..self.filled).unwrap_or_default();
        Ok(held.get(..wanted).unwrap_or(held))
    }

    fn fill(&mut self, offset: u64, most: usize) -> io::Result<()> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = left.min(most);
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        let room = self.buffer.get_mut(..length).unwrap_or_default();
        (self.start, self.filled) = (offset, 0);
        self.filled = loop {
            match self.file.read_at(room, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        Ok(())
    }

    /// The size, as clients see it, of the bytes from `start` to `end`.
    pub(crate) async fn crlf_size(&mut self, client: &Client, start: u64, end: u64) -> Reading<u64> {
        let mut size = CrlfSize::default();
        self.each(client, start, end, |piece| {
            size.push(piece);
            true
        })
        .await
        .map(|read| read.map(|()| size.size()))
    }

    /// Where the header ends.
    pub(crate) async fn header_end(&mut self, client: &Client) -> Reading<u64> {
        let (mut header, mut at, mut found) = (HeaderEnd::default(), 0, None);
        let size = self.size;
        if self.filled == 0
            && let Err(error) = self.fill(0, HEADER_USUAL)
        {
            return Ok(Err(error));
        }
        self.each(client, 0, size, |piece| {
            found = header.push(piece).map(|length| at + length as u64);
            at += piece.len() as u64;
            found.is_none()
        })
        .await
        .map(|read| read.map(|()| found.unwrap_or(size)))
    }

    /// The bytes from `start` to `end`, but not more than `HEADER_LONGEST`.
    pub(crate) async fn bytes(&mut self, client: &Client, start: u64, end: u64) -> Reading<Vec<u8>> {
        let mut bytes = Vec::new();
        self.each(client, start, end.min(start.saturating_add(HEADER_LONGEST)), |piece| {
            bytes.extend_from_slice(piece);
            true
        })
        .await
        .map(|read| read.map(|()| bytes))
    }

    /// Its parts.
    pub(crate) async fn structure(&mut self, client: &Client) -> Reading<Part> {
        let mut parser = Parser::default();
        self.each(client, 0, self.size, |piece| {
            parser.push(piece);
            true
        })
        .await
        .map(|read| read.map(|()| parser.finish()))
    }

    /// Hands out the bytes from `start` to `end`, until it is told that it is enough.
    async fn each(
        &mut self,
        client: &Client,
        start: u64,
        end: u64,
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> Reading<()> {
        let mut at = start;
        loop {
            let piece = match self.read(at, end) {
                Ok(piece) => piece,
                Err(error) => return Ok(Err(error)),
            };
            at += piece.len() as u64;
            if piece.is_empty() || !take(piece) {
                return Ok(Ok(()));
            }
            if at >= end.min(self.size) {
                return Ok(Ok(()));
            }
            client.breathe().await?;
        }
    }
}

/// What is read at once.
const PIECE: usize = 64 * 1024;
/// Most headers are shorter; where nothing else is wanted, no more is read.
const HEADER_USUAL: usize = 8 * 1024;
/// Fields of a header that begin after this many bytes cannot be picked out of it.
const HEADER_LONGEST: u64 = 1024 * 1024;
