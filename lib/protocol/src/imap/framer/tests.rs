use proptest::prelude::*;

use super::*;

/// Feeds a stream as a caller would, in segments of these lengths by turns; returns what came of it, a line each.
/// The messages of `APPEND`s are refused if `refuse`, else read.
fn events(stream: &[u8], limits: Limits, lengths: &[usize], refuse: bool) -> Vec<String> {
    let mut framer = Framer::new(limits);
    let mut events = Vec::new();
    let mut message = 0u64;
    let mut position = 0;
    let mut lengths = lengths.iter().cycle();
    let mut segment: &[u8] = b"";
    while position < stream.len() {
        if segment.is_empty() {
            let length = (*lengths.next().unwrap()).clamp(1, stream.len() - position);
            segment = &stream[position..position + length];
        }
        let (taken, step) = if message > 0 {
            let taken = segment.len().min(message as usize);
            message -= taken as u64;
            (taken, Step::Incomplete)
        } else {
            framer.feed(segment)
        };
        assert!(step != Step::Incomplete || taken == segment.len() || message == 0);
        position += taken;
        segment = &segment[taken..];
        match step {
            Step::Incomplete => continue,
            Step::Continue => events.push(format!("{position} go on")),
            Step::Complete => events.push(format!("{position} {}", String::from_utf8_lossy(&framer.take()))),
            Step::TooLong { tag, excess } => events.push(format!("{position} {tag:?} {excess:?}")),
            Step::Literal { size, waits } => {
                let head = framer.take();
                events.push(format!("{position} {} {size} {waits}", String::from_utf8_lossy(&head)));
                if refuse { framer.refuse_literal() } else { message = size }
            }
        }
    }
    events
}

fn small() -> Limits {
    Limits { line: 40, literals: 10 }
}

fn tag(text: &str) -> Option<Tag> {
    Tag::new(text.as_bytes())
}

#[test]
fn a_command_takes_its_own_bytes_and_no_more() {
    let mut framer = Framer::new(small());
    assert_eq!(framer.feed(b"a NO"), (4, Step::Incomplete));
    assert_eq!(framer.feed(b"OP\r\nb NOOP\r\n"), (4, Step::Complete));
    assert_eq!(framer.take(), b"a NOOP\r\n");
    assert!(framer.is_at_rest());
    assert_eq!(framer.feed(b"b NOOP\nc"), (7, Step::Complete));
    assert_eq!(framer.take(), b"b NOOP\n");
}

#[test]
fn a_waiting_client_is_asked_for_its_literal() {
    let mut framer = Framer::new(small());
    assert_eq!(framer.feed(b"a LOGIN {3}\r\nbob {2}\r\nxy\r\nb"), (13, Step::Continue));
    assert_eq!(framer.feed(b"bob {2}\r\nxy\r\nb"), (9, Step::Continue));
    assert_eq!(framer.feed(b"xy\r\nb"), (4, Step::Complete));
    assert_eq!(framer.take(), b"a LOGIN {3}\r\nbob {2}\r\nxy\r\n");
}

#[test]
fn other_literals_just_come() {
    let mut framer = Framer::new(small());
    assert_eq!(framer.feed(b"a LOGIN {3+}\r\nbob {0+}\r\n\r\nb"), (26, Step::Complete));
    assert_eq!(framer.take(), b"a LOGIN {3+}\r\nbob {0+}\r\n\r\n");
}

#[test]
fn line_ends_in_a_literal_are_its_own() {
    let mut framer = Framer::new(small());
    assert_eq!(framer.feed(b"a SELECT {4+}\r\n\r\n\r\n\r\nb"), (21, Step::Complete));
    let mut framer = Framer::new(small());
    assert_eq!(framer.feed(b"a SELECT {6+}\r\na {9}\n\r\nb"), (23, Step::Complete));
}

#[test]
fn what_only_looks_like_an_announcement_is_none() {
    for line in [
        "a LOGIN x pass{5}\r\n",
        "a LOGIN x pass{5+}\r\n",
        "a LOGIN x \"no end {5}\r\n",
        "a LOGIN x \"no \\\" end {5}\r\n",
        "a NOOP {}\r\n",
        "a NOOP {+}\r\n",
        "a NOOP {x}\r\n",
        "a NOOP {5} \r\n",
        "a NOOP {5-}\r\n",
        "a NOOP 5}\r\n",
    ] {
        assert_eq!(Framer::new(small()).feed(line.as_bytes()), (line.len(), Step::Complete), "{line}");
    }
    let line = "a LOGIN \"in {5} \" {5}\r\n";
    assert_eq!(Framer::new(small()).feed(line.as_bytes()), (line.len(), Step::Continue));
}

#[test]
fn a_long_line_costs_itself_only() {
    let mut framer = Framer::new(small());
    let long = "a1 ".to_owned() + &"x".repeat(60);
    assert_eq!(
        framer.feed(long.as_bytes()),
        (long.len(), Step::TooLong { tag: tag("a1"), excess: Excess::Line })
    );
    assert_eq!(framer.feed(long.as_bytes()), (long.len(), Step::Incomplete));
    assert_eq!(framer.feed(b"x\r\nb NOOP\r\n"), (11, Step::Complete));
    assert_eq!(framer.take(), b"b NOOP\r\n");
}

#[test]
fn a_long_line_that_is_whole_costs_itself_only() {
    let mut framer = Framer::new(small());
    let long = "a1 ".to_owned() + &"x".repeat(60) + "\r\n";
    let stream = long.clone() + "b NOOP\r\n";
    assert_eq!(
        framer.feed(stream.as_bytes()),
        (long.len(), Step::TooLong { tag: tag("a1"), excess: Excess::Line })
    );
    assert!(framer.is_at_rest());
}

#[test]
fn literals_of_a_long_line_are_passed_over_too() {
    let long = "a ".to_owned() + &"x".repeat(60);
    let stream = long.clone() + " {9+}\r\nz NOOP\r\n1 {7+}\r\nz NOOP\n\r\nb NOOP\r\n";
    let expected =
        vec![format!("{} {:?} Line", long.len() + 7, tag("a")), format!("{} b NOOP\r\n", stream.len())];
    assert_eq!(events(stream.as_bytes(), small(), &[stream.len()], false), expected);
    // Its client was told that the command failed, and sends the next.
    let stream = long + " {9}\r\nb NOOP\r\n";
    assert_eq!(events(stream.as_bytes(), small(), &[stream.len()], false).len(), 2);
}

#[test]
fn a_literal_too_large_is_not_asked_for() {
    let mut framer = Framer::new(small());
    let step = Step::TooLong { tag: tag("a"), excess: Excess::Literals };
    assert_eq!(framer.feed(b"a LOGIN {11}\r\nb NOOP\r\n"), (14, step.clone()));
    assert!(framer.is_at_rest());
    assert_eq!(framer.feed(b"a LOGIN {99999999999999999999}\r\n"), (32, step.clone()));
    assert!(framer.is_at_rest());
    // All of a command's literals count together.
    assert_eq!(framer.feed(b"a LOGIN {8+}\r\n12345678 {3}\r\n"), (28, step));
    assert!(framer.is_at_rest());
}

#[test]
fn a_literal_too_large_that_comes_is_passed_over() {
    let mut framer = Framer::new(small());
    let step = Step::TooLong { tag: tag("a"), excess: Excess::Literals };
    assert_eq!(framer.feed(b"a LOGIN {5000000000+}\r\nxyz"), (23, step));
    let block = vec![b'\n'; 1_000_000];
    for _ in 0..5_000 {
        assert_eq!(framer.feed(&block), (block.len(), Step::Incomplete));
    }
    assert_eq!(framer.buffer.capacity(), 0);
    assert_eq!(framer.feed(b" {3+}\r\nxyz\r\nb NOOP\r\n"), (20, Step::Complete));
    assert_eq!(framer.take(), b"b NOOP\r\n");
}

#[test]
fn a_message_is_left_to_the_caller() {
    let stream = b"a APPEND x {9}\r\nz NOOP\r\n1\r\nb NOOP\r\n";
    let expected = ["16 a APPEND x {9}\r\n 9 true", "27 \r\n", "35 b NOOP\r\n"].map(str::to_owned);
    assert_eq!(events(stream, small(), &[99], false), expected);
    let stream = b"a append {1+}\r\nx (\\Seen) {9000+}\r\n";
    assert_eq!(
        events(stream, small(), &[99], false),
        ["34 a append {1+}\r\nx (\\Seen) {9000+}\r\n 9000 false"]
    );
}

#[test]
fn several_messages_are_told_one_by_one() {
    let stream = b"a APPEND x {2}\r\nhi (\\Seen) {3+}\r\nyou\r\nb NOOP\r\n";
    assert_eq!(
        events(stream, small(), &[99], false),
        ["16 a APPEND x {2}\r\n 2 true", "33  (\\Seen) {3+}\r\n 3 false", "38 \r\n", "46 b NOOP\r\n"]
    );
}

#[test]
fn a_refused_message_is_passed_over_if_it_comes() {
    let stream = b"a APPEND x {900}\r\nb NOOP\r\n";
    assert_eq!(events(stream, small(), &[99], true), ["18 a APPEND x {900}\r\n 900 true", "26 b NOOP\r\n"]);
    let stream = b"a APPEND x {9+}\r\nz NOOP\r\n1\r\nb NOOP\r\n";
    assert_eq!(events(stream, small(), &[99], true), ["17 a APPEND x {9+}\r\n 9 false", "36 b NOOP\r\n"]);
    let stream = b"a APPEND x {2+}\r\nhi {3+}\r\nyou\r\nb NOOP\r\n";
    assert_eq!(events(stream, small(), &[99], true), ["17 a APPEND x {2+}\r\n 2 false", "39 b NOOP\r\n"]);
}

#[test]
fn a_line_alone_has_no_literals() {
    let mut framer = Framer::new(small());
    assert_eq!(framer.feed_line(b"DO"), (2, Step::Incomplete));
    assert_eq!(framer.feed_line(b"NE {5}\r\na"), (8, Step::Complete));
    assert_eq!(framer.take(), b"DONE {5}\r\n");
}

#[test]
fn its_bytes_do_not_print() {
    let mut framer = Framer::new(small());
    framer.feed(b"a LOGIN alice hunter2");
    assert!(!format!("{framer:?}").contains("hunter2"));
}

#[test]
fn its_rest_is_small() {
    assert!(size_of::<Framer>() <= 96);
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let literal = ("[ab\r\n{}1]{0,12}", any::<bool>()).prop_map(|(bytes, waits)| {
        format!(" {{{}{}}}\r\n{bytes}", bytes.len(), if waits { "" } else { "+" })
    });
    let argument = prop_oneof!["[ a-z\"(){}0-9+]{0,9}".boxed(), literal.boxed()];
    let command =
        (prop_oneof![Just("a NOOP"), Just("b APPEND x"), Just("c")], prop::collection::vec(argument, 0..4))
            .prop_map(|(name, arguments)| name.to_owned() + &arguments.concat() + "\r\n");
    let noise = "[a{}+0-9 \r\n\"]{0,20}";
    prop::collection::vec(prop_oneof![4 => command.boxed(), 1 => noise.boxed()], 0..6)
        .prop_map(|commands| commands.concat().into_bytes())
}

proptest! {
    #[test]
    fn segments_make_no_difference(
        stream in stream(),
        lengths in prop::collection::vec(1usize..9, 1..5),
        refuse in any::<bool>(),
    ) {
        let limits = Limits { line: 30, literals: 16 };
        let whole = events(&stream, limits, &[stream.len().max(1)], refuse);
        let cut = events(&stream, limits, &lengths, refuse);
        // A line that is too long is reported when that is known, which depends on how much of it is seen.
        let what = |events: Vec<String>| -> Vec<String> {
            events.into_iter().map(|event| match event.ends_with("Line") {
                true => event.split_once(' ').unwrap().1.to_owned(),
                false => event,
            }).collect()
        };
        prop_assert_eq!(what(cut), what(whole));
    }

    #[test]
    fn no_bytes_panic_or_get_stuck(stream in any::<Vec<u8>>(), length in 1usize..9) {
        events(&stream, Limits { line: 9, literals: 9 }, &[length], true);
    }
}
