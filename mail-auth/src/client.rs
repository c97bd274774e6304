//! The client side of the protocol: login processes, Postfix, Exim. Is the password right?
//!
//! Here is a connection with its lines; what an authentication goes through is [`crate::request`].

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::IpAddr;

use wire::auth::{Line, VERSION};

use crate::auth::{Auth, RequestKey, SourceKey};
use crate::mechanism::Mechanism;
use crate::peer::{Offence, Side};
use crate::query::Query;
use crate::secret::Secret;

/// One client connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Who it is, as the master or the kernel says.
    pub(crate) pid: u32,
    /// The master says so: then the client has to say the same.
    vouched_for: bool,
    introduced: bool,
    /// What a master that names this connection's requests may have to show.
    pub(crate) cookie: Secret,
    /// What it has going on, by its own ids.
    pub(crate) requests: HashMap<u32, RequestKey>,
}

impl Client {
    /// One that the master says is process `pid`.
    pub(crate) fn vouched_for(pid: u32, cookie: Secret) -> Self {
        Self { pid, vouched_for: true, introduced: false, cookie, requests: HashMap::new() }
    }

    /// Whether the master says who it is.
    pub(crate) fn is_vouched_for(&self) -> bool {
        self.vouched_for
    }

    /// One that the kernel says is process `pid`.
    pub(crate) fn stranger(pid: u32, cookie: Secret) -> Self {
        Self { vouched_for: false, ..Self::vouched_for(pid, cookie) }
    }
}

impl Auth {
    /// What a new peer is told first.
    pub(crate) fn greeting(&mut self, side: &Side) -> Vec<u8> {
        let version = Line::new("VERSION").with(VERSION.0.to_string()).with(VERSION.1.to_string());
        let pid = Line::new("SPID").with(std::process::id().to_string());
        let mut lines = vec![version];
        match side {
            Side::Master => lines.push(pid),
            Side::Client(client) => {
                self.serial = self.serial.wrapping_add(1);
                let mechanism =
                    |mechanism: &Mechanism| Line::new("MECH").with(mechanism.name()).with("plaintext");
                lines.extend(self.settings.mechanisms.iter().map(mechanism));
                lines.push(pid);
                lines.push(Line::new("CUID").with(self.serial.to_string()));
                lines.push(Line::new("COOKIE").with(client.cookie.expose()));
                lines.push(Line::new("DONE"));
            }
        }
        lines.iter().flat_map(Line::to_bytes).collect()
    }

    /// 128 bits that nobody can guess, in hexadecimal.
    ///
    /// # Errors
    /// Those of reading random bytes.
    pub(crate) fn cookie(&mut self) -> io::Result<Secret> {
        let mut bytes = [0; 16];
        self.random.read_exact(&mut bytes)?;
        Ok(Secret::new(bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()))
    }

    /// Heeds one line.
    pub(crate) fn client_says(&mut self, key: SourceKey, text: &[u8]) -> Result<(), Offence> {
        let (head, response) = split_response(text);
        let line = Line::parse(head);
        let Some(peer) = self.peer(key) else { return Ok(()) };
        let Side::Client(client) = &mut peer.side else { return Ok(()) };
        match line.word() {
            "VERSION" if line.number(1) == Some(VERSION.0) => peer.greeted = true,
            _ if !peer.greeted => return Err(Offence::Version),
            "CPID" => {
                let claimed = line.number(1).ok_or(Offence::Malformed("CPID"))?;
                if client.introduced {
                    return Err(Offence::PidAgain);
                }
                if client.vouched_for && claimed != client.pid {
                    return Err(Offence::Pid { claimed, pid: client.pid });
                }
                client.introduced = true;
            }
            word @ ("AUTH" | "CONT" | "CANCEL") if !client.introduced => {
                return Err(Offence::NoPid(word.to_owned()));
            }
            "AUTH" => {
                let id = line.number(1).ok_or(Offence::Malformed("AUTH"))?;
                if client.requests.contains_key(&id) {
                    return Err(Offence::IdAgain(id));
                }
                self.begin(key, id, &line, response);
            }
            "CONT" => {
                let id = line.number(1).ok_or(Offence::Malformed("CONT"))?;
                // One that was cancelled, or has failed meanwhile, is nobody's fault.
                if let Some(request) = client.requests.get(&id).copied() {
                    self.go_on(request, response.unwrap_or_default());
                }
            }
            "CANCEL" => {
                let id = line.number(1).ok_or(Offence::Malformed("CANCEL"))?;
                if let Some(request) = client.requests.remove(&id) {
                    self.drop_request(request);
                }
            }
            // What a later version of the protocol may say.
            _ => {}
        }
        Ok(())
    }

    /// Whether a client may begin one more request. Where it has many that succeeded and were never asked for, the
    /// oldest of those makes room.
    pub(crate) fn has_room(&mut self, key: SourceKey) -> bool {
        let Some(Side::Client(client)) = self.peer(key).map(|peer| &peer.side) else { return false };
        if client.requests.len() < MAX_REQUESTS {
            return true;
        }
        let requests: Vec<RequestKey> = client.requests.values().copied().collect();
        let succeeded = requests.into_iter().filter_map(|key| {
            let request = self.requests.get(key)?;
            request.has_succeeded().then_some((request.began, key))
        });
        match succeeded.min() {
            Some((_, oldest)) => {
                self.end(oldest);
                true
            }
            None => false,
        }
    }
}

/// Cuts off the response, which is last on its line whatever it holds, and is not to be copied about.
fn split_response(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mark: &[u8] = match line.split(|&b| b == b'\t').next() {
        Some(b"AUTH") => b"\tresp=",
        Some(b"CONT") => {
            let mut parts = line.splitn(3, |&b| b == b'\t');
            let response = parts.nth(2).unwrap_or_default();
            return (line.get(..line.len() - response.len()).unwrap_or_default(), Some(response));
        }
        _ => return (line, None),
    };
    match line.windows(mark.len()).position(|window| window == mark) {
        Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + mark.len()..)),
        None => (line, None),
    }
}

/// What a line's parameters say about who is asked for.
pub(crate) fn query(line: &Line) -> Query {
    let text = |key: &str| line.get(key).and_then(|value| std::str::from_utf8(value).ok());
    let address = |key: &str| text(key).and_then(|text| text.parse::<IpAddr>().ok());
    Query {
        user: String::new(),
        service: text("service").unwrap_or_default().to_owned(),
        remote: address("rip"),
        local: address("lip"),
    }
}

/// How many requests of one connection are kept.
const MAX_REQUESTS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_response_is_last_whatever_it_holds() {
        let split = |text: &'static str| {
            let (head, response) = split_response(text.as_bytes());
            (std::str::from_utf8(head).unwrap(), response.map(|r| std::str::from_utf8(r).unwrap()))
        };
        assert_eq!(
            split("AUTH\t1\tPLAIN\tservice=imap\tresp=AGEAYg==\tnologin\tresp=x"),
            ("AUTH\t1\tPLAIN\tservice=imap", Some("AGEAYg==\tnologin\tresp=x"))
        );
        assert_eq!(split("AUTH\t1\tPLAIN"), ("AUTH\t1\tPLAIN", None));
        assert_eq!(split("CONT\t1\tAGEAYg=="), ("CONT\t1\t", Some("AGEAYg==")));
        assert_eq!(split("CONT\t1"), ("CONT\t1", Some("")));
        assert_eq!(split("CPID\t1\tresp=x"), ("CPID\t1\tresp=x", None));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(line: Vec<u8>) {
            split_response(&line);
            split_response(&[b"AUTH\t", &line[..]].concat());
            split_response(&[b"CONT\t", &line[..]].concat());
            query(&Line::parse(&line));
        }
    }
}
