//! UIDL, RFC 1939 section 7: ids that stay with messages for ever.
//!
//! An id that a message has from another server goes before its X-UIDL field (where pop3_reuse_xuidl says so), and
//! that before what pop3_uidl_format makes.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::rc::Rc;

use message::Fields;
use protocol::pop3::{line, ok};

use super::Pop3;
use super::reply::{Outcome, Reply, Stop};
use super::unique_id::{self, Facts};
use crate::client::Client;
use crate::source::{Reading, Source};

pub(super) async fn one(pop3: &mut Pop3, number: NonZeroU32) -> Outcome {
    let id = unique_id(pop3, number).await?.ok_or_else(Stop::gone)?;
    Ok(Reply::ok(format!("{number} {id}")))
}

pub(super) async fn all(pop3: &mut Pop3) -> Outcome {
    let client = Rc::clone(&pop3.client);
    client.set_within(true);
    client.write(|out| ok(out, ""));
    for number in pop3.maildrop.numbers() {
        if let Some(id) = unique_id(pop3, number).await? {
            client.write(|out| line(out, &format!("{number} {id}")));
        }
        client.breathe().await?;
    }
    client.write(|out| line(out, "."));
    client.set_within(false);
    Ok(Reply::Written)
}

/// None if the message had to be read for it, and is gone.
async fn unique_id(pop3: &mut Pop3, number: NonZeroU32) -> Result<Option<String>, Stop> {
    let maildrop = &mut pop3.maildrop;
    let uid = maildrop.letter(number)?.uid;
    if let Some(id) = maildrop.foreign_id(uid) {
        return Ok(Some(String::from_utf8_lossy(id).into_owned()));
    }
    let settings = &pop3.client.user.settings.pop3;
    let mut facts = Facts { uid: uid.get(), uid_validity: maildrop.uid_validity, ..Facts::default() };
    if settings.reuse_xuidl || settings.uidl_format.needs_header() {
        let Some(source) = maildrop.open_file(uid).await? else { return Ok(None) };
        facts.header = header(&pop3.client, source).await?.map_err(|error| maildrop.cannot_read(error))?;
    }
    if settings.reuse_xuidl
        && let Some(id) = x_uidl(&facts.header)
    {
        return Ok(Some(String::from_utf8_lossy(&id).into_owned()));
    }
    if settings.uidl_format.needs_file_name() {
        let Some(name) = maildrop.file_name(uid) else { return Ok(None) };
        facts.file_name = name;
    }
    Ok(Some(settings.uidl_format.fill(&facts)))
}

async fn header(client: &Client, mut source: Source) -> Reading<Vec<u8>> {
    match source.header_end(client).await? {
        Ok(end) => source.bytes(client, 0, end).await,
        Err(error) => Ok(Err(error)),
    }
}

/// What the field says, if an id may look so.
fn x_uidl(header: &[u8]) -> Option<Cow<'_, [u8]>> {
    let field = Fields::new(header).find(|field| field.is("X-UIDL"))?;
    Some(field.unfolded()).filter(|id| unique_id::is_valid(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_is_taken_from_a_header() {
        assert_eq!(x_uidl(b"A: 1\nx-uidl:  abc!\n\n").as_deref(), Some(&b"abc!"[..]));
        for header in [&b"X-UIDL: a b\n\n"[..], b"X-UIDL:\n\n", b"A: 1\n\nX-UIDL: a\n", b""] {
            assert_eq!(x_uidl(header), None);
        }
    }
}
