//! IMAP and POP3 as bytes: commands in, responses out. No I/O, no time, no state of a client.
//!
//! Reading has two stages. A *framer* finds where a command ends and says how many bytes belong to it, so that a
//! caller may peek at a socket and take just these; a *parser* turns a whole command into a value, or into an
//! error that names the tag to answer. Hence a bad command costs that command and nothing else. Writing is a
//! handful of functions that append to a `Vec<u8>`.
//!
//! Nothing here may panic, recurse without bound, or hold more memory than its stated limits, whatever the bytes.
//! IMAP is RFC 3501 with LITERAL+ (7888), ID (2971), IDLE (2177), NAMESPACE (2342), UNSELECT (3691), SASL-IR
//! (4959), ENABLE (5161), MOVE (6851) and UIDPLUS (4315); POP3 is RFC 1939 with CAPA (2449) and AUTH (5034).
//!
//! ```
//! use protocol::imap::{self, Body, Framer, Limits, Status, Step, response};
//!
//! let mut framer = Framer::new(Limits::default());
//! let mut output = Vec::new();
//! let input = b"a1 LOGIN alice {6}\r\nsecret\r\na2 NOOP\r\n";
//!
//! // The client waits for our go-ahead before it sends its literal.
//! let (taken, step) = framer.feed(input);
//! assert_eq!(step, Step::Continue);
//! response::continuation(&mut output, "OK");
//!
//! // The second command stays where it is: the bytes taken end with the first.
//! let (more, step) = framer.feed(&input[taken..]);
//! assert_eq!(step, Step::Complete);
//! assert_eq!(&input[taken + more..], b"a2 NOOP\r\n");
//!
//! match imap::parse(&framer.take()) {
//!     Ok(command) => match command.body {
//!         Body::Login { user, password } => {
//!             assert_eq!((user.as_slice(), password.expose()), (&b"alice"[..], &b"secret"[..]));
//!             response::tagged(&mut output, &command.tag, Status::Ok, None, "Logged in");
//!         }
//!         _ => response::tagged(&mut output, &command.tag, Status::Bad, None, "Log in first"),
//!     },
//!     Err(error) => error.answer(&mut output),
//! }
//! assert_eq!(output, b"+ OK\r\na1 OK Logged in\r\n");
//! ```

#![forbid(unsafe_code)]

pub mod capability;
pub mod imap;
pub mod pop3;
pub mod sasl;
mod secret;
mod text;

pub use secret::Secret;
