//! APPEND, RFC 3501 section 6.3.11, and several messages with one command, RFC 3502: all are saved, or none is.
//!
//! A message goes from the socket to the disk in pieces; what can be refused is refused before it is asked for. If
//! something fails in the middle, the rest is read and forgotten, so that the next command is found.

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::store::{Draft, Error, Flags, Save};
use protocol::imap::{AppendMessage, Code, DateTime, MailboxName, Step, parse_append_more, response};

use super::reply::{Arrived, Outcome, Reply, Stop};
use super::{Imap, SILENCE, flags, saving, store};
use crate::client::Client;
use crate::session::Ending;

pub(super) async fn run(imap: &mut Imap, name: MailboxName, first: AppendMessage) -> Outcome {
    let mut save = match saving::begin(imap, &name).await {
        Ok(save) => save,
        Err(stop) => {
            imap.framer.refuse_literal();
            return Err(stop);
        }
    };
    let client = Rc::clone(&imap.client);
    let mut next = Some(first);
    while let Some(message) = next {
        let (draft, flags) = match prepare(&client, &save, &message).await {
            Ok(prepared) => prepared,
            Err(stop) => {
                imap.framer.refuse_literal();
                return Err(stop);
            }
        };
        match imap.framer.awaits() {
            None => return Ok(Reply::bad("The message is missing.")),
            Some(true) => client.write(|out| response::continuation(out, "OK")),
            Some(false) => {}
        }
        let received = read(&client, draft, message.size).await?;
        let date = message.date.and_then(moment);
        let added = match received {
            Ok(draft) => saving::add(&client, &mut save, draft, flags, date).await,
            Err(error) => Err(error),
        };
        if let Err(error) = added {
            if following(imap).await?.is_ok_and(|more| more.is_some()) {
                imap.framer.refuse_literal();
            }
            return Err(error.into());
        }
        // The disk was waited for, and more messages may be here already.
        client.pause().await;
        next = match following(imap).await? {
            Ok(next) => next,
            Err(reply) => {
                imap.framer.refuse_literal();
                return Ok(reply);
            }
        };
    }
    let saved = saving::commit(&client, save).await?;
    Ok(Reply::ok("Append completed.").with_arrived(Arrived::new(&saved, None)))
}

/// All that can fail before a message is here: an empty draft for it, and its flags.
async fn prepare(client: &Client, save: &Save, message: &AppendMessage) -> Result<(Draft, Flags), Stop> {
    if message.size == 0 {
        return Err(Stop::Command(Reply::no(None, "Can't save a zero byte message.")));
    }
    if message.size > LARGEST {
        return Err(Stop::Command(Reply::no(Some(Code::TooBig), "The message is too large.")));
    }
    let mailbox = save.mailbox();
    let (messages, bytes) = save.total();
    mailbox.may_save(messages + 1, bytes + message.size)?;
    let draft = save.draft(client.now())?;
    let mut flags = flags::from_wire(message.flags.system);
    for keyword in &message.flags.keywords {
        flags = flags.with_keyword(store::make_keyword(client, mailbox, keyword.as_str()).await?);
    }
    Ok((draft, flags))
}

/// Reads a message. If it can't be written, it is read all the same.
async fn read(client: &Client, draft: Draft, size: u64) -> Result<Result<Draft, Error>, Ending> {
    let (mut draft, mut left) = (Ok(draft), size);
    while left > 0 {
        let taken = client.take_input(|input| {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
            let written = draft.as_mut().map(|draft| draft.write(input.get(..length).unwrap_or_default()));
            if let Ok(Err(error)) = written {
                draft = Err(error);
            }
            (length, length)
        });
        left -= taken as u64;
        if left > 0 {
            client.converse(client.now().instant + SILENCE).await?;
        }
    }
    Ok(draft)
}

/// What comes after a message: another one, the end, or nonsense.
async fn following(imap: &mut Imap) -> Result<Result<Option<AppendMessage>, Reply>, Ending> {
    let client = Rc::clone(&imap.client);
    loop {
        match client.take_input(|input| imap.framer.feed(input)) {
            Step::Incomplete | Step::Continue => {
                client.converse(client.now().instant + SILENCE).await?;
            }
            Step::TooLong { excess, .. } => return Ok(Err(Reply::bad(excess.text()))),
            Step::Complete | Step::Literal { .. } => {
                let more = parse_append_more(&imap.framer.take());
                return Ok(more.map_err(|error| Reply { status: error.status, ..Reply::bad(error.text) }));
            }
        }
    }
}

/// None where no clock goes as far.
fn moment(date: DateTime) -> Option<SystemTime> {
    let distance = Duration::from_secs(date.unix.unsigned_abs());
    if date.unix < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

/// IMAP's sizes have 32 bits, and line ends may grow.
const LARGEST: u64 = 1024 * 1024 * 1024;
