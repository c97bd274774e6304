//! Stored bytes to the bytes that clients see: every line end CRLF, every NUL 0x80 (RFC 3501, section 9: `CHAR8`).
//!
//! A CR without LF is no line end and stays as it is. Chunks may be cut anywhere, also between CR and LF.

use memchr::{memchr, memchr_iter};

/// Translates a message, or a window of it, chunk by chunk.
///
/// For a partial fetch (`BODY[]<from.length>`) push chunks until [`is_done`](Crlf::is_done). Kept afterwards,
/// [`resume`](Crlf::resume) saves the next partial fetch from reading the message from its start again.
#[derive(Clone, Copy, Debug)]
pub struct Crlf {
    offset: u64,
    crlf_offset: u64,
    after_cr: bool,
    from: u64,
    until: u64,
}

impl Crlf {
    /// All that will be pushed.
    pub fn whole() -> Crlf {
        Crlf::window(0, u64::MAX)
    }

    /// `length` bytes from `from` on, both counted in bytes as clients see them.
    pub fn window(from: u64, length: u64) -> Crlf {
        Crlf { offset: 0, crlf_offset: 0, after_cr: false, from, until: from.saturating_add(length) }
    }

    /// The same source, another window: go on reading at [`offset`](Crlf::offset). `None` if `from` has been passed.
    pub fn resume(self, from: u64, length: u64) -> Option<Crlf> {
        (from >= self.crlf_offset).then_some(Crlf { from, until: from.saturating_add(length), ..self })
    }

    /// The stored byte that the next chunk must begin with, counted from the start of what is translated.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the window is full; further chunks are ignored.
    pub fn is_done(&self) -> bool {
        self.crlf_offset >= self.until
    }

    /// Appends to `out` what of `chunk` lies in the window: at most twice the chunk's length.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let old = out.len();
        let mut done = 0;
        for lf in memchr_iter(b'\n', chunk) {
            let before = chunk.get(done..lf).unwrap_or_default();
            let after_cr = before.last().map_or(self.after_cr, |&byte| byte == b'\r');
            if after_cr {
                continue;
            }
            self.copy(before, out);
            if self.is_done() {
                break;
            }
            self.copy_inserted_cr(out);
            done = lf;
        }
        self.copy(chunk.get(done..).unwrap_or_default(), out);
        replace_nul(out.get_mut(old..).unwrap_or_default());
    }

    fn copy(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let skip = clamp(self.from.saturating_sub(self.crlf_offset), bytes.len());
        let end = clamp(self.until.saturating_sub(self.crlf_offset), bytes.len());
        out.extend_from_slice(bytes.get(skip..end).unwrap_or_default());
        self.offset = self.offset.saturating_add(end as u64);
        self.crlf_offset = self.crlf_offset.saturating_add(end as u64);
        if let Some(last) = bytes.get(..end).and_then(<[u8]>::last) {
            self.after_cr = *last == b'\r';
        }
    }

    fn copy_inserted_cr(&mut self, out: &mut Vec<u8>) {
        if self.crlf_offset >= self.from {
            out.push(b'\r');
        }
        self.crlf_offset = self.crlf_offset.saturating_add(1);
        self.after_cr = true;
    }
}

/// Counts the bytes that clients will see, chunk by chunk.
#[derive(Clone, Copy, Debug, Default)]
pub struct CrlfSize {
    size: u64,
    after_cr: bool,
}

impl CrlfSize {
    /// Counts one more chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        let bare = if memchr(b'\r', chunk).is_none() && !self.after_cr {
            memchr_iter(b'\n', chunk).count()
        } else {
            memchr_iter(b'\n', chunk).filter(|&lf| !self.follows_cr(chunk, lf)).count()
        };
        self.size = self.size.saturating_add(chunk.len() as u64).saturating_add(bare as u64);
        if let Some(last) = chunk.last() {
            self.after_cr = *last == b'\r';
        }
    }

    /// The count.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn follows_cr(&self, chunk: &[u8], at: usize) -> bool {
        chunk.get(..at).and_then(<[u8]>::last).map_or(self.after_cr, |&byte| byte == b'\r')
    }
}

/// The length of `bytes` as clients see them.
pub fn crlf_size(bytes: &[u8]) -> u64 {
    let mut size = CrlfSize::default();
    size.push(bytes);
    size.size()
}

fn clamp(value: u64, most: usize) -> usize {
    usize::try_from(value).map_or(most, |value| value.min(most))
}

/// Makes NUL, which no IMAP string may hold, 0x80.
pub(crate) fn replace_nul(bytes: &mut [u8]) {
    if memchr(0, bytes).is_some() {
        for byte in bytes {
            *byte = if *byte == 0 { 0x80 } else { *byte };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn translated(chunks: &[&[u8]], mut crlf: Crlf) -> Vec<u8> {
        let mut out = Vec::new();
        for chunk in chunks {
            crlf.push(chunk, &mut out);
        }
        out
    }

    #[test]
    fn bare_lf_becomes_crlf_and_the_rest_stays() {
        assert_eq!(translated(&[b"a\nb\r\nc\rd\n\n\r\n"], Crlf::whole()), b"a\r\nb\r\nc\rd\r\n\r\n\r\n");
    }

    #[test]
    fn nul_becomes_0x80() {
        assert_eq!(translated(&[b"a\0b"], Crlf::whole()), b"a\x80b");
    }

    #[test]
    fn cr_and_lf_in_two_chunks_stay_one_line_end() {
        assert_eq!(translated(&[b"a\r", b"", b"\nb\n", b"\nc"], Crlf::whole()), b"a\r\nb\r\n\r\nc");
    }

    #[test]
    fn window_may_begin_and_end_within_a_line_end() {
        assert_eq!(translated(&[b"a\nb\n"], Crlf::window(2, 3)), b"\nb\r");
    }

    #[test]
    fn window_before_what_has_been_passed_is_not_resumed() {
        let mut crlf = Crlf::window(0, 4);
        crlf.push(b"abcdef", &mut Vec::new());
        assert!(crlf.resume(3, 1).is_none());
        assert!(crlf.resume(4, 1).is_some());
    }

    fn any_text() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(b'x')], 0..40)
    }

    proptest! {
        #[test]
        fn size_is_the_length_of_the_translation(text in any_text(), cut in 0..40usize) {
            let (head, tail) = text.split_at(cut.min(text.len()));
            let whole = translated(&[&text], Crlf::whole());
            prop_assert_eq!(&translated(&[head, tail], Crlf::whole()), &whole);
            let mut size = CrlfSize::default();
            size.push(head);
            size.push(tail);
            prop_assert_eq!(size.size(), whole.len() as u64);
            prop_assert_eq!(crlf_size(&text), whole.len() as u64);
        }

        #[test]
        fn windows_in_a_row_make_the_whole(text in any_text(), step in 1..9u64, chunk in 1..9usize) {
            let whole = translated(&[&text], Crlf::whole());
            let mut crlf = Crlf::window(0, 0);
            let mut out = Vec::new();
            for from in (0..whole.len() as u64).step_by(step as usize) {
                crlf = crlf.resume(from, step).unwrap();
                for chunk in text[crlf.offset() as usize..].chunks(chunk) {
                    crlf.push(chunk, &mut out);
                    if crlf.is_done() {
                        break;
                    }
                }
            }
            prop_assert_eq!(out, whole);
        }
    }
}
