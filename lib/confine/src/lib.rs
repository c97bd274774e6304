//! What a process gives up for good by itself: system calls, by seccomp(2), and becoming anybody but the ids in some
//! [`Ranges`].
//!
//! A [`Filter`] only ever takes away. It must never kill what merely tries: what is refused answers with an error, so
//! that a program which asks out of habit goes on without. Only a foreign ABI, under whose numbers all calls have other
//! meanings, ends the process.
#![forbid(unsafe_code)]

mod base;
mod filter;
mod identities;
mod numbers;
mod only;
mod programs;
mod ranges;
mod signals;

pub use filter::{Filter, NotInstalled, When};
pub use only::Only;
pub use programs::{auth_filter, disk_filter, login_filter, worker_filter};
pub use ranges::{NoRanges, Ranges};
