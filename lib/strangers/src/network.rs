//! Networks as settings and databases have them, and what of an address a limit goes by.

use std::error::Error;
use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// An address and how many of its bits count: `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// A text is no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotANetwork(pub String);

impl Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no address and no network", self.0)
    }
}

impl Error for NotANetwork {}

impl Network {
    /// Whether an address is in it. An IPv4 address is one, also where it is written as an IPv6 one.
    pub fn contains(self, other: IpAddr) -> bool {
        let (net, other, most) = match (self.address, other.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(other)) => {
                (u128::from(u32::from(net)), u128::from(u32::from(other)), 32)
            }
            (IpAddr::V6(net), IpAddr::V6(other)) => (u128::from(net), u128::from(other), 128),
            _ => return false,
        };
        (net ^ other).checked_shr(most - self.bits).unwrap_or(0) == 0
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let parse = || {
            let (address, bits) = match text.split_once('/') {
                Some((address, bits)) => (address, Some(bits)),
                None => (text, None),
            };
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
            (bits <= most).then_some(Self { address, bits })
        };
        parse().ok_or_else(|| NotANetwork(text.to_owned()))
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Some networks, with blanks or commas between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Whether an address is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Networks {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let words = text.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        words.map(Network::from_str).collect::<Result<_, _>>().map(Self)
    }
}

impl Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, network) in self.0.iter().enumerate() {
            write!(f, "{}{network}", if number == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// Where somebody comes from, as far as limits go: an IPv4 address, or the /64 of an IPv6 one, since whoever has one
/// address of that has them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(IpAddr);

impl Origin {
    /// That of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(six) => Ipv6Addr::from(u128::from(six) >> 64 << 64).into(),
            four @ IpAddr::V4(_) => four,
        })
    }

    /// An address whose origin this is.
    pub fn address(self) -> IpAddr {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_contain_their_addresses_only() {
        for (networks, inside, outside) in [
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("192.168.0.0/16, 10.0.0.7", "10.0.0.7", "10.0.0.8"),
            ("192.168.0.0/16 10.0.0.7", "192.168.255.1", "192.169.0.1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::1", "::1", "127.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("0.0.0.0/0", "255.1.2.3", "1::"),
            ("::/0", "1::", "255.1.2.3"),
        ] {
            let read: Networks = networks.parse().unwrap();
            assert!(read.contain(address(inside)), "{inside} in {networks}");
            assert!(!read.contain(address(outside)), "{outside} in {networks}");
            assert_eq!(read.to_string().parse(), Ok(read));
        }
        for text in ["10.0.0.0/33", "10.0.0", "::/129", "a", "10.0.0.0/", "localhost"] {
            assert_eq!(Network::from_str(text), Err(NotANetwork(text.to_owned())));
        }
        assert!(!Networks::default().contain(address("127.0.0.1")));
    }

    #[test]
    fn all_addresses_of_a_64_have_one_origin() {
        let origin = |text| Origin::of(address(text));
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:1:2:3"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
        assert_eq!(Origin::of(origin("2001:db8::1").address()), origin("2001:db8::1"));
    }
}
