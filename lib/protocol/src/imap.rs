//! IMAP, the server's side: RFC 3501 and the extensions that the crate's page names.
//!
//! [`Framer`] finds commands in a stream, [`parse`] reads one, [`response`] writes answers.

mod command;
mod cursor;
mod date;
mod fetch;
mod flag;
mod framer;
mod mailbox;
pub mod mutf7;
mod parse;
mod pattern;
pub mod response;
mod search;
mod sequence;

pub use command::{AppendMessage, Body, By, Command, IdPair, ParseError, StatusItem, StoreMode, Tag};
pub use date::{Date, DateTime};
pub use fetch::{Content, FetchItem, Label, Partial, Section, SectionText};
pub use flag::{FlagList, Keyword, SystemFlags};
pub use framer::{Excess, Framer, Limits, Step};
pub use mailbox::{InvalidName, MailboxName};
pub use parse::{MAX_NESTING, parse, parse_append_more, parse_nested};
pub use pattern::Pattern;
pub use response::{Code, Status};
pub use search::{DateTest, SearchKey};
pub use sequence::{IdSet, SequenceSet};
