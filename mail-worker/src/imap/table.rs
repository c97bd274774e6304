//! The commands: one row each, with when it is legal, what it tells of the selected mailbox, and what runs it.
//!
//! A row's work does nothing until it is awaited, so that a command out of season has done nothing.

use std::pin::Pin;

use ::store::Expunges;
use protocol::imap::{Body, By, Code};

use super::reply::{Outcome, Reply};
use super::selected::NONE_SELECTED;
use super::{
    Imap, append, capability, close, copy, create, delete, enable, expunge, fetch, id, idle, list, logout,
    lsub, move_messages, namespace, noop, rename, search, select, status, store, subscribe,
};

/// What a command does, not yet begun.
pub(super) type Work<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// See above.
pub(super) struct Row<'a> {
    pub(super) when: When,
    /// Whether its answer tells what is new in the selected mailbox, and whether that may change the numbers of
    /// messages: not where a client could still be using the old ones (RFC 3501, section 7.4.1).
    pub(super) news: Option<Expunges>,
    pub(super) work: Work<'a>,
}

/// When a command is legal, for a client that is logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Any,
    /// While a mailbox is selected.
    Selected,
    /// Before login.
    Never,
}

impl When {
    /// Why it is not legal now.
    pub(super) fn objection(self, is_selected: bool) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Selected => (!is_selected).then_some(NONE_SELECTED),
            Self::Never => Some("Already logged in."),
        }
    }
}

/// The row of a command.
pub(super) fn row(imap: &mut Imap, body: Body) -> Row<'_> {
    use When::{Any, Never, Selected};
    const NO_NEWS: Option<Expunges> = None;
    const NEWS: Option<Expunges> = Some(Expunges::Tell);
    let row = |when, news, work| Row { when, news, work };
    match body {
        Body::Capability => row(Any, NO_NEWS, Box::pin(capability::run(imap))),
        Body::Noop => row(Any, NEWS, Box::pin(noop::run())),
        Body::Logout => row(Any, NO_NEWS, Box::pin(logout::run(imap))),
        Body::Id(pairs) => row(Any, NO_NEWS, Box::pin(id::run(imap, pairs))),
        Body::Enable(_) => row(Any, NO_NEWS, Box::pin(enable::run(imap))),
        Body::Namespace => row(Any, NO_NEWS, Box::pin(namespace::run(imap))),
        Body::Select(name) => row(Any, NO_NEWS, Box::pin(select::select(imap, name))),
        Body::Examine(name) => row(Any, NO_NEWS, Box::pin(select::examine(imap, name))),
        Body::Create { mailbox, special_use } => {
            row(Any, NEWS, Box::pin(create::run(imap, mailbox, special_use)))
        }
        Body::Delete(name) => row(Any, NEWS, Box::pin(delete::run(imap, name))),
        Body::Rename { from, to } => row(Any, NEWS, Box::pin(rename::run(imap, from, to))),
        Body::Subscribe(name) => row(Any, NEWS, Box::pin(subscribe::subscribe(imap, name))),
        Body::Unsubscribe(name) => row(Any, NEWS, Box::pin(subscribe::unsubscribe(imap, name))),
        Body::Idle => row(Any, NEWS, Box::pin(idle::run(imap))),
        Body::Check => row(Selected, NEWS, Box::pin(noop::run())),
        Body::Close => row(Selected, NO_NEWS, Box::pin(close::close(imap))),
        Body::Unselect => row(Selected, NO_NEWS, Box::pin(close::unselect(imap))),
        Body::List { special_use, reference, pattern } => {
            let asked = if special_use { list::Asked::SpecialUse } else { list::Asked::All };
            row(Any, NEWS, Box::pin(list::run(imap, asked, reference, pattern)))
        }
        Body::Lsub { reference, pattern } => row(Any, NEWS, Box::pin(lsub::run(imap, reference, pattern))),
        Body::Status { mailbox, items } => row(Any, NEWS, Box::pin(status::run(imap, mailbox, items))),
        Body::Fetch { by, set, items } => {
            row(Selected, by_numbers(by), Box::pin(fetch::run(imap, by, set, items)))
        }
        Body::Store { by, set, mode, silent, flags } => {
            let asked = store::Asked { by, set, mode, silent, flags };
            row(Selected, by_numbers(by), Box::pin(store::run(imap, asked)))
        }
        Body::Append { mailbox, message } => row(Any, NEWS, Box::pin(append::run(imap, mailbox, message))),
        Body::Copy { by, set, mailbox } => {
            row(Selected, by_numbers(by), Box::pin(copy::run(imap, by, set, mailbox)))
        }
        Body::Move { by, set, mailbox } => {
            row(Selected, NEWS, Box::pin(move_messages::run(imap, by, set, mailbox)))
        }
        Body::Search { by, key } => row(Selected, by_numbers(by), Box::pin(search::run(imap, by, key))),
        Body::Expunge { uids } => row(Selected, NEWS, Box::pin(expunge::run(imap, uids))),
        Body::StartTls | Body::Login { .. } | Body::Authenticate { .. } => {
            row(Never, NO_NEWS, Box::pin(cannot()))
        }
    }
}

/// Who speaks of messages by their numbers must not have these change under him.
fn by_numbers(by: By) -> Option<Expunges> {
    match by {
        By::Sequence => Some(Expunges::Hold),
        By::Uid => Some(Expunges::Tell),
    }
}

async fn cannot() -> Outcome {
    Ok(Reply::no(Some(Code::Cannot), "This server cannot do that."))
}
