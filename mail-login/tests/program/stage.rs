//! The stage: the program, and around it its master, auth and clients, played by the test. Whoever waits,
//! waits for an event, and fails after a long while without it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use fdpass::{Channel, Fill};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wire::Assembler;
use wire::auth::Line;
use wire::login::{self, FromLogin, Request, ToLogin};

/// As long as this, and what was to come will not come.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// The program, and its master's end of the link.
pub(crate) struct World {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) master: Option<Master>,
    log: Receiver<String>,
}

impl World {
    /// Starts the program, with more `variables` than it needs.
    pub(crate) fn start(protocol: &str, variables: &[(&str, &str)]) -> World {
        World::start_by("", protocol, variables)
    }

    /// The same, after a shell has done `first`.
    pub(crate) fn start_by(first: &str, protocol: &str, variables: &[(&str, &str)]) -> World {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("{first} exec \"$0\" 3<&1 1>/dev/null"), env!("CARGO_BIN_EXE_mail-login")])
            .env_clear()
            .envs([("PROTOCOL", protocol), ("LISTEN_FDS", "1")])
            .envs(variables.iter().copied())
            .stdin(OwnedFd::from(theirs))
            .stdout(OwnedFd::from(listener))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            // What is logged after the test has ended is of no interest.
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        World { child, address, master: Some(Master::new(ours)), log }
    }

    pub(crate) fn master(&mut self) -> &mut Master {
        self.master.as_mut().unwrap()
    }

    /// Gives it an auth, which is ready.
    pub(crate) fn auth(&mut self) -> Auth {
        let mut auth = self.silent_auth();
        auth.hello();
        auth
    }

    /// Gives it an auth that has not said anything yet.
    pub(crate) fn silent_auth(&mut self) -> Auth {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.master().say_with(&ToLogin::Auth, Some(theirs.into()));
        let mut auth = Auth { channel: Channel::new(ours).unwrap() };
        assert_eq!(auth.line(), "VERSION\t1\t1");
        assert_eq!(auth.line(), format!("CPID\t{}", self.child.id()));
        auth
    }

    /// A client that has been greeted.
    pub(crate) fn client(&self) -> Client {
        let mut client = self.silent_client();
        let greeting = client.line();
        assert!(greeting.starts_with("* OK ") || greeting.starts_with("+OK "), "{greeting}");
        client
    }

    /// A client that has not read the greeting yet.
    pub(crate) fn silent_client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    /// The first line of the log from here on that has `part` in it.
    pub(crate) fn logged(&self, part: &str) -> String {
        let end = Instant::now() + LONG;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left).unwrap_or_else(|_| panic!("nobody logged {part:?}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// How it exits.
    pub(crate) fn exit(mut self) -> ExitStatus {
        let end = Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not exit");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// How many descriptors it has; none where this may not be seen.
    pub(crate) fn descriptors(&self) -> Option<usize> {
        Some(std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).ok()?.count())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // One that has exited cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next line of `channel`; none where it has ended.
fn next_line(channel: &mut Channel) -> Option<Vec<u8>> {
    loop {
        if let Some(line) = channel.next_line().unwrap() {
            return Some(line);
        }
        let mut fds = [PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::try_from(LONG).unwrap()).unwrap(), 1, "nothing comes");
        if channel.fill().unwrap() == Fill::Ended {
            return None;
        }
    }
}

/// The master's end.
pub(crate) struct Master {
    channel: Channel,
    assembler: Assembler,
    /// What it has said of strangers, and nobody has asked for.
    strangers: VecDeque<FromLogin>,
}

impl Master {
    fn new(socket: UnixStream) -> Master {
        let mut channel = Channel::new(socket).unwrap();
        channel.queue(login::version_line(), None);
        channel.flush().unwrap();
        Master { channel, assembler: login::assembler(), strangers: VecDeque::new() }
    }

    pub(crate) fn say(&mut self, message: &ToLogin) {
        self.say_with(message, None);
    }

    fn say_with(&mut self, message: &ToLogin, fd: Option<OwnedFd>) {
        self.channel.queue(message.to_bytes(), fd);
        assert!(self.channel.flush().unwrap());
    }

    /// Says what may be no message.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.channel.queue(bytes, None);
        assert!(self.channel.flush().unwrap());
    }

    /// What the login says next but of strangers, with its descriptor.
    pub(crate) fn next(&mut self) -> Option<(FromLogin, Option<OwnedFd>)> {
        loop {
            match self.next_of_all()? {
                (it @ (FromLogin::Stranger { .. } | FromLogin::Left(_)), None) => {
                    self.strangers.push_back(it)
                }
                other => return Some(other),
            }
        }
    }

    /// What the login says next of strangers.
    pub(crate) fn stranger(&mut self) -> FromLogin {
        loop {
            if let Some(message) = self.strangers.pop_front() {
                return message;
            }
            match self.next_of_all().expect("the login is gone") {
                (it @ (FromLogin::Stranger { .. } | FromLogin::Left(_)), None) => return it,
                (FromLogin::Clients(_), None) => {}
                (other, _) => panic!("{other:?} instead of a stranger"),
            }
        }
    }

    fn next_of_all(&mut self) -> Option<(FromLogin, Option<OwnedFd>)> {
        loop {
            let line = next_line(&mut self.channel)?;
            if let Some(record) = self.assembler.push(&line).unwrap() {
                let message = FromLogin::parse(&record).unwrap().unwrap();
                let carries = matches!(message, FromLogin::Request(_));
                return Some((message, carries.then(|| self.channel.take_fd().unwrap())));
            }
        }
    }

    /// The next request, with the client's connection.
    pub(crate) fn request(&mut self) -> (Request, TcpStream) {
        loop {
            match self.next().expect("the login is gone") {
                (FromLogin::Request(request), Some(fd)) => {
                    let stream = TcpStream::from(fd);
                    stream.set_read_timeout(Some(LONG)).unwrap();
                    return (request, stream);
                }
                (FromLogin::Clients(_), None) => {}
                (other, _) => panic!("{other:?} instead of a request"),
            }
        }
    }

    /// The next `greeted`.
    pub(crate) fn greeted(&mut self) -> u64 {
        loop {
            match self.next().expect("the login is gone") {
                (FromLogin::Greeted(id), None) => return id,
                (FromLogin::Clients(_), None) => {}
                (other, _) => panic!("{other:?} instead of greeted"),
            }
        }
    }

    /// It says that its link to auth is lost.
    pub(crate) fn auth_lost(&mut self) {
        loop {
            match self.next().expect("the login is gone") {
                (FromLogin::AuthLost, None) => return,
                (FromLogin::Clients(_), None) => {}
                (other, _) => panic!("{other:?} instead of auth-lost"),
            }
        }
    }

    /// The next count of clients.
    pub(crate) fn clients(&mut self) -> u32 {
        match self.next().expect("the login is gone") {
            (FromLogin::Clients(count), None) => count,
            (other, _) => panic!("{other:?} instead of clients"),
        }
    }
}

/// Auth's end.
pub(crate) struct Auth {
    channel: Channel,
}

impl Auth {
    /// Says that it is ready.
    pub(crate) fn hello(&mut self) {
        self.write("VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t7\nCUID\t1\nDONE\n");
    }

    pub(crate) fn write(&mut self, lines: &str) {
        self.channel.queue(lines, None);
        assert!(self.channel.flush().unwrap());
    }

    fn line(&mut self) -> String {
        String::from_utf8(next_line(&mut self.channel).expect("the login has hung up")).unwrap()
    }

    /// Waits until the login closes the link.
    pub(crate) fn until_hung_up(mut self) {
        while next_line(&mut self.channel).is_some() {}
    }

    /// The next question: its number, and what was said in PLAIN, in base64.
    pub(crate) fn question(&mut self) -> (u32, String) {
        let line = self.line();
        let line = Line::parse(line.as_bytes());
        assert_eq!((line.word(), line.at(2)), ("AUTH", Some(&b"PLAIN"[..])), "{line:?}");
        (line.number(1).unwrap(), String::from_utf8(line.get("resp").unwrap().to_vec()).unwrap())
    }

    /// Lets the next one in, who has to be alice with the password secret; the number of the question.
    pub(crate) fn admit(&mut self) -> u32 {
        let (id, response) = self.question();
        assert_eq!(response, ALICE);
        self.write(&format!("OK\t{id}\tuser=alice\n"));
        id
    }

    /// Does not let the next one in.
    pub(crate) fn reject(&mut self) {
        let (id, _) = self.question();
        self.write(&format!("FAIL\t{id}\tuser=alice\n"));
    }
}

/// `\0alice\0secret`
pub(crate) const ALICE: &str = "AGFsaWNlAHNlY3JldA==";

/// One client.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(text.as_ref()).unwrap();
    }

    /// The same, where the other end may have closed.
    pub(crate) fn try_say(&mut self, text: impl AsRef<[u8]>) -> bool {
        self.stream.get_mut().write_all(text.as_ref()).is_ok()
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("no line: {line:?}")).to_owned()
    }

    /// Says one thing and reads one line.
    pub(crate) fn ask(&mut self, text: &str) -> String {
        self.say(text);
        self.line()
    }

    /// What still comes, until the other end closes.
    pub(crate) fn rest(&mut self) -> String {
        let mut text = Vec::new();
        match self.stream.read_to_end(&mut text) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("no end: {error}"),
            _ => String::from_utf8(text).unwrap(),
        }
    }

    /// From now on what cannot be sent at once cannot be sent.
    pub(crate) fn set_nonblocking(&self) {
        self.stream.get_ref().set_nonblocking(true).unwrap();
    }

    /// Its address and port.
    pub(crate) fn end(&self) -> (IpAddr, u16) {
        let address = self.stream.get_ref().local_addr().unwrap();
        (address.ip(), address.port())
    }
}

/// What waits in a client's connection, read as the worker would.
pub(crate) fn waiting(mut stream: &TcpStream, count: usize) -> String {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}
