//! A message on its way to a POP3 client: the same however it is cut, it ends once, and the client gets it back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::pop3::DotWriter;

fuzz_target!(|input: &[u8]| {
    let (lengths, message) = fuzz::lengths(input);
    let lines = u64::from(lengths.first().copied().unwrap_or(0));
    for writer in [DotWriter::whole, || DotWriter::top(0), || DotWriter::top(3)] {
        assert_eq!(sent(writer(), fuzz::pieces(message, lengths)), sent(writer(), std::iter::once(message)));
    }
    let whole = sent(DotWriter::whole(), std::iter::once(message));
    let top = sent(DotWriter::top(lines), std::iter::once(message));
    assert!(whole.starts_with(top.strip_suffix(b".\r\n").unwrap()));
    assert_eq!(received(&whole), normal(message));
});

fn sent<'a>(mut writer: DotWriter, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        writer.write(&mut out, piece);
    }
    writer.finish(&mut out);
    out
}

/// What a client makes of it; panics if there is no end, or if there are two.
fn received(wire: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = wire.split_inclusive(|&byte| byte == b'\n').collect();
    assert_eq!(lines.pop(), Some(&b".\r\n"[..]));
    assert!(lines.iter().all(|&line| line != b".\r\n" && line.ends_with(b"\r\n")));
    lines.iter().flat_map(|line| line.strip_prefix(b".").unwrap_or(line)).copied().collect()
}

/// With CRLF at the end of each line.
fn normal(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
    }
    out
}
