//! Messages on their way to a POP3 client, RFC 1939 section 3: lines end in CRLF, a dot in front of a line is
//! doubled, a line with one dot is the end.

use memchr::memchr;

/// Writes one message, chunk by chunk, however it is cut. Bare LFs become CRLF; bare CRs stay.
#[derive(Debug)]
pub struct DotWriter {
    /// What of the current line has been written.
    line: Line,
    /// The empty line that ends the header has not come.
    in_header: bool,
    /// Lines of the body still wanted.
    wanted: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Nothing,
    /// A CR, and nothing else.
    Return,
    /// Something.
    Open,
    /// Something, a CR last.
    OpenReturn,
}

impl DotWriter {
    /// For `RETR`: all of it.
    pub fn whole() -> DotWriter {
        DotWriter::top(u64::MAX)
    }

    /// For `TOP`: the header, the empty line, and as many lines of the body.
    pub fn top(lines: u64) -> DotWriter {
        DotWriter { line: Line::Nothing, in_header: true, wanted: lines }
    }

    /// Appends the next bytes of the message as the client shall have them. Does nothing once all that was wanted
    /// is written.
    pub fn write(&mut self, out: &mut Vec<u8>, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() && !self.is_satisfied() {
            if self.line == Line::Nothing && rest.starts_with(b".") {
                out.push(b'.');
            }
            match memchr(b'\n', rest).and_then(|at| rest.split_at_checked(at)) {
                Some((line, after)) => {
                    self.put(out, line);
                    self.end_line(out);
                    rest = after.strip_prefix(b"\n").unwrap_or(after);
                }
                None => {
                    self.put(out, rest);
                    return;
                }
            }
        }
    }

    /// Nothing more is wanted of this message; the rest of it need not be read.
    pub fn is_satisfied(&self) -> bool {
        !self.in_header && self.wanted == 0
    }

    /// Ends the message: the line that is open, if one is, and the dot.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if self.line != Line::Nothing {
            self.end_line(out);
        }
        out.extend_from_slice(b".\r\n");
    }

    fn put(&mut self, out: &mut Vec<u8>, part: &[u8]) {
        out.extend_from_slice(part);
        self.line = match (self.line, part) {
            (line, b"") => line,
            (Line::Nothing, b"\r") => Line::Return,
            (_, part) if part.ends_with(b"\r") => Line::OpenReturn,
            _ => Line::Open,
        };
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        let returned = matches!(self.line, Line::Return | Line::OpenReturn);
        out.extend_from_slice(if returned { b"\n" } else { b"\r\n" });
        if !self.in_header {
            self.wanted = self.wanted.saturating_sub(1);
        } else if matches!(self.line, Line::Nothing | Line::Return) {
            self.in_header = false;
        }
        self.line = Line::Nothing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(mut writer: DotWriter, chunks: &[&[u8]]) -> String {
        let mut out = Vec::new();
        for chunk in chunks {
            writer.write(&mut out, chunk);
        }
        writer.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dots_are_doubled_and_lines_end_in_crlf() {
        for (message, wire) in [
            ("", ".\r\n"),
            (".", "..\r\n.\r\n"),
            ("a\n\n.b\n..\n", "a\r\n\r\n..b\r\n...\r\n.\r\n"),
            ("a\r\n\r\n.\r\n", "a\r\n\r\n..\r\n.\r\n"),
            ("a\r.b\rc", "a\r.b\rc\r\n.\r\n"),
            ("a\r", "a\r\n.\r\n"),
        ] {
            assert_eq!(sent(DotWriter::whole(), &[message.as_bytes()]), wire);
        }
    }

    #[test]
    fn top_counts_lines_of_the_body() {
        let message = b"A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n";
        for (lines, wire) in [
            (0, "A: 1\r\nB: 2\r\n\r\n.\r\n"),
            (1, "A: 1\r\nB: 2\r\n\r\none\r\n.\r\n"),
            (2, "A: 1\r\nB: 2\r\n\r\none\r\n\r\n.\r\n"),
            (9, "A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n.\r\n"),
        ] {
            assert_eq!(sent(DotWriter::top(lines), &[message]), wire);
        }
        assert_eq!(sent(DotWriter::top(1), &[b"A: 1\n", b"B: 2"]), "A: 1\r\nB: 2\r\n.\r\n");
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(message in "[a.\r\n]{0,30}", cut in 0usize..31, lines in 0u64..4) {
            let message = message.as_bytes();
            let (one, two) = message.split_at(cut.min(message.len()));
            let whole = sent(DotWriter::top(lines), &[message]);
            let cut = sent(DotWriter::top(lines), &[one, two]);
            let bytes: Vec<&[u8]> = message.chunks(1).collect();
            prop_assert_eq!(&sent(DotWriter::top(lines), &bytes), &whole);
            prop_assert_eq!(cut, whole);
        }

        #[test]
        fn a_client_gets_its_message_back(message in "[a.\r\n]{0,30}") {
            let wire = sent(DotWriter::whole(), &[message.as_bytes()]);
            let mut lines: Vec<&str> = wire.split("\r\n").collect();
            prop_assert_eq!(lines.pop(), Some(""));
            prop_assert_eq!(lines.pop(), Some("."));
            prop_assert!(!lines.contains(&"."));
            let body: Vec<&str> = lines.iter().map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
            let expected = message.replace("\r\n", "\n");
            let expected = expected.strip_suffix('\n').unwrap_or(&expected);
            let expected = expected.strip_suffix('\r').filter(|_| message.ends_with('\r')).unwrap_or(expected);
            prop_assert_eq!(body.join("\n"), expected);
        }
    }
}
