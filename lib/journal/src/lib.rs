//! What a child says on descriptor 2, and how the master reads it.
//!
//! A line is byte 1, a letter for the level, the text, LF. What does not begin with byte 1 was not written
//! through here (a panic's message, a library's complaint): it counts as an error. A full pipe never
//! blocks the writer: lines that do not fit are counted, and the count is said when there is room again.
#![forbid(unsafe_code)]

mod reader;
mod writer;

pub use reader::{Entry, Reader};
pub use writer::init;

/// `text` with its control characters escaped: names and words of clients get into log lines.
pub fn without_controls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_debug()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn controls_are_escaped_and_letters_are_not() {
        assert_eq!(super::without_controls("a\x1b[1m\"é\"\n"), "a\\u{1b}[1m\"é\"\\n");
    }
}
