//! An IMAP client's session: RFC 3501, from the first answer to the last.
//!
//! Here commands are read, run one after the other, and answered; [`table`] says which there are. A command is a
//! future of its own, in a box, that is gone when it is done: a client at rest costs what stands in [`Imap`].

mod append;
mod capability;
mod close;
mod copy;
mod create;
mod delete;
mod enable;
mod expunge;
mod fetch;
mod flags;
mod furnish;
mod id;
mod idle;
mod list;
mod logout;
mod lsub;
mod messages;
mod move_messages;
mod namespace;
mod news;
mod noop;
mod reader;
mod rename;
mod reply;
mod saving;
mod search;
mod select;
mod selected;
mod status;
mod store;
mod subscribe;
mod table;

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use ::store::{Expunges, Reach};
use protocol::imap::{By, Code, Command, Framer, Limits, ParseError, Status, Step, Tag, parse, response};

use crate::client::Client;
use crate::greeting::Greeting;
use crate::session::Ending;

use reply::{Outcome, Reply, Stop};
use selected::Selected;
use table::{Row, Work};

/// What a session holds between two commands.
pub(crate) struct Imap {
    client: Rc<Client>,
    framer: Framer,
    selected: Option<Selected>,
    /// The mailboxes that everybody is to have are there.
    furnished: Cell<bool>,
    /// How the command that runs speaks of messages, and is spoken to (RFC 3501, section 6.4.8).
    by: By,
}

/// Serves a client until it goes.
pub(crate) async fn serve(client: Rc<Client>, greeting: Greeting) -> Ending {
    let limits = Limits { line: client.user.settings.longest_line, ..Limits::default() };
    let mut imap = Imap {
        client,
        framer: Framer::new(limits),
        selected: None,
        furnished: Cell::default(),
        by: By::Sequence,
    };
    imap.greet(greeting);
    let Err(ending) = imap.converse().await;
    ending
}

/// The last line to a client that did not ask for it.
pub(crate) fn farewell(out: &mut Vec<u8>, text: &str) {
    response::untagged(out, Status::Bye, None, text);
}

impl Imap {
    fn greet(&self, greeting: Greeting) {
        let code = Some(Code::Capability(&self.client.user.settings.capability));
        self.client.write(|out| match greeting {
            Greeting::Answer(Some(tag)) => response::tagged(out, &tag, Status::Ok, code, "Logged in"),
            Greeting::Answer(None) | Greeting::Nothing => {}
            Greeting::Welcome => {
                let text = format!("Logged in as {}", self.client.user.name);
                response::untagged(out, Status::PreAuth, code, &text);
            }
        });
    }

    async fn converse(&mut self) -> Result<Infallible, Ending> {
        let mut nonsense = 0;
        loop {
            match self.exchange().await {
                Ok(()) => nonsense = 0,
                Err(NoCommand::Ending(ending)) => return Err(ending),
                Err(NoCommand::Nonsense(error)) => {
                    self.client.write(|out| error.answer(out));
                    nonsense += 1;
                    if nonsense == NONSENSE {
                        return Err(Ending::Nonsense);
                    }
                }
            }
        }
    }

    /// One command and its answer. While it waits for a command, it holds no place for running one.
    async fn exchange(&mut self) -> Result<(), NoCommand> {
        self.client.breathe().await?;
        let line = self.read_command().await?;
        self.execute(line).await
    }

    async fn execute(&mut self, line: Vec<u8>) -> Result<(), NoCommand> {
        let Begun { tag, news, work } = self.begin(line)?;
        let mut outcome = work.await;
        if let (Ok(_), Some(expunges)) = (&outcome, news)
            && let Err(stop) = self.news(expunges).await
        {
            outcome = Err(stop);
        }
        Ok(self.answer(&tag, outcome)?)
    }

    /// The next whole command; of APPEND, what stands before its message.
    async fn read_command(&mut self) -> Result<Vec<u8>, NoCommand> {
        let mut limit = self.client.now().instant + SILENCE;
        loop {
            match self.client.take_input(|input| self.framer.feed(input)) {
                Step::Complete => return Ok(self.framer.take()),
                Step::Incomplete => {
                    self.client.converse(limit).await?;
                    limit = self.client.now().instant + SILENCE;
                }
                Step::Continue => self.client.write(|out| response::continuation(out, "OK")),
                Step::TooLong { tag, excess } => {
                    return Err(ParseError { tag, status: Status::Bad, text: excess.text() }.into());
                }
                // APPEND's, which takes it when all else is well.
                Step::Literal { .. } => return Ok(self.framer.take()),
            }
        }
    }

    /// Takes a command from its bytes to the point where its work can begin. The bytes are forgotten there: the work
    /// may last as long as the session.
    fn begin(&mut self, line: Vec<u8>) -> Result<Begun<'_>, ParseError> {
        #[cfg(debug_assertions)]
        {
            crate::fault::on_request(line.split(u8::is_ascii_whitespace).nth(1));
            if let Some(answers) = attacker::on_request(&line) {
                self.client.write(|out| response::untagged(out, Status::Ok, None, &answers));
            }
        }
        let Command { tag, body } = parse(&line).inspect_err(|_| self.framer.refuse_literal())?;
        self.client.set_doing(body.name());
        self.by = body.by();
        let is_selected = self.selected.is_some();
        let news_may_come = !self.client.user.settings.delay_new_mail || PROMPT.contains(&body.name());
        let Row { when, news, work } = table::row(self, body);
        let news = news.filter(|_| news_may_come);
        match when.objection(is_selected) {
            None => Ok(Begun { tag, news, work }),
            Some(text) => Err(ParseError { tag: Some(tag), status: Status::Bad, text }),
        }
    }

    /// The last line of a command's answer.
    fn answer(&self, tag: &Tag, outcome: Outcome) -> Result<(), Ending> {
        let reply = match outcome {
            Ok(reply) | Err(Stop::Command(reply)) => reply,
            Err(Stop::Session(ending)) => return Err(ending),
            Err(Stop::Store(error)) => {
                if reply::is_worth_logging(&error) {
                    log::error!("{}{error}", self.client);
                }
                if error.reach() >= Reach::Mailbox {
                    return Err(Ending::Failed("The mailbox was replaced: log in again."));
                }
                Reply::of_error(&error)
            }
        };
        self.client.write(|out| response::tagged(out, tag, reply.status, reply.code(), &reply.text));
        reply.ending.map_or(Ok(()), Err)
    }
}

/// Why there was no command to be run.
enum NoCommand {
    /// It was none, or is none now; some in a row are tolerated.
    Nonsense(ParseError),
    Ending(Ending),
}

impl From<ParseError> for NoCommand {
    fn from(error: ParseError) -> Self {
        Self::Nonsense(error)
    }
}

impl From<Ending> for NoCommand {
    fn from(ending: Ending) -> Self {
        Self::Ending(ending)
    }
}

/// A command that is understood, and legal now.
struct Begun<'a> {
    tag: Tag,
    news: Option<Expunges>,
    work: Work<'a>,
}

/// For how long a client may send nothing (RFC 3501, section 5.4).
const SILENCE: Duration = Duration::from_secs(30 * 60);
const NONSENSE: u8 = 20;
/// Commands that tell news in spite of `delay-newmail`.
const PROMPT: [&str; 4] = ["NOOP", "CHECK", "IDLE", "EXPUNGE"];
/// How long another program's lock may hold a command up.
const PATIENCE: Duration = Duration::from_secs(3);
