//! mail-login as its neighbours see it: the test plays master, auth and clients.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod imap;
mod limits;
mod links;
mod pop3;
mod stage;
