//! One message: its header, its MIME structure, its envelope, and its bytes as IMAP and POP3 send them.
//!
//! Messages are what strangers sent, stored with LF, CRLF or both. This crate never fails on them, never reads a file,
//! and needs time and memory that are bounded: time by the length of the message, memory by [`HEADER_MAX`],
//! [`FIELDS_MAX`], [`PARTS_MAX`] and [`DEPTH_MAX`]. A message need not be in memory as a whole: [`Parser`], [`Crlf`],
//! [`CrlfSize`] and [`HeaderEnd`] take it in chunks of any size.
//!
//! Clients see every line end as CRLF and a NUL as 0x80 (RFC 3501 forbids NUL even in literals), so each place in a
//! message has two offsets: in the stored bytes, and in what clients see. A [`Mark`] holds both.
//!
//! What people read in a message, for searching in it, is had by [`Part::stretches`], [`TextReader`] and [`Field::decode`];
//! [`Needle`] compares it whatever its case.
//!
//! Obeys RFC 3501 (6.4.5, 7.4.2, 9), RFC 5322 and RFC 2045 to 2047, 2183, 2231 (pieces of parameters are joined; what is encoded
//! in them passes as it is).

#![forbid(unsafe_code)]

mod address;
mod bodystructure;
mod crlf;
mod envelope;
mod header;
mod mark;
mod needle;
mod nstring;
mod parameters;
mod parser;
mod part;
#[cfg(test)]
mod readback;
mod sent;
mod text;
mod transfer;
mod value;
mod words;

pub use crlf::{Crlf, CrlfSize, crlf_size};
pub use envelope::write_envelope;
pub use header::{Choice, Field, Fields, HEADER_MAX, HeaderEnd, header_end, select};
pub use mark::{Mark, Span};
pub use needle::{Needle, Window};
pub use parser::{DEPTH_MAX, FIELDS_MAX, PARTS_MAX, Parser, structure};
pub use part::{Content, Part, Piece};
pub use sent::sent_day;
pub use text::{Coding, Stretch, TextReader};
