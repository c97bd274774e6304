//! A POP3 client's session: RFC 1939, section 5 onwards, and RFC 2449.
//!
//! Here the maildrop is opened, commands are read, run one after the other, and answered; [`table`] says which there
//! are. Only QUIT deletes: a session that ends in any other way has removed nothing.

mod capa;
mod dele;
mod last;
mod list;
mod maildrop;
mod opening;
mod quit;
mod reply;
mod retr;
mod table;
mod uidl;
mod unique_id;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::time::Duration;

use protocol::pop3::{Command, Framer, Step, err, ok, parse};
use store::{Error, Hold, Reach};

use crate::client::Client;
use crate::greeting::Greeting;
use crate::session::Ending;

use maildrop::Maildrop;
use reply::{Reply, Stop};
use table::Row;

pub(crate) use unique_id::Format;

/// What a session holds between two commands.
struct Pop3 {
    client: Rc<Client>,
    framer: Framer,
    maildrop: Maildrop,
    /// Commands in a row that were none.
    nonsense: u8,
}

/// Serves a client until it goes.
pub(crate) async fn serve(client: Rc<Client>, greeting: Greeting) -> Ending {
    client.set_doing("opening");
    // In a box: at rest it costs nothing.
    let maildrop = match Box::pin(Maildrop::open(Rc::clone(&client))).await {
        Ok(maildrop) => maildrop,
        Err(error) => {
            if !matches!(error, Error::InUse | Error::Locked) {
                log::error!("{client}opening INBOX: {error}");
            }
            return Ending::Failed(unavailable(&error));
        }
    };
    client.set_mailbox(Some("INBOX"));
    client.set_doing("");
    let mut pop3 = Pop3 { client, framer: Framer::new(LONGEST_LINE), maildrop, nonsense: 0 };
    pop3.greet(&greeting);
    let hold = pop3.maildrop.hold();
    let client = Rc::clone(&pop3.client);
    let session = pin!(pop3.converse());
    let Err(ending) = keeping(&client, &hold, session).await;
    ending
}

/// Runs `session`. Whatever it waits for, others see meanwhile that who has the mailbox for himself is alive.
fn keeping<T>(
    client: &Client,
    hold: &Weak<Hold>,
    mut session: Pin<&mut impl Future<Output = T>>,
) -> impl Future<Output = T> {
    poll_fn(move |context| {
        let polled = session.as_mut().poll(context);
        if let Some(hold) = hold.upgrade().filter(|_| polled.is_pending()) {
            hold.touch(client.now());
            client.wake_at(client.now().instant + Hold::FRESH);
        }
        polled
    })
}

/// The last line to a client that did not ask for it.
pub(crate) fn farewell(out: &mut Vec<u8>, text: &str) {
    err(out, text);
}

fn unavailable(error: &Error) -> &'static str {
    match error {
        Error::InUse | Error::Locked => "[IN-USE] The mailbox is in use by another session.",
        Error::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            "[SYS/PERM] The mailbox cannot be opened."
        }
        _ => "[SYS/TEMP] The mailbox cannot be opened.",
    }
}

impl Pop3 {
    fn greet(&self, greeting: &Greeting) {
        let name = &self.client.user.name;
        self.client.write(|out| match greeting {
            Greeting::Answer(_) => ok(out, "Logged in."),
            Greeting::Nothing => {}
            Greeting::Welcome => ok(out, &format!("Logged in as {name}.")),
        });
    }

    async fn converse(&mut self) -> Result<Infallible, Ending> {
        loop {
            self.client.breathe().await?;
            let line = self.read_line().await?;
            #[cfg(debug_assertions)]
            crate::fault::on_request(line.split(u8::is_ascii_whitespace).next());
            match parse(&line) {
                Ok(command) => self.execute(command).await?,
                Err(error) => self.complain(error.text)?,
            }
        }
    }

    async fn read_line(&mut self) -> Result<Vec<u8>, Ending> {
        let mut limit = self.client.now().instant + SILENCE;
        loop {
            match self.client.take_input(|input| self.framer.feed(input)) {
                Step::Complete => return Ok(self.framer.take()),
                Step::TooLong => self.complain("Line too long")?,
                Step::Incomplete => {
                    self.client.converse(limit).await?;
                    limit = self.client.now().instant + SILENCE;
                }
            }
        }
    }

    /// Answers what is no command; too many in a row end the session.
    fn complain(&mut self, text: &str) -> Result<(), Ending> {
        self.client.write(|out| err(out, &format!("{text}.")));
        self.nonsense += 1;
        if self.nonsense >= NONSENSE { Err(Ending::Nonsense) } else { Ok(()) }
    }

    async fn execute(&mut self, command: Command) -> Result<(), Ending> {
        let client = Rc::clone(&self.client);
        let outcome = match self.maildrop.renew().await {
            Ok(()) => {
                let Row { name, work } = table::row(self, command);
                client.set_doing(name);
                work.await
            }
            Err(error) => Err(error.into()),
        };
        self.nonsense = 0;
        match outcome {
            Ok(Reply::Ok(text)) => client.write(|out| ok(out, &text)),
            Ok(Reply::Written) => {}
            Ok(Reply::Goodbye(answer)) => {
                client.write(answer);
                client.flush().await?;
                return Err(Ending::Logout);
            }
            Err(Stop::Command(text)) => client.write(|out| err(out, &text)),
            Err(Stop::Session(ending)) => return Err(ending),
            Err(Stop::Store(error)) => {
                log::error!("{client}{error}");
                if error.reach() >= Reach::Mailbox {
                    return Err(Ending::Failed("[SYS/TEMP] The mailbox was replaced: log in again."));
                }
                if client.is_within() {
                    return Err(Ending::Failed("[SYS/TEMP] The answer cannot be completed."));
                }
                client.write(|out| err(out, "[SYS/TEMP] Internal error. The server's log has more."));
            }
        }
        Ok(())
    }
}

const LONGEST_LINE: usize = 1024;
/// For how long a client may send nothing (RFC 1939, section 3).
const SILENCE: Duration = Duration::from_secs(10 * 60);
const NONSENSE: u8 = 20;
