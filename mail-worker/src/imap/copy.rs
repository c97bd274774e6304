//! COPY, RFC 3501 section 6.4.7: all messages are copied, or none is.
//!
//! A copy has the flags, the keywords by their names, and the INTERNALDATE of the message. Where it can be, it is
//! another name of the same file.

use std::rc::Rc;

use ::store::{Flags, Keyword, Link, Mailbox, Save, Saved, Uid};
use protocol::imap::{By, Code, MailboxName, SequenceSet};

use super::reply::{Arrived, Outcome, Reply, Stop};
use super::selected::Selected;
use super::{Imap, messages, saving, store};
use crate::client::Client;

pub(super) async fn run(imap: &mut Imap, by: By, set: SequenceSet, name: MailboxName) -> Outcome {
    Ok(match copy(imap, by, &set, &name).await? {
        Some(copied) => Reply::ok("Copy completed.").with_arrived(copied.arrived()),
        None => Reply::ok("No messages copied."),
    })
}

/// Messages, and what they became.
pub(super) struct Copied {
    pub(super) from: Vec<Uid>,
    saved: Saved,
}

impl Copied {
    pub(super) fn arrived(&self) -> Arrived {
        Arrived::new(&self.saved, Some(&self.from))
    }
}

/// Copies messages of the selected mailbox. None if there are none.
pub(super) async fn copy(
    imap: &mut Imap,
    by: By,
    set: &SequenceSet,
    name: &MailboxName,
) -> Result<Option<Copied>, Stop> {
    let mut save = saving::begin(imap, name).await?;
    let client = Rc::clone(&imap.client);
    let selected = imap.selected()?;
    let numbers = messages::numbers(&selected.view, by, set).map_err(Stop::Command)?;
    let numbers = numbers.into_iter().flat_map(|(low, high)| low..=high);
    let from: Vec<Uid> = numbers.filter_map(|number| selected.view.uid(number)).collect();
    if from.is_empty() {
        return Ok(None);
    }
    let mut keywords = Keywords::new(selected.view.mailbox(), &save);
    for &uid in &from {
        add(&client, selected, uid, &mut keywords, &mut save).await?;
        client.breathe().await?;
    }
    let saved = saving::commit(&client, save).await?;
    Ok(Some(Copied { from, saved }))
}

async fn add(
    client: &Client,
    selected: &mut Selected,
    uid: Uid,
    keywords: &mut Keywords,
    save: &mut Save,
) -> Result<(), Stop> {
    // RFC 2180, section 4.4.1.
    let gone =
        || Stop::Command(Reply::no(Some(Code::ExpungeIssued), "Some of the messages no longer exist."));
    let message = selected.view.message(uid).ok_or_else(gone)?;
    let flags = keywords.translate(client, message.flags).await?;
    let linked = selected.find(client, |view| save.link(view, uid, flags, client.now())).await?;
    if linked.ok_or_else(gone)? == Link::Made {
        return Ok(());
    }
    let mut message = selected.find(client, |view| view.open(uid)).await?.ok_or_else(gone)?;
    let mut draft = save.duplicate(client.now())?;
    while draft.copy(&mut message)? {
        client.breathe().await?;
    }
    saving::add(client, save, draft, flags, Some(message.attributes.received)).await?;
    Ok(())
}

/// One mailbox's keywords as another one has them: a keyword is its name.
struct Keywords {
    to: Rc<Mailbox>,
    /// Of the mailbox that messages come from; none if it is the same.
    names: Option<Vec<String>>,
    /// What is known already; none for one that there is no room for.
    known: Vec<(Keyword, Option<Keyword>)>,
}

impl Keywords {
    fn new(from: &Rc<Mailbox>, save: &Save) -> Self {
        let to = Rc::clone(save.mailbox());
        let names = (!Rc::ptr_eq(from, &to)).then(|| from.keywords());
        Self { to, names, known: Vec::new() }
    }

    async fn translate(&mut self, client: &Client, flags: Flags) -> Result<Flags, Stop> {
        let Some(names) = &self.names else { return Ok(flags) };
        let mut translated = flags.system().fold(Flags::NONE, Flags::with);
        for keyword in flags.keywords() {
            let known = self.known.iter().find(|(known, _)| *known == keyword).map(|(_, to)| *to);
            let to = match (known, names.get(usize::from(keyword.number()))) {
                (Some(to), _) => to,
                (None, Some(name)) => match store::make_keyword(client, &self.to, name).await {
                    Ok(to) => Some(to),
                    // A message is worth more than its keyword, which should go with it but need not.
                    Err(Stop::Command(Reply { code: Some(Code::Limit | Code::Cannot), .. })) => {
                        let to = self.to.path();
                        log::info!("{client}copied without the keyword {name}: {} has no room", to.display());
                        None
                    }
                    Err(stop) => return Err(stop),
                },
                (None, None) => None,
            };
            if known.is_none() {
                self.known.push((keyword, to));
            }
            translated = to.map_or(translated, |to| translated.with_keyword(to));
        }
        Ok(translated)
    }
}
