//! Where to listen: `*`, `[::]`, `192.0.2.1:10143`, several of them; and networks: `192.0.2.0/24`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use strangers::{Network, Networks};

use super::{Fault, Value, list, written};
use crate::config::host::Host;

/// Addresses, each with its port or the protocol's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen(Vec<(IpAddr, Option<u16>)>);

impl Listen {
    /// The sockets to listen on where `port` is the protocol's own.
    pub(crate) fn sockets(&self, port: u16) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(move |(ip, own)| SocketAddr::new(*ip, own.unwrap_or(port)))
    }
}

impl Value for Listen {
    const KIND: &'static str = "addresses: *, [::], 192.0.2.1, [2001:db8::1]:10143";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        let addresses: Vec<_> = list(text).map(address).collect::<Result<_, _>>()?;
        if addresses.is_empty() {
            return Err(Fault::new("there is no address to listen on", "write '*' for every IPv4 address"));
        }
        Ok(Self(addresses))
    }

    fn variable(&self) -> Option<String> {
        let addresses: Vec<String> = self.sockets(0).map(|socket| socket.to_string()).collect();
        written(addresses.join(" "))
    }
}

impl Value for Networks {
    const KIND: &'static str = "networks: 192.0.2.1, 192.0.2.0/24, 2001:db8::/32";

    fn parse(text: &str, _: &Host) -> Result<Self, Fault> {
        let wrong = list(text).find(|word| word.parse::<Network>().is_err());
        let fault = |word: &str| {
            let help = "write an address, or an address and how many of its bits count";
            Fault::new(format!("'{word}' is no network"), help).of(word)
        };
        text.parse().map_err(|_| fault(wrong.unwrap_or(text)))
    }

    fn variable(&self) -> Option<String> {
        written(self)
    }
}

fn address(word: &str) -> Result<(IpAddr, Option<u16>), Fault> {
    let (host, port) = split_port(word);
    let port = match port {
        Some(port) => match port.parse() {
            Ok(number) if port.bytes().all(|b| b.is_ascii_digit()) => Some(number),
            _ => return Err(Fault::new(format!("'{port}' is no port"), "ports go up to 65535").of(word)),
        },
        None => None,
    };
    let ip = match host {
        "*" => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        _ => match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some("*") => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            Some(v6) => v6.parse().ok().map(IpAddr::V6),
            None => host.parse().ok(),
        },
    };
    let help = if host == "localhost" {
        "write '127.0.0.1, [::1]' for localhost"
    } else {
        "names are not looked up: write '*', an IPv4 address, or an IPv6 address in [ ]"
    };
    ip.map(|ip| (ip, port)).ok_or_else(|| Fault::new(format!("'{host}' is no address"), help).of(word))
}

/// Takes the port off. Without brackets, the colons of an IPv6 address are its own.
fn split_port(word: &str) -> (&str, Option<&str>) {
    if word.parse::<Ipv6Addr>().is_ok() || word.ends_with(']') {
        return (word, None);
    }
    match word.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (word, None),
    }
}
