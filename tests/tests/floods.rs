//! A client that sends without end: it has its turns, and its neighbours have theirs.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tests::{SHARED, Server};

/// Sends `head` and then no end of bytes, while a neighbour's commands have to be answered.
fn endless(head: &str) {
    let server = Server::start(SHARED);
    let mut neighbour = server.login("alice");
    let mut flood = server.login("bob");
    assert_eq!(server.who()[0]["worker"], server.who()[1]["worker"]);
    flood.send(head.as_bytes());
    let enough = AtomicBool::new(false);
    let mut longest = Duration::ZERO;
    let much = vec![b'x'; 1 << 20];
    thread::scope(|scope| {
        scope.spawn(|| {
            while !enough.load(Ordering::Relaxed) {
                flood.send(&much);
            }
        });
        for _ in 0..50 {
            let begun = Instant::now();
            neighbour.ask("NOOP").ok();
            longest = longest.max(begun.elapsed());
        }
        enough.store(true, Ordering::Relaxed);
    });
    // Generous, since tests share the machine.
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[test]
fn a_line_without_end_is_not_felt_by_others() {
    endless("a NOOP ");
}

#[test]
fn a_literal_without_end_is_not_felt_by_others() {
    endless("a NOOP {4294967295+}\r\n");
}
