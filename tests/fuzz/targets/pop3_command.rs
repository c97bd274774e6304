//! A client's POP3 stream: framed and read the same however it is cut, within the limit, and never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::pop3::{Command, Framer, ParseError, Step, parse};

const LONGEST: usize = 64;

#[derive(Debug, PartialEq)]
enum Event {
    /// A command, and where in the stream it ended.
    Command(usize, Result<Command, ParseError>),
    TooLong,
}

fuzz_target!(|input: &[u8]| {
    let (lengths, stream) = fuzz::lengths(input);
    assert_eq!(play(fuzz::pieces(stream, lengths)), play(std::iter::once(stream)));
});

fn play<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut framer = Framer::new(LONGEST);
    let mut events = Vec::new();
    let mut at = 0;
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            let (taken, step) = framer.feed(rest);
            assert!(taken > 0);
            (at, rest) = (at + taken, &rest[taken..]);
            match step {
                Step::Incomplete => assert!(rest.is_empty()),
                Step::Complete => {
                    let line = framer.take();
                    assert!(line.len() <= LONGEST);
                    events.push(Event::Command(at, parse(&line)));
                }
                Step::TooLong => events.push(Event::TooLong),
            }
        }
    }
    events
}
