//! `BODY[...]` and its kin: bytes of a message as a literal, RFC 3501 section 6.4.5.
//!
//! A literal's size is said before its bytes, and clients see line ends as CRLF, whatever is stored; so what is sent
//! is counted first. Clients that fetch a large message in slices have that done once, and each slice begin where the
//! last one ended.

use std::rc::Rc;

use message::{Choice, Crlf, Part, Piece};
use protocol::imap::{Content, SectionText, response};
use store::Uid;

use super::super::reply::Stop;
use crate::client::Client;
use crate::session::Ending;
use crate::source::Source;

/// Where the last slice of a section ended.
pub(in super::super) struct Resume {
    uid: Uid,
    section: protocol::imap::Section,
    /// Of the section, as stored; and its size as clients see it.
    start: u64,
    end: u64,
    crlf_size: u64,
    crlf: Crlf,
}

impl Resume {
    /// Whether it is where a slice of the same ended.
    pub(super) fn is_of(&self, uid: Uid, content: &Content) -> bool {
        self.uid == uid && self.section == content.section
    }
}

/// What a section comes to.
enum Section {
    /// There is none.
    Missing,
    /// Bytes of the message, from and to, and their size as clients see it where that is known.
    Stored(u64, u64, Option<u64>),
    /// Some fields of a header.
    Made(Vec<u8>),
}

/// Writes the item: its name and what it asks for.
pub(super) async fn write(
    client: &Rc<Client>,
    content: &Content,
    uid: Uid,
    source: &mut Source,
    structure: Option<&Part>,
    resume: &mut Option<Box<Resume>>,
) -> Result<(), Stop> {
    let known = resume.as_ref().filter(|resume| resume.is_of(uid, content));
    let known = known.map(|known| Section::Stored(known.start, known.end, Some(known.crlf_size)));
    let found = match known {
        Some(section) => Ok(section),
        None => find(client, content, source, structure).await?,
    };
    let section = match found {
        Ok(section) => section,
        Err(error) => return Err(unreadable(client, uid, &error).into()),
    };
    client.write(|out| {
        content.write_name(out);
        out.push(b' ');
    });
    match section {
        Section::Missing => client.write(|out| out.extend_from_slice(b"NIL")),
        Section::Made(bytes) => {
            let partial = content.partial.map_or((0, u64::MAX), |partial| (partial.start, partial.length));
            let start = bytes.len().min(usize::try_from(partial.0).unwrap_or(usize::MAX));
            let wanted = bytes.get(start..).unwrap_or_default();
            let wanted =
                usize::try_from(partial.1).ok().and_then(|most| wanted.get(..most)).unwrap_or(wanted);
            client.write(|out| {
                response::literal_start(out, wanted.len() as u64);
                out.extend_from_slice(wanted);
            });
        }
        Section::Stored(start, end, crlf_size) => {
            let slice = Slice { uid, start, end, crlf_size };
            if let Err(error) = slice.send(client, content, source, resume).await? {
                return Err(unreadable(client, uid, &error).into());
            }
        }
    }
    Ok(())
}

/// In the middle of an answer nothing else can be said.
fn unreadable(client: &Client, uid: Uid, error: &std::io::Error) -> Ending {
    log::error!("{client}reading message {uid}: {error}");
    Ending::Failed("A message cannot be read.")
}

async fn find(
    client: &Client,
    content: &Content,
    source: &mut Source,
    structure: Option<&Part>,
) -> Result<std::io::Result<Section>, Ending> {
    let size = source.size();
    let text = &content.section.text;
    let (start, end, crlf_size) = match content.section.part.is_empty() {
        false => {
            let Some(structure) = structure else { return Ok(Ok(Section::Missing)) };
            let path: Vec<u32> = content.section.part.iter().map(|number| number.get()).collect();
            let Some(span) = structure.section(&path, piece(text)) else { return Ok(Ok(Section::Missing)) };
            (span.start.offset, span.end.offset, Some(span.crlf_size()))
        }
        true if *text == SectionText::All => (0, size, None),
        true => {
            let header_end = match source.header_end(client).await? {
                Ok(end) => end,
                Err(error) => return Ok(Err(error)),
            };
            if *text == SectionText::Text { (header_end, size, None) } else { (0, header_end, None) }
        }
    };
    let (choice, names) = match text {
        SectionText::HeaderFields(names) => (Choice::Named, names),
        SectionText::HeaderFieldsNot(names) => (Choice::NotNamed, names),
        _ => return Ok(Ok(Section::Stored(start, end, crlf_size))),
    };
    let header = source.bytes(client, start, end).await?;
    Ok(header.map(|header| {
        let mut bytes = Vec::new();
        message::select(&header, choice, names, &mut bytes);
        Section::Made(bytes)
    }))
}

fn piece(text: &SectionText) -> Piece {
    match text {
        SectionText::All => Piece::Whole,
        SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => Piece::Header,
        SectionText::Text => Piece::Text,
        SectionText::Mime => Piece::Mime,
    }
}

/// Stored bytes of a message, some of which are wanted.
struct Slice {
    uid: Uid,
    start: u64,
    end: u64,
    crlf_size: Option<u64>,
}

impl Slice {
    async fn send(
        &self,
        client: &Rc<Client>,
        content: &Content,
        source: &mut Source,
        resume: &mut Option<Box<Resume>>,
    ) -> Result<std::io::Result<()>, Ending> {
        let before = resume.take().filter(|before| before.is_of(self.uid, content));
        let known = self.crlf_size.or(before.as_ref().map(|before| before.crlf_size));
        let size = match known {
            Some(size) => size,
            None => match source.crlf_size(client, self.start, self.end).await? {
                Ok(size) => size,
                Err(error) => return Ok(Err(error)),
            },
        };
        let (from, most) = content.partial.map_or((0, u64::MAX), |partial| (partial.start, partial.length));
        let length = size.saturating_sub(from).min(most);
        client.write(|out| response::literal_start(out, length));
        let again = before.and_then(|before| before.crlf.resume(from, length));
        let mut crlf = again.unwrap_or_else(|| Crlf::window(from, length));
        let mut left = length;
        while left > 0 {
            let piece = match source.read(self.start + crlf.offset(), self.end) {
                Ok([]) => return Ok(Err(std::io::ErrorKind::UnexpectedEof.into())),
                Ok(piece) => piece,
                Err(error) => return Ok(Err(error)),
            };
            left -= client.write(|out| {
                let length = out.len();
                crlf.push(piece, out);
                (out.len() - length) as u64
            });
            if left > 0 {
                client.breathe().await?;
            }
        }
        if content.partial.is_some() {
            let Self { uid, start, end, .. } = *self;
            let section = content.section.clone();
            *resume = Some(Box::new(Resume { uid, section, start, end, crlf_size: size, crlf }));
        }
        Ok(Ok(()))
    }
}
