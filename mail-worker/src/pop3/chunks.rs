//! A message's file, piece by piece.

use std::fs::File;
use std::io::{self, ErrorKind, Read};

use message::{HEADER_MAX, HeaderEnd};

/// See above.
pub(super) struct Chunks {
    file: File,
    buffer: Box<[u8]>,
}

impl Chunks {
    pub(super) fn new(file: File) -> Self {
        Self { file, buffer: vec![0; LENGTH].into() }
    }

    /// The next piece, which is the caller's to change; empty at the end.
    pub(super) fn next(&mut self) -> io::Result<&mut [u8]> {
        loop {
            match self.file.read(&mut self.buffer) {
                Ok(length) => return Ok(self.buffer.get_mut(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The header, with the empty line that ends it, as far as anybody looks at headers.
    pub(super) fn header(mut self) -> io::Result<Vec<u8>> {
        let (mut header, mut end) = (Vec::new(), HeaderEnd::default());
        while header.len() < HEADER_MAX {
            let chunk = self.next()?;
            let found = end.push(chunk);
            header.extend_from_slice(found.and_then(|length| chunk.get(..length)).unwrap_or(chunk));
            if found.is_some() || chunk.is_empty() {
                break;
            }
        }
        header.truncate(HEADER_MAX);
        Ok(header)
    }
}

const LENGTH: usize = 32 * 1024;
