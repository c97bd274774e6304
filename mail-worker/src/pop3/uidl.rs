//! UIDL, RFC 1939 section 7: ids that stay with messages for ever.
//!
//! An id that a message has from another server goes before its X-UIDL field (where pop3_reuse_xuidl says so), and
//! that before what pop3_uidl_format makes. Where two messages may get the same, all ids are made before one is told, and
//! those that come later in the list are told apart by their UIDs.

use std::borrow::Cow;
use std::collections::HashSet;
use std::num::NonZeroU32;
use std::rc::Rc;

use message::Fields;
use protocol::pop3::{line, ok};
use store::Uid;

use super::Pop3;
use super::reply::{Outcome, Reply, Stop};
use super::unique_id::{self, Facts};
use crate::client::Client;
use crate::source::{Reading, Source};

pub(super) async fn one(pop3: &mut Pop3, number: NonZeroU32) -> Outcome {
    let uid = pop3.maildrop.letter(number)?.uid;
    tell_apart(pop3).await?;
    let id = id(pop3, number, uid).await?.ok_or_else(Stop::gone)?;
    Ok(Reply::ok(format!("{number} {id}")))
}

pub(super) async fn all(pop3: &mut Pop3) -> Outcome {
    let client = Rc::clone(&pop3.client);
    tell_apart(pop3).await?;
    client.set_within(true);
    client.write(|out| ok(out, ""));
    for number in pop3.maildrop.numbers() {
        let uid = pop3.maildrop.letter(number)?.uid;
        if let Some(id) = id(pop3, number, uid).await? {
            client.write(|out| line(out, &format!("{number} {id}")));
        }
        client.breathe().await?;
    }
    client.write(|out| line(out, "."));
    client.set_within(false);
    Ok(Reply::Written)
}

/// Makes all ids, if two could be the same, once in a session.
async fn tell_apart(pop3: &mut Pop3) -> Result<(), Stop> {
    let settings = &pop3.client.user.settings.pop3;
    let foreign = settings.reuse_xuidl || !pop3.maildrop.records.is_empty();
    if pop3.maildrop.ids.is_some() || settings.uidl_format.is_distinct() && !foreign {
        return Ok(());
    }
    let (mut ids, mut known) = (Vec::new(), HashSet::new());
    let uids: Vec<Uid> = pop3.maildrop.letters.iter().map(|letter| letter.uid).collect();
    for uid in uids {
        let id = unique_id(pop3, uid).await?.map(|id| match known.insert(id.clone()) {
            true => id,
            false => unique_id::bounded(format!("{id}-{uid}")),
        });
        ids.push(id.map(String::into_boxed_str));
        pop3.client.breathe().await?;
    }
    pop3.maildrop.ids = Some(ids);
    Ok(())
}

/// A message's id, told apart. None if the message is gone.
async fn id(pop3: &mut Pop3, number: NonZeroU32, uid: Uid) -> Result<Option<String>, Stop> {
    match &pop3.maildrop.ids {
        Some(ids) => {
            let index = usize::try_from(number.get() - 1).unwrap_or(usize::MAX);
            Ok(ids.get(index).and_then(|id| id.as_deref()).map(str::to_owned))
        }
        None => unique_id(pop3, uid).await,
    }
}

/// None if the message had to be read for it, and is gone.
async fn unique_id(pop3: &mut Pop3, uid: Uid) -> Result<Option<String>, Stop> {
    let maildrop = &mut pop3.maildrop;
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
    Ok(Some(unique_id::bounded(settings.uidl_format.fill(&facts))))
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
