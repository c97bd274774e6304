//! POP3 before login: RFC 1939 section 4, CAPA and response codes (2449, 3206), AUTH (5034),
//! UTF8 and LANG (6856).

use std::rc::Rc;

use protocol::Secret;
use protocol::capability::Plaintext;
use protocol::pop3::{self, Command, Framer, Step};
use protocol::sasl::{self, Credentials};
use wire::login::Refusal;

use crate::conversation::{
    Attempt, Conversation, DISALLOWED, Departure, LONGEST, MOST_BAD_COMMANDS, Method, Next, Verdict,
};
use crate::dialogue::{Dialogue, Turn};
use crate::offers::Offers;

/// One client that speaks POP3.
#[derive(Debug)]
pub(crate) struct Pop3 {
    offers: Rc<Offers>,
    framer: Framer,
    /// What `USER` said, until `PASS` comes.
    user: Option<Vec<u8>>,
    dialogue: Option<Dialogue>,
    /// Bad commands in a row.
    bad: u8,
}

impl Pop3 {
    /// A new one.
    pub(crate) fn new(offers: Rc<Offers>) -> Self {
        Self { offers, framer: Framer::new(LONGEST), user: None, dialogue: None, bad: 0 }
    }

    fn command(&mut self, line: &Secret, out: &mut Vec<u8>) -> Next {
        let command = match pop3::parse(line.expose()) {
            Ok(command) => command,
            Err(error) => return self.refuse(error.text, out),
        };
        match command {
            Command::User(_) | Command::Pass(_) | Command::Auth { mechanism: Some(_), .. }
                if self.offers.plaintext == Plaintext::Refused =>
            {
                pop3::err(out, &format!("[AUTH] {DISALLOWED}"));
                self.bad = 0;
                return Next::Disallowed;
            }
            Command::User(user) => {
                self.user = Some(user);
                pop3::ok(out, "");
            }
            Command::Pass(password) => {
                let Some(user) = self.user.take() else {
                    return self.refuse("No user name given.", out);
                };
                let credentials = Credentials { authorization: Vec::new(), user, password };
                return Next::Authenticate(Attempt { credentials, method: Method::Plain });
            }
            Command::Auth { mechanism: Some(mechanism), initial } => {
                return match Dialogue::begin(&self.offers, &mechanism) {
                    Some(dialogue) => self.proceed(dialogue, initial.as_ref().map(Secret::expose), out),
                    None => self.refuse("Unsupported authentication mechanism.", out),
                };
            }
            Command::Auth { mechanism: None, .. } => {
                pop3::ok(out, "");
                for method in &self.offers.mechanisms {
                    pop3::line(out, method.name());
                }
                pop3::line(out, ".");
            }
            Command::Capa => {
                pop3::capa(out, self.offers.capa.iter().map(String::as_str));
            }
            Command::Quit => {
                pop3::ok(out, Departure::Quit.text());
                return Next::Leave(Departure::Quit);
            }
            Command::Stls => return self.refuse("TLS is not available.", out),
            Command::Lang(range) => {
                if !pop3::lang(out, range.as_deref()) {
                    return self.refuse("We speak English only.", out);
                }
            }
            // Messages are sent as they are in either mode.
            Command::Utf8 => pop3::ok(out, "UTF8 enabled."),
            Command::Apop { .. } => return self.refuse("Not supported.", out),
            _ => return self.refuse("Please log in first.", out),
        }
        self.bad = 0;
        Next::More
    }

    fn proceed(&mut self, dialogue: Dialogue, response: Option<&[u8]>, out: &mut Vec<u8>) -> Next {
        match dialogue.take(response) {
            Ok(Turn::Ask(dialogue)) => {
                pop3::continuation(out, dialogue.challenge());
                self.dialogue = Some(dialogue);
                Next::More
            }
            Ok(Turn::Done(attempt)) => Next::Authenticate(attempt),
            Err(sasl::Error::Cancelled) => self.refuse("Authentication cancelled.", out),
            Err(sasl::Error::NotBase64) => self.refuse("Invalid base64 in response.", out),
            Err(sasl::Error::Malformed) => self.refuse("[AUTH] Authentication failed.", out),
        }
    }

    fn refuse(&mut self, text: &str, out: &mut Vec<u8>) -> Next {
        pop3::err(out, text);
        self.bad += 1;
        if self.bad < MOST_BAD_COMMANDS {
            return Next::More;
        }
        self.bye(Departure::BadCommands, out);
        Next::Leave(Departure::BadCommands)
    }
}

impl Conversation for Pop3 {
    fn greet(&self, out: &mut Vec<u8>) {
        pop3::ok(out, &self.offers.greeting);
    }

    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, Next) {
        let (taken, step) = self.framer.feed(input);
        let next = match step {
            Step::Incomplete => Next::More,
            Step::Complete => {
                let line = Secret::new(self.framer.take());
                match self.dialogue.take() {
                    Some(dialogue) => self.proceed(dialogue, Some(line.expose()), out),
                    None => self.command(&line, out),
                }
            }
            Step::TooLong => {
                self.dialogue = None;
                self.refuse("Command line too long.", out)
            }
        };
        (taken, next)
    }

    fn answer(&mut self, verdict: &Verdict, out: &mut Vec<u8>) {
        let code = match verdict {
            Verdict::LoggedIn => return pop3::ok(out, verdict.text()),
            Verdict::Failed { .. } => "[AUTH]",
            Verdict::Refused { code: Refusal::Limit, .. } => "[IN-USE]",
            Verdict::Refused { code: Refusal::Delay, .. } => "[LOGIN-DELAY]",
            Verdict::Temporary | Verdict::Refused { code: Refusal::Unavailable, .. } => "[SYS/TEMP]",
        };
        pop3::err(out, &format!("{code} {}", verdict.text()));
        self.bad = 0;
    }

    fn bye(&self, why: Departure, out: &mut Vec<u8>) {
        let code = match why {
            Departure::Displaced | Departure::Crowded => "[SYS/TEMP] ",
            _ => "",
        };
        pop3::err(out, &format!("{code}{}", why.text()));
    }

    fn tag(&self) -> &str {
        ""
    }
}

#[cfg(test)]
mod tests;
