//! What is remembered of those who have not logged in: where they come from, and how often they were wrong.
//!
//! Strangers choose their addresses and names, so nothing here may grow with what they choose: every table has a bound.
//! No I/O; time is an argument.
#![forbid(unsafe_code)]

mod memory;
mod network;
mod penalty;

pub use memory::Memory;
pub use network::{Network, Networks, NotANetwork, Origin};
pub use penalty::{Penalties, Remembered, Rules};
