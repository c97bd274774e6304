//! ENVELOPE of a message, as RFC 3501, section 7.4.2, says.
//!
//! Values pass unfolded and otherwise raw: encoded words stay encoded. Of a text field that stands twice the first
//! counts; addresses of fields that stand twice are put together.

use crate::address::write_addresses;
use crate::header::{Fields, HEADER_MAX};
use crate::nstring::write_nstring;
use std::borrow::Cow;
use std::ops::Range;

/// Appends the ENVELOPE of the message whose header block this is. What follows the block is ignored, and so is what of
/// it lies beyond [`HEADER_MAX`] bytes.
pub fn write_envelope(header: &[u8], out: &mut Vec<u8>) {
    let [date, subject, from, sender, reply_to, to, cc, bcc, in_reply_to, message_id] = values(header);
    out.push(b'(');
    write_nstring(date.as_deref(), out);
    out.push(b' ');
    write_nstring(subject.as_deref(), out);
    out.push(b' ');
    let from = write_addresses(from.as_deref().unwrap_or_default(), out);
    for value in [sender, reply_to] {
        out.push(b' ');
        write_addresses_or(from.clone(), value.as_deref().unwrap_or_default(), out);
    }
    for value in [to, cc, bcc] {
        out.push(b' ');
        write_addresses(value.as_deref().unwrap_or_default(), out);
    }
    for value in [in_reply_to, message_id] {
        out.push(b' ');
        write_nstring(value.as_deref(), out);
    }
    out.push(b')');
}

/// Appends addresses, or if there are none what `out` holds at `default`.
fn write_addresses_or(default: Range<usize>, value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let written = write_addresses(value, out);
    if out.get(written) == Some(b"NIL") {
        out.truncate(start);
        out.extend_from_within(default);
    }
}

/// Whether an envelope is made of this field among others.
pub(crate) fn is_envelope_field(name: &[u8]) -> bool {
    position(name).is_some()
}

/// Whether it is one of those that hold addresses.
pub(crate) fn is_address_field(name: &[u8]) -> bool {
    position(name).is_some_and(|position| ADDRESSES.contains(&position))
}

fn position(name: &[u8]) -> Option<usize> {
    NAMES.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn values(header: &[u8]) -> [Option<Cow<'_, [u8]>>; NAMES.len()] {
    let mut values: [Option<Cow<'_, [u8]>>; NAMES.len()] = Default::default();
    for field in Fields::new(header.get(..HEADER_MAX).unwrap_or(header)) {
        let Some(position) = position(field.name) else { continue };
        let Some(value) = values.get_mut(position) else { continue };
        match value {
            None => *value = Some(field.unfolded()),
            Some(addresses) if ADDRESSES.contains(&position) => {
                let addresses = addresses.to_mut();
                addresses.extend_from_slice(b", ");
                addresses.extend_from_slice(&field.unfolded());
            }
            Some(_) => {}
        }
    }
    values
}

/// In the order of an envelope.
const NAMES: [&str; 10] =
    ["Date", "Subject", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "In-Reply-To", "Message-ID"];
/// Those of them that hold addresses.
const ADDRESSES: Range<usize> = 2..8;

#[cfg(test)]
mod tests;
