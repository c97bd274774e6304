//! The commands: one row each, with its name for whoever asks what a client does, and what runs it.

use std::pin::Pin;

use protocol::pop3::Command;

use super::reply::{Outcome, Reply, Stop};
use super::{Pop3, capa, dele, last, list, quit, retr, uidl};

/// What a command does, not yet begun.
pub(super) type Work<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// See above.
pub(super) struct Row<'a> {
    pub(super) name: &'static str,
    pub(super) work: Work<'a>,
}

/// The row of a command.
pub(super) fn row(pop3: &mut Pop3, command: Command) -> Row<'_> {
    let row = |name, work| Row { name, work };
    match command {
        Command::Capa => row("CAPA", Box::pin(capa::run(pop3))),
        Command::Stat => row("STAT", Box::pin(list::stat(pop3))),
        Command::List(None) => row("LIST", Box::pin(list::all(pop3))),
        Command::List(Some(number)) => row("LIST", Box::pin(list::one(pop3, number))),
        Command::Uidl(None) => row("UIDL", Box::pin(uidl::all(pop3))),
        Command::Uidl(Some(number)) => row("UIDL", Box::pin(uidl::one(pop3, number))),
        Command::Retr(number) => row("RETR", Box::pin(retr::retr(pop3, number))),
        Command::Top { message, lines } => row("TOP", Box::pin(retr::top(pop3, message, lines))),
        Command::Dele(number) => row("DELE", Box::pin(dele::dele(pop3, number))),
        Command::Rset => row("RSET", Box::pin(dele::rset(pop3))),
        Command::Last if pop3.client.user.settings.pop3.last => row("LAST", Box::pin(last::run(pop3))),
        Command::Noop => row("NOOP", Box::pin(noop())),
        Command::Quit => row("QUIT", Box::pin(quit::run(pop3))),
        Command::User(_) => row("USER", Box::pin(too_late())),
        Command::Pass(_) => row("PASS", Box::pin(too_late())),
        Command::Apop { .. } => row("APOP", Box::pin(too_late())),
        Command::Auth { .. } => row("AUTH", Box::pin(too_late())),
        Command::Stls => row("STLS", Box::pin(too_late())),
        Command::Utf8 => row("UTF8", Box::pin(too_late())),
        Command::Lang(range) => row("LANG", Box::pin(capa::lang(pop3, range))),
        Command::Last => row("", Box::pin(unknown())),
    }
}

async fn noop() -> Outcome {
    Ok(Reply::ok(""))
}

async fn too_late() -> Outcome {
    Err(Stop::Command("Already logged in.".into()))
}

async fn unknown() -> Outcome {
    Err(Stop::Command("Unknown command.".into()))
}
