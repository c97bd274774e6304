//! What `SEARCH` looks for, RFC 3501 section 6.4.4, as a tree.
//!
//! Read without recursion, with a stack that the length of the command bounds. The tree is as deep as it must be:
//! `OR a OR b OR c d` is one node of four, `NOT NOT a` is `a`; so a bound on its depth (it is walked and dropped by
//! recursion) does not bound how many addresses a webmail may look for.

use super::cursor::{Cursor, Parsed, bad, no};
use super::{Date, Keyword, SequenceSet, SystemFlags};

/// What a message must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchKey {
    /// Anything.
    All,
    /// All of these at once; at least two.
    And(Vec<SearchKey>),
    /// One of these at least; at least two.
    Or(Vec<SearchKey>),
    /// Anything else.
    Not(Box<SearchKey>),
    /// One of this set of sequence numbers.
    Sequence(SequenceSet),
    /// One of this set of UIDs.
    Uid(SequenceSet),
    /// Has this flag (the set holds one).
    Flag(SystemFlags),
    /// Has this keyword.
    Keyword(Keyword),
    /// The day of its INTERNALDATE.
    Internal(DateTest, Date),
    /// The day in its `Date` field, without regard to time and zone.
    Sent(DateTest, Date),
    /// RFC822.SIZE is greater.
    Larger(u64),
    /// RFC822.SIZE is less.
    Smaller(u64),
    /// A header field of this name holds this text; an empty one only asks for the field. `FROM`, `TO`, `CC`,
    /// `BCC` and `SUBJECT` come so, too.
    Header {
        /// Name of the field; case does not count.
        name: Vec<u8>,
        /// What it holds.
        text: String,
    },
    /// The body holds this text.
    Body(String),
    /// Header or body holds this text.
    Text(String),
}

/// How a date is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateTest {
    /// Earlier than the day.
    Before,
    /// That day.
    On,
    /// That day or later.
    Since,
}

/// A key, and how deep its tree is.
struct Node {
    key: SearchKey,
    depth: usize,
}

/// A key that waits for what it is made of.
enum Frame {
    /// `(`, or the command as a whole: keys so far.
    And(Vec<Node>),
    /// `OR`: the first key, once it is there.
    Or(Option<Node>),
    /// `NOT`
    Not,
}

impl SearchKey {
    /// `[CHARSET name] key [key ...]`, to the end of the command; `nesting` bounds the depth of
    /// the tree below it.
    pub(super) fn parse(cursor: &mut Cursor<'_>, nesting: usize) -> Parsed<SearchKey> {
        parse_charset(cursor)?;
        let mut waiting = vec![Frame::And(Vec::new())];
        loop {
            cursor.spaces();
            let node = match cursor.peek() {
                None => break,
                Some(b'(') => {
                    cursor.eat(b'(');
                    waiting.push(Frame::And(Vec::new()));
                    continue;
                }
                Some(b')') => {
                    cursor.eat(b')');
                    match waiting.pop() {
                        Some(Frame::And(nodes)) if !waiting.is_empty() => all_of(nodes)?,
                        _ => return bad("Unexpected ')'"),
                    }
                }
                Some(b'0'..=b'9' | b'*') => leaf(SearchKey::Sequence(SequenceSet::parse(cursor)?)),
                Some(_) => match parse_word(cursor)? {
                    Found::Key(key) => leaf(key),
                    Found::Frame(frame) => {
                        waiting.push(frame);
                        continue;
                    }
                },
            };
            deliver(&mut waiting, node, nesting)?;
        }
        match (waiting.pop(), waiting.is_empty()) {
            (Some(Frame::And(nodes)), true) => all_of(nodes).map(|node| node.key),
            _ => bad("Incomplete search key"),
        }
    }
}

fn parse_charset(cursor: &mut Cursor<'_>) -> Parsed<()> {
    let mut ahead = *cursor;
    if !ahead.word().is(b"CHARSET") {
        return Ok(());
    }
    ahead.space()?;
    let name = ahead.astring()?;
    ahead.space()?;
    *cursor = ahead;
    let known = [&b"US-ASCII"[..], b"UTF-8", b"ASCII", b"UTF8"];
    match known.iter().any(|charset| name.eq_ignore_ascii_case(charset)) {
        true => Ok(()),
        false => no("[BADCHARSET (US-ASCII UTF-8)] Unknown charset"),
    }
}

/// Hands a finished key to the one that waits for it; that may finish it in turn.
fn deliver(waiting: &mut Vec<Frame>, mut node: Node, nesting: usize) -> Parsed<()> {
    loop {
        if node.depth > nesting {
            return bad("Search key nested too deep");
        }
        node = match waiting.pop() {
            Some(Frame::And(mut nodes)) => {
                nodes.push(node);
                waiting.push(Frame::And(nodes));
                return Ok(());
            }
            Some(Frame::Or(None)) => {
                waiting.push(Frame::Or(Some(node)));
                return Ok(());
            }
            Some(Frame::Or(Some(first))) => either_of(first, node),
            Some(Frame::Not) => opposite_of(node),
            None => return bad("Unexpected ')'"),
        };
    }
}

fn leaf(key: SearchKey) -> Node {
    Node { key, depth: 1 }
}

fn all_of(mut nodes: Vec<Node>) -> Parsed<Node> {
    match (nodes.pop(), nodes.is_empty()) {
        (None, _) => bad("Missing search key"),
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            nodes.push(last);
            let depth = nodes.iter().map(|node| node.depth).max().unwrap_or(0) + 1;
            Ok(Node { key: SearchKey::And(nodes.into_iter().map(|node| node.key).collect()), depth })
        }
    }
}

fn either_of(first: Node, second: Node) -> Node {
    let flat = |node: &Node| matches!(node.key, SearchKey::Or(_));
    let below = |node: &Node| node.depth - usize::from(flat(node));
    let depth = below(&first).max(below(&second)) + 1;
    let keys = match (first.key, second.key) {
        (SearchKey::Or(one), SearchKey::Or(other)) => {
            // The few go to the many, or a chain of pairs would cost its square.
            let (mut keys, few) = if one.len() < other.len() { (other, one) } else { (one, other) };
            keys.extend(few);
            keys
        }
        (SearchKey::Or(mut keys), key) | (key, SearchKey::Or(mut keys)) => {
            keys.push(key);
            keys
        }
        (one, other) => vec![one, other],
    };
    Node { key: SearchKey::Or(keys), depth }
}

fn opposite_of(node: Node) -> Node {
    match node.key {
        SearchKey::Not(inner) => Node { key: *inner, depth: node.depth - 1 },
        key => Node { key: SearchKey::Not(Box::new(key)), depth: node.depth + 1 },
    }
}

/// What a word of the grammar turned out to be.
enum Found {
    Key(SearchKey),
    Frame(Frame),
}

fn parse_word(cursor: &mut Cursor<'_>) -> Parsed<Found> {
    use DateTest::{Before, On, Since};
    let word = cursor.word();
    let key = match word.as_bytes() {
        b"NOT" => return Ok(Found::Frame(Frame::Not)),
        b"OR" => return Ok(Found::Frame(Frame::Or(None))),
        b"ALL" => SearchKey::All,
        b"ANSWERED" => SearchKey::Flag(SystemFlags::ANSWERED),
        b"DELETED" => SearchKey::Flag(SystemFlags::DELETED),
        b"DRAFT" => SearchKey::Flag(SystemFlags::DRAFT),
        b"FLAGGED" => SearchKey::Flag(SystemFlags::FLAGGED),
        b"RECENT" => SearchKey::Flag(SystemFlags::RECENT),
        b"SEEN" => SearchKey::Flag(SystemFlags::SEEN),
        b"UNANSWERED" => without(SystemFlags::ANSWERED),
        b"UNDELETED" => without(SystemFlags::DELETED),
        b"UNDRAFT" => without(SystemFlags::DRAFT),
        b"UNFLAGGED" => without(SystemFlags::FLAGGED),
        b"UNSEEN" => without(SystemFlags::SEEN),
        b"OLD" => without(SystemFlags::RECENT),
        b"NEW" => SearchKey::And(vec![SearchKey::Flag(SystemFlags::RECENT), without(SystemFlags::SEEN)]),
        b"KEYWORD" => SearchKey::Keyword(keyword(cursor)?),
        b"UNKEYWORD" => SearchKey::Not(Box::new(SearchKey::Keyword(keyword(cursor)?))),
        b"BEFORE" => SearchKey::Internal(Before, date(cursor)?),
        b"ON" => SearchKey::Internal(On, date(cursor)?),
        b"SINCE" => SearchKey::Internal(Since, date(cursor)?),
        b"SENTBEFORE" => SearchKey::Sent(Before, date(cursor)?),
        b"SENTON" => SearchKey::Sent(On, date(cursor)?),
        b"SENTSINCE" => SearchKey::Sent(Since, date(cursor)?),
        b"LARGER" => SearchKey::Larger(size(cursor)?),
        b"SMALLER" => SearchKey::Smaller(size(cursor)?),
        b"UID" => {
            cursor.space()?;
            SearchKey::Uid(SequenceSet::parse(cursor)?)
        }
        b"BCC" | b"CC" | b"FROM" | b"SUBJECT" | b"TO" => {
            SearchKey::Header { name: word.as_bytes().to_vec(), text: text(cursor)? }
        }
        b"HEADER" => SearchKey::Header { name: text(cursor)?.into_bytes(), text: text(cursor)? },
        b"BODY" => SearchKey::Body(text(cursor)?),
        b"TEXT" => SearchKey::Text(text(cursor)?),
        _ => return bad("Unknown search key"),
    };
    Ok(Found::Key(key))
}

fn without(flag: SystemFlags) -> SearchKey {
    SearchKey::Not(Box::new(SearchKey::Flag(flag)))
}

fn keyword(cursor: &mut Cursor<'_>) -> Parsed<Keyword> {
    cursor.space()?;
    Keyword::parse(cursor)
}

fn date(cursor: &mut Cursor<'_>) -> Parsed<Date> {
    cursor.space()?;
    Date::parse(cursor)
}

fn size(cursor: &mut Cursor<'_>) -> Parsed<u64> {
    cursor.space()?;
    cursor.number64()
}

/// Both charsets that a client may name are UTF-8, and so is what it sends without naming one.
fn text(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.space()?;
    String::from_utf8(cursor.astring()?.into_owned()).or_else(|_| bad("Text is not UTF-8"))
}

#[cfg(test)]
mod tests;
