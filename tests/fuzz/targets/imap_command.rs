//! A client's IMAP stream: framed and read the same however it is cut, within the limits, and never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::imap::{
    AppendMessage, Body, Command, Excess, FetchItem, Framer, Limits, ParseError, Step, Tag, parse,
    parse_append_more,
};

const LIMITS: Limits = Limits { line: 200, literals: 100 };

#[derive(Debug, PartialEq)]
enum Event {
    /// A command, or the head of an `APPEND`, and where in the stream it ended.
    Command(usize, Result<Command, ParseError>),
    More(usize, Result<Option<AppendMessage>, ParseError>),
    /// A line that is no command.
    Line(usize, Vec<u8>),
    Continue(usize),
    TooLong(Option<Tag>, Excess),
}

fuzz_target!(|input: &[u8]| {
    let (lengths, stream) = fuzz::lengths(input);
    let whole = play(std::iter::once(stream));
    assert_eq!(play(fuzz::pieces(stream, lengths)), whole);
    whole.iter().for_each(answer);
});

/// A session that takes messages of an even size, and refuses the others.
fn play<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut framer = Framer::new(LIMITS);
    let mut events = Vec::new();
    let (mut at, mut message) = (0, 0);
    let (mut line_owed, mut appending) = (false, false);
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            if message > 0 {
                let length = usize::try_from(message).unwrap_or(usize::MAX).min(rest.len());
                (message, at, rest) = (message - length as u64, at + length, &rest[length..]);
                continue;
            }
            let (taken, step) = if line_owed { framer.feed_line(rest) } else { framer.feed(rest) };
            assert!(taken > 0);
            (at, rest) = (at + taken, &rest[taken..]);
            match step {
                Step::Incomplete => assert!(rest.is_empty()),
                Step::Continue => events.push(Event::Continue(at)),
                Step::Complete if line_owed => {
                    events.push(Event::Line(at, take(&mut framer)));
                    line_owed = false;
                }
                Step::Complete => {
                    events.push(read(at, &take(&mut framer), appending));
                    appending = false;
                    line_owed = matches!(
                        events.last(),
                        Some(Event::Command(
                            _,
                            Ok(Command { body: Body::Idle | Body::Authenticate { .. }, .. })
                        ))
                    );
                    assert!(framer.is_at_rest());
                }
                Step::Literal { size, .. } => {
                    events.push(read(at, &take(&mut framer), appending));
                    let understood =
                        matches!(events.last(), Some(Event::Command(_, Ok(_)) | Event::More(_, Ok(Some(_)))));
                    appending = understood && size % 2 == 0;
                    if appending {
                        message = size;
                    } else {
                        framer.refuse_literal();
                    }
                }
                Step::TooLong { tag, excess } => {
                    events.push(Event::TooLong(tag, excess));
                    (line_owed, appending) = (false, false);
                }
            }
        }
    }
    events
}

fn take(framer: &mut Framer) -> Vec<u8> {
    let bytes = framer.take();
    assert!(bytes.len() <= LIMITS.line + LIMITS.literals);
    bytes
}

fn read(at: usize, bytes: &[u8], appending: bool) -> Event {
    if appending { Event::More(at, parse_append_more(bytes)) } else { Event::Command(at, parse(bytes)) }
}

/// An answer is one line, whatever was asked.
fn answer(event: &Event) {
    let mut out = Vec::new();
    match event {
        Event::Command(_, Err(error)) => {
            error.answer(&mut out);
            assert!(out.ends_with(b"\r\n"));
            out.truncate(out.len() - 2);
        }
        Event::Command(_, Ok(Command { body: Body::Fetch { items, .. }, .. })) => {
            for item in items {
                if let FetchItem::Content(content) = item {
                    content.write_name(&mut out);
                }
            }
            // Names of header fields may be literals.
            return;
        }
        _ => {}
    }
    assert!(!out.iter().any(|byte| b"\r\n\0".contains(byte)));
}
