//! A password, and whatever else must not be seen.
//!
//! It shows as `<secret>` in every build, is wiped when its last holder lets go of it, and is compared in constant
//! time. It must never be turned into a `String` or written anywhere.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes that nobody may see. Clones share them.
#[derive(Clone)]
pub(crate) struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes the bytes over.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes, for whoever checks them.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// True if both are the same; takes as long wherever they differ.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
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
    fn a_secret_shows_nothing() {
        assert_eq!(format!("{:?}", Some(Secret::new(b"hunter2".to_vec()))), "Some(<secret>)");
    }

    #[test]
    fn only_the_same_bytes_are_the_same() {
        let secret = Secret::new(b"secret".to_vec());
        assert!(secret.is(&Secret::new(b"secret".to_vec())));
        for other in [&b"secret "[..], b"secreT", b"secre", b""] {
            assert!(!secret.is(&Secret::new(other.to_vec())));
        }
    }
}
