//! mail-login(7): login and master.

use std::net::IpAddr;

use crate::{Assembler, Bad, Protocol, Record};

/// The name in the VERSION line.
pub const NAME: &str = "mail-login";
/// The version that both must share.
pub const MAJOR: u32 = 1;
/// What may differ.
pub const MINOR: u32 = 2;

/// What a login says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromLogin {
    /// A client has proved who it is: take it. Its descriptor rides on the first byte.
    Request(Request),
    /// The client of that request has been told that it is logged in.
    Greeted(u64),
    /// How many clients it has now that have not logged in.
    Clients(u32),
    /// It has no link to auth any more, and needs another.
    AuthLost,
    /// A client has come.
    Stranger {
        /// The login's number for it, never used twice on a link.
        id: u64,
        /// Where it comes from.
        remote: IpAddr,
    },
    /// That client has gone without having been handed over.
    Left(u64),
}

/// A client that is to be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The login's number for it, never used twice on a link.
    pub id: u64,
    /// The number of its authentication on this login's own link to auth.
    pub auth_id: u32,
    /// What it speaks.
    pub protocol: Protocol,
    /// Our end.
    pub local: (IpAddr, u16),
    /// Its end.
    pub remote: (IpAddr, u16),
    /// The tag of the command that it waits for an answer to; empty in POP3.
    pub tag: String,
    /// Whether nobody could listen in.
    pub secured: bool,
    /// The number that it was told of by when it came.
    pub stranger: Option<u64>,
}

/// What the master says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToLogin {
    /// Here is a link to auth, on the first byte, in place of the one before.
    Auth,
    /// The client has been handed over: forget it.
    Accepted(u64),
    /// The client will be served by a program that does not greet it: tell it that it is logged in, then say
    /// `greeted` and forget it.
    Greet(u64),
    /// The client is not taken: tell it, and serve it on.
    Refused {
        /// Which request.
        id: u64,
        /// What kind of refusal.
        code: Refusal,
        /// Why, for the client's eyes.
        text: String,
    },
    /// Listen no more, serve on those that you have, exit when none is left.
    Retire,
    /// Send that client away, unless it has logged in.
    Close {
        /// Its number.
        id: u64,
        /// Why.
        code: TooMany,
    },
}

/// What there are too many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    /// Clients from its address that have not logged in.
    FromAddress,
    /// Such clients in all.
    InAll,
}

/// Kinds of refusal, which the protocols spell differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The user has too many connections.
    Limit,
    /// The user has logged in a moment ago.
    Delay,
    /// Not now.
    Unavailable,
}

impl Refusal {
    fn word(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Delay => "delay",
            Self::Unavailable => "unavailable",
        }
    }
}

impl FromLogin {
    /// The bytes that say it.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Request(request) => {
                let record = Record::new("request")
                    .with_text("id", request.id)
                    .with_text("auth", request.auth_id)
                    .with("protocol", request.protocol.name())
                    .with_text("lip", request.local.0)
                    .with_text("lport", request.local.1)
                    .with_text("rip", request.remote.0)
                    .with_text("rport", request.remote.1)
                    .with("tag", &request.tag);
                let record = if request.secured { record.with("secured", "yes") } else { record };
                match request.stranger {
                    Some(id) => record.with_text("stranger", id),
                    None => record,
                }
            }
            Self::Greeted(id) => Record::new("greeted").with_text("id", id),
            Self::Clients(count) => Record::new("clients").with_text("count", count),
            Self::AuthLost => Record::new("auth-lost"),
            Self::Stranger { id, remote } => {
                Record::new("stranger").with_text("id", id).with_text("rip", remote)
            }
            Self::Left(id) => Record::new("left").with_text("id", id),
        }
        .to_bytes()
    }

    /// What a record says; none for a word that is not known here.
    ///
    /// # Errors
    /// [`Bad`] for a known word that lacks what it needs.
    pub fn parse(record: &Record) -> Result<Option<Self>, Bad> {
        Ok(Some(match record.word() {
            "request" => Self::Request(Request {
                id: record.value("id")?,
                auth_id: record.value("auth")?,
                protocol: record.value("protocol")?,
                local: (record.value("lip")?, record.value("lport")?),
                remote: (record.value("rip")?, record.value("rport")?),
                tag: record.text("tag")?.to_owned(),
                secured: record.get("secured").is_some(),
                stranger: match record.get("stranger") {
                    Some(_) => Some(record.value("stranger")?),
                    None => None,
                },
            }),
            "greeted" => Self::Greeted(record.value("id")?),
            "clients" => Self::Clients(record.value("count")?),
            "auth-lost" => Self::AuthLost,
            "stranger" => Self::Stranger { id: record.value("id")?, remote: record.value("rip")? },
            "left" => Self::Left(record.value("id")?),
            _ => return Ok(None),
        }))
    }
}

impl ToLogin {
    /// The bytes that say it.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Auth => Record::new("auth"),
            Self::Accepted(id) => Record::new("accepted").with_text("id", id),
            Self::Greet(id) => Record::new("greet").with_text("id", id),
            Self::Refused { id, code, text } => {
                Record::new("refused").with_text("id", id).with("code", code.word()).with("text", text)
            }
            Self::Retire => Record::new("retire"),
            Self::Close { id, code } => {
                let code = match code {
                    TooMany::FromAddress => "address",
                    TooMany::InAll => "all",
                };
                Record::new("close").with_text("id", id).with("code", code)
            }
        }
        .to_bytes()
    }

    /// What a record says; none for a word that is not known here.
    ///
    /// # Errors
    /// [`Bad`] for a known word that lacks what it needs. A code that is not known reads as the last one of its kind.
    pub fn parse(record: &Record) -> Result<Option<Self>, Bad> {
        Ok(Some(match record.word() {
            "auth" => Self::Auth,
            "accepted" => Self::Accepted(record.value("id")?),
            "greet" => Self::Greet(record.value("id")?),
            "refused" => Self::Refused {
                id: record.value("id")?,
                code: match record.text("code")? {
                    "limit" => Refusal::Limit,
                    "delay" => Refusal::Delay,
                    _ => Refusal::Unavailable,
                },
                text: record.text("text")?.to_owned(),
            },
            "retire" => Self::Retire,
            "close" => Self::Close {
                id: record.value("id")?,
                code: match record.text("code")? {
                    "address" => TooMany::FromAddress,
                    _ => TooMany::InAll,
                },
            },
            _ => return Ok(None),
        }))
    }
}

/// Reads the lines of one direction.
pub fn assembler() -> Assembler {
    Assembler::new(NAME, MAJOR)
}

/// The line that each side begins with.
pub fn version_line() -> Vec<u8> {
    Assembler::version_line(NAME, MAJOR, MINOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn record(bytes: Vec<u8>) -> Record {
        let mut assembler = assembler();
        assembler.push(version_line().strip_suffix(b"\n").unwrap()).unwrap();
        assembler.push(bytes.strip_suffix(b"\n").unwrap()).unwrap().unwrap()
    }

    #[test]
    fn every_message_there_and_back() {
        let request = Request {
            id: 1,
            auth_id: 2,
            protocol: Protocol::Imap,
            local: (Ipv6Addr::LOCALHOST.into(), 143),
            remote: ([127, 0, 0, 5].into(), 4000),
            tag: "a1".to_owned(),
            secured: true,
            stranger: Some(1 << 33),
        };
        let (protocol, tag) = (Protocol::Pop3, String::new());
        let plain = Request { secured: false, protocol, tag, stranger: None, ..request.clone() };
        let from = [
            FromLogin::Request(request),
            FromLogin::Request(plain),
            FromLogin::Greeted(3),
            FromLogin::Clients(4),
            FromLogin::AuthLost,
            FromLogin::Stranger { id: 1 << 33, remote: Ipv6Addr::LOCALHOST.into() },
            FromLogin::Left(5),
        ];
        for message in from {
            assert_eq!(FromLogin::parse(&record(message.to_bytes())), Ok(Some(message)));
        }
        let text = "no".to_owned();
        let to = [
            ToLogin::Auth,
            ToLogin::Accepted(1),
            ToLogin::Greet(2),
            ToLogin::Refused { id: 3, code: Refusal::Limit, text: text.clone() },
            ToLogin::Refused { id: 3, code: Refusal::Delay, text: text.clone() },
            ToLogin::Refused { id: 3, code: Refusal::Unavailable, text },
            ToLogin::Retire,
            ToLogin::Close { id: 4, code: TooMany::FromAddress },
            ToLogin::Close { id: 4, code: TooMany::InAll },
        ];
        for message in to {
            assert_eq!(ToLogin::parse(&record(message.to_bytes())), Ok(Some(message)));
        }
    }

    #[test]
    fn a_request_without_an_address_is_bad() {
        let bytes = b"request\tid=1\tauth=2\tprotocol=imap\tlip=::1\tlport=143\trip=x\trport=1\n".to_vec();
        assert_eq!(
            FromLogin::parse(&record(bytes)),
            Err(Bad::Value { word: "request".to_owned(), field: "rip" })
        );
    }
}
