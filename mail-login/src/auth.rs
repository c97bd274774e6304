//! The link to auth: mail-auth(7), the client's side, and the authentications that wait for an answer.
//!
//! A question is kept until it is answered, and asked again on the next link where auth was restarted
//! meanwhile. It holds a password: it is wiped with its answer, and never shown.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use ioloop::{Loop, Ready};
use protocol::Secret;
use protocol::sasl::{self, Credentials};
use wire::Protocol;
use wire::auth::{Line, VERSION};
use wire::login::Refusal;

use crate::client::ClientKey;
use crate::conversation::{Attempt, Method, Verdict};
use crate::link::{Link, Lost};

/// See above.
#[derive(Debug)]
pub(crate) struct Auth {
    pid: u32,
    protocol: Protocol,
    /// What passwords are sent by: PLAIN, unless only LOGIN is configured.
    method: Method,
    link: Option<(Link, Stage)>,
    questions: BTreeMap<u32, Question>,
    last_id: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has been heard.
    Connected,
    /// It speaks our version, and goes on to say what it is.
    Greeted,
    /// It takes questions.
    Ready,
}

#[derive(Debug)]
struct Question {
    client: ClientKey,
    request: Secret,
    /// What is said when auth asks for more; LOGIN has name and password apart.
    more: Option<Secret>,
}

/// How a question was answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) id: u32,
    pub(crate) client: ClientKey,
    /// The client is who it says, or what it is to be told.
    pub(crate) outcome: Result<(), Verdict>,
}

impl Auth {
    /// Without a link yet. Auth knows us by our `pid`.
    pub(crate) fn new(pid: u32, protocol: Protocol, mechanisms: &[Method]) -> Self {
        let method = if mechanisms.contains(&Method::Plain) { Method::Plain } else { Method::Login };
        Self { pid, protocol, method, link: None, questions: BTreeMap::new(), last_id: 0 }
    }

    /// Talks to auth at `socket` from now on; the loop tells of it under `key`.
    pub(crate) fn connect(&mut self, socket: OwnedFd, key: usize, io: &Loop) -> io::Result<()> {
        self.disconnect(io);
        let mut link = Link::new(socket, key, io)?;
        let version = Line::new("VERSION").with(VERSION.0.to_string()).with(VERSION.1.to_string());
        let who = Line::new("CPID").with(self.pid.to_string());
        link.queue([version.to_bytes(), who.to_bytes()].concat(), None);
        self.link = Some((link, Stage::Connected));
        Ok(())
    }

    /// Ends the link, if there is one; the questions wait for the next.
    pub(crate) fn disconnect(&mut self, io: &Loop) {
        if let Some((link, _)) = self.link.take() {
            link.close(io);
        }
    }

    /// Whether there is someone to answer.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.link, Some((_, Stage::Ready)))
    }

    /// Asks about `attempt`, now or as soon as there is a link; the question's number.
    ///
    /// # Errors
    /// What the client is to be told where it cannot be asked: auth does not keep up, or what the client sent
    /// does not fit into a question, and so is nobody's name and password.
    pub(crate) fn ask(
        &mut self,
        client: ClientKey,
        attempt: &Attempt,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<u32, Verdict> {
        if self.link.as_ref().is_some_and(|(link, _)| !link.has_room()) {
            return Err(Verdict::Temporary);
        }
        let failed = || Verdict::Failed { reason: None, why: Some("no user name".to_owned()) };
        let Credentials { authorization, user, password } = &attempt.credentials;
        let (first, second) = match self.method {
            Method::Plain => (attempt.credentials.to_plain().map_err(|_| failed())?, None),
            Method::Login if authorization.is_empty() => (user.as_slice().into(), Some(password)),
            Method::Login => return Err(failed()),
        };
        let id = self.free_id();
        let head = Line::new("AUTH")
            .with(id.to_string())
            .with(self.method.name())
            .with_value("service", self.protocol.name())
            .with_value("lip", local.ip().to_string())
            .with_value("rip", remote.ip().to_string())
            .with_value("lport", local.port().to_string())
            .with_value("rport", remote.port().to_string())
            .with_value("resp", "");
        let request = secret_line(&head, &first);
        let more =
            second.map(|password| secret_line(&Line::new("CONT").with(id.to_string()).with(""), password));
        if [Some(&request), more.as_ref()]
            .into_iter()
            .flatten()
            .any(|line| line.expose().len() > LONGEST_LINE)
        {
            return Err(failed());
        }
        if let Some((link, Stage::Ready)) = &mut self.link {
            link.queue(request.expose(), None);
        }
        self.questions.insert(id, Question { client, request, more });
        Ok(id)
    }

    /// Never 0, never one that waits.
    fn free_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && !self.questions.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Nobody waits for that answer any more.
    pub(crate) fn cancel(&mut self, id: u32) {
        if self.questions.remove(&id).is_some()
            && let Some((link, Stage::Ready)) = &mut self.link
            && link.has_room()
        {
            link.queue(Line::new("CANCEL").with(id.to_string()).to_bytes(), None);
        }
    }

    /// Takes in what has come. The answers are then had by [`Auth::next`].
    pub(crate) fn proceed(&mut self, ready: Ready, io: &Loop) -> Result<(), Lost> {
        match &mut self.link {
            Some((link, _)) => link.proceed(ready, io),
            None => Ok(()),
        }
    }

    /// Sends what the turn has left.
    pub(crate) fn flush(&mut self, io: &Loop) -> Result<(), Lost> {
        match &mut self.link {
            Some((link, _)) => link.flush(io),
            None => Ok(()),
        }
    }

    /// The next answer to a question.
    pub(crate) fn next(&mut self) -> Result<Option<Answer>, Lost> {
        while let Some((link, _)) = &mut self.link
            && let Some(line) = link.next_line()?
        {
            if let Some(answer) = self.hear(&Line::parse(&line))? {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    fn hear(&mut self, line: &Line) -> Result<Option<Answer>, Lost> {
        let Some((link, stage)) = &mut self.link else { return Ok(None) };
        match (line.word(), *stage) {
            ("VERSION", _) => {
                let major = line.number(1).ok_or(Lost::Malformed)?;
                if major != VERSION.0 {
                    return Err(Lost::Version(major, VERSION.0));
                }
                *stage = Stage::Greeted;
            }
            (_, Stage::Connected) => return Err(Lost::Malformed),
            ("DONE", _) => {
                *stage = Stage::Ready;
                for question in self.questions.values() {
                    link.queue(question.request.expose(), None);
                }
            }
            ("OK", _) => return self.answer(line, Ok(())),
            ("FAIL", _) => return self.answer(line, Err(verdict_of(line))),
            ("CONT", _) => {
                let id = line.number(1).ok_or(Lost::Malformed)?;
                match self.questions.get(&id).map(|question| &question.more) {
                    Some(Some(more)) => link.queue(more.expose(), None),
                    Some(None) => return self.answer(line, Err(Verdict::Temporary)),
                    None => {}
                }
            }
            (word, _) if is_word(word) => {}
            _ => return Err(Lost::Malformed),
        }
        Ok(None)
    }

    /// An answer that nobody waits for is none: its question was cancelled.
    fn answer(&mut self, line: &Line, outcome: Result<(), Verdict>) -> Result<Option<Answer>, Lost> {
        let id = line.number(1).ok_or(Lost::Malformed)?;
        Ok(self.questions.remove(&id).map(|question| Answer { id, client: question.client, outcome }))
    }
}

/// `line`, which ends with an empty field or value, with `secret` in its place, in base64, and nowhere else.
fn secret_line(line: &Line, secret: &Secret) -> Secret {
    let head = line.to_bytes();
    let head = head.strip_suffix(b"\n").unwrap_or(&head);
    let encoded = sasl::encode(secret);
    let mut bytes = Vec::with_capacity(head.len() + encoded.expose().len() + 1);
    bytes.extend_from_slice(head);
    bytes.extend_from_slice(encoded.expose());
    bytes.push(b'\n');
    Secret::new(bytes)
}

fn verdict_of(failure: &Line) -> Verdict {
    let text = |field| failure.get(field).map(|text| String::from_utf8_lossy(text).into_owned());
    let reason = text("reason");
    if failure.get("temp").is_some() || failure.get("code") == Some(b"temp_fail") {
        return match reason {
            Some(text) => Verdict::Refused { code: Refusal::Unavailable, text },
            None => Verdict::Temporary,
        };
    }
    Verdict::Failed { reason, why: text("why") }
}

/// A word of a later version of the protocol may be passed over; what is no word, may not.
fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase() || b"-_".contains(&byte))
}

/// The longest line that every auth takes, its end not counted: Dovecot's description has 8192 with it.
const LONGEST_LINE: usize = 8191;

#[cfg(test)]
mod tests;
