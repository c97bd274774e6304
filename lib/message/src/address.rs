//! Addresses of a header field (RFC 5322, section 3.4), as an ENVELOPE lists them (RFC 3501, section 7.4.2).
//!
//! Lenient: every value is a list of addresses, however broken, and `;` outside a group separates like `,`. Quoting and
//! comments are removed, encoded words (RFC 2047) stay; a comment stands in for a missing name. A mailbox without name
//! or host gets `MISSING_MAILBOX` or `MISSING_DOMAIN`, as NIL there would mean a group, and as Dovecot does.

use crate::envelope::is_address_field;
use crate::header::{Field, HEADER_MAX};
use crate::nstring::{write_nstring, write_string};
use crate::value::{is_blank, split_comment, unquote};
use memchr::memchr;
use std::ops::Range;

/// Appends the list of addresses, NIL if there are none; says where in `out` it stands.
pub(crate) fn write_addresses(value: &[u8], out: &mut Vec<u8>) -> Range<usize> {
    let start = out.len();
    for address in (Addresses { rest: value, in_group: false }) {
        if out.len() == start {
            out.push(b'(');
        }
        write_address(&address, out);
    }
    out.extend_from_slice(if out.len() > start { b")" } else { b"NIL" });
    start..out.len()
}

impl Field<'_> {
    /// Appends the addresses that an ENVELOPE would have of it, each as `local@host` on a line of its own; what stands
    /// in and around them is left out. Of other fields there are none.
    pub fn addresses(&self, out: &mut String) {
        if !is_address_field(self.name) {
            return;
        }
        let value = self.unfolded();
        for address in (Addresses { rest: value.get(..HEADER_MAX).unwrap_or(&value), in_group: false }) {
            if let Address::Mailbox { local, host, .. } = address {
                out.push('\n');
                out.push_str(&String::from_utf8_lossy(&local));
                out.push('@');
                out.push_str(&String::from_utf8_lossy(&host));
            }
        }
    }
}

fn write_address(address: &Address, out: &mut Vec<u8>) {
    match address {
        Address::Mailbox { name, route, local, host } => {
            out.push(b'(');
            write_nstring(present(name), out);
            out.push(b' ');
            write_nstring(present(route), out);
            out.push(b' ');
            write_string(present(local).unwrap_or(b"MISSING_MAILBOX"), out);
            out.push(b' ');
            write_string(present(host).unwrap_or(b"MISSING_DOMAIN"), out);
            out.push(b')');
        }
        Address::Group(name) => {
            out.extend_from_slice(b"(NIL NIL ");
            write_string(name, out);
            out.extend_from_slice(b" NIL)");
        }
        Address::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
    }
}

fn present(text: &[u8]) -> Option<&[u8]> {
    (!text.is_empty()).then_some(text)
}

/// One member of an address list; an empty text is one that is missing.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Mailbox { name: Vec<u8>, route: Vec<u8>, local: Vec<u8>, host: Vec<u8> },
    Group(Vec<u8>),
    GroupEnd,
}

struct Addresses<'a> {
    rest: &'a [u8],
    in_group: bool,
}

impl Iterator for Addresses<'_> {
    type Item = Address;

    fn next(&mut self) -> Option<Address> {
        let mut words = Words::default();
        let mut comment = Vec::new();
        let mut angle = None;
        loop {
            let is_pending = angle.is_some() || words.any;
            match self.rest {
                [] | [b';', ..] if self.in_group && !is_pending => {
                    self.skip(1);
                    self.in_group = false;
                    return Some(Address::GroupEnd);
                }
                [] if !is_pending => return None,
                [b',' | b';', ..] if !is_pending => {
                    self.skip(1);
                    comment.clear();
                }
                [] | [b',' | b';', ..] => break,
                [b'<', ..] if angle.is_some() => break,
                [b'<', ..] => angle = Some(self.angle()),
                [b'(', ..] => {
                    comment = self.comment();
                    words.gap = true;
                }
                [byte, ..] if is_blank(*byte) => {
                    self.skip(1);
                    words.gap = true;
                }
                [b'>', ..] => self.skip(1),
                _ if angle.is_some() => self.text(|_| {}),
                [b':', ..] if !words.any => self.skip(1),
                [b':', ..] if !words.has_at && !self.in_group => {
                    self.skip(1);
                    self.in_group = true;
                    return Some(Address::Group(words.phrase));
                }
                [b'@', ..] => {
                    self.skip(1);
                    words.at();
                }
                _ => self.text(|text| words.push(text)),
            }
        }
        Some(match angle {
            Some(angle) => angle.with_name(words.phrase, comment),
            None => words.into_mailbox(comment),
        })
    }
}

struct Angle {
    route: Vec<u8>,
    local: Vec<u8>,
    host: Vec<u8>,
}

impl Angle {
    fn with_name(self, phrase: Vec<u8>, comment: Vec<u8>) -> Address {
        let name = if phrase.is_empty() { comment } else { phrase };
        Address::Mailbox { name, route: self.route, local: self.local, host: self.host }
    }
}

impl Addresses<'_> {
    /// Takes `<@route:local@host>`, or what there is of it.
    fn angle(&mut self) -> Angle {
        let (mut route, mut local, mut host) = (Vec::new(), Vec::new(), Vec::new());
        let mut has_at = false;
        loop {
            match self.rest {
                [b'>', ..] => {
                    self.skip(1);
                    break;
                }
                [] | [b';', ..] => break,
                [b',', ..] if !(has_at && local.is_empty()) => break,
                [b':', ..] if has_at && local.is_empty() => {
                    self.skip(1);
                    route.push(b'@');
                    route.append(&mut host);
                    has_at = false;
                }
                [b'@', ..] if !has_at => {
                    self.skip(1);
                    has_at = true;
                }
                [b'<', ..] => self.skip(1),
                [b'(', ..] => drop(self.comment()),
                [byte @ (b'@' | b','), ..] => {
                    host.push(*byte);
                    self.skip(1);
                }
                [byte, ..] if is_blank(*byte) => self.skip(1),
                _ => self.text(|text| if has_at { &mut host } else { &mut local }.extend_from_slice(text)),
            }
        }
        Angle { route, local, host }
    }

    /// Takes a comment; gives what is in it, without backslashes.
    fn comment(&mut self) -> Vec<u8> {
        let (comment, rest) = split_comment(self.rest);
        self.rest = rest;
        let inner = comment.strip_prefix(b"(").unwrap_or(comment);
        let inner = inner.strip_suffix(b")").unwrap_or(inner).trim_ascii();
        let mut escaped = false;
        let mut is_kept = |byte: &u8| {
            escaped = *byte == b'\\' && !escaped;
            !escaped
        };
        inner.iter().copied().filter(&mut is_kept).collect()
    }

    /// Takes a quoted string, an encoded word, a domain literal or an atom: at least one byte.
    fn text(&mut self, take: impl FnOnce(&[u8])) {
        if let [b'"', quoted @ ..] = self.rest {
            let (text, rest) = unquote(quoted, b'"');
            self.rest = rest;
            return take(&text);
        }
        let near = self.rest.get(..LOOK_AHEAD).unwrap_or(self.rest);
        let length = match self.rest {
            [b'=', b'?', ..] => encoded_word(near),
            [b'[', ..] => memchr(b']', near).map(|end| end + 1),
            _ => None,
        };
        let atom = || self.rest.iter().skip(1).position(|&byte| ends_atom(byte)).map(|end| end + 1);
        let length = length.or_else(atom).unwrap_or(self.rest.len());
        take(self.rest.get(..length).unwrap_or_default());
        self.skip(length);
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}

/// What stands before `<`, or stands there without any `<`.
#[derive(Default)]
struct Words {
    any: bool,
    /// White space or a comment was skipped after the last word.
    gap: bool,
    /// All words, as a name would have them.
    phrase: Vec<u8>,
    /// Of the phrase, what stands before the last word: a name in `name local@host`.
    name_length: usize,
    /// The last word before `@`; words joined by dots are one.
    local: Vec<u8>,
    has_at: bool,
    host: Vec<u8>,
    /// After a second `@`, which nothing can be made of.
    is_over: bool,
}

impl Words {
    fn push(&mut self, text: &[u8]) {
        let gap = std::mem::take(&mut self.gap) && self.any;
        self.any = true;
        let word = if self.has_at { &mut self.host } else { &mut self.local };
        let is_new = gap && !word.is_empty() && !word.ends_with(b".") && !text.starts_with(b".");
        if is_new && !self.has_at {
            self.name_length = self.phrase.len();
            word.clear();
        }
        if !(self.is_over || is_new && self.has_at) {
            word.extend_from_slice(text);
        }
        if gap {
            self.phrase.push(b' ');
        }
        self.phrase.extend_from_slice(text);
    }

    fn at(&mut self) {
        self.any = true;
        self.gap = false;
        self.phrase.push(b'@');
        self.is_over |= self.has_at;
        self.has_at = true;
    }

    fn into_mailbox(mut self, comment: Vec<u8>) -> Address {
        if self.has_at || self.name_length == 0 {
            self.phrase.truncate(self.name_length);
        } else {
            self.local.clear();
        }
        let name = if self.phrase.is_empty() { comment } else { self.phrase };
        Address::Mailbox { name, route: Vec::new(), local: self.local, host: self.host }
    }
}

/// The length of the encoded word that begins here: `=?charset?encoding?text?=`, without blanks.
fn encoded_word(text: &[u8]) -> Option<usize> {
    let length = text.iter().position(|&byte| is_blank(byte)).unwrap_or(text.len());
    let word = text.get(..length)?;
    let marks = word.iter().enumerate().filter(|&(_, &byte)| byte == b'?').map(|(at, _)| at);
    let end = marks.skip(3).find(|&at| word.get(at + 1) == Some(&b'='))?;
    Some(end + 2)
}

fn ends_atom(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'(' | b'<' | b'>' | b'@' | b',' | b';' | b':' | b'"' | b'[')
}

/// How far the end of an encoded word or domain literal is looked for, so that time stays linear. (RFC 2047 allows 75.)
const LOOK_AHEAD: usize = 512;

#[cfg(test)]
mod tests;
