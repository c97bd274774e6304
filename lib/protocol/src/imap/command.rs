//! A command as a value: what [`super::parse`] makes of a client's bytes. Types only.

use std::fmt;

use super::{DateTime, FetchItem, FlagList, MailboxName, SearchKey, SequenceSet, Status, response};
use crate::Secret;

/// What the client calls this command, and wants to see in front of our answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// A tag from bytes: at least one character, none that IMAP gives a meaning of its own.
    pub fn new(bytes: &[u8]) -> Option<Tag> {
        let legal = |byte: &u8| byte.is_ascii_graphic() && !b"(){%*\"\\+".contains(byte);
        if bytes.is_empty() || !bytes.iter().all(legal) {
            return None;
        }
        std::str::from_utf8(bytes).ok().map(|text| Tag(text.into()))
    }

    /// The tag as the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One command of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// To be repeated in the answer.
    pub tag: Tag,
    /// What is asked.
    pub body: Body,
}

/// What a command asks. The order is RFC 3501's: any state, not authenticated, authenticated, selected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "commands and arguments bear the names that their RFCs give them")]
pub enum Body {
    Capability,
    Noop,
    Logout,
    /// RFC 2971: what the client tells of itself; empty for `NIL`.
    Id(Vec<IdPair>),

    StartTls,
    Login {
        user: Vec<u8>,
        password: Secret,
    },
    /// `mechanism` is in upper case; `initial` is base64 as it came, `=` for an empty response (RFC 4959).
    Authenticate {
        mechanism: String,
        initial: Option<Secret>,
    },

    Enable(Vec<String>),
    Select(MailboxName),
    Examine(MailboxName),
    Create {
        mailbox: MailboxName,
        /// It shall be for something special (`USE`, RFC 6154).
        special_use: bool,
    },
    Delete(MailboxName),
    Rename {
        from: MailboxName,
        to: MailboxName,
    },
    Subscribe(MailboxName),
    Unsubscribe(MailboxName),
    /// Both arguments in wire form; [`super::Pattern::new`] joins them. An empty pattern asks for the separator.
    List {
        /// Only mailboxes that are for something special are asked for (RFC 6154).
        special_use: bool,
        reference: Vec<u8>,
        pattern: Vec<u8>,
    },
    Lsub {
        reference: Vec<u8>,
        pattern: Vec<u8>,
    },
    Namespace,
    Status {
        mailbox: MailboxName,
        items: Vec<StatusItem>,
    },
    /// Its head only: the message is announced, and read by the caller (see [`super::Step::Literal`]).
    Append {
        mailbox: MailboxName,
        message: AppendMessage,
    },
    Idle,

    Check,
    Close,
    Unselect,
    /// With `uids`, only these (`UID EXPUNGE`, RFC 4315).
    Expunge {
        uids: Option<SequenceSet>,
    },
    Search {
        by: By,
        key: SearchKey,
    },
    /// `UID FETCH` has [`FetchItem::Uid`] among its items even where the client left it out.
    Fetch {
        by: By,
        set: SequenceSet,
        items: Vec<FetchItem>,
    },
    Store {
        by: By,
        set: SequenceSet,
        mode: StoreMode,
        silent: bool,
        flags: FlagList,
    },
    Copy {
        by: By,
        set: SequenceSet,
        mailbox: MailboxName,
    },
    Move {
        by: By,
        set: SequenceSet,
        mailbox: MailboxName,
    },
}

impl Body {
    /// The command's name in upper case, without `UID`; for tables and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Body::Capability => "CAPABILITY",
            Body::Noop => "NOOP",
            Body::Logout => "LOGOUT",
            Body::Id(_) => "ID",
            Body::StartTls => "STARTTLS",
            Body::Login { .. } => "LOGIN",
            Body::Authenticate { .. } => "AUTHENTICATE",
            Body::Enable(_) => "ENABLE",
            Body::Select(_) => "SELECT",
            Body::Examine(_) => "EXAMINE",
            Body::Create { .. } => "CREATE",
            Body::Delete(_) => "DELETE",
            Body::Rename { .. } => "RENAME",
            Body::Subscribe(_) => "SUBSCRIBE",
            Body::Unsubscribe(_) => "UNSUBSCRIBE",
            Body::List { .. } => "LIST",
            Body::Lsub { .. } => "LSUB",
            Body::Namespace => "NAMESPACE",
            Body::Status { .. } => "STATUS",
            Body::Append { .. } => "APPEND",
            Body::Idle => "IDLE",
            Body::Check => "CHECK",
            Body::Close => "CLOSE",
            Body::Unselect => "UNSELECT",
            Body::Expunge { .. } => "EXPUNGE",
            Body::Search { .. } => "SEARCH",
            Body::Fetch { .. } => "FETCH",
            Body::Store { .. } => "STORE",
            Body::Copy { .. } => "COPY",
            Body::Move { .. } => "MOVE",
        }
    }

    /// What its numbers are, where it has any.
    pub fn by(&self) -> By {
        match self {
            Body::Search { by, .. }
            | Body::Fetch { by, .. }
            | Body::Store { by, .. }
            | Body::Copy { by, .. }
            | Body::Move { by, .. } => *by,
            _ => By::Sequence,
        }
    }
}

/// Name and value of one thing that a client tells of itself; no value for `NIL`.
pub type IdPair = (Vec<u8>, Option<Vec<u8>>);

/// What a command's numbers are, and those of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Message sequence numbers.
    Sequence,
    /// Unique ids: the command had `UID` in front.
    Uid,
}

/// What `STORE` does with the flags given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreMode {
    /// `FLAGS`: these and no others (`\Recent` stays).
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// What `STATUS` may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "items bear the names that RFC 3501 gives them")]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
}

/// One message of an `APPEND`, announced and yet to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendMessage {
    /// Flags that it shall have; `\Recent` is dropped.
    pub flags: FlagList,
    /// Its INTERNALDATE, where the client sets one.
    pub date: Option<DateTime>,
    /// Bytes to come.
    pub size: u64,
}

/// Why a command was not understood. It reaches no further than that command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading a command: {text}")]
pub struct ParseError {
    /// The tag to answer; none where not even that could be read.
    pub tag: Option<Tag>,
    /// `BAD`, or `NO` for what is well-formed but can't be (a name that is no mUTF-7, a charset unknown).
    pub status: Status,
    /// For the client: short, with a response code in front where one fits.
    pub text: &'static str,
}

impl ParseError {
    /// Appends the answer that the client is owed.
    pub fn answer(&self, out: &mut Vec<u8>) {
        match &self.tag {
            Some(tag) => response::tagged(out, tag, self.status, None, self.text),
            None => response::untagged(out, Status::Bad, None, self.text),
        }
    }
}
