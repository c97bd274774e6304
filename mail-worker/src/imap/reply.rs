//! How a command ends: what the client is answered, and how far a failure reaches.

use std::borrow::Cow;
use std::io::ErrorKind;

use nix::errno::Errno;
use protocol::imap::{Code, IdSet, Status};
use store::{Error, Refusal, Saved, Uid};

use crate::session::Ending;

/// What a command comes to.
pub(crate) type Outcome = Result<Reply, Stop>;

/// The line with the command's tag.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: Status,
    pub(crate) code: Option<Code<'static>>,
    /// What was saved, instead of a code.
    pub(crate) arrived: Option<Box<Arrived>>,
    pub(crate) text: Cow<'static, str>,
    /// The session ends with it.
    pub(crate) ending: Option<Ending>,
}

/// Messages that were saved, and where they came from (RFC 4315, section 3).
#[derive(Debug)]
pub(crate) struct Arrived {
    validity: u32,
    to: IdSet,
    /// None if they came from the client.
    from: Option<IdSet>,
}

impl Arrived {
    pub(crate) fn new(saved: &Saved, from: Option<&[Uid]>) -> Self {
        let set = |uids: &[Uid]| uids.iter().map(|uid| uid.get()).collect();
        Self { validity: saved.uid_validity, to: set(&saved.uids), from: from.map(set) }
    }

    pub(crate) fn code(&self) -> Code<'_> {
        let Self { validity, to, from } = self;
        match from {
            Some(from) => Code::CopyUid { validity: *validity, from, to },
            None => Code::AppendUid { validity: *validity, uids: to },
        }
    }
}

/// Why a command did not come to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It is answered so.
    Command(Reply),
    /// The mail cannot be had; how far that reaches, the error says.
    Store(Error),
    /// The session ends.
    Session(Ending),
}

impl Reply {
    pub(crate) fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Ok, code: None, arrived: None, text: text.into(), ending: None }
    }

    pub(crate) fn no(code: Option<Code<'static>>, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::No, code, ..Self::ok(text) }
    }

    pub(crate) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Bad, ..Self::ok(text) }
    }

    /// `APPENDUID` or `COPYUID`.
    pub(crate) fn with_arrived(self, arrived: Arrived) -> Self {
        Self { arrived: Some(Box::new(arrived)), ..self }
    }

    pub(crate) fn code(&self) -> Option<Code<'_>> {
        self.arrived.as_ref().map(|arrived| arrived.code()).or(self.code)
    }

    pub(crate) fn with_code(self, code: Code<'static>) -> Self {
        Self { code: Some(code), ..self }
    }

    /// What a stranger to our files is told of an error.
    pub(crate) fn of_error(error: &Error) -> Self {
        match error {
            Error::NoSuchMailbox(_) => Self::no(Some(Code::NonExistent), "No such mailbox."),
            Error::AlreadyExists => Self::no(Some(Code::AlreadyExists), "Mailbox already exists."),
            Error::HasChildren => Self::no(None, "The mailbox has others below it, delete them first."),
            Error::Impossible(why) => Self::no(Some(Code::Cannot), format!("Impossible: {why}.")),
            Error::BadName(why) => Self::no(Some(Code::Cannot), format!("Mailbox name refused: {why}.")),
            Error::Locked => {
                Self::no(Some(Code::InUse), "Another program has locked the mailbox, try again.")
            }
            Error::InUse => {
                Self::no(Some(Code::InUse), "A POP3 session has the mailbox for itself, try again later.")
            }
            Error::ReadOnly => Self::no(Some(Code::NoPerm), "The mailbox is open read-only."),
            Error::Refused(Refusal::OverQuota(why)) => Self::no(Some(Code::OverQuota), why.clone()),
            Error::Refused(Refusal::Forbidden(why)) => Self::no(Some(Code::NoPerm), why.clone()),
            Error::Io { source, .. } | Error::File { source, .. } => match source.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    Self::no(Some(Code::NoPerm), "Permission denied.")
                }
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    Self::no(Some(Code::OverQuota), "Not enough space.")
                }
                ErrorKind::InvalidFilename => {
                    Self::no(Some(Code::Cannot), "A file's name would be too long.")
                }
                _ => Self::no(Some(Code::ServerBug), "Internal error. The server's log has more."),
            },
            _ => Self::no(Some(Code::ServerBug), "Internal error. The server's log has more."),
        }
    }
}

/// Whether the administrator should hear of it: not where a client simply asked for what is not there.
pub(crate) fn is_worth_logging(error: &Error) -> bool {
    match error {
        Error::NoSuchMailbox(_)
        | Error::AlreadyExists
        | Error::HasChildren
        | Error::Impossible(_)
        | Error::BadName(_)
        | Error::Locked
        | Error::InUse
        | Error::ReadOnly
        | Error::Replaced
        | Error::Refused(_) => false,
        Error::Io { source, .. } => source.raw_os_error() != Some(Errno::ENAMETOOLONG as i32),
        _ => true,
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<Ending> for Stop {
    fn from(ending: Ending) -> Self {
        Self::Session(ending)
    }
}
