//! mail-handoff(7): master and worker.

use envdump::Environment;

use crate::{Assembler, Bad, ConnectionId, Record};

/// The name in the VERSION line.
pub const NAME: &str = "mail-handoff";
/// The version that both must share.
pub const MAJOR: u32 = 1;
/// What may differ.
pub const MINOR: u32 = 0;

/// What the master says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToWorker {
    /// Here is a client, its descriptor on the first byte: prepare, and neither read from nor write to it.
    Client {
        /// Its name from now on.
        id: ConnectionId,
        /// Its whole environment.
        environment: Environment,
    },
    /// That client is yours: tell it that it has logged in, and serve it.
    Serve(ConnectionId),
    /// That client is not yours after all: close it in silence.
    Withdraw(ConnectionId),
    /// No more clients will come; serve those that you have.
    Retire,
    /// Say what your clients do.
    Report,
    /// End that client, with this text to it.
    Kick {
        /// Which.
        id: ConnectionId,
        /// Why, for the client's eyes.
        text: String,
    },
    /// End all clients and exit.
    Stop,
    /// Say this number back.
    Ping(u64),
}

impl ToWorker {
    /// The bytes that say it.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Client { id, environment } => {
                Record::new("client").with_text("id", id).with_body(environment.lines())
            }
            Self::Serve(id) => Record::new("serve").with_text("id", id),
            Self::Withdraw(id) => Record::new("withdraw").with_text("id", id),
            Self::Retire => Record::new("retire"),
            Self::Report => Record::new("report"),
            Self::Kick { id, text } => Record::new("kick").with_text("id", id).with("text", text),
            Self::Stop => Record::new("stop"),
            Self::Ping(number) => Record::new("ping").with_text("number", number),
        }
        .to_bytes()
    }

    /// What a record says; none for a word that is not known here.
    ///
    /// # Errors
    /// [`Bad`] for a known word that lacks what it needs.
    pub fn parse(record: &Record) -> Result<Option<Self>, Bad> {
        Ok(Some(match record.word() {
            "client" => Self::Client {
                id: record.value("id")?,
                environment: Environment::from_lines(record.body()).map_err(|_| record.bad("lines"))?,
            },
            "serve" => Self::Serve(record.value("id")?),
            "withdraw" => Self::Withdraw(record.value("id")?),
            "retire" => Self::Retire,
            "report" => Self::Report,
            "kick" => Self::Kick { id: record.value("id")?, text: record.text("text")?.to_owned() },
            "stop" => Self::Stop,
            "ping" => Self::Ping(record.value("number")?),
            _ => return Ok(None),
        }))
    }
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromWorker {
    /// What it is. The first thing after the version.
    Hello {
        /// Its name and version, for the log.
        program: String,
        /// How many clients it can take at once; 0 is no limit of its own.
        clients: u32,
        /// How it becomes its clients: for the administrator to see.
        identity: String,
    },
    /// It is prepared for that client and waits for `serve`.
    Ready(ConnectionId),
    /// It does not take that client, and has closed it.
    Refused {
        /// Which.
        id: ConnectionId,
        /// Why, for the log.
        text: String,
    },
    /// It has closed that client. Said once for each that it took.
    Gone {
        /// Which.
        id: ConnectionId,
        /// Why.
        reason: Gone,
        /// How many bytes came from the client.
        input: u64,
        /// How many went to it.
        output: u64,
    },
    /// One client of the asked-for report.
    State(ClientState),
    /// The report's end.
    Reported,
    /// It takes no more clients for now.
    Full,
    /// It takes clients again.
    Open,
    /// The number of a ping.
    Pong(u64),
}

/// What a worker says of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientState {
    /// Which.
    pub id: ConnectionId,
    /// As whom it is logged in.
    pub user: String,
    /// The selected mailbox, empty where there is none.
    pub mailbox: Vec<u8>,
    /// What it does: the command that runs, or that ran last.
    pub doing: String,
    /// For how many seconds it has sent nothing.
    pub idle: u64,
    /// How many bytes came from the client.
    pub input: u64,
    /// How many went to it.
    pub output: u64,
}

/// Why a worker has closed a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gone {
    /// It logged out.
    Logout,
    /// It closed the connection, or the connection broke.
    Closed,
    /// It sent nothing for too long, or took nothing.
    Idle,
    /// The master had it kicked.
    Kicked,
    /// The worker was told to stop.
    Stopped,
    /// The master withdrew it before it was served.
    Withdrawn,
    /// The worker could not go on with it.
    Error,
}

impl Gone {
    const ALL: [Self; 7] =
        [Self::Logout, Self::Closed, Self::Idle, Self::Kicked, Self::Stopped, Self::Withdrawn, Self::Error];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::Kicked => "kicked",
            Self::Stopped => "stopped",
            Self::Withdrawn => "withdrawn",
            Self::Error => "error",
        }
    }
}

impl FromWorker {
    /// The bytes that say it.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Hello { program, clients, identity } => Record::new("hello")
                .with("program", program)
                .with_text("clients", clients)
                .with("identity", identity),
            Self::Ready(id) => Record::new("ready").with_text("id", id),
            Self::Refused { id, text } => Record::new("refused").with_text("id", id).with("text", text),
            Self::Gone { id, reason, input, output } => Record::new("gone")
                .with_text("id", id)
                .with("reason", reason.word())
                .with_text("in", input)
                .with_text("out", output),
            Self::State(state) => Record::new("state")
                .with_text("id", state.id)
                .with("user", &state.user)
                .with("mailbox", &state.mailbox)
                .with("doing", &state.doing)
                .with_text("idle", state.idle)
                .with_text("in", state.input)
                .with_text("out", state.output),
            Self::Reported => Record::new("reported"),
            Self::Full => Record::new("full"),
            Self::Open => Record::new("open"),
            Self::Pong(number) => Record::new("pong").with_text("number", number),
        }
        .to_bytes()
    }

    /// What a record says; none for a word that is not known here.
    ///
    /// # Errors
    /// [`Bad`] for a known word that lacks what it needs. A reason that is not known reads as `error`.
    pub fn parse(record: &Record) -> Result<Option<Self>, Bad> {
        Ok(Some(match record.word() {
            "hello" => Self::Hello {
                program: record.text("program")?.to_owned(),
                clients: record.optional("clients")?.unwrap_or(0),
                identity: record.text("identity")?.to_owned(),
            },
            "ready" => Self::Ready(record.value("id")?),
            "refused" => Self::Refused { id: record.value("id")?, text: record.text("text")?.to_owned() },
            "gone" => {
                let word = record.text("reason")?;
                Self::Gone {
                    id: record.value("id")?,
                    reason: Gone::ALL.into_iter().find(|gone| gone.word() == word).unwrap_or(Gone::Error),
                    input: record.optional("in")?.unwrap_or(0),
                    output: record.optional("out")?.unwrap_or(0),
                }
            }
            "state" => Self::State(ClientState {
                id: record.value("id")?,
                user: record.text("user")?.to_owned(),
                mailbox: record.get("mailbox").unwrap_or_default().to_vec(),
                doing: record.text("doing")?.to_owned(),
                idle: record.optional("idle")?.unwrap_or(0),
                input: record.optional("in")?.unwrap_or(0),
                output: record.optional("out")?.unwrap_or(0),
            }),
            "reported" => Self::Reported,
            "full" => Self::Full,
            "open" => Self::Open,
            "pong" => Self::Pong(record.value("number")?),
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
    use std::num::NonZeroU32;

    fn record(bytes: &[u8]) -> Record {
        let mut assembler = assembler();
        assembler.push(version_line().strip_suffix(b"\n").unwrap()).unwrap();
        let lines = bytes.split_inclusive(|&b| b == b'\n').map(|line| line.strip_suffix(b"\n").unwrap());
        lines.filter_map(|line| assembler.push(line).unwrap()).next().unwrap()
    }

    #[test]
    fn every_message_there_and_back() {
        let id = ConnectionId(NonZeroU32::new(7).unwrap());
        let mut environment = Environment::new();
        environment.set("USER", "al\nice").unwrap();
        let text = "gone\tfishing".to_owned();
        for message in [
            ToWorker::Client { id, environment },
            ToWorker::Client { id, environment: Environment::new() },
            ToWorker::Serve(id),
            ToWorker::Withdraw(id),
            ToWorker::Retire,
            ToWorker::Report,
            ToWorker::Kick { id, text: text.clone() },
            ToWorker::Stop,
            ToWorker::Ping(u64::MAX),
        ] {
            assert_eq!(ToWorker::parse(&record(&message.to_bytes())), Ok(Some(message)));
        }
        let state = ClientState {
            id,
            user: "alice".to_owned(),
            mailbox: b"a\xffb".to_vec(),
            doing: "IDLE".to_owned(),
            idle: 3,
            input: 1,
            output: 2,
        };
        let hello =
            FromWorker::Hello { program: "w 1".to_owned(), clients: 20, identity: "one uid".to_owned() };
        let mut messages = vec![
            hello,
            FromWorker::Ready(id),
            FromWorker::Refused { id, text },
            FromWorker::State(state),
            FromWorker::Reported,
            FromWorker::Full,
            FromWorker::Open,
            FromWorker::Pong(1),
        ];
        messages.extend(Gone::ALL.map(|reason| FromWorker::Gone { id, reason, input: 5, output: 6 }));
        for message in messages {
            assert_eq!(FromWorker::parse(&record(&message.to_bytes())), Ok(Some(message)));
        }
    }

    #[test]
    fn unknown_words_are_skipped_and_id_0_is_none() {
        assert_eq!(ToWorker::parse(&record(b"new\n")), Ok(None));
        assert!(ToWorker::parse(&record(b"serve\tid=0\n")).is_err());
        assert!(ToWorker::parse(&record(b"serve\n")).is_err());
        assert!(FromWorker::parse(&record(b"gone\tid=4294967296\n")).is_err());
    }
}
