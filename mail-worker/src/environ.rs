//! The C library's `environ`, pointed at the variables of the client that is worked for. A fence for `unsafe`.
//!
//! Whatever asks `getenv` meanwhile sees that client's variables and nobody else's. The pointer is put back before
//! those variables can be freed. `setenv` is never called: it leaks, and it would change what others see.
#![allow(unsafe_code)]

use std::ffi::c_char;
use std::ptr;
use std::rc::Rc;

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// `KEY=value` strings, each ended by NUL: one client's environment in two pieces, since most of it is the same for
/// many clients.
#[derive(Debug)]
pub(crate) struct Variables {
    /// What is shared with others.
    pub(crate) common: Rc<[u8]>,
    /// What is this client's alone.
    pub(crate) own: Box<[u8]>,
}

impl Variables {
    /// The value of a variable.
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.strings().find_map(|string| {
            let value = string.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?;
            value.strip_suffix(b"\0")
        })
    }

    fn strings(&self) -> impl Iterator<Item = &[u8]> {
        let pieces = [&self.common, &*self.own];
        pieces.into_iter().flat_map(|piece| piece.split_inclusive(|&byte| byte == 0))
    }
}

/// Appends a variable in the form that [`Variables`] holds.
pub(crate) fn push_variable(piece: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    piece.extend_from_slice(key);
    piece.push(b'=');
    piece.extend_from_slice(value);
    piece.push(0);
}

/// What `environ` points at. There must be one in a process, and its process has one thread.
#[derive(Debug)]
pub(crate) struct Environ {
    before: *mut *mut c_char,
    /// The array, ended by a null pointer, and what its pointers point into.
    pointers: Vec<*mut c_char>,
    owner: Option<Rc<Variables>>,
}

impl Environ {
    pub(crate) fn new() -> Self {
        // SAFETY: one thread, so nobody writes it meanwhile.
        let before = unsafe { environ };
        Self { before, pointers: Vec::new(), owner: None }
    }

    /// From now on, `getenv` sees `variables`.
    pub(crate) fn install(&mut self, variables: &Rc<Variables>) {
        if self.owner.as_ref().is_some_and(|owner| Rc::ptr_eq(owner, variables)) {
            return;
        }
        self.restore();
        let ended = variables.strings().filter(|string| string.ends_with(b"\0"));
        self.pointers.extend(ended.map(|string| string.as_ptr().cast::<c_char>().cast_mut()));
        self.pointers.push(ptr::null_mut());
        self.owner = Some(Rc::clone(variables));
        // SAFETY: the array ends with a null pointer, and its strings with NUL; both live until `restore`, which
        // comes before either is touched again. Nobody writes through them: the pointers are mutable because C says so.
        unsafe { environ = self.pointers.as_mut_ptr() };
    }

    /// From now on, `getenv` sees what it saw before.
    pub(crate) fn restore(&mut self) {
        // SAFETY: that array was there when the process began, and nobody freed it.
        unsafe { environ = self.before };
        self.pointers.clear();
        self.owner = None;
    }
}

impl Drop for Environ {
    fn drop(&mut self) {
        self.restore();
    }
}

#[cfg(test)]
mod tests {
    use super::{Environ, Variables};
    use std::env::var_os;
    use std::process::Command;
    use std::rc::Rc;

    /// Runs that test in a process where no other test asks for variables at the same time.
    fn alone(test: &str) {
        let program = std::env::current_exe().unwrap();
        let status = Command::new(program)
            .args(["--ignored", "--exact", test, "--test-threads=1"])
            .env("BEFORE", "yes")
            .status()
            .unwrap();
        assert!(status.success());
    }

    #[test]
    fn each_client_sees_its_own_variables_and_then_nobody_does() {
        alone("environ::tests::variables_come_and_go");
    }

    #[test]
    #[ignore = "changes the process's environment: run by the test above"]
    fn variables_come_and_go() {
        let common: Rc<[u8]> = Rc::from(&b"MAIL=x\0EMPTY=\0"[..]);
        let variables = |own: &[u8]| Rc::new(Variables { common: Rc::clone(&common), own: own.into() });
        let (alice, bob) = (variables(b"USER=alice\0HOME=/a\0"), variables(b"USER=bob\0"));
        let mut ours = Environ::new();
        for _ in 0..2 {
            ours.install(&alice);
            ours.install(&alice);
            assert_eq!(var_os("USER").unwrap(), "alice");
            assert_eq!(var_os("EMPTY").unwrap(), "");
            ours.install(&bob);
            assert_eq!((var_os("USER").unwrap(), var_os("HOME")), ("bob".into(), None));
            assert_eq!(Rc::strong_count(&alice), 1);
        }
        assert_eq!(var_os("BEFORE"), None);
        drop(ours);
        assert_eq!(var_os("BEFORE").unwrap(), "yes");
        assert_eq!(Rc::strong_count(&bob), 1);
    }
}
