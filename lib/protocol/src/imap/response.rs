//! Answers, RFC 3501 section 7: functions that append to a buffer, and know nothing of what they say.
//!
//! Whatever bytes go in, what comes out is one well-formed line (or a literal): text loses line ends, strings are
//! quoted or become literals as they need. Bodies are the caller's to copy: [`literal_start`], then the bytes.

use memchr::{memchr2, memchr3};

use super::date::MONTHS;
use super::{Date, MailboxName, StatusItem, SystemFlags, Tag};

pub use crate::text::{line_end, number, text};

/// How a command ended, or what an untagged line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// Understood, and not done.
    No,
    /// Not understood, or not now.
    Bad,
    /// Untagged: farewell.
    Bye,
    /// Untagged: a greeting to one who is logged in already.
    PreAuth,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Ok => "OK ",
            Status::No => "NO ",
            Status::Bad => "BAD ",
            Status::Bye => "BYE ",
            Status::PreAuth => "PREAUTH ",
        }
    }
}

/// What machines may know of a status, RFC 3501 section 7.1, RFC 5530, RFC 4315.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "codes bear the names that their RFCs give them")]
pub enum Code<'a> {
    Alert,
    AlreadyExists,
    AppendUid {
        validity: u32,
        uids: &'a super::IdSet,
    },
    AuthenticationFailed,
    AuthorizationFailed,
    Cannot,
    /// Names, separated by spaces; see [`crate::capability`].
    Capability(&'a str),
    Closed,
    CopyUid {
        validity: u32,
        from: &'a super::IdSet,
        to: &'a super::IdSet,
    },
    ExpungeIssued,
    InUse,
    Limit,
    NonExistent,
    NoPerm,
    OverQuota,
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    ServerBug,
    TooBig,
    TryCreate,
    UidNext(u32),
    UidNotSticky,
    UidValidity(u32),
    Unavailable,
    /// Sequence number of the first message that is not `\Seen`.
    Unseen(u32),
    UseAttr,
}

impl Code<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let (name, value) = match self {
            Code::Alert => ("ALERT", None),
            Code::AlreadyExists => ("ALREADYEXISTS", None),
            Code::AppendUid { validity, .. } => ("APPENDUID ", Some(validity)),
            Code::AuthenticationFailed => ("AUTHENTICATIONFAILED", None),
            Code::AuthorizationFailed => ("AUTHORIZATIONFAILED", None),
            Code::Cannot => ("CANNOT", None),
            Code::Capability(_) => ("CAPABILITY ", None),
            Code::Closed => ("CLOSED", None),
            Code::CopyUid { validity, .. } => ("COPYUID ", Some(validity)),
            Code::ExpungeIssued => ("EXPUNGEISSUED", None),
            Code::InUse => ("INUSE", None),
            Code::Limit => ("LIMIT", None),
            Code::NonExistent => ("NONEXISTENT", None),
            Code::NoPerm => ("NOPERM", None),
            Code::OverQuota => ("OVERQUOTA", None),
            Code::PrivacyRequired => ("PRIVACYREQUIRED", None),
            Code::ReadOnly => ("READ-ONLY", None),
            Code::ReadWrite => ("READ-WRITE", None),
            Code::ServerBug => ("SERVERBUG", None),
            Code::TooBig => ("TOOBIG", None),
            Code::TryCreate => ("TRYCREATE", None),
            Code::UidNext(uid) => ("UIDNEXT ", Some(uid)),
            Code::UidNotSticky => ("UIDNOTSTICKY", None),
            Code::UidValidity(validity) => ("UIDVALIDITY ", Some(validity)),
            Code::Unavailable => ("UNAVAILABLE", None),
            Code::Unseen(sequence) => ("UNSEEN ", Some(sequence)),
            Code::UseAttr => ("USEATTR", None),
        };
        out.push(b'[');
        out.extend_from_slice(name.as_bytes());
        if let Some(value) = value {
            number(out, u64::from(*value));
        }
        match self {
            Code::Capability(names) => text(out, names),
            Code::AppendUid { uids, .. } => {
                out.push(b' ');
                uids.write(out);
            }
            Code::CopyUid { from, to, .. } => {
                out.push(b' ');
                from.write(out);
                out.push(b' ');
                to.write(out);
            }
            _ => {}
        }
        out.extend_from_slice(b"] ");
    }
}

/// `a1 OK [READ-WRITE] Done`: the end of a command.
pub fn tagged(out: &mut Vec<u8>, tag: &Tag, status: Status, code: Option<Code<'_>>, human: &str) {
    out.extend_from_slice(tag.as_str().as_bytes());
    out.push(b' ');
    status_line(out, status, code, human);
}

/// `* OK [UIDNEXT 5] Next`
pub fn untagged(out: &mut Vec<u8>, status: Status, code: Option<Code<'_>>, human: &str) {
    out.extend_from_slice(b"* ");
    status_line(out, status, code, human);
}

fn status_line(out: &mut Vec<u8>, status: Status, code: Option<Code<'_>>, human: &str) {
    out.extend_from_slice(status.name().as_bytes());
    if let Some(code) = code {
        code.write(out);
    }
    text(out, human);
    line_end(out);
}

/// `+ idling`; with base64, a SASL challenge.
pub fn continuation(out: &mut Vec<u8>, human: &str) {
    out.extend_from_slice(b"+ ");
    text(out, human);
    line_end(out);
}

/// `* CAPABILITY IMAP4rev1 ...`
pub fn capability(out: &mut Vec<u8>, names: &str) {
    out.extend_from_slice(b"* CAPABILITY ");
    text(out, names);
    line_end(out);
}

/// `* ID ("name" "x")`: what we tell of ourselves, RFC 2971; `NIL` if that is nothing.
pub fn id(out: &mut Vec<u8>, pairs: &[(&str, &str)]) {
    out.extend_from_slice(b"* ID ");
    let mut before: &[u8] = b"(";
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(before);
        string(out, text.as_bytes());
        before = b" ";
    }
    out.extend_from_slice(if pairs.is_empty() { b"NIL\r\n" } else { b")\r\n" });
}

/// `* 12 EXISTS`
pub fn exists(out: &mut Vec<u8>, count: u32) {
    numbered(out, count, b" EXISTS\r\n");
}

/// `* 3 RECENT`
pub fn recent(out: &mut Vec<u8>, count: u32) {
    numbered(out, count, b" RECENT\r\n");
}

/// `* 7 EXPUNGE`
pub fn expunge(out: &mut Vec<u8>, sequence: u32) {
    numbered(out, sequence, b" EXPUNGE\r\n");
}

/// `* 7 FETCH (`: items follow, a space between two, and [`fetch_end`].
pub fn fetch_start(out: &mut Vec<u8>, sequence: u32) {
    numbered(out, sequence, b" FETCH (");
}

/// Ends what [`fetch_start`] began.
pub fn fetch_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b")\r\n");
}

fn numbered(out: &mut Vec<u8>, value: u32, rest: &[u8]) {
    out.extend_from_slice(b"* ");
    number(out, u64::from(value));
    out.extend_from_slice(rest);
}

/// `* SEARCH`; each number found, and [`search_end`] are to follow.
pub fn search_start(out: &mut Vec<u8>) {
    out.extend_from_slice(b"* SEARCH");
}

/// ` 2 3 6`
pub fn search_found(out: &mut Vec<u8>, ids: &[u32]) {
    for id in ids {
        out.push(b' ');
        number(out, u64::from(*id));
    }
}

/// The end of the line.
pub fn search_end(out: &mut Vec<u8>) {
    line_end(out);
}

/// `FLAGS (\Seen Junk)`, as a `FETCH` has it; `* FLAGS (...)` is this with `* ` before and a line end after.
pub fn flags<'a>(out: &mut Vec<u8>, system: SystemFlags, keywords: impl IntoIterator<Item = &'a str>) {
    out.extend_from_slice(b"FLAGS ");
    flag_list(out, system, keywords);
}

/// `(\Seen Junk)`
pub fn flag_list<'a>(out: &mut Vec<u8>, system: SystemFlags, keywords: impl IntoIterator<Item = &'a str>) {
    out.push(b'(');
    let mut first = true;
    let known = SystemFlags::NAMES.iter().filter(|(flag, _)| system.contains(*flag)).map(|(_, name)| *name);
    for name in known.chain(keywords) {
        if !first {
            out.push(b' ');
        }
        first = false;
        text(out, name);
    }
    out.push(b')');
}

/// `* FLAGS (...)`: what flags a mailbox knows.
pub fn mailbox_flags<'a>(
    out: &mut Vec<u8>,
    system: SystemFlags,
    keywords: impl IntoIterator<Item = &'a str>,
) {
    out.extend_from_slice(b"* ");
    flags(out, system, keywords);
    line_end(out);
}

/// `* OK [PERMANENTFLAGS (... \*)] Flags permitted`; `extensible`: a client may make up keywords.
pub fn permanent_flags<'a>(
    out: &mut Vec<u8>,
    system: SystemFlags,
    keywords: impl IntoIterator<Item = &'a str>,
    extensible: bool,
) {
    out.extend_from_slice(b"* OK [PERMANENTFLAGS ");
    flag_list(out, system, keywords.into_iter().chain(extensible.then_some("\\*")));
    out.extend_from_slice(b"] Flags permitted\r\n");
}

/// `* LIST (\HasChildren) "." INBOX`. `command` is `LIST` or `LSUB`; a name without hierarchy has no separator.
pub fn list(
    out: &mut Vec<u8>,
    command: &str,
    attributes: &[&str],
    separator: Option<u8>,
    name: &MailboxName,
) {
    list_line(out, command, attributes, separator, name.wire().as_bytes());
}

/// The answer to an empty pattern: what separates levels.
pub fn list_separator(out: &mut Vec<u8>, command: &str, separator: u8, root: &[u8]) {
    list_line(out, command, &["\\Noselect"], Some(separator), root);
}

fn list_line(out: &mut Vec<u8>, command: &str, attributes: &[&str], separator: Option<u8>, name: &[u8]) {
    out.extend_from_slice(b"* ");
    text(out, command);
    out.push(b' ');
    flag_list(out, SystemFlags::default(), attributes.iter().copied());
    out.push(b' ');
    nstring(out, separator.as_ref().map(std::slice::from_ref));
    out.push(b' ');
    astring(out, name);
    line_end(out);
}

/// `* STATUS INBOX (MESSAGES 3 UNSEEN 1)`
pub fn status(out: &mut Vec<u8>, name: &MailboxName, items: impl IntoIterator<Item = (StatusItem, u32)>) {
    out.extend_from_slice(b"* STATUS ");
    astring(out, name.wire().as_bytes());
    let mut before: &[u8] = b" (";
    let mut any = false;
    for (item, value) in items {
        out.extend_from_slice(before);
        out.extend_from_slice(match item {
            StatusItem::Messages => b"MESSAGES ",
            StatusItem::Recent => b"RECENT ",
            StatusItem::UidNext => b"UIDNEXT ",
            StatusItem::UidValidity => b"UIDVALIDITY ",
            StatusItem::Unseen => b"UNSEEN ",
        });
        number(out, u64::from(value));
        before = b" ";
        any = true;
    }
    out.extend_from_slice(if any { b")\r\n" } else { b" ()\r\n" });
}

/// `INTERNALDATE "17-Jul-1996 02:44:25 -0700"`: a moment in seconds since 1970 (UTC), as a clock shows it that is
/// `offset` minutes east.
pub fn internal_date(out: &mut Vec<u8>, unix: i64, offset: i16) {
    let (year, month, day) = Date::at(unix, offset).parts();
    let second = unix.saturating_add(i64::from(offset) * 60).rem_euclid(86_400).unsigned_abs();
    let zone = u64::from(offset.unsigned_abs());
    out.extend_from_slice(b"INTERNALDATE \"");
    two_digits(out, u64::from(day));
    out.push(b'-');
    out.extend_from_slice(MONTHS.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or(b"Jan"));
    out.push(b'-');
    two_digits(out, u64::from(year / 100));
    two_digits(out, u64::from(year % 100));
    out.push(b' ');
    two_digits(out, second / 3_600);
    out.push(b':');
    two_digits(out, second / 60 % 60);
    out.push(b':');
    two_digits(out, second % 60);
    out.extend_from_slice(if offset < 0 { b" -" } else { b" +" });
    two_digits(out, zone / 60 % 100);
    two_digits(out, zone % 60);
    out.push(b'"');
}

fn two_digits(out: &mut Vec<u8>, value: u64) {
    let digit = |value: u64| b'0' + (value % 10) as u8;
    out.extend_from_slice(&[digit(value / 10), digit(value)]);
}

/// A string: in quotes where it can be, else a literal.
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() > 1_000 || !bytes.is_ascii() || memchr3(0, b'\r', b'\n', bytes).is_some() {
        literal_start(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    if memchr2(b'"', b'\\', bytes).is_none() {
        out.extend_from_slice(bytes);
    } else {
        for byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
    }
    out.push(b'"');
}

/// A string, or `NIL`.
pub fn nstring(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => string(out, bytes),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// As it is where it can be, else a string.
pub fn astring(out: &mut Vec<u8>, bytes: &[u8]) {
    let legal = |byte: &u8| byte.is_ascii_graphic() && !b"(){%*\"\\".contains(byte);
    if bytes.is_empty() || bytes.eq_ignore_ascii_case(b"NIL") || !bytes.iter().all(legal) {
        string(out, bytes);
    } else {
        out.extend_from_slice(bytes);
    }
}

/// `{12}` and a line end: as many bytes follow, which the caller appends or sends.
pub fn literal_start(out: &mut Vec<u8>, size: u64) {
    out.push(b'{');
    number(out, size);
    out.extend_from_slice(b"}\r\n");
}

#[cfg(test)]
mod tests;
