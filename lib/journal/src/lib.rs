//! What a child says on descriptor 2, and how the master reads it.
//!
//! A line is byte 1, a letter for the level, the text, LF. What does not begin with byte 1 was not written
//! through here (a panic's message, a library's complaint): it counts as an error. A full pipe never
//! blocks the writer: lines that do not fit are counted, and the count is said when there is room again.
#![forbid(unsafe_code)]

mod rate;
mod reader;
mod writer;

pub use rate::Rate;
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

/// A name as a stranger gave it, made so that it ends neither itself nor the line that it stands in.
pub fn name(name: &[u8]) -> String {
    let mut out = String::new();
    for part in name.get(..MOST_OF_A_NAME).unwrap_or(name).utf8_chunks() {
        for c in part.valid().chars() {
            match c {
                '<' | '>' | '\\' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c if c.is_control() || (c.is_whitespace() && c != ' ') => out.extend(c.escape_default()),
                c => out.push(c),
            }
        }
        for byte in part.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if name.len() > MOST_OF_A_NAME {
        out.push_str("...");
    }
    out
}

/// How much of a name is logged, in bytes.
const MOST_OF_A_NAME: usize = 128;

#[cfg(test)]
mod tests {
    use super::{MOST_OF_A_NAME, name};

    #[test]
    fn a_name_cannot_forge_a_log_line() {
        assert_eq!(name(b"alice@example.org"), "alice@example.org");
        assert_eq!(name("\u{e9}ve".as_bytes()), "\u{e9}ve");
        assert_eq!(name("a\u{2028}b c".as_bytes()), "a\\u{2028}b c");
        assert_eq!(name(b"x>, rip=192.0.2.1\n\xff\\"), "x\\x3e, rip=192.0.2.1\\n\\xff\\x5c");
        assert_eq!(name(&[b'a'; 1000]).len(), MOST_OF_A_NAME + 3);
    }

    #[test]
    fn controls_are_escaped_and_letters_are_not() {
        assert_eq!(super::without_controls("a\x1b[1m\"é\"\n"), "a\\u{1b}[1m\"é\"\\n");
    }
}
