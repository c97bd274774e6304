//! The value: variables by key, each key once, kept in the order of their keys' bytes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use thiserror::Error;

use crate::{MAX_ENVIRONMENT, MAX_VALUE};

/// Why a variable cannot be part of an environment.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum Invalid {
    /// The key is empty, or has a `=` or a NUL in it.
    #[error("a key is empty or holds '=' or NUL")]
    Key,
    /// The value has a NUL in it.
    #[error("a value holds a NUL byte")]
    Nul,
    /// The value is longer than [`MAX_VALUE`].
    #[error("a value is longer than 64 KiB")]
    TooLong,
    /// All together are more than [`MAX_ENVIRONMENT`].
    #[error("the environment is larger than 1 MiB")]
    TooLarge,
}

/// The variables of one process or one client; bytes, as the kernel has them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<Vec<u8>, Vec<u8>>,
    size: usize,
}

impl Environment {
    /// One without any variable.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`, in place of what it was.
    ///
    /// # Errors
    /// [`Invalid`] where the kernel could not hold it or a limit is passed; nothing is changed then.
    pub fn set(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), Invalid> {
        let (key, value) = (key.as_ref(), value.as_ref());
        if key.is_empty() || key.iter().any(|b| matches!(b, b'=' | 0)) {
            return Err(Invalid::Key);
        }
        if value.contains(&0) {
            return Err(Invalid::Nul);
        }
        if value.len() > MAX_VALUE {
            return Err(Invalid::TooLong);
        }
        let before = self.variables.get(key).map_or(0, |old| cost(key, old));
        let size = self.size - before + cost(key, value);
        if size > MAX_ENVIRONMENT {
            return Err(Invalid::TooLarge);
        }
        self.size = size;
        self.variables.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    /// Takes `key` away; what it was.
    pub fn remove(&mut self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let old = self.variables.remove(key.as_ref())?;
        self.size -= cost(key.as_ref(), &old);
        Some(old)
    }

    /// The value of `key`.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.variables.get(key.as_ref()).map(Vec::as_slice)
    }

    /// The value of `key` where it is UTF-8.
    pub fn text(&self, key: impl AsRef<[u8]>) -> Option<&str> {
        std::str::from_utf8(self.get(key)?).ok()
    }

    /// Whether `key` is there, with whatever value: how flags are read.
    pub fn is_set(&self, key: impl AsRef<[u8]>) -> bool {
        self.variables.contains_key(key.as_ref())
    }

    /// Every variable, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.variables.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// How many variables there are.
    pub fn len(&self) -> usize {
        self.variables.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// Takes all variables of `other`, its values winning.
    ///
    /// # Errors
    /// [`Invalid::TooLarge`]; what fitted has been taken then.
    pub fn merge(&mut self, other: &Environment) -> Result<(), Invalid> {
        other.iter().try_for_each(|(key, value)| self.set(key, value))
    }

    /// The variables of a process, as `std::env::vars_os` gives them; one that cannot be held is left out.
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::new();
        for (key, value) in vars {
            // A value past our limits is not one that our programs pass on; the others must not suffer.
            let _ = environment.set(key.into_vec(), value.into_vec());
        }
        environment
    }

    /// The variables as `std::process::Command::envs` takes them.
    pub fn to_vars(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.iter().map(|(key, value)| (OsStr::from_bytes(key), OsStr::from_bytes(value)))
    }
}

fn cost(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_there_once() {
        let mut env = Environment::new();
        env.set("A", "1").unwrap();
        env.set("A", "2").unwrap();
        assert_eq!(env.get("A"), Some(&b"2"[..]));
        assert_eq!(env.len(), 1);
        assert_eq!(env.remove("A"), Some(b"2".to_vec()));
        assert_eq!(env, Environment::new());
    }

    #[test]
    fn what_the_kernel_cannot_hold_is_refused() {
        let mut env = Environment::new();
        assert_eq!(env.set("", "x"), Err(Invalid::Key));
        assert_eq!(env.set("A=B", "x"), Err(Invalid::Key));
        assert_eq!(env.set("A", "x\0"), Err(Invalid::Nul));
        assert_eq!(env.set("A", vec![b'x'; MAX_VALUE + 1]), Err(Invalid::TooLong));
        assert!(env.is_empty());
    }

    #[test]
    fn the_whole_is_bounded() {
        let mut env = Environment::new();
        for n in 0..15 {
            env.set(format!("K{n:02}"), vec![b'x'; MAX_VALUE]).unwrap();
        }
        assert_eq!(env.set("LAST", vec![b'x'; MAX_VALUE]), Err(Invalid::TooLarge));
        env.set("K00", "").unwrap();
        env.set("LAST", vec![b'x'; MAX_VALUE]).unwrap();
    }

    #[test]
    fn the_merged_one_wins() {
        let (mut a, mut b) = (Environment::new(), Environment::new());
        a.set("X", "1").unwrap();
        a.set("Y", "1").unwrap();
        b.set("X", "2").unwrap();
        a.merge(&b).unwrap();
        assert_eq!((a.text("X"), a.text("Y")), (Some("2"), Some("1")));
    }
}
