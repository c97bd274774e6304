//! IMAP before login: RFC 3501 section 6.1 and 6.2, LITERAL+ (7888), SASL-IR (4959), ID (2971).

use std::rc::Rc;

use protocol::Secret;
use protocol::capability::Plaintext;
use protocol::imap::{self, Body, Code, Framer, Limits, Status, Step, Tag, response};
use protocol::sasl::{self, Credentials};
use wire::login::Refusal;

use crate::conversation::{
    Attempt, Conversation, DISALLOWED, Departure, LONGEST, MOST_BAD_COMMANDS, Method, Next, Verdict,
};
use crate::dialogue::{Dialogue, Turn};
use crate::offers::Offers;

/// One client that speaks IMAP.
#[derive(Debug)]
pub(crate) struct Imap {
    offers: Rc<Offers>,
    framer: Framer,
    /// The command that waits for responses or for an answer.
    tag: Option<Tag>,
    dialogue: Option<Dialogue>,
    /// Bad commands in a row.
    bad: u8,
}

impl Imap {
    /// A new one.
    pub(crate) fn new(offers: Rc<Offers>) -> Self {
        let framer = Framer::new(Limits { line: LONGEST, literals: LONGEST });
        Self { offers, framer, tag: None, dialogue: None, bad: 0 }
    }

    fn command(&mut self, line: &Secret, out: &mut Vec<u8>) -> Next {
        #[cfg(debug_assertions)]
        if let Some(answers) = attacker::on_request(line.expose()) {
            response::untagged(out, Status::Ok, None, &answers);
        }
        let command = match imap::parse(line.expose()) {
            Ok(command) => command,
            Err(error) => {
                error.answer(out);
                return self.count_bad(out);
            }
        };
        let tag = command.tag;
        match command.body {
            Body::Login { .. } | Body::Authenticate { .. } if self.offers.plaintext == Plaintext::Refused => {
                response::tagged(out, &tag, Status::No, Some(Code::PrivacyRequired), DISALLOWED);
                self.bad = 0;
                return Next::Disallowed;
            }
            Body::Login { user, password } => {
                self.tag = Some(tag);
                let credentials = Credentials { authorization: Vec::new(), user, password };
                return Next::Authenticate(Attempt { credentials, method: Method::Plain });
            }
            Body::Authenticate { mechanism, initial } => {
                return self.authenticate(tag, &mechanism, initial.as_ref(), out);
            }
            Body::Capability => {
                response::capability(out, &self.offers.capability);
                response::tagged(out, &tag, Status::Ok, None, "Capability completed.");
            }
            Body::Id(_) => {
                response::id(out, &[]);
                response::tagged(out, &tag, Status::Ok, None, "ID completed.");
            }
            Body::Noop => response::tagged(out, &tag, Status::Ok, None, "NOOP completed."),
            Body::Logout => {
                self.bye(Departure::Quit, out);
                response::tagged(out, &tag, Status::Ok, None, "Logout completed.");
                return Next::Leave(Departure::Quit);
            }
            Body::StartTls => return self.refuse(&tag, "TLS is not available.", out),
            _ => return self.refuse(&tag, "Please log in first.", out),
        }
        self.bad = 0;
        Next::More
    }

    fn authenticate(
        &mut self,
        tag: Tag,
        mechanism: &str,
        initial: Option<&Secret>,
        out: &mut Vec<u8>,
    ) -> Next {
        let Some(dialogue) = Dialogue::begin(&self.offers, mechanism) else {
            let text = "Unsupported authentication mechanism.";
            response::tagged(out, &tag, Status::No, Some(Code::Cannot), text);
            return self.count_bad(out);
        };
        self.tag = Some(tag);
        self.proceed(dialogue, initial.map(Secret::expose), out)
    }

    fn proceed(&mut self, dialogue: Dialogue, response: Option<&[u8]>, out: &mut Vec<u8>) -> Next {
        match dialogue.take(response) {
            Ok(Turn::Ask(dialogue)) => {
                response::continuation(out, dialogue.challenge());
                self.dialogue = Some(dialogue);
                Next::More
            }
            Ok(Turn::Done(attempt)) => Next::Authenticate(attempt),
            Err(error) => self.fail(error, out),
        }
    }

    fn fail(&mut self, error: sasl::Error, out: &mut Vec<u8>) -> Next {
        if let Some(tag) = self.tag.take() {
            let (status, code, text) = match error {
                sasl::Error::Cancelled => (Status::Bad, None, "Authentication cancelled."),
                sasl::Error::NotBase64 => (Status::Bad, None, "Invalid base64 in response."),
                sasl::Error::Malformed => {
                    (Status::No, Some(Code::AuthenticationFailed), "Authentication failed.")
                }
            };
            response::tagged(out, &tag, status, code, text);
        }
        self.count_bad(out)
    }

    fn refuse(&mut self, tag: &Tag, text: &str, out: &mut Vec<u8>) -> Next {
        response::tagged(out, tag, Status::Bad, None, text);
        self.count_bad(out)
    }

    fn count_bad(&mut self, out: &mut Vec<u8>) -> Next {
        self.bad += 1;
        if self.bad < MOST_BAD_COMMANDS {
            return Next::More;
        }
        self.bye(Departure::BadCommands, out);
        Next::Leave(Departure::BadCommands)
    }

    /// The message of an APPEND would come next. The client, which may send it all the same, is told no.
    fn refuse_literal(&mut self, out: &mut Vec<u8>) -> Next {
        let head = Secret::new(self.framer.take());
        self.framer.refuse_literal();
        self.command(&head, out)
    }
}

impl Conversation for Imap {
    fn greet(&self, out: &mut Vec<u8>) {
        let capability = Code::Capability(&self.offers.capability);
        response::untagged(out, Status::Ok, Some(capability), &self.offers.greeting);
    }

    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, Next) {
        let (taken, step) =
            if self.dialogue.is_some() { self.framer.feed_line(input) } else { self.framer.feed(input) };
        let next = match step {
            Step::Incomplete => Next::More,
            Step::Continue => {
                response::continuation(out, "OK");
                Next::More
            }
            Step::Complete => {
                let line = Secret::new(self.framer.take());
                match self.dialogue.take() {
                    Some(dialogue) => self.proceed(dialogue, Some(line.expose()), out),
                    None => self.command(&line, out),
                }
            }
            Step::Literal { .. } => self.refuse_literal(out),
            Step::TooLong { tag, excess } => {
                let ours = self.dialogue.take().and_then(|_| self.tag.take());
                match ours.or(tag) {
                    Some(tag) => self.refuse(&tag, excess.text(), out),
                    None => {
                        response::untagged(out, Status::Bad, None, excess.text());
                        self.count_bad(out)
                    }
                }
            }
        };
        (taken, next)
    }

    fn answer(&mut self, verdict: &Verdict, out: &mut Vec<u8>) {
        let Some(tag) = self.tag.take() else { return };
        let (status, code) = match verdict {
            Verdict::Failed { .. } => (Status::No, Some(Code::AuthenticationFailed)),
            Verdict::Temporary => (Status::No, Some(Code::Unavailable)),
            Verdict::Refused { code: Refusal::Limit, .. } => (Status::No, Some(Code::Limit)),
            Verdict::Refused { code: Refusal::Delay | Refusal::Unavailable, .. } => {
                (Status::No, Some(Code::Unavailable))
            }
            Verdict::LoggedIn => (Status::Ok, None),
        };
        response::tagged(out, &tag, status, code, verdict.text());
        self.bad = 0;
    }

    fn bye(&self, why: Departure, out: &mut Vec<u8>) {
        response::untagged(out, Status::Bye, None, why.text());
    }

    fn tag(&self) -> &str {
        self.tag.as_ref().map(Tag::as_str).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
