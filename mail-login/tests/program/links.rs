//! Master and auth come and go.

use std::net::TcpStream;

use nix::sys::signal::Signal;
use wire::login::{Refusal, ToLogin};

use crate::stage::{ALICE, World};

#[test]
fn who_logs_in_before_there_is_an_auth_waits_for_it() {
    let mut world = World::start("imap", &[]);
    let mut client = world.client();
    client.say("a LOGIN alice secret\r\n");
    let mut auth = world.silent_auth();
    auth.hello();
    auth.admit();
    assert_eq!(world.master().request().0.tag, "a");
}

#[test]
fn who_has_not_been_answered_when_auth_is_restarted_is_asked_about_again() {
    let mut world = World::start("imap", &[("DEBUG", "1")]);
    let mut auth = world.auth();
    let mut client = world.client();
    client.say("a LOGIN alice secret\r\n");
    let (id, _) = auth.question();
    drop(auth);
    world.logged("link to auth: closed by its other end");
    world.master().auth_lost();
    let mut auth = world.auth();
    assert_eq!(auth.question(), (id, ALICE.to_owned()));
    auth.write(&format!("OK\t{id}\tuser=alice\n"));
    assert_eq!(world.master().request().0.auth_id, id);
}

#[test]
fn an_auth_that_speaks_nonsense_is_dropped_and_another_taken() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    let mut client = world.client();
    client.say("a LOGIN alice secret\r\n");
    auth.question();
    auth.write("OK\tx\n");
    auth.until_hung_up();
    world.logged("link to auth: malformed line");
    world.master().auth_lost();
    world.auth().admit();
    assert_eq!(world.master().request().0.tag, "a");
}

#[test]
fn who_has_waited_for_auth_in_vain_is_told_so() {
    let world = World::start("imap", &[]);
    let mut client = world.client();
    client.say("a LOGIN alice secret\r\n");
    assert_eq!(client.line(), "a NO [UNAVAILABLE] Temporary authentication failure.");
    assert_eq!(client.ask("b NOOP\r\n"), "b OK NOOP completed.");
}

#[test]
fn a_retired_login_listens_no_more_and_serves_its_clients_on() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    let mut client = world.client();
    world.master().say(&ToLogin::Retire);
    assert_eq!(client.ask("a NOOP\r\n"), "a OK NOOP completed.");
    while TcpStream::connect(world.address).is_ok() {}
    client.say("b LOGIN alice secret\r\n");
    auth.admit();
    let (request, _worker) = world.master().request();
    world.master().say(&ToLogin::Refused { id: request.id, code: Refusal::Limit, text: "No.".to_owned() });
    assert_eq!(client.line(), "b NO [LIMIT] No.");
    client.say("c LOGIN alice secret\r\n");
    auth.admit();
    let (request, _worker) = world.master().request();
    world.master().say(&ToLogin::Accepted(request.id));
    assert!(world.exit().success());
}

#[test]
fn when_the_master_goes_strangers_are_told_and_those_it_has_are_not() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    let mut stranger = world.client();
    let mut asking = world.client();
    asking.say("a LOGIN alice secret\r\n");
    auth.question();
    let mut handed_over = world.client();
    handed_over.say("a LOGIN alice secret\r\n");
    auth.admit();
    let (_request, worker) = world.master().request();
    world.master = None;
    assert_eq!(stranger.rest(), "* BYE Server shutting down.\r\n");
    assert_eq!(asking.rest(), "* BYE Server shutting down.\r\n");
    world.logged("Login lost, the master is gone: user=<alice>");
    assert!(world.exit().success());
    drop(worker);
    assert_eq!(handed_over.rest(), "");
}

#[test]
fn what_the_master_said_before_it_went_still_counts() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    let mut client = world.client();
    client.say("a LOGIN alice secret\r\n");
    auth.admit();
    let (request, _worker) = world.master().request();
    world.master().say(&ToLogin::Greet(request.id));
    world.master = None;
    assert_eq!(client.line(), "a OK Logged in.");
    assert!(world.exit().success());
}

#[test]
fn on_sigterm_strangers_are_told_and_verdicts_are_waited_for() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    let mut handed_over = world.client();
    handed_over.say("a LOGIN alice secret\r\n");
    auth.admit();
    let (request, _worker) = world.master().request();
    let mut stranger = world.client();
    world.signal(Signal::SIGTERM);
    assert_eq!(stranger.rest(), "* BYE Server shutting down.\r\n");
    let text = "Server shutting down.".to_owned();
    world.master().say(&ToLogin::Refused { id: request.id, code: Refusal::Unavailable, text });
    assert_eq!(
        handed_over.rest(),
        "a NO [UNAVAILABLE] Server shutting down.\r\n* BYE Server shutting down.\r\n"
    );
    assert!(world.exit().success());
}

#[test]
fn a_master_that_speaks_nonsense_is_none() {
    for nonsense in ["accepted\tid=x\n", "refused\n", "auth\n", "greet\tid=\\x\n"] {
        let mut world = World::start("imap", &[]);
        let mut client = world.client();
        world.master().write(nonsense.as_bytes());
        assert_eq!(client.rest(), "* BYE Server shutting down.\r\n", "{nonsense:?}");
        world.logged("link to the master: ");
        assert!(world.exit().success());
    }
}

#[test]
fn a_verdict_on_nobody_changes_nothing() {
    let mut world = World::start("imap", &[]);
    let mut client = world.client();
    for message in [ToLogin::Accepted(7), ToLogin::Greet(8)] {
        world.master().say(&message);
    }
    world.master().write(b"hello\tx=y\n");
    world.logged("the master speaks of request 8, which does not wait");
    assert_eq!(client.ask("a NOOP\r\n"), "a OK NOOP completed.");
}
