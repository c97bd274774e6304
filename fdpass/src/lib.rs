//! Descriptors across a unix stream socket.
//!
//! [`send`] and [`receive`] are one `sendmsg` and one `recvmsg`. [`Channel`] is what the programs of this project
//! speak: lines, and with the first byte of some of them a descriptor, without ever blocking. [`inherited`] takes
//! the descriptors that a process was born with.
//!
//! What is received is close-on-exec from birth and owned: a message with more descriptors than expected is
//! an error that closes them all, and no way through this crate leaks one.
#![deny(unsafe_code)]

mod channel;
mod inherited;
mod passing;

pub use channel::{BadPeer, Channel, Fill};
pub use inherited::inherited;
pub use passing::{Received, receive, send};
