//! Bytes that must not be seen: they print as `<secret>`, and are wiped when dropped.
//!
//! Only what is held here is wiped. Whoever copied the bytes before (a framer's buffer, a socket's) wipes its own.

use std::fmt;

use zeroize::Zeroizing;

/// A password, or a SASL response that holds one.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; they are not copied.
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    /// The bytes themselves. The name is long so that each use is noticed.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Secret {
        Secret::new(bytes.to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_never_prints_its_bytes() {
        assert_eq!(format!("{:?}", Secret::from(&b"hunter2"[..])), "<secret>");
        assert_eq!(format!("{:?}", Some(Secret::default())), "Some(<secret>)");
    }
}
