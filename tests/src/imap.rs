//! An IMAP client that understands as little as it can: tags, lines and literals.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::stream::Stream;

/// One connection.
#[derive(Debug)]
pub struct Imap {
    stream: Stream,
    tags: u32,
    /// What the server said first.
    pub greeting: String,
}

/// What a command was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The untagged responses without their `* `, literals where they stood; continuations with their `+`.
    pub untagged: Vec<String>,
    /// The tagged one, without the tag.
    pub status: String,
}

impl Reply {
    /// # Panics
    /// Unless the command was done.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.starts_with("OK"), "{self:?}");
        self
    }

    /// The untagged responses in which this word is the first or, behind a number, the second.
    pub fn named(&self, word: &str) -> Vec<&str> {
        let is = |line: &&&str| {
            let mut words = line.split(' ');
            let first = words.next();
            first == Some(word)
                || (first.is_some_and(|w| w.bytes().all(|b| b.is_ascii_digit()))
                    && words.next() == Some(word))
        };
        let all: Vec<&str> = self.untagged.iter().map(String::as_str).collect();
        all.iter().filter(is).copied().collect()
    }
}

impl Imap {
    /// Connects, and takes the greeting.
    ///
    /// # Panics
    /// If there is none.
    pub fn connect(server: SocketAddrV4, from: Option<Ipv4Addr>) -> Self {
        Self::try_connect(server, from).unwrap_or_else(|| panic!("{server}: not greeted"))
    }

    /// The same; none if nobody listens or greets.
    pub fn try_connect(server: SocketAddrV4, from: Option<Ipv4Addr>) -> Option<Self> {
        let mut imap = Self { stream: Stream::connect(server, from)?, tags: 0, greeting: String::new() };
        imap.greeting = imap.try_line()?;
        Some(imap)
    }

    /// Logs in with the password that all users of the tests have.
    pub fn try_login(&mut self, user: &str) -> Reply {
        self.ask(&format!("LOGIN {user} secret"))
    }

    /// # Panics
    /// Unless it is logged in.
    #[track_caller]
    pub fn login(&mut self, user: &str) -> Reply {
        self.try_login(user).ok()
    }

    /// Sends a command, and takes everything up to its answer.
    pub fn ask(&mut self, command: &str) -> Reply {
        let tag = self.begin(command);
        self.reply(&tag)
    }

    /// Sends a command; its tag.
    pub fn begin(&mut self, command: &str) -> String {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.send(format!("{tag} {command}\r\n").as_bytes());
        tag
    }

    /// Takes everything up to the answer to the command with this tag.
    pub fn reply(&mut self, tag: &str) -> Reply {
        let mut untagged = Vec::new();
        loop {
            let line = self.line();
            if let Some(status) = line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                return Reply { untagged, status: status.to_owned() };
            }
            assert!(line.starts_with("* ") || line.starts_with('+'), "waiting for {tag}: {line}");
            untagged.push(line.strip_prefix("* ").unwrap_or(&line).to_owned());
        }
    }

    /// Begins to wait for news; the tag.
    pub fn idle(&mut self) -> String {
        let tag = self.begin("IDLE");
        let line = self.line();
        assert!(line.starts_with('+'), "{line}");
        tag
    }

    /// Ends that.
    pub fn done(&mut self, tag: &str) -> Reply {
        self.send(b"DONE\r\n");
        self.reply(tag)
    }

    /// Sends any bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.send(bytes);
    }

    /// The next response with its literals.
    ///
    /// # Panics
    /// At the end of the connection.
    pub fn line(&mut self) -> String {
        self.try_line().expect("the server closed the connection")
    }

    /// The same; none at the end of the connection.
    pub fn try_line(&mut self) -> Option<String> {
        self.try_bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The same, byte for byte.
    pub fn try_bytes(&mut self) -> Option<Vec<u8>> {
        let mut response = self.stream.line()?;
        while let Some(length) = literal(&response) {
            response.extend(b"\r\n");
            response.extend(self.stream.exactly(length)?);
            response.extend(self.stream.line()?);
        }
        Some(response)
    }

    /// All that still comes.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.try_line()).collect()
    }

    /// All bytes that still come.
    pub fn everything(&mut self) -> Vec<u8> {
        self.stream.everything()
    }

    /// Nothing will be sent any more.
    pub fn finish_sending(&self) {
        self.stream.finish_sending();
    }

    /// Whether nothing comes for a moment.
    pub fn is_silent(&mut self) -> bool {
        self.stream.is_silent()
    }

    /// The port of this end.
    pub fn local_port(&self) -> u16 {
        self.stream.local_port()
    }
}

/// How long the literal is that a line ends with the announcement of.
fn literal(line: &[u8]) -> Option<usize> {
    let inside = line.strip_suffix(b"}")?;
    let open = inside.iter().rposition(|&b| b == b'{')?;
    std::str::from_utf8(inside.get(open + 1..)?).ok()?.parse().ok()
}
