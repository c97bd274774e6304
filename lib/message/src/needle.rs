//! Text within text, whatever its case: what SEARCH compares.
//!
//! Both sides are folded, character by character: compatibility decomposition, then the upper-case letter where that is
//! one (RFC 5051 has title-case, which differs in no letter that is decomposed). So `É` is `e` and an accent, and is
//! found by `é` and by a search that ends in `e`, and `ﬁ` is `fi`; `ß` is not `ss`. Marks are not put in order. A CR
//! does not count: a line end is LF, however it is stored.

use memchr::{memchr_iter, memmem::Finder};
use unicode_normalization::char::decompose_compatible;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Needle {
    finder: Finder<'static>,
}

impl Needle {
    /// A text to look for; the empty one is found everywhere.
    pub fn new(text: &str) -> Needle {
        let mut folded = Vec::new();
        fold(text, &mut folded);
        Needle { finder: Finder::new(&folded).into_owned() }
    }

    /// Bytes of the folded text.
    pub fn length(&self) -> usize {
        self.finder.needle().len()
    }

    /// Is it here?
    pub fn is_in(&self, window: &Window) -> bool {
        self.finder.find(&window.folded).is_some()
    }
}

/// The end of a text, folded: what came last, and before it as much as a needle may be long.
#[derive(Clone, Debug, Default)]
pub struct Window {
    folded: Vec<u8>,
    overlap: usize,
}

impl Window {
    /// For needles of this length at most.
    pub fn new(longest: usize) -> Window {
        Window { folded: Vec::new(), overlap: longest.saturating_sub(1) }
    }

    /// Takes the next piece of the text.
    pub fn push(&mut self, text: &str) {
        let passed = self.folded.len().saturating_sub(self.overlap);
        self.folded.drain(..passed);
        fold(text, &mut self.folded);
    }

    /// Another text begins.
    pub fn clear(&mut self) {
        self.folded.clear();
    }
}

fn fold(text: &str, out: &mut Vec<u8>) {
    if text.is_ascii() {
        fold_ascii(text.as_bytes(), out);
        return;
    }
    for chunk in text.split_inclusive(|character: char| !character.is_ascii()) {
        let Some(last) = chunk.chars().next_back().filter(|character| !character.is_ascii()) else {
            fold_ascii(chunk.as_bytes(), out);
            continue;
        };
        fold_ascii(chunk.strip_suffix(last).unwrap_or_default().as_bytes(), out);
        decompose_compatible(last, |part| {
            let mut upper = part.to_uppercase();
            let one = if upper.len() == 1 { upper.next().unwrap_or(part) } else { part };
            out.extend_from_slice(one.encode_utf8(&mut [0; 4]).as_bytes());
        });
    }
}

fn fold_ascii(text: &[u8], out: &mut Vec<u8>) {
    let old = out.len();
    let mut done = 0;
    for cr in memchr_iter(b'\r', text) {
        out.extend_from_slice(text.get(done..cr).unwrap_or_default());
        done = cr + 1;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    if let Some(new) = out.get_mut(old..) {
        new.make_ascii_uppercase();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(text: &str, needle: &str) -> bool {
        let needle = Needle::new(needle);
        let mut window = Window::new(needle.length());
        window.push(text);
        needle.is_in(&window)
    }

    #[test]
    fn case_and_form_do_not_count() {
        for (text, needle) in [
            ("Hello World", "lO wO"),
            ("MÜLL", "müll"),
            ("Mu\u{308}ll", "MÜLL"),
            ("straße", "STRAßE"),
            ("ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς"),
            ("ПРИВЕТ", "привет"),
            ("oﬃce", "OFFICE"),
            ("café", "cafe"),
            ("한글", "한"),
            ("a\r\nb", "A\nB"),
            ("a\nb", "a\r\nb"),
            ("anything", ""),
            ("", ""),
        ] {
            assert!(holds(text, needle), "{text} {needle}");
        }
        for (text, needle) in
            [("müll", "mull"), ("strasse", "straße"), ("a b", "ab"), ("cafe", "café"), ("", "a")]
        {
            assert!(!holds(text, needle), "{text} {needle}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[aAbBäÄﬃ\r\n]{0,30}", needle in "[abäf]{0,4}", size in 1..9usize) {
            let needle_ = Needle::new(&needle);
            let mut window = Window::new(needle_.length());
            let mut found = needle_.is_in(&window);
            let characters: Vec<char> = text.chars().collect();
            for piece in characters.chunks(size) {
                window.push(&piece.iter().collect::<String>());
                found |= needle_.is_in(&window);
            }
            prop_assert_eq!(found, holds(&text, &needle));
        }
    }
}
