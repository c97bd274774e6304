//! An environment as a value, and as text.
//!
//! The text form, envdump(5), is what mail-handoff(7) carries: a first line with the number of variables, then
//! one `KEY=value` line each, sorted by key, escaped so that any bytes but NUL go in and come out. A value can
//! never forge a second variable: a line break in it is written as `\n`.
//!
//! ```
//! use envdump::Environment;
//! let mut env = Environment::new();
//! env.set("USER", "alice").unwrap();
//! env.set("NOTE", "two\nlines").unwrap();
//! let text = env.to_text();
//! assert_eq!(text, b"2\nNOTE=two\\nlines\nUSER=alice\n");
//! assert_eq!(Environment::from_text(&text).unwrap(), env);
//! ```
#![forbid(unsafe_code)]

mod environment;
mod escape;
mod text;

pub use environment::{Environment, Invalid};
pub use escape::{BadEscape, escape, escape_into, unescape};
pub use text::BadText;

/// The longest value that one variable may have, in bytes (64 KiB).
pub const MAX_VALUE: usize = 64 * 1024;
/// The most bytes that an environment may have: keys, values, and one byte each for `=` and the end (1 MiB).
pub const MAX_ENVIRONMENT: usize = 1024 * 1024;
