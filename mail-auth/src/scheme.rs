//! A stored password as `{SCHEME}text`, and whether a given one matches it.
//!
//! `{PLAIN}` is compared here and now; all others are slow by intention and are for a thread of their own. Of those
//! the text says by itself how it was made (`$6$`, `$2y$`, `$argon2id$`, ...), so a scheme's name only says whether it
//! is a hash at all. What can't be understood is an error and never a match, and no error shows the text.

use std::thread;
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use sha_crypt::PasswordVerifier as _;
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::secret::Secret;

/// What the file holds for one user, understood.
#[derive(Debug, Clone)]
pub(crate) enum Stored {
    /// The password itself.
    Plain(Secret),
    /// A hash that says by itself how it was made.
    Hash(String),
    /// Nothing matches it: empty, or what /etc/shadow writes for an account without a password.
    Locked,
}

/// Why a stored password can't be used: an administrator's error.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Unusable {
    #[error("unknown password scheme {0:?} (known: {plain}, {hashed})", plain = PLAIN.join(", "), hashed = HASHED.join(", "))]
    UnknownScheme(String),
    #[error("the password field begins with {{ and has no }}")]
    Unclosed,
    #[error("the password field is no hash known here (write {{PLAIN}} before a plain password)")]
    UnknownHash,
    #[error("the password hash is damaged")]
    Damaged,
    #[error("the password hash asks for more work than this server does")]
    TooDear,
    #[error("the password hash asks for more memory than there is, or than auth_process_size allows")]
    NoMemory,
}

impl Stored {
    /// Understands `text`; one without a scheme in front is of scheme `default`.
    pub(crate) fn parse(text: &str, default: Scheme) -> Result<Self, Unusable> {
        let (scheme, text) = match text.strip_prefix('{') {
            None => (default, text),
            Some(rest) => {
                let (name, text) = rest.split_once('}').ok_or(Unusable::Unclosed)?;
                (name.parse()?, text)
            }
        };
        Ok(match scheme {
            _ if text.is_empty() => Self::Locked,
            Scheme::Plain => Self::Plain(Secret::new(text.as_bytes().to_vec())),
            Scheme::Hashed if text.starts_with(['*', '!']) || text == "x" => Self::Locked,
            Scheme::Hashed => Self::Hash(text.to_owned()),
        })
    }
}

/// The two kinds of schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// The text is the password.
    Plain,
    /// The text is a hash of it.
    Hashed,
}

impl std::str::FromStr for Scheme {
    type Err = Unusable;

    fn from_str(name: &str) -> Result<Self, Unusable> {
        let among = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if among(&PLAIN) {
            Ok(Self::Plain)
        } else if among(&HASHED) {
            Ok(Self::Hashed)
        } else {
            Err(Unusable::UnknownScheme(name.to_owned()))
        }
    }
}

/// Does `password` match `hash`? Takes milliseconds to seconds.
pub(crate) fn verify(hash: &str, password: &Secret) -> Result<bool, Unusable> {
    let password = password.expose();
    if hash.starts_with("$5$") || hash.starts_with("$6$") {
        affordable(rounds(hash), MAX_SHA_ROUNDS)?;
        outcome(sha_crypt::ShaCrypt::default().verify_password(password, hash))
    } else if hash.starts_with("$2") {
        affordable(hash.split('$').nth(2).and_then(|cost| cost.parse().ok()), MAX_BCRYPT_COST)?;
        bcrypt::verify(password, hash).map_err(|_| Unusable::Damaged)
    } else if hash.starts_with("$argon2") {
        let hash = phc::PasswordHash::new(hash).map_err(|_| Unusable::Damaged)?;
        affordable(hash.params.get_decimal("m"), MAX_ARGON2_KIB)?;
        affordable(hash.params.get_decimal("t"), MAX_ARGON2_PASSES)?;
        argon2_matches(&hash, password)
    } else {
        Err(Unusable::UnknownHash)
    }
}

/// Takes the memory that the hash asks for, and waits for it where others have it: a process that runs into its limit
/// unawares is dead.
fn argon2_matches(hash: &phc::PasswordHash, password: &[u8]) -> Result<bool, Unusable> {
    let damaged = |_| Unusable::Damaged;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Err(Unusable::Damaged) };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(damaged)?;
    let version = hash.version.map(Version::try_from).transpose().map_err(|_| Unusable::Damaged)?;
    let params = Params::try_from(hash).map_err(damaged)?;
    let size = params.block_count();
    let argon2 = Argon2::new(algorithm, version.unwrap_or_default(), params);
    let mut found = vec![0; expected.len()];
    let mut blocks: Vec<Block> = Vec::new();
    for _ in 0..PATIENCE {
        if blocks.try_reserve_exact(size).is_ok() {
            blocks.resize(size, Block::default());
            argon2
                .hash_password_into_with_memory(password, salt, &mut found, &mut blocks)
                .map_err(|_| Unusable::Damaged)?;
            return Ok(found.ct_eq(expected.as_bytes()).into());
        }
        thread::sleep(STEP);
    }
    Err(Unusable::NoMemory)
}

fn outcome(result: Result<(), argon2::password_hash::Error>) -> Result<bool, Unusable> {
    match result {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(_) => Err(Unusable::Damaged),
    }
}

/// What a SHA-crypt hash says between `rounds=` and the next `$`.
fn rounds(hash: &str) -> Option<u32> {
    hash.split('$').nth(2)?.strip_prefix("rounds=")?.parse().ok()
}

fn affordable(work: Option<u32>, most: u32) -> Result<(), Unusable> {
    if work.is_some_and(|work| work > most) { Err(Unusable::TooDear) } else { Ok(()) }
}

const PLAIN: [&str; 3] = ["PLAIN", "CLEAR", "CLEARTEXT"];
const HASHED: [&str; 6] = ["CRYPT", "SHA256-CRYPT", "SHA512-CRYPT", "BLF-CRYPT", "ARGON2I", "ARGON2ID"];

/// Bounds on the work for one password, far above what anybody recommends, so that a slip in a file costs one user
/// his login and nobody a thread for days, or the memory.
const MAX_SHA_ROUNDS: u32 = 10_000_000;
const MAX_BCRYPT_COST: u32 = 17;
const MAX_ARGON2_KIB: u32 = 1024 * 1024;
const MAX_ARGON2_PASSES: u32 = 1000;
/// How often memory is asked for, and how long after the last time.
const PATIENCE: u32 = 600;
const STEP: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    fn hash(text: &str) -> String {
        match Stored::parse(text, Scheme::Hashed).unwrap() {
            Stored::Hash(hash) => hash,
            other => panic!("{other:?} is no hash"),
        }
    }

    #[test]
    fn hashes_made_elsewhere_match_their_password_only() {
        // Made by crypt(3) of libxcrypt and by another mail server's tool, from "secret".
        for text in [
            "{SHA256-CRYPT}$5$PizQGXjlso20WEWe$17AgqhD9pM1TG5dZOxtcs.vCdbiBCv83wC8AE4t7nL8",
            "$5$rounds=1000$xx$d75meIqNTXTVcg6UNOgURQvJIiQcTAzvA/hOq4L8.H.",
            concat!(
                "{sha512-crypt}$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/",
                "otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/"
            ),
            "{BLF-CRYPT}$2y$05$DdnPge1wf6RX5M/oigpoKeCK37xgVsfVuRfByNkl0DIS6N9zYjZWK",
            "{CRYPT}$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        ] {
            let hash = hash(text);
            assert_eq!(verify(&hash, &secret("secret")), Ok(true), "{text}");
            assert_eq!(verify(&hash, &secret("secreT")), Ok(false), "{text}");
        }
    }

    #[test]
    fn argon2_as_its_reference_program_makes_it() {
        for text in [
            "{ARGON2I}$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            "{ARGON2ID}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        ] {
            let hash = hash(text);
            assert_eq!(verify(&hash, &secret("password")), Ok(true), "{text}");
            assert_eq!(verify(&hash, &secret("Password")), Ok(false), "{text}");
        }
    }

    #[test]
    fn a_scheme_in_front_wins_over_the_default() {
        assert!(
            matches!(Stored::parse("{plain}a", Scheme::Hashed), Ok(Stored::Plain(p)) if p.is(&secret("a")))
        );
        assert!(matches!(Stored::parse("{CRYPT}$6$a", Scheme::Plain), Ok(Stored::Hash(h)) if h == "$6$a"));
        assert!(matches!(Stored::parse("$6$a", Scheme::Plain), Ok(Stored::Plain(_))));
        assert!(
            matches!(Stored::parse("{PLAIN}{x}", Scheme::Hashed), Ok(Stored::Plain(p)) if p.is(&secret("{x}")))
        );
    }

    #[test]
    fn what_shadow_files_write_for_no_password_is_locked() {
        for text in ["", "*", "!", "!!", "!$6$salt$hash", "x", "{PLAIN}", "{CRYPT}*"] {
            assert!(matches!(Stored::parse(text, Scheme::Hashed), Ok(Stored::Locked)), "{text}");
        }
    }

    #[test]
    fn unknown_schemes_and_damaged_hashes_are_errors_that_show_no_hash() {
        let error = Stored::parse("{SSHA256.b64}c2VjcmV0", Scheme::Hashed).unwrap_err();
        assert!(error.to_string().starts_with("unknown password scheme \"SSHA256.b64\" (known: PLAIN, "));
        assert_eq!(Stored::parse("{PLAIN", Scheme::Plain).unwrap_err(), Unusable::Unclosed);
        for (hash, error) in [
            ("secret", Unusable::UnknownHash),
            ("$1$salt$hash", Unusable::UnknownHash),
            ("$6$salt", Unusable::Damaged),
            ("$6$salt$short$more", Unusable::Damaged),
            ("$2y$05$tooshort", Unusable::Damaged),
            ("$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", Unusable::TooDear),
            ("$6$rounds=999999999$salt$hash", Unusable::TooDear),
            ("$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAA", Unusable::TooDear),
            ("$argon2id$v=19", Unusable::Damaged),
        ] {
            assert_eq!(verify(hash, &secret("secret")), Err(error), "{hash}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\$?(5|6|2y|argon2id|1)?\\$?\\PC{0,80}", password in "\\PC{0,40}") {
            if let Ok(Stored::Hash(hash)) = Stored::parse(&text, Scheme::Hashed) {
                let _ = verify(&hash, &secret(&password));
            }
        }
    }
}
