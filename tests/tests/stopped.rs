//! A worker that does not answer for a while, and then goes on: whom it was offered others serve, and it touches none of
//! them.
#![allow(clippy::unwrap_used, clippy::panic)]

use nix::sys::signal::Signal;
use tests::server::process;
use tests::{SHARED, Server, until};

const MESSAGE: &str = "Subject: one\n\nHello\n";

#[test]
fn a_worker_that_goes_on_after_the_withdrawal_touches_nothing() {
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    server.site.deliver("bob", "", MESSAGE);
    let mut alice = server.login("alice");
    let stopped = process(&server.who()[0]["worker"]);
    stopped.signal(Signal::SIGSTOP);
    until("the worker to stop", || stopped.is_stopped().then_some(()));

    // All that he has to say is there before anybody serves him.
    let mut bob = server.imap();
    bob.send(b"a LOGIN bob secret\r\nb SELECT INBOX\r\n");
    for number in 0..100 {
        bob.send(format!("n{number} FETCH 1 BODY.PEEK[TEXT]\r\n").as_bytes());
    }
    bob.reply("a").ok();
    server.wait_for_log("does not answer, trying another");
    let serving = process(&server.who().iter().find(|row| row["user"] == "bob").unwrap()["worker"]);
    assert_ne!(serving, stopped);
    stopped.signal(Signal::SIGCONT);
    bob.reply("b").ok();
    for number in 0..100 {
        let reply = bob.reply(&format!("n{number}")).ok();
        assert_eq!(reply.untagged, ["1 FETCH (BODY[TEXT] {7}\r\nHello\r\n)"]);
    }
    // It has let go of the client, serves its own, and is given others again.
    alice.ask("NOOP").ok();
    let connections = || {
        let sockets = stopped.descriptors().into_iter().filter(|(_, to)| to.starts_with("socket:"));
        sockets.count()
    };
    let before = connections();
    alice.ask("LOGOUT").ok();
    // Without root nobody can see that.
    until("only her connection to be closed", || (before == 0 || connections() + 1 == before).then_some(()));
    bob.ask("LOGOUT").ok();
    assert!(bob.rest().is_empty());
    server.wait_for_sessions(0);
    assert!(server.status("difference").is_empty());
    until("the worker to be trusted again", || {
        let state = |row: &serde_json::Value| row["pid"] == stopped.pid && row["state"] == "spare";
        server.status("worker").iter().any(state).then_some(())
    });
}

#[test]
fn a_client_that_does_not_wait_leaves_no_trace() {
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    let stopped = server.only("worker");
    stopped.signal(Signal::SIGSTOP);
    until("the worker to stop", || stopped.is_stopped().then_some(()));
    let mut bob = server.imap();
    bob.begin("LOGIN bob secret");
    server.wait_for_sessions(1);
    assert_eq!(server.who()[0]["state"], "reserved");
    drop(bob);
    stopped.signal(Signal::SIGCONT);
    server.wait_for_sessions(0);
}
