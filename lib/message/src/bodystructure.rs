//! BODY and BODYSTRUCTURE of a part, as RFC 3501, section 7.4.2, says.
//!
//! Names and values keep their upper and lower case. Defaults are those of RFC 2045: `text/plain`, `us-ascii`, `7bit`;
//! they also replace a `Content-Type` that makes no sense, a multipart without boundary among them.

use crate::envelope::write_envelope;
use crate::nstring::{write_nstring, write_number, write_string};
use crate::parameters::parameters;
use crate::part::{Content, Part, field, media_type};
use crate::value::Value;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Body,
    BodyStructure,
}

impl Part {
    /// Appends its BODY.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        write_part(self, Form::Body, out);
    }

    /// Appends its BODYSTRUCTURE.
    pub fn write_bodystructure(&self, out: &mut Vec<u8>) {
        write_part(self, Form::BodyStructure, out);
    }

    /// Appends its ENVELOPE, if it is a message; all NIL, if it is a part.
    pub fn write_envelope(&self, out: &mut Vec<u8>) {
        write_envelope(&self.fields, out);
    }
}

fn write_part(part: &Part, form: Form, out: &mut Vec<u8>) {
    out.push(b'(');
    match &part.content {
        Content::Multipart(parts) => write_multipart(part, parts, form, out),
        Content::Message(message) => {
            let (kind, subtype) = media_type(&part.fields).unwrap_or((b"message", b"rfc822"));
            write_single(part, kind, subtype, out);
            out.push(b' ');
            message.write_envelope(out);
            out.push(b' ');
            write_part(message, form, out);
            write_number(part.body().lines(), b" ", b"", out);
            write_single_extension(part, form, out);
        }
        Content::Opaque => {
            write_single(part, b"application", b"octet-stream", out);
            write_single_extension(part, form, out);
        }
        Content::Leaf => {
            let (kind, subtype) = media_type(&part.fields)
                .filter(|(kind, _)| !kind.eq_ignore_ascii_case(b"multipart"))
                .unwrap_or((b"text", b"plain"));
            write_single(part, kind, subtype, out);
            if is_text(kind) {
                write_number(part.body().lines(), b" ", b"", out);
            }
            write_single_extension(part, form, out);
        }
    }
    out.push(b')');
}

fn write_multipart(part: &Part, parts: &[Part], form: Form, out: &mut Vec<u8>) {
    for part in parts {
        write_part(part, form, out);
    }
    out.push(b' ');
    write_string(media_type(&part.fields).map_or(b"mixed", |(_, subtype)| subtype), out);
    if form == Form::BodyStructure {
        out.push(b' ');
        write_parameters(field(&part.fields, "Content-Type"), None, out);
        write_extension(part, out);
    }
}

/// What BODY says of every part that is not a multipart.
fn write_single(part: &Part, kind: &[u8], subtype: &[u8], out: &mut Vec<u8>) {
    write_string(kind, out);
    out.push(b' ');
    write_string(subtype, out);
    out.push(b' ');
    let default = is_text(kind).then_some(("charset", "us-ascii"));
    write_parameters(field(&part.fields, "Content-Type"), default, out);
    out.push(b' ');
    write_nstring(field(&part.fields, "Content-ID"), out);
    out.push(b' ');
    write_nstring(field(&part.fields, "Content-Description"), out);
    out.push(b' ');
    let encoding = field(&part.fields, "Content-Transfer-Encoding").map(|value| Value::new(value).token());
    write_string(encoding.filter(|encoding| !encoding.is_empty()).unwrap_or(b"7bit"), out);
    write_number(part.body().crlf_size(), b" ", b"", out);
}

fn write_single_extension(part: &Part, form: Form, out: &mut Vec<u8>) {
    if form == Form::BodyStructure {
        out.push(b' ');
        write_nstring(field(&part.fields, "Content-MD5"), out);
        write_extension(part, out);
    }
}

/// Disposition, language and location.
fn write_extension(part: &Part, out: &mut Vec<u8>) {
    out.push(b' ');
    write_disposition(field(&part.fields, "Content-Disposition"), out);
    out.push(b' ');
    write_languages(field(&part.fields, "Content-Language"), out);
    out.push(b' ');
    write_nstring(field(&part.fields, "Content-Location"), out);
}

fn write_disposition(value: Option<&[u8]>, out: &mut Vec<u8>) {
    let disposition = value.map_or(&[][..], |value| Value::new(value).token());
    if disposition.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    write_string(disposition, out);
    out.push(b' ');
    write_parameters(value, None, out);
    out.push(b')');
}

fn write_languages(value: Option<&[u8]>, out: &mut Vec<u8>) {
    let mut list = List::default();
    for language in Value::new(value.unwrap_or_default()).tokens() {
        list.next(out);
        write_string(language, out);
    }
    list.end(out);
}

/// Appends the parameters of a value, and the default if it has none of that name.
fn write_parameters(value: Option<&[u8]>, default: Option<(&str, &str)>, out: &mut Vec<u8>) {
    let mut list = List::default();
    let mut missing = default;
    for (name, value) in parameters(Value::new(value.unwrap_or_default())) {
        missing = missing.filter(|(default, _)| !name.eq_ignore_ascii_case(default.as_bytes()));
        list.next(out);
        write_string(&name, out);
        out.push(b' ');
        write_string(&value, out);
    }
    if let Some((name, value)) = missing {
        list.next(out);
        write_string(name.as_bytes(), out);
        out.push(b' ');
        write_string(value.as_bytes(), out);
    }
    list.end(out);
}

/// A list in parentheses that is NIL when it is empty.
#[derive(Default)]
struct List {
    is_open: bool,
}

impl List {
    fn next(&mut self, out: &mut Vec<u8>) {
        out.push(if self.is_open { b' ' } else { b'(' });
        self.is_open = true;
    }

    fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.is_open { b")" } else { b"NIL" });
    }
}

fn is_text(kind: &[u8]) -> bool {
    kind.eq_ignore_ascii_case(b"text")
}

#[cfg(test)]
mod tests;
