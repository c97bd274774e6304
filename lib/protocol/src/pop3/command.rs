//! One line's bytes into one [`Command`].

use std::num::NonZeroU32;

use crate::Secret;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "commands bear the names that their RFCs give them")]
pub enum Command {
    User(Vec<u8>),
    /// All after the one space, spaces included.
    Pass(Secret),
    Apop {
        user: Vec<u8>,
        digest: Secret,
    },
    /// Without a mechanism it asks for a list. The mechanism is in upper case; `initial` is base64 as it came, `=`
    /// for an empty response.
    Auth {
        mechanism: Option<String>,
        initial: Option<Secret>,
    },
    Stls,
    Capa,
    Utf8,
    Lang(Option<String>),
    Stat,
    List(Option<NonZeroU32>),
    Uidl(Option<NonZeroU32>),
    Retr(NonZeroU32),
    /// The header, and this many lines of the body.
    Top {
        message: NonZeroU32,
        lines: u64,
    },
    Dele(NonZeroU32),
    Last,
    Rset,
    Noop,
    Quit,
}

/// Why a line was not understood; the client may be told its `text`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reading a command: {text}")]
pub struct ParseError {
    /// Short.
    pub text: &'static str,
}

/// Reads a line, with or without its end.
pub fn parse(line: &[u8]) -> Result<Command, ParseError> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.contains(&0) {
        return bad("NUL in command");
    }
    let (word, argument) = split_word(line);
    let mut arguments = Arguments(argument.unwrap_or_default());
    let command = match word.to_ascii_uppercase().as_slice() {
        b"PASS" => match argument {
            Some(password) => return Ok(Command::Pass(password.into())),
            None => return bad("Missing argument"),
        },
        b"USER" => return Ok(Command::User(arguments.rest()?.to_vec())),
        b"APOP" => Command::Apop { user: arguments.need()?.to_vec(), digest: arguments.need()?.into() },
        b"AUTH" => Command::Auth {
            mechanism: arguments.next().map(|name| String::from_utf8_lossy(name).to_ascii_uppercase()),
            initial: arguments.next().map(Secret::from),
        },
        b"STLS" => Command::Stls,
        b"CAPA" => Command::Capa,
        b"UTF8" => Command::Utf8,
        b"LANG" => Command::Lang(arguments.next().map(|tag| String::from_utf8_lossy(tag).into_owned())),
        b"STAT" => Command::Stat,
        b"LIST" => Command::List(arguments.next().map(message).transpose()?),
        b"UIDL" => Command::Uidl(arguments.next().map(message).transpose()?),
        b"RETR" => Command::Retr(message(arguments.need()?)?),
        b"TOP" => Command::Top { message: message(arguments.need()?)?, lines: lines(arguments.need()?)? },
        b"DELE" => Command::Dele(message(arguments.need()?)?),
        b"LAST" => Command::Last,
        b"RSET" => Command::Rset,
        b"NOOP" => Command::Noop,
        b"QUIT" => Command::Quit,
        _ => return bad("Unknown command"),
    };
    if arguments.next().is_some() { bad("Too many arguments") } else { Ok(command) }
}

fn bad<T>(text: &'static str) -> Result<T, ParseError> {
    Err(ParseError { text })
}

/// Up to the first space, and what follows it, if there is one.
fn split_word(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = line.splitn(2, |byte| *byte == b' ');
    (parts.next().unwrap_or_default(), parts.next())
}

/// What of a line is still to be read.
struct Arguments<'a>(&'a [u8]);

impl<'a> Arguments<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let (word, rest) = split_word(self.0.trim_ascii_start());
        self.0 = rest.unwrap_or_default();
        (!word.is_empty()).then_some(word)
    }

    fn need(&mut self) -> Result<&'a [u8], ParseError> {
        self.next().ok_or(ParseError { text: "Missing argument" })
    }

    fn rest(&mut self) -> Result<&'a [u8], ParseError> {
        let rest = self.0.trim_ascii();
        if rest.is_empty() { bad("Missing argument") } else { Ok(rest) }
    }
}

fn message(digits: &[u8]) -> Result<NonZeroU32, ParseError> {
    digit_run(digits)
        .and_then(|digits| digits.parse().ok())
        .ok_or(ParseError { text: "Invalid message number" })
}

fn lines(digits: &[u8]) -> Result<u64, ParseError> {
    digit_run(digits)
        .and_then(|digits| digits.parse().ok())
        .ok_or(ParseError { text: "Invalid number of lines" })
}

/// Digits and nothing else: no sign, which Rust's own reading would take.
fn digit_run(bytes: &[u8]) -> Option<&str> {
    if bytes.iter().all(u8::is_ascii_digit) { std::str::from_utf8(bytes).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(value: u32) -> NonZeroU32 {
        NonZeroU32::new(value).unwrap()
    }

    #[test]
    fn every_command_is_known() {
        for (line, command) in [
            ("USER alice\r\n", Command::User(b"alice".to_vec())),
            ("user  alice \r\n", Command::User(b"alice".to_vec())),
            ("PASS se cret \r\n", Command::Pass(b"se cret "[..].into())),
            ("PASS \r\n", Command::Pass(b""[..].into())),
            (
                "APOP alice c4c9334bac560ecc979e58001b3e22fb\r\n",
                Command::Apop {
                    user: b"alice".to_vec(),
                    digest: b"c4c9334bac560ecc979e58001b3e22fb"[..].into(),
                },
            ),
            ("AUTH\r\n", Command::Auth { mechanism: None, initial: None }),
            ("AUTH plain\r\n", Command::Auth { mechanism: Some("PLAIN".into()), initial: None }),
            (
                "AUTH PLAIN =\r\n",
                Command::Auth { mechanism: Some("PLAIN".into()), initial: Some(b"="[..].into()) },
            ),
            ("STLS\r\n", Command::Stls),
            ("CAPA\r\n", Command::Capa),
            ("UTF8\r\n", Command::Utf8),
            ("LANG\r\n", Command::Lang(None)),
            ("LANG *\r\n", Command::Lang(Some("*".into()))),
            ("STAT\r\n", Command::Stat),
            ("STAT \n", Command::Stat),
            ("LIST\r\n", Command::List(None)),
            ("LIST 2\r\n", Command::List(Some(number(2)))),
            ("UIDL\r\n", Command::Uidl(None)),
            ("UIDL 2\r\n", Command::Uidl(Some(number(2)))),
            ("RETR 4294967295\r\n", Command::Retr(number(u32::MAX))),
            ("TOP 1 0\r\n", Command::Top { message: number(1), lines: 0 }),
            ("top  1  10 \r\n", Command::Top { message: number(1), lines: 10 }),
            ("DELE 1\r\n", Command::Dele(number(1))),
            ("LAST\r\n", Command::Last),
            ("RSET\r\n", Command::Rset),
            ("NOOP\r\n", Command::Noop),
            ("QUIT\r\n", Command::Quit),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_names_no_message_is_an_error() {
        for line in [
            "DELE 0",
            "DELE",
            "DELE +1",
            "DELE -1",
            "DELE 1x",
            "DELE 4294967296",
            "DELE 1 2",
            "RETR 0",
            "LIST 0",
            "UIDL 0",
            "TOP 1",
            "TOP 0 1",
            "TOP 1 -1",
            "STAT 1",
            "USER",
            "USER ",
            "PASS",
            "",
            " ",
            "XTND",
            "\0",
            "NOOP\0",
            "APOP alice",
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn password_does_not_print() {
        let command = parse(b"PASS hunter2\r\n").unwrap();
        assert_eq!(format!("{command:?}"), "Pass(<secret>)");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(line in any::<Vec<u8>>()) {
            let _ = parse(&line);
        }

        #[test]
        fn no_arguments_panic(line in "(TOP|LIST|AUTH|PASS|APOP)[ 0-9a-z]{0,20}") {
            let _ = parse(line.as_bytes());
        }
    }
}
