//! What one stranger may do to others, which is nothing.

use std::net::TcpStream;

use nix::sys::signal::Signal;
use wire::login::{FromLogin, ToLogin, TooMany};

use crate::stage::World;

#[test]
fn when_all_places_are_taken_the_oldest_stranger_goes() {
    let mut world = World::start("imap", &[("LOGIN_MAX_CONNECTIONS", "2")]);
    let mut auth = world.auth();
    // This one is being handed over, and does not count.
    let mut first = world.client();
    first.say("a LOGIN alice secret\r\n");
    auth.admit();
    let (request, _worker) = world.master().request();
    // About this one auth is asked: it goes last.
    let mut asking = world.client();
    asking.say("a LOGIN alice secret\r\n");
    let (id, _) = auth.question();
    let mut oldest = world.client();
    let mut youngest = world.client();
    assert_eq!(oldest.rest(), "* BYE Too many connections, try again later.\r\n");
    assert!(
        world.logged("Disconnected").contains("Disconnected: Too many connections (no auth attempts in ")
    );
    assert_eq!(youngest.ask("a NOOP\r\n"), "a OK NOOP completed.");
    auth.write(&format!("FAIL\t{id}\n"));
    assert!(asking.line().starts_with("a NO "));
    world.master().say(&ToLogin::Greet(request.id));
    assert_eq!(first.line(), "a OK Logged in.");
}

#[test]
fn a_client_that_does_not_log_in_is_sent_away() {
    let mut world = World::start("imap", &[("LOGIN_TIMEOUT", "1")]);
    let mut auth = world.auth();
    let mut handed_over = world.client();
    handed_over.say("a LOGIN alice secret\r\n");
    auth.admit();
    let (request, _worker) = world.master().request();
    let mut client = world.client();
    client.say("a LOG");
    assert_eq!(client.rest(), "* BYE Disconnected for inactivity.\r\n");
    assert!(
        world.logged("Disconnected").contains("Disconnected: Inactivity (no auth attempts in 1 secs): rip=")
    );
    // The master's time is not the client's.
    world.master().say(&ToLogin::Greet(request.id));
    assert_eq!(handed_over.line(), "a OK Logged in.");
}

#[test]
fn garbage_costs_who_sends_it_and_nobody_else() {
    let world = World::start("imap", &[]);
    let mut neighbour = world.client();
    let long = vec![b'x'; 3_000_000];
    let garbage: [&[u8]; 9] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0\0\0\0\r\n\0\r\n",
        b"\xff\xfe\xfd\r\n",
        b"a LOGIN {99999999999999999999}\r\n",
        b"a LOGIN {4294967295+}\r\nxxxx",
        b"a APPEND INBOX {99999999999+}\r\nxxxx",
        b"\"(((((((((({1}{2}{3}\r\n\r\n\r\n",
        &long,
    ];
    for bytes in garbage {
        let mut client = world.client();
        // It may be sent away in the middle.
        client.try_say(bytes);
        assert_eq!(neighbour.ask("n NOOP\r\n"), "n OK NOOP completed.");
        drop(client);
        assert_eq!(neighbour.ask("n NOOP\r\n"), "n OK NOOP completed.");
    }
    let mut client = world.client();
    client.try_say(b"x\r\n".repeat(100));
    assert!(client.rest().ends_with("* BYE Too many invalid commands.\r\n"));
    assert_eq!(neighbour.ask("n NOOP\r\n"), "n OK NOOP completed.");
}

#[test]
fn one_that_does_not_read_holds_up_nobody() {
    let world = World::start("imap", &[]);
    let mut neighbour = world.client();
    let mut deaf = world.client();
    deaf.set_nonblocking();
    while deaf.try_say("a CAPABILITY\r\n".repeat(1000)) {}
    assert_eq!(neighbour.ask("n NOOP\r\n"), "n OK NOOP completed.");
}

#[test]
fn a_process_for_one_client_takes_one() {
    let mut world = World::start("imap", &[("PROCESS_PER_CONNECTION", "1"), ("LOGIN_MAX_CONNECTIONS", "1")]);
    let mut auth = world.auth();
    let mut client = world.client();
    assert_eq!(world.master().clients(), 1);
    // The only holder of the listening socket has closed it.
    assert!(TcpStream::connect(world.address).is_err());
    client.say("a LOGIN alice secret\r\n");
    auth.admit();
    let (request, _worker) = world.master().request();
    world.master().say(&ToLogin::Accepted(request.id));
    assert!(world.exit().success());
}

#[test]
fn the_master_is_told_how_many_strangers_there_are() {
    let mut world = World::start("imap", &[]);
    let clients = [world.client(), world.client(), world.client()];
    while world.master().clients() != 3 {}
    drop(clients);
    while world.master().clients() != 0 {}
}

/// [login-stranger] [login-left] [login-close] [login-close-too-late]
#[test]
fn the_master_says_which_strangers_are_too_many() {
    for (protocol, address, all) in [
        (
            "imap",
            "* BYE Too many connections from your address.",
            "* BYE Too many connections, try again later.",
        ),
        (
            "pop3",
            "-ERR [SYS/TEMP] Too many connections from your address.",
            "-ERR [SYS/TEMP] Too many connections, try again later.",
        ),
    ] {
        let mut world = World::start(protocol, &[]);
        let come = |world: &mut World| {
            let client = world.client();
            let FromLogin::Stranger { id, remote } = world.master().stranger() else { panic!("no stranger") };
            assert!(remote.is_loopback());
            (client, id)
        };
        for (code, told) in [(TooMany::FromAddress, address), (TooMany::InAll, all)] {
            let (mut client, id) = come(&mut world);
            world.master().say(&ToLogin::Close { id, code });
            assert_eq!(client.rest(), format!("{told}\r\n"));
            assert_eq!(world.master().stranger(), FromLogin::Left(id));
            world.master().say(&ToLogin::Close { id, code });
        }
        let (mut client, id) = come(&mut world);
        if protocol == "imap" {
            let mut auth = world.auth();
            client.say("a LOGIN alice secret\r\n");
            auth.admit();
            let (request, _worker) = world.master().request();
            assert_eq!(request.stranger, Some(id));
            world.master().say(&ToLogin::Close { id, code: TooMany::InAll });
            world.master().say(&ToLogin::Greet(request.id));
            assert_eq!(client.line(), "a OK Logged in.");
        }
    }
}

#[test]
fn without_descriptors_it_waits_and_then_goes_on() {
    let mut world = World::start_by("ulimit -n 16;", "imap", &[]);
    let _auth = world.auth();
    let clients: Vec<_> = (0..16).map(|_| world.silent_client()).collect();
    world.logged("accepting clients, none for 1 s: ");
    drop(clients);
    world.client();
    world.signal(Signal::SIGTERM);
    assert!(world.exit().success());
}

#[test]
fn no_descriptor_is_left_of_a_client() {
    let mut world = World::start("imap", &[]);
    let mut auth = world.auth();
    world.client();
    world.logged("Disconnected");
    let Some(before) = world.descriptors() else {
        tests::skipped("no_descriptor_is_left_of_a_client", "another process's descriptors cannot be seen");
        return;
    };
    for _ in 0..100 {
        let mut client = world.client();
        client.say("a LOGIN alice secret\r\n");
        auth.admit();
        let (request, _worker) = world.master().request();
        world.master().say(&ToLogin::Accepted(request.id));
        world.logged("Login: ");
    }
    // The last one may be about to be closed, or the first.
    assert!(world.descriptors().unwrap() <= before + 1);
}
