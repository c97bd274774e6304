//! A client's connection, from an address of its choice, and its lines.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use crate::PATIENCE;

#[derive(Debug)]
pub(crate) struct Stream {
    lines: BufReader<TcpStream>,
}

impl Stream {
    /// None if nobody listens there.
    pub(crate) fn connect(server: SocketAddrV4, from: Option<Ipv4Addr>) -> Option<Self> {
        let own = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .expect("making a socket");
        if let Some(from) = from {
            let from = SockaddrIn::from(SocketAddrV4::new(from, 0));
            bind(own.as_raw_fd(), &from).expect("binding a client's socket");
        }
        match connect(own.as_raw_fd(), &SockaddrIn::from(server)) {
            Err(Errno::ECONNREFUSED) => return None,
            outcome => outcome.unwrap_or_else(|why| panic!("connecting to {server}: {why}")),
        }
        let stream = TcpStream::from(own);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Self { lines: BufReader::new(stream) })
    }

    /// To one that has closed the connection nothing is sent: what it said before is still to be read.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match self.lines.get_ref().write_all(bytes) {
            Err(why) if matches!(why.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            outcome => outcome.expect("writing to the server"),
        }
    }

    /// The next line without its end; none at the end of the stream.
    pub(crate) fn line(&mut self) -> Option<Vec<u8>> {
        self.try_line().unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same; an error says what was waited for in vain.
    pub(crate) fn try_line(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut line = Vec::new();
        // A connection that is reset has ended, too.
        match self.lines.read_until(b'\n', &mut line) {
            Err(why) if why.kind() != ErrorKind::ConnectionReset => {
                let read = String::from_utf8_lossy(&line);
                Err(format!("waiting for a line, with '{read}' read of it: {why}"))
            }
            _ if line.is_empty() => Ok(None),
            _ => {
                let half = || format!("half a line: {}", String::from_utf8_lossy(&line));
                let whole = line.strip_suffix(b"\n").ok_or_else(half)?;
                Ok(Some(whole.strip_suffix(b"\r").unwrap_or(whole).to_vec()))
            }
        }
    }

    /// How long a line may take.
    pub(crate) fn wait_at_most(&self, patience: Duration) {
        self.lines.get_ref().set_read_timeout(Some(patience)).unwrap();
    }

    /// None if the stream ends before.
    pub(crate) fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        match self.lines.read_exact(&mut bytes) {
            Err(why) if matches!(why.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => None,
            outcome => outcome.map(|()| Some(bytes)).expect("reading a literal"),
        }
    }

    pub(crate) fn everything(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.lines.read_to_end(&mut bytes) {
            Err(why) if why.kind() != ErrorKind::ConnectionReset => panic!("waiting for the end: {why}"),
            _ => bytes,
        }
    }

    pub(crate) fn finish_sending(&self) {
        // It may have gone.
        let _ = self.lines.get_ref().shutdown(Shutdown::Write);
    }

    /// Whether a line begins to come within a moment. Only ever used to show that nothing comes.
    pub(crate) fn is_silent(&mut self) -> bool {
        let socket = self.lines.get_ref();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let silent = self.lines.fill_buf().is_err();
        self.lines.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        silent
    }

    pub(crate) fn local_port(&self) -> u16 {
        self.lines.get_ref().local_addr().unwrap().port()
    }
}
