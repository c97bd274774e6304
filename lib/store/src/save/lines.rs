//! Line ends of a message on its way to the disk: it comes with CRLF, and by default is stored with LF.
//!
//! What comes back to a client is what it sent, byte for byte: a CR that is no part of a line end stays, and so does a
//! CRLF after another CR, since a single LF there would come back without it. Only a bare LF comes back as CRLF.

/// How line ends are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnds {
    Lf,
    Crlf,
    AsTheyAre,
}

/// A message's lines, in pieces.
#[derive(Debug)]
pub(crate) struct Lines {
    ends: LineEnds,
    /// A CR that may be half of a line end: not written yet.
    held: bool,
    /// The last byte written is a CR.
    after_cr: bool,
    /// Lines that ended in LF alone as written.
    bare: u64,
}

impl Lines {
    pub(crate) fn new(ends: LineEnds) -> Lines {
        Lines { ends, held: false, after_cr: false, bare: 0 }
    }

    /// Appends a piece as it shall be stored.
    pub(crate) fn push(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        while let Some((text, rest)) = memchr::memchr(b'\n', piece).and_then(|at| piece.split_at_checked(at))
        {
            self.text(text, out);
            self.end(out);
            piece = rest.get(1..).unwrap_or_default();
        }
        self.text(piece, out);
    }

    /// The message is over.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.held) {
            out.push(b'\r');
        }
    }

    /// How many bytes more it has, of what was written, where every line ends in CRLF.
    pub(crate) fn bare(&self) -> u64 {
        self.bare
    }

    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let Some((&last, before)) = text.split_last() else { return };
        if std::mem::take(&mut self.held) {
            out.push(b'\r');
            self.after_cr = true;
        }
        self.held = last == b'\r';
        let text = if self.held { before } else { text };
        out.extend_from_slice(text);
        self.after_cr = text.last().map_or(self.after_cr, |&last| last == b'\r');
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let cr = std::mem::take(&mut self.held);
        let keep = match self.ends {
            LineEnds::Lf => cr && self.after_cr,
            LineEnds::Crlf => true,
            LineEnds::AsTheyAre => cr,
        };
        out.extend_from_slice(if keep { b"\r\n" } else { b"\n" });
        self.bare += u64::from(!keep);
        self.after_cr = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(ends: LineEnds, pieces: &[&[u8]]) -> (Vec<u8>, u64) {
        let (mut lines, mut out) = (Lines::new(ends), Vec::new());
        pieces.iter().for_each(|piece| lines.push(piece, &mut out));
        lines.finish(&mut out);
        (out, lines.bare())
    }

    /// As clients see it.
    fn sent(stored: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for &byte in stored {
            if byte == b'\n' && out.last() != Some(&b'\r') {
                out.push(b'\r');
            }
            out.push(byte);
        }
        out
    }

    #[test]
    fn line_ends_are_stored_as_asked() {
        let text: &[&[u8]] = &[b"a\r", b"\nb\nc\rd\r"];
        assert_eq!(stored(LineEnds::Lf, text), (b"a\nb\nc\rd\r".to_vec(), 2));
        assert_eq!(stored(LineEnds::Crlf, text), (b"a\r\nb\r\nc\rd\r".to_vec(), 0));
        assert_eq!(stored(LineEnds::AsTheyAre, text), (b"a\r\nb\nc\rd\r".to_vec(), 1));
    }

    #[test]
    fn a_second_cr_is_not_lost() {
        assert_eq!(stored(LineEnds::Lf, &[b"a\r\r\n"]).0, b"a\r\r\n");
    }

    proptest! {
        #[test]
        fn what_was_sent_comes_back(
            text in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'x')], 0..40),
            at in any::<prop::sample::Index>(),
        ) {
            let (one, other) = text.split_at(at.index(text.len() + 1));
            for ends in [LineEnds::Lf, LineEnds::Crlf, LineEnds::AsTheyAre] {
                let (stored, bare) = stored(ends, &[one, other]);
                prop_assert_eq!(sent(&stored), sent(&text));
                prop_assert_eq!(sent(&stored).len() as u64, stored.len() as u64 + bare);
            }
        }
    }
}
