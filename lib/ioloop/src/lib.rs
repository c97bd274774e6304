//! Readiness, timers, signals: what a single-threaded program waits for.
//!
//! There are no callbacks here. A program owns a [`Loop`], its [`Timers`] and its [`Signals`] in one struct, waits,
//! and dispatches what came with a `match` over keys of its own; so it is always plain who runs, and as whom.
#![deny(unsafe_code)]

mod readiness;
mod signals;
mod timers;

pub use readiness::{Interest, Loop, Ready};
pub use signals::Signals;
pub use timers::{TimerId, Timers};
