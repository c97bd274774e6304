//! The sockets that clients connect to. They are bound once and given to every login process; a reload keeps those
//! whose address stays, so that no connection is refused meanwhile.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, listen, setsockopt, socket,
    sockopt,
};

use wire::Protocol;

use crate::config::Config;

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    sockets: Vec<(Protocol, SocketAddr, TcpListener)>,
}

impl Listeners {
    /// Those that `config` names, the ones of `before` being kept where they are named again.
    ///
    /// # Errors
    /// Which address cannot be had, and why.
    pub(crate) fn bind(config: &Config, before: Self) -> Result<Self, String> {
        let mut before = before.sockets;
        let mut sockets = Vec::new();
        for settings in config.served() {
            for address in settings.listeners() {
                let known = before
                    .iter()
                    .position(|(p, a, _)| (*p, *a) == (settings.protocol, address) && a.port() != 0);
                let socket = match known {
                    Some(index) => before.swap_remove(index).2,
                    None => open(address).map_err(|why| {
                        format!("listening on {address} for {}: {why}", settings.protocol.name())
                    })?,
                };
                sockets.push((settings.protocol, address, socket));
            }
        }
        Ok(Self { sockets })
    }

    /// Copies that a login process of `protocol` is born with.
    pub(crate) fn of(&self, protocol: Protocol) -> io::Result<Vec<OwnedFd>> {
        let own = self.sockets.iter().filter(|(p, ..)| *p == protocol);
        own.map(|(_, _, socket)| socket.as_fd().try_clone_to_owned()).collect()
    }

    /// The addresses that are really bound, for port 0 says little.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (Protocol, SocketAddr)> {
        self.sockets
            .iter()
            .map(|(protocol, address, socket)| (*protocol, socket.local_addr().unwrap_or(*address)))
    }

    /// A second reference to each, for a reload that may still come to nothing.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let clone = |(protocol, address, socket): &(Protocol, SocketAddr, TcpListener)| {
            Ok((*protocol, *address, socket.try_clone()?))
        };
        Ok(Self { sockets: self.sockets.iter().map(clone).collect::<io::Result<_>>()? })
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    match address {
        SocketAddr::V4(address) => bind(socket.as_raw_fd(), &SockaddrIn::from(address))?,
        SocketAddr::V6(address) => {
            // `*` and `[::]` are two addresses here, whatever the machine's default.
            setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
            bind(socket.as_raw_fd(), &SockaddrIn6::from(address))?;
        }
    }
    listen(&socket, Backlog::MAXCONN)?;
    Ok(TcpListener::from(socket))
}
