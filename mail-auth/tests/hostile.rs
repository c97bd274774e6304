//! Peers that do not keep to the protocol, or ask for too much: they are cut off or refused, and nobody else notices.

mod play;

use std::time::{Duration, Instant};

use play::{Auth, base64, plain};

const USERS: &str = "\
alice:secret:20001:20001::/home/alice::
slow:{SHA512-CRYPT}$6$rounds=100000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/:1:1::/::
";

/// [auth-malformed] [auth-version] [auth-cpid] [auth-cpid-differs] [auth-line-length] [auth-id-unique]
#[test]
fn who_does_not_keep_to_the_protocol_is_cut_off_alone() {
    let mut auth = Auth::with_users(USERS, &[]);
    let mut good = auth.client(1);
    let long = format!("AUTH\t1\tPLAIN\tx={}", "x".repeat(9000));
    let hello = "VERSION\t1\t1\nCPID\t100\n";
    for (text, why) in [
        ("GET / HTTP/1.1\n", "does not begin with VERSION 1"),
        ("VERSION\t2\t0\n", "does not begin with VERSION 1"),
        ("CPID\t100\n", "does not begin with VERSION 1"),
        ("VERSION\t1\t1\nAUTH\t1\tPLAIN\n", "AUTH before CPID"),
        ("VERSION\t1\t1\nCPID\t101\n", "says that it is process 101, and is 100"),
        ("VERSION\t1\t1\nCPID\tx\n", "CPID that is not well-formed"),
        (&format!("{hello}CPID\t100\n"), "says twice who it is"),
        (&format!("{hello}AUTH\n"), "AUTH that is not well-formed"),
        (&format!("{hello}AUTH\t-1\tPLAIN\n"), "AUTH that is not well-formed"),
        (&format!("{hello}AUTH\t4294967296\tPLAIN\n"), "AUTH that is not well-formed"),
        (&format!("{hello}CONT\tx\ty\n"), "CONT that is not well-formed"),
        (&format!("{hello}AUTH\t1\tLOGIN\nAUTH\t1\tLOGIN\n"), "request 1 begins twice"),
        (&format!("{hello}{long}\n"), "line longer than 8192 bytes"),
        (&format!("{hello}{long}"), "line longer than 8192 bytes"),
        ("\u{1}\u{0}\u{7f}\n\n\n", "does not begin with VERSION 1"),
    ] {
        let mut bad = auth.raw_client(100);
        bad.say_raw(text.as_bytes());
        bad.until_cut();
        assert_eq!(
            good.plain(1, "alice", "wrong"),
            "FAIL\t1\tuser=alice\twhy=password mismatch",
            "after {text:?}: {why}"
        );
    }
    let mut master = auth.master();
    for text in ["REQUEST\t1\t2\n", "REQUEST\tx\t1\t1\n", "USER\t1\n", "USER\tx\talice\n"] {
        let mut bad = auth.master();
        bad.say_raw(text.as_bytes());
        assert_eq!(bad.until_cut(), "", "{text:?}");
        assert_eq!(master.ask("USER\t1\tnobody\tservice=x"), "NOTFOUND\t1", "after {text:?}");
    }
    let log = auth.end();
    assert!(log.contains("Wclient, pid 100: says that it is process 101, and is 100; cut off"), "{log}");
    assert!(log.contains("Wmaster: USER that is not well-formed; cut off"), "{log}");
    assert_eq!(log.matches("cut off").count(), 19, "{log}");
}

#[test]
fn a_line_split_at_every_byte_is_one_line() {
    let mut auth = Auth::with_users(USERS, &[]);
    let mut client = auth.raw_client(100);
    for byte in format!("VERSION\t1\t1\nCPID\t100\n{}\n", plain(1, "alice", "secret")).bytes() {
        client.say_raw(&[byte]);
    }
    while client.hear() != "DONE" {}
    assert_eq!(client.hear(), "OK\t1\tuser=alice");
}

/// [auth-requests-bounded]
#[test]
fn a_client_that_begins_too_much_is_refused_for_now() {
    let mut auth = Auth::with_users(USERS, &[]);
    let (mut client, mut other) = (auth.client(100), auth.client(101));
    let challenge = base64(b"Username:");
    for id in 1..=1024 {
        assert_eq!(
            client.ask(&format!("AUTH\t{id}\tLOGIN\tservice=imap")),
            format!("CONT\t{id}\t{challenge}")
        );
    }
    assert_eq!(client.plain(1025, "alice", "secret"), "FAIL\t1025\ttemp\tcode=temp_fail");
    assert_eq!(other.plain(1, "alice", "secret"), "OK\t1\tuser=alice");
    client.say("CANCEL\t1");
    assert_eq!(client.plain(1025, "alice", "secret"), "OK\t1025\tuser=alice");
}

/// [auth-success-bounded]
#[test]
fn of_many_successes_that_nobody_asks_for_the_oldest_goes_first() {
    let mut auth = Auth::with_users(USERS, &[]);
    let (mut client, mut master) = (auth.client(100), auth.master());
    for id in 1..=3000 {
        assert_eq!(client.plain(id, "alice", "secret"), format!("OK\t{id}\tuser=alice"));
    }
    assert_eq!(master.ask("REQUEST\t1\t100\t1976"), "FAIL\t1\tno such authentication");
    assert!(master.ask("REQUEST\t2\t100\t1977").starts_with("USER\t2\talice\t"));
}

/// [auth-no-waiting]
#[test]
fn slow_hashes_hold_up_nobody_and_too_many_are_refused() {
    let mut auth = Auth::with_users(USERS, &[]);
    let (mut client, mut other) = (auth.client(100), auth.client(101));
    for id in 1..=700 {
        client.say(&plain(id, "slow", "secret"));
    }
    // The queue takes 512, so some of these come at once.
    assert!(client.hear().ends_with("\tuser=slow\ttemp\tcode=temp_fail"));
    let began = Instant::now();
    for id in 1..=100 {
        assert_eq!(other.plain(id, "alice", "secret"), format!("OK\t{id}\tuser=alice"));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// [auth-backlog]
#[test]
fn who_reads_no_answers_is_cut_off() {
    let mut auth = Auth::with_users(USERS, &[]);
    let (mut deaf, mut good) = (auth.master(), auth.client(101));
    for _ in 0..200_000 {
        deaf.say("USER\t1\talice\tservice=x");
    }
    assert_eq!(good.plain(1, "alice", "secret"), "OK\t1\tuser=alice");
    drop(deaf);
    let log = auth.end();
    assert!(log.contains("bytes of answers were not read; cut off"), "{log}");
}

/// [auth-finish]
#[test]
fn a_master_that_makes_no_sense_is_let_go() {
    for bytes in [&b"client\tpid=x\n"[..], b"client\tpid=1\n", b"gone\n", b"\xff\n"] {
        let mut auth = Auth::with_users(USERS, &[]);
        auth.tell_raw(bytes);
        let (status, log) = auth.wait();
        assert!(status.success(), "{log}");
        assert!(log.contains("Ethe master: "), "{log}");
    }
}

#[test]
fn settings_that_make_no_sense_end_it_with_a_sentence() {
    let mut auth = Auth::start(&[("PASSDB_1_DRIVER", "ldap")]);
    let (status, log) = auth.wait();
    assert_eq!(status.code(), Some(2));
    assert_eq!(log, "EPASSDB_1_DRIVER: unknown driver \"ldap\"\n");
}
