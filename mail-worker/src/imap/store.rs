//! STORE, RFC 3501 section 6.4.6: changes flags and keywords of messages.
//!
//! Other sessions, and this one where it was `.SILENT` and somebody else changed the same message, are told as of any
//! news. A message that is gone, or that cannot be changed, costs nothing but itself.

use std::rc::Rc;

use ::store::{Change, Error, Keyword, Mailbox, Reach, Uid};
use protocol::imap::{By, Code, FlagList, SequenceSet, StoreMode};

use super::reply::{Outcome, Reply, Stop};
use super::selected::Selected;
use super::{Imap, PATIENCE, flags, messages};
use crate::client::Client;

/// What the client asks.
pub(super) struct Asked {
    pub(super) by: By,
    pub(super) set: SequenceSet,
    pub(super) mode: StoreMode,
    /// It does not want to see the flags that come of it.
    pub(super) silent: bool,
    pub(super) flags: FlagList,
}

pub(super) async fn run(imap: &mut Imap, asked: Asked) -> Outcome {
    let client = Rc::clone(&imap.client);
    let selected = imap.selected()?;
    if selected.is_read_only() {
        return Err(Error::ReadOnly.into());
    }
    let numbers = messages::numbers(&selected.view, asked.by, &asked.set).map_err(Stop::Command)?;
    let mailbox = Rc::clone(selected.view.mailbox());
    let change = change(&client, &mailbox, asked.mode, &asked.flags).await?;
    let mut keywords = mailbox.keywords();
    let (mut gone, mut failed) = (false, None);
    for number in numbers.into_iter().flat_map(|(low, high)| low..=high) {
        let Some(uid) = selected.view.uid(number) else { continue };
        match store_one(&client, selected, uid, change).await? {
            Stored::Done if !asked.silent => {
                let Some(message) = selected.view.message(uid) else { continue };
                keywords = selected.show(&client, &message).unwrap_or(keywords);
                client.write(|out| flags::write_fetch(out, asked.by, number, &message, &keywords));
            }
            Stored::Done => {}
            Stored::Gone => gone = true,
            Stored::Failed(error) => {
                // For the first one: on a broken disk it is the same with all of them.
                if failed.is_none() {
                    log::warn!("{client}message {uid} of {}: {error}", selected.name.wire());
                }
                failed.get_or_insert(error);
            }
        }
        client.breathe().await?;
    }
    Ok(if let Some(error) = failed {
        Reply { text: "Some of the messages could not be changed.".into(), ..Reply::of_error(&error) }
    } else if gone && asked.by == By::Sequence && !asked.silent {
        // RFC 2180, section 4.2; a UID that is not there is no error, nor is what the client does not want to see.
        Reply::no(Some(Code::ExpungeIssued), "Some of the messages no longer exist.")
    } else {
        Reply::ok("Store completed.")
    })
}

/// The flags as the store has them; keywords that there are not are made, unless they are to be removed.
async fn change(
    client: &Client,
    mailbox: &Mailbox,
    mode: StoreMode,
    list: &FlagList,
) -> Result<Change, Stop> {
    let mut set = flags::from_wire(list.system);
    for keyword in &list.keywords {
        let keyword = match mode {
            StoreMode::Remove => mailbox.find_keyword(keyword.as_str()),
            StoreMode::Add | StoreMode::Replace => {
                Some(make_keyword(client, mailbox, keyword.as_str()).await?)
            }
        };
        set = keyword.map_or(set, |keyword| set.with_keyword(keyword));
    }
    Ok(match mode {
        StoreMode::Add => Change::Add(set),
        StoreMode::Remove => Change::Remove(set),
        StoreMode::Replace => Change::Replace(set),
    })
}

pub(super) async fn make_keyword(client: &Client, mailbox: &Mailbox, name: &str) -> Result<Keyword, Stop> {
    let longest = client.user.settings.longest_keyword;
    if name.len() > longest && mailbox.find_keyword(name).is_none() {
        let text = format!("Names of keywords may have {longest} characters at most.");
        return Err(Stop::Command(Reply::no(Some(Code::Limit), text)));
    }
    let made = client.carry_out(PATIENCE, |now| mailbox.keyword(name, now)).await?;
    made.ok_or_else(|| {
        let full = mailbox.keywords().len() >= usize::from(Keyword::COUNT);
        Stop::Command(match full {
            true => Reply::no(Some(Code::Limit), "There are too many keywords in this mailbox."),
            false => Reply::no(Some(Code::Cannot), "This keyword cannot be stored."),
        })
    })
}

/// What came of one message.
enum Stored {
    Done,
    Gone,
    Failed(Error),
}

async fn store_one(
    client: &Client,
    selected: &mut Selected,
    uid: Uid,
    change: Change,
) -> Result<Stored, Stop> {
    match selected.find(client, |view| view.store(uid, change, client.now())).await {
        Ok(Some(_)) => Ok(Stored::Done),
        Ok(None) => Ok(Stored::Gone),
        Err(error) if error.reach() == Reach::Message => Ok(Stored::Failed(error)),
        Err(error) => Err(error.into()),
    }
}
