//! RETR, RFC 1939 section 5, and TOP, section 7. A message is never in memory as a whole.

use std::num::NonZeroU32;
use std::rc::Rc;

use message::HeaderEnd;
use protocol::pop3::{DotWriter, ok};

use super::Pop3;
use super::reply::{Outcome, Reply, Stop};
use crate::settings::Pop3 as Settings;

pub(super) async fn retr(pop3: &mut Pop3, number: NonZeroU32) -> Outcome {
    let sent = send(pop3, number, DotWriter::whole()).await?;
    pop3.client.tally().retr.add(sent);
    pop3.maildrop.read(number).await;
    Ok(Reply::Written)
}

pub(super) async fn top(pop3: &mut Pop3, number: NonZeroU32, lines: u64) -> Outcome {
    let sent = send(pop3, number, DotWriter::top(lines)).await?;
    pop3.client.tally().top.add(sent);
    Ok(Reply::Written)
}

/// Writes answer and message; how many bytes the message took.
async fn send(pop3: &mut Pop3, number: NonZeroU32, mut writer: DotWriter) -> Result<u64, Stop> {
    let uid = pop3.maildrop.letter(number)?.uid;
    let mut source = pop3.maildrop.open_file(uid).await?.ok_or_else(Stop::gone)?;
    let client = Rc::clone(&pop3.client);
    let mut cure = Cure::new(&client.user.settings.pop3);
    client.set_within(true);
    client.write(|out| match pop3.maildrop.known_size(number) {
        Some(size) => ok(out, &format!("{size} octets")),
        None => ok(out, "Message follows"),
    });
    let (mut sent, mut at) = (0, 0);
    while !writer.is_satisfied() {
        let piece = source.read(at, u64::MAX).map_err(|error| pop3.maildrop.cannot_read(error))?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        cure.look_at(piece);
        sent += client.write(|out| added(out, &cure, |out| writer.write(out, piece)));
        client.breathe().await?;
    }
    sent += client.write(|out| {
        added(out, &cure, |out| {
            if !writer.is_satisfied() {
                writer.write(out, cure.ending());
            }
            writer.finish(out);
        })
    });
    client.set_within(false);
    Ok(sent)
}

/// By how many bytes `write` made `out` longer. They are what the client can bear.
fn added(out: &mut Vec<u8>, cure: &Cure, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
    let before = out.len();
    write(out);
    let added = out.get_mut(before..).unwrap_or_default();
    cure.change(added);
    added.len() as u64
}

/// What clients need to whom not every message can be shown as it is: pop3_client_workarounds.
struct Cure {
    no_nuls: bool,
    /// While the end of the header has not come, and must.
    header: Option<HeaderEnd>,
    in_line: bool,
}

impl Cure {
    fn new(settings: &Settings) -> Self {
        let header = settings.end_of_header.then(HeaderEnd::default);
        Self { no_nuls: settings.no_nuls, header, in_line: false }
    }

    /// The next piece of a message, as it is stored.
    fn look_at(&mut self, piece: &[u8]) {
        if let Some(header) = &mut self.header {
            self.in_line = !piece.ends_with(b"\n");
            if header.push(piece).is_some() {
                self.header = None;
            }
        }
    }

    /// Changes what is about to be sent.
    fn change(&self, sent: &mut [u8]) {
        if self.no_nuls {
            sent.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0x80);
        }
    }

    /// What is missing at the end.
    fn ending(&self) -> &'static [u8] {
        match (&self.header, self.in_line) {
            (None, _) => b"",
            (Some(_), true) => b"\n\n",
            (Some(_), false) => b"\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cured(no_nuls: bool, end_of_header: bool, chunks: &[&[u8]]) -> Vec<u8> {
        let header = end_of_header.then(HeaderEnd::default);
        let mut cure = Cure { no_nuls, header, in_line: false };
        let mut message = Vec::new();
        for chunk in chunks {
            let mut chunk = chunk.to_vec();
            cure.look_at(&chunk);
            cure.change(&mut chunk);
            message.extend(chunk);
        }
        message.extend(cure.ending());
        message
    }

    #[test]
    fn messages_are_left_alone_unless_asked_otherwise() {
        assert_eq!(cured(false, false, &[b"a\0"]), b"a\0");
    }

    #[test]
    fn nuls_become_something_else() {
        assert_eq!(cured(true, false, &[b"a\0b", b"\0"]), b"a\x80b\x80");
    }

    #[test]
    fn a_missing_end_of_header_is_added() {
        for (chunks, whole) in [
            (&[&b"A: 1\n"[..]][..], &b"A: 1\n\n"[..]),
            (&[b"A: 1", b"\nB: 2"], b"A: 1\nB: 2\n\n"),
            (&[b"A: 1\n", b"\nbody"], b"A: 1\n\nbody"),
            (&[b"A: 1\r\n\r", b"\n"], b"A: 1\r\n\r\n"),
            (&[], b"\n"),
        ] {
            assert_eq!(cured(false, true, chunks), whole);
        }
    }
}
