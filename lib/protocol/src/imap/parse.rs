//! One command's bytes into one [`Command`]: RFC 3501 section 6, and the extensions that the crate's page names.
//!
//! The bytes are those of [`super::Framer::take`]: a whole command, its literals in place. Each command's arguments
//! are read to the end; what is left over is an error.

use std::borrow::Cow;

use super::cursor::{Cursor, Parsed, Word, bad};
use super::{
    AppendMessage, Body, By, Command, DateTime, FetchItem, FlagList, IdPair, MailboxName, ParseError,
    SearchKey, SequenceSet, Status, StatusItem, StoreMode, SystemFlags, Tag,
};
use crate::Secret;

/// How deep a search may be nested; see [`parse_nested`].
pub const MAX_NESTING: usize = 100;

/// Pairs in an `ID`, RFC 2971 section 3.3.
const MOST_ID_PAIRS: usize = 30;

/// Reads a command.
pub fn parse(bytes: &[u8]) -> Result<Command, ParseError> {
    parse_nested(bytes, MAX_NESTING)
}

/// Reads a command; the tree of a search may be `nesting` levels deep. Whoever walks that tree recurses as deep.
pub fn parse_nested(bytes: &[u8], nesting: usize) -> Result<Command, ParseError> {
    let mut cursor = Cursor::new(without_line_end(bytes));
    let tag = Tag::new(cursor.take_while(|byte| byte.is_ascii_graphic()));
    // A DONE too many: the IDLE that it ends was refused, or is over.
    let stray =
        tag.as_ref().is_some_and(|tag| tag.as_str().eq_ignore_ascii_case("DONE")) && cursor.is_empty();
    let Some(tag) = tag.filter(|_| !stray) else {
        let text = if stray { "Unexpected DONE" } else { "Invalid tag" };
        return Err(ParseError { tag: None, status: Status::Bad, text });
    };
    match parse_body(&mut cursor, nesting) {
        Ok(body) => Ok(Command { tag, body }),
        Err(fault) => Err(ParseError { tag: Some(tag), status: fault.status, text: fault.text }),
    }
}

/// Reads what follows a message of an `APPEND`: the end of the command, or one more message (RFC 3502). The tag is
/// the caller's to add to an error.
pub fn parse_append_more(bytes: &[u8]) -> Result<Option<AppendMessage>, ParseError> {
    let mut cursor = Cursor::new(without_line_end(bytes));
    let apart = cursor.spaces();
    if cursor.is_empty() {
        return Ok(None);
    }
    let message = if apart { append_message(&mut cursor) } else { bad("Malformed APPEND") };
    message.map(Some).map_err(|fault| ParseError { tag: None, status: fault.status, text: fault.text })
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn parse_body(cursor: &mut Cursor<'_>, nesting: usize) -> Parsed<Body> {
    let mut name = command_name(cursor)?;
    let by = if name.is(b"UID") { By::Uid } else { By::Sequence };
    if by == By::Uid {
        name = command_name(cursor)?;
    }
    let body = match (name.as_bytes(), by) {
        (b"FETCH", _) => fetch(cursor, by)?,
        (b"STORE", _) => store(cursor, by)?,
        (b"SEARCH", _) => Body::Search { by, key: arg(cursor, |cursor| SearchKey::parse(cursor, nesting))? },
        (b"COPY", _) => Body::Copy {
            by,
            set: arg(cursor, SequenceSet::parse)?,
            mailbox: arg(cursor, MailboxName::parse)?,
        },
        (b"MOVE", _) => Body::Move {
            by,
            set: arg(cursor, SequenceSet::parse)?,
            mailbox: arg(cursor, MailboxName::parse)?,
        },
        (b"EXPUNGE", By::Uid) => Body::Expunge { uids: Some(arg(cursor, SequenceSet::parse)?) },
        (_, By::Uid) => return bad("Unknown UID command"),
        (b"CAPABILITY", _) => Body::Capability,
        (b"NOOP", _) => Body::Noop,
        (b"LOGOUT", _) => Body::Logout,
        (b"ID", _) => Body::Id(arg(cursor, id_pairs)?),
        (b"STARTTLS", _) => Body::StartTls,
        (b"LOGIN", _) => Body::Login {
            user: arg(cursor, Cursor::astring)?.into_owned(),
            password: Secret::new(arg(cursor, Cursor::astring)?.into_owned()),
        },
        (b"AUTHENTICATE", _) => authenticate(cursor)?,
        (b"ENABLE", _) => enable(cursor)?,
        (b"SELECT", _) => Body::Select(arg(cursor, MailboxName::parse)?),
        (b"EXAMINE", _) => Body::Examine(arg(cursor, MailboxName::parse)?),
        (b"CREATE", _) => {
            Body::Create { mailbox: arg(cursor, MailboxName::parse)?, special_use: create_options(cursor)? }
        }
        (b"DELETE", _) => Body::Delete(arg(cursor, MailboxName::parse)?),
        (b"RENAME", _) => {
            Body::Rename { from: arg(cursor, MailboxName::parse)?, to: arg(cursor, MailboxName::parse)? }
        }
        (b"SUBSCRIBE", _) => Body::Subscribe(arg(cursor, MailboxName::parse)?),
        (b"UNSUBSCRIBE", _) => Body::Unsubscribe(arg(cursor, MailboxName::parse)?),
        (b"LIST", _) => list(cursor)?,
        (b"LSUB", _) => Body::Lsub { reference: arg(cursor, astring)?, pattern: arg(cursor, astring)? },
        (b"NAMESPACE", _) => Body::Namespace,
        (b"STATUS", _) => {
            Body::Status { mailbox: arg(cursor, MailboxName::parse)?, items: arg(cursor, status_items)? }
        }
        (b"APPEND", _) => {
            Body::Append { mailbox: arg(cursor, MailboxName::parse)?, message: arg(cursor, append_message)? }
        }
        (b"IDLE", _) => Body::Idle,
        (b"CHECK", _) => Body::Check,
        (b"CLOSE", _) => Body::Close,
        (b"UNSELECT", _) => Body::Unselect,
        (b"EXPUNGE", _) => Body::Expunge { uids: None },
        _ => return bad("Unknown command"),
    };
    cursor.end()?;
    Ok(body)
}

fn command_name(cursor: &mut Cursor<'_>) -> Parsed<Word> {
    cursor.space().or_else(|_| bad("Missing command"))?;
    Ok(cursor.word())
}

/// A space, and what `read` reads.
fn arg<'a, T>(cursor: &mut Cursor<'a>, read: impl FnOnce(&mut Cursor<'a>) -> Parsed<T>) -> Parsed<T> {
    cursor.space()?;
    read(cursor)
}

fn astring(cursor: &mut Cursor<'_>) -> Parsed<Vec<u8>> {
    cursor.astring().map(Cow::into_owned)
}

/// `NIL`, or a list of names and values by turns.
fn id_pairs(cursor: &mut Cursor<'_>) -> Parsed<Vec<IdPair>> {
    if cursor.peek() != Some(b'(') {
        return if cursor.word().is(b"NIL") { Ok(Vec::new()) } else { bad("Missing '(' or NIL") };
    }
    let pairs = cursor.list(|cursor| {
        let name = cursor.string()?.into_owned();
        cursor.space()?;
        Ok((name, cursor.nstring()?.map(Cow::into_owned)))
    })?;
    if pairs.len() <= MOST_ID_PAIRS { Ok(pairs) } else { bad("Too many ID parameters") }
}

fn authenticate(cursor: &mut Cursor<'_>) -> Parsed<Body> {
    let mechanism = String::from_utf8_lossy(arg(cursor, Cursor::atom)?).to_ascii_uppercase();
    let initial = match cursor.spaces() && !cursor.is_empty() {
        true => Some(Secret::from(cursor.take_while(|byte| byte.is_ascii_graphic()))),
        false => None,
    };
    Ok(Body::Authenticate { mechanism, initial })
}

fn enable(cursor: &mut Cursor<'_>) -> Parsed<Body> {
    let mut names = Vec::new();
    loop {
        names.push(String::from_utf8_lossy(arg(cursor, Cursor::atom)?).to_ascii_uppercase());
        let mut ahead = *cursor;
        if ahead.end().is_ok() {
            return Ok(Body::Enable(names));
        }
    }
}

/// ` (USE (\Sent))`, RFC 6154 section 3.
fn create_options(cursor: &mut Cursor<'_>) -> Parsed<bool> {
    if !cursor.spaces() || cursor.is_empty() {
        return Ok(false);
    }
    let uses = cursor.list(|cursor| {
        if !cursor.word().is(b"USE") {
            return bad("Unknown parameter of CREATE");
        }
        cursor.space()?;
        cursor.list(use_attribute)
    })?;
    Ok(uses.iter().any(|uses| !uses.is_empty()))
}

fn use_attribute(cursor: &mut Cursor<'_>) -> Parsed<()> {
    if !cursor.eat(b'\\') {
        return bad("Missing backslash");
    }
    cursor.atom().map(drop)
}

/// `[(options)] reference pattern [RETURN (options)]`, of which RFC 6154 has `SPECIAL-USE`. What may be asked to be
/// returned is returned always.
fn list(cursor: &mut Cursor<'_>) -> Parsed<Body> {
    cursor.space()?;
    let mut special_use = false;
    if cursor.peek() == Some(b'(') {
        let options = cursor.list(|cursor| match cursor.word().as_bytes() {
            b"SPECIAL-USE" => Ok(()),
            _ => bad("Unknown selection option"),
        })?;
        special_use = !options.is_empty();
        cursor.space()?;
    }
    let (reference, pattern) = (astring(cursor)?, arg(cursor, astring)?);
    if cursor.spaces() && !cursor.is_empty() {
        if !cursor.word().is(b"RETURN") {
            return bad("Missing RETURN");
        }
        cursor.space()?;
        cursor.list(|cursor| match cursor.word().as_bytes() {
            b"SPECIAL-USE" | b"CHILDREN" => Ok(()),
            _ => bad("Unknown return option"),
        })?;
    }
    Ok(Body::List { special_use, reference, pattern })
}

/// At least one, in parentheses.
fn status_items(cursor: &mut Cursor<'_>) -> Parsed<Vec<StatusItem>> {
    let items = cursor.list(status_item)?;
    if items.is_empty() { bad("Missing status items") } else { Ok(items) }
}

fn status_item(cursor: &mut Cursor<'_>) -> Parsed<StatusItem> {
    Ok(match cursor.word().as_bytes() {
        b"MESSAGES" => StatusItem::Messages,
        b"RECENT" => StatusItem::Recent,
        b"UIDNEXT" => StatusItem::UidNext,
        b"UIDVALIDITY" => StatusItem::UidValidity,
        b"UNSEEN" => StatusItem::Unseen,
        _ => return bad("Unknown status item"),
    })
}

/// `[(flags)] ["date"] {size}`
fn append_message(cursor: &mut Cursor<'_>) -> Parsed<AppendMessage> {
    let mut flags = FlagList::default();
    if cursor.peek() == Some(b'(') {
        flags = FlagList::parse(cursor)?;
        flags.system = flags.system.without(SystemFlags::RECENT);
        cursor.space()?;
    }
    let mut date = None;
    if cursor.peek() == Some(b'"') {
        date = Some(DateTime::parse(cursor)?);
        cursor.space()?;
    }
    Ok(AppendMessage { flags, date, size: cursor.announcement()? })
}

fn fetch(cursor: &mut Cursor<'_>, by: By) -> Parsed<Body> {
    let set = arg(cursor, SequenceSet::parse)?;
    let mut items = arg(cursor, FetchItem::parse_all)?;
    if by == By::Uid && !items.contains(&FetchItem::Uid) {
        items.insert(0, FetchItem::Uid);
    }
    Ok(Body::Fetch { by, set, items })
}

fn store(cursor: &mut Cursor<'_>, by: By) -> Parsed<Body> {
    let set = arg(cursor, SequenceSet::parse)?;
    cursor.space()?;
    let mode = match () {
        () if cursor.eat(b'+') => StoreMode::Add,
        () if cursor.eat(b'-') => StoreMode::Remove,
        () => StoreMode::Replace,
    };
    let silent = match cursor.word().as_bytes() {
        b"FLAGS" => false,
        b"FLAGS.SILENT" => true,
        _ => return bad("Unknown item to store"),
    };
    cursor.space()?;
    let flags = match cursor.peek() {
        Some(b'(') => FlagList::parse(cursor)?,
        _ => FlagList::parse_bare(cursor)?,
    };
    if flags.system.contains(SystemFlags::RECENT) {
        return bad("\\Recent can't be stored");
    }
    Ok(Body::Store { by, set, mode, silent, flags })
}

#[cfg(test)]
mod tests;
