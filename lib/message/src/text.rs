//! A part's body as text: transfer encoding and charset undone, chunk by chunk.
//!
//! Nothing is an error: bytes that are none of the charset become U+FFFD, and a charset that we do not know, or none,
//! is read as UTF-8. Plain text is not copied.

use crate::mark::Span;
use crate::parameters::parameter;
use crate::part::{Content, Part, field, media_type};
use crate::transfer::{Base64, Encoding, QuotedPrintable};
use crate::value::Value;
use encoding_rs::{Decoder, UTF_8, UTF_16BE, UTF_16LE};

/// How a text stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coding {
    encoding: Encoding,
    charset: &'static encoding_rs::Encoding,
}

impl Part {
    /// How its body is to be read; `None` if that is no text, or holds parts that have their own. What is shown as text
    /// for want of something better is text, and so is a message that is not looked into.
    pub fn coding(&self) -> Option<Coding> {
        let kind = media_type(&self.fields).map(|(kind, _)| kind);
        let is = |known: &[u8]| kind.is_none_or(|kind| kind.eq_ignore_ascii_case(known));
        let is_text = match self.content {
            Content::Multipart(_) | Content::Message(_) => false,
            Content::Leaf | Content::Opaque => is(b"text") || is(b"message") || is(b"multipart"),
        };
        is_text.then(|| {
            let encoding = field(&self.fields, "Content-Transfer-Encoding").unwrap_or_default();
            let charset = Value::new(field(&self.fields, "Content-Type").unwrap_or_default());
            Coding {
                encoding: Encoding::named(Value::new(encoding).token()),
                charset: parameter(charset, "charset").and_then(|name| charset_named(&name)).unwrap_or(UTF_8),
            }
        })
    }
}

/// Bytes of a message that are one text, or a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first stored byte.
    pub start: u64,
    /// The byte after its last.
    pub end: u64,
    /// How to read it; `None` for a header.
    pub coding: Option<Coding>,
}

impl Part {
    /// All of a message but its own header that a client may search for text: headers of parts, and texts, in order.
    pub fn stretches(&self) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        self.collect(&mut stretches);
        stretches
    }

    fn collect(&self, stretches: &mut Vec<Stretch>) {
        let stretch = |span: Span, coding| Stretch { start: span.start.offset, end: span.end.offset, coding };
        let parts = match &self.content {
            Content::Multipart(parts) => parts.as_slice(),
            Content::Message(message) => std::slice::from_ref(&**message),
            Content::Leaf | Content::Opaque => {
                stretches.extend(self.coding().map(|coding| stretch(self.body(), Some(coding))));
                return;
            }
        };
        for part in parts {
            stretches.push(stretch(part.header(), None));
            part.collect(stretches);
        }
    }
}

/// The charset of this name. Many senders say US-ASCII and send UTF-8.
pub(crate) fn charset_named(name: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let name = name.trim_ascii();
    if name.eq_ignore_ascii_case(b"us-ascii") || name.eq_ignore_ascii_case(b"ascii") {
        return Some(UTF_8);
    }
    encoding_rs::Encoding::for_label_no_replacement(name)
}

/// Reads a text, chunk by chunk.
pub struct TextReader {
    transfer: Transfer,
    charset: &'static encoding_rs::Encoding,
    /// Once there was a byte that is not text as it is.
    decoder: Option<Decoder>,
    /// What the transfer encoding hid, and what the charset meant, of the chunk at hand.
    bytes: Vec<u8>,
    text: String,
}

enum Transfer {
    Identity,
    Base64(Base64),
    QuotedPrintable(QuotedPrintable),
}

impl TextReader {
    /// At the beginning of a text.
    pub fn new(coding: Coding) -> TextReader {
        let transfer = match coding.encoding {
            Encoding::Identity => Transfer::Identity,
            Encoding::Base64 => Transfer::Base64(Base64::default()),
            Encoding::QuotedPrintable => Transfer::QuotedPrintable(QuotedPrintable::default()),
        };
        let (bytes, text) = (Vec::new(), String::new());
        TextReader { transfer, charset: coding.charset, decoder: None, bytes, text }
    }

    /// The text that the next chunk of stored bytes makes certain.
    pub fn push<'a>(&'a mut self, chunk: &'a [u8]) -> &'a str {
        self.bytes.clear();
        let bytes = match &mut self.transfer {
            Transfer::Identity => chunk,
            Transfer::Base64(decoder) => {
                decoder.push(chunk, &mut self.bytes);
                &self.bytes
            }
            Transfer::QuotedPrintable(decoder) => {
                decoder.push(chunk, &mut self.bytes);
                &self.bytes
            }
        };
        if self.decoder.is_none()
            && let Some(text) = plain(self.charset, bytes)
        {
            return text;
        }
        decode(self.charset, &mut self.decoder, bytes, &mut self.text, false);
        &self.text
    }

    /// The text that was uncertain, now that no more comes.
    pub fn finish(&mut self) -> &str {
        self.bytes.clear();
        match &mut self.transfer {
            Transfer::Identity => {}
            Transfer::Base64(decoder) => decoder.end(&mut self.bytes),
            Transfer::QuotedPrintable(decoder) => decoder.end(&mut self.bytes),
        }
        decode(self.charset, &mut self.decoder, &self.bytes, &mut self.text, true);
        &self.text
    }
}

/// Bytes that are their own text, whatever follows.
fn plain<'a>(charset: &'static encoding_rs::Encoding, bytes: &'a [u8]) -> Option<&'a str> {
    let may_be = charset == UTF_8 || (charset.is_ascii_compatible() && bytes.is_ascii());
    may_be.then(|| str::from_utf8(bytes).ok()).flatten()
}

fn decode(
    charset: &'static encoding_rs::Encoding,
    decoder: &mut Option<Decoder>,
    bytes: &[u8],
    text: &mut String,
    last: bool,
) {
    let decoder = decoder.get_or_insert_with(|| match charset == UTF_16LE || charset == UTF_16BE {
        true => charset.new_decoder(),
        false => charset.new_decoder_without_bom_handling(),
    });
    text.clear();
    text.reserve(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(0));
    // There is room for all.
    let _ = decoder.decode_to_string(bytes, text, last);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure;
    use proptest::prelude::*;

    fn read(header: &str, body: &[u8], cuts: usize) -> Option<String> {
        let message = [header.as_bytes(), b"\n\n", body].concat();
        let part = structure(&message);
        let mut reader = TextReader::new(part.coding()?);
        let mut text = String::new();
        for chunk in body.chunks(cuts) {
            text += reader.push(chunk);
        }
        text += reader.finish();
        Some(text)
    }

    #[test]
    fn texts_are_decoded() {
        let text = |header: &str, body: &[u8]| read(header, body, 3).unwrap();
        assert_eq!(text("Subject: a", "äö".as_bytes()), "äö");
        assert_eq!(text("Content-Type: text/plain; charset=us-ascii", "ä".as_bytes()), "ä");
        assert_eq!(text("Content-Type: text/html; charset=ISO-8859-1", b"caf\xe9"), "café");
        assert_eq!(text("Content-Type: text/plain; charset=koi8-r", b"\xf0\xd2\xc9"), "При");
        assert_eq!(text("Content-Type: text/plain; charset=x-none", b"caf\xe9"), "caf\u{fffd}");
        assert_eq!(text("Content-Type: text/plain; charset=iso-2022-jp", b"\x1b$B$\"\x1b(Bx"), "あx");
        let coded = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: ";
        assert_eq!(text(&format!("{coded}base64"), b"w6Rybw=="), "äro");
        assert_eq!(text(&format!("{coded}Quoted-Printable (x)"), b"=C3=\n=A4"), "ä");
        let wide = "Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64";
        assert_eq!(text(wide, b"/v8AYQBi"), "ab");
    }

    #[test]
    fn only_texts_are_read() {
        assert_eq!(read("Content-Type: image/png", b"a", 1), None);
        assert_eq!(read("Content-Type: application/octet-stream", b"a", 1), None);
        assert_eq!(read("Content-Type: message/delivery-status", b"a", 1).unwrap(), "a");
        assert_eq!(read("Content-Type: text", b"a", 1).unwrap(), "a");
        assert_eq!(read("Content-Type: multipart/mixed", b"a", 1).unwrap(), "a");
        assert_eq!(read("Content-Type: multipart/mixed; boundary=b", b"--b\n\na\n", 1), None);
    }

    #[test]
    fn stretches_are_headers_and_texts_in_order() {
        let message = b"S: a\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nX: y\n\none\n--b\n\
            Content-Type: image/png\n\nno\n--b\nContent-Type: message/rfc822\n\nS: i\n\ninner\n--b--\nepilogue\n";
        let stretches = structure(message).stretches();
        let texts: Vec<(&[u8], bool)> = stretches
            .iter()
            .map(|s| (&message[s.start as usize..s.end as usize], s.coding.is_some()))
            .collect();
        let expected: [(&[u8], bool); 6] = [
            (b"X: y\n\n", false),
            (b"one", true),
            (b"Content-Type: image/png\n\n", false),
            (b"Content-Type: message/rfc822\n\n", false),
            (b"S: i\n\n", false),
            (b"inner", true),
        ];
        assert_eq!(texts, expected);
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            charset in prop_oneof![
                Just("utf-8"), Just("windows-1252"), Just("shift_jis"), Just("iso-2022-jp"), Just("utf-16le"),
                Just("gb18030"), Just("none")
            ],
            encoding in prop_oneof![Just("8bit"), Just("base64"), Just("quoted-printable")],
            body in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'='), Just(b'a'), Just(0x1b)], 0..80),
            cuts in 1..20usize,
        ) {
            let header = format!(
                "Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}"
            );
            prop_assert_eq!(read(&header, &body, cuts), read(&header, &body, 1000));
        }
    }
}
