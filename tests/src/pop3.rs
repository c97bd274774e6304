//! A POP3 client that understands as little as it can.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::stream::Stream;

/// One connection.
#[derive(Debug)]
pub struct Pop3 {
    stream: Stream,
    /// What the server said first.
    pub greeting: String,
}

impl Pop3 {
    /// Connects, and takes the greeting.
    pub fn connect(server: SocketAddrV4, from: Option<Ipv4Addr>) -> Self {
        let stream = Stream::connect(server, from).unwrap_or_else(|| panic!("{server}: nobody listens"));
        let mut pop3 = Self { stream, greeting: String::new() };
        pop3.greeting = pop3.line();
        pop3
    }

    /// Logs in with the password that all users of the tests have; the answer to it.
    pub fn try_login(&mut self, user: &str) -> String {
        let answer = self.ask(&format!("USER {user}"));
        if answer.starts_with("+OK") { self.ask("PASS secret") } else { answer }
    }

    /// # Panics
    /// Unless it is logged in.
    #[track_caller]
    pub fn login(&mut self, user: &str) {
        let answer = self.try_login(user);
        assert!(answer.starts_with("+OK"), "{answer}");
    }

    /// Sends a command; its answer's first line.
    pub fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n").as_bytes());
        self.line()
    }

    /// Sends a command whose answer has several lines; these without the first one and the dot.
    ///
    /// # Panics
    /// If it is refused.
    #[track_caller]
    pub fn list(&mut self, command: &str) -> Vec<String> {
        let answer = self.ask(command);
        assert!(answer.starts_with("+OK"), "{command}: {answer}");
        self.lines()
    }

    /// The lines up to the dot, without the dots that were put before others.
    pub fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if line == "." {
                return lines;
            }
            lines.push(line.strip_prefix('.').unwrap_or(&line).to_owned());
        }
    }

    /// Sends any bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.send(bytes);
    }

    /// The next line.
    ///
    /// # Panics
    /// At the end of the connection.
    pub fn line(&mut self) -> String {
        self.try_line().expect("the server closed the connection")
    }

    /// The same; none at the end of the connection.
    pub fn try_line(&mut self) -> Option<String> {
        self.stream.line().map(|line| String::from_utf8_lossy(&line).into_owned())
    }

    /// Nothing will be sent any more.
    pub fn finish_sending(&self) {
        self.stream.finish_sending();
    }

    /// All that still comes.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.try_line()).collect()
    }
}
