//! Faults on request, in debug builds only: tests need to see what a panic ends, and what it does not.

/// Does what a line asks for whose command is `XPANIC` or `XABORT`.
#[expect(clippy::panic, reason = "that is what it is for")]
pub(crate) fn on_request(command: Option<&[u8]>) {
    match command.map(<[u8]>::to_ascii_uppercase).as_deref() {
        Some(b"XPANIC") => panic!("the client asked for a panic"),
        Some(b"XABORT") => std::process::abort(),
        _ => {}
    }
}
