//! What master and worker owe each other: mail-handoff(7).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod master;

use std::os::unix::net::UnixStream;

use master::{ALICE, As, Client, Master, Scratch, deliver, id};
use nix::sys::signal::Signal;
use wire::handoff::{FromWorker, Gone, ToWorker};

fn start(scratch: &Scratch) -> Master {
    Master::start(scratch, As::User(ALICE))
}

fn gone(said: FromWorker) -> (u32, Gone) {
    match said {
        FromWorker::Gone { id, reason, .. } => (id.0.get(), reason),
        other => panic!("{other:?}, not gone"),
    }
}

#[test]
fn the_first_client_is_as_any_other() {
    let scratch = Scratch::new();
    let environment = scratch.environment("alice", ALICE);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut client = Client::new(ours);
    client.send("a NOOP\r\n");
    let mut master = Master::start(&scratch, As::UserWithFirst(ALICE, id(7), &environment, theirs.into()));
    assert_eq!(master.identity, "one uid");
    assert_eq!(master.hear(), FromWorker::Ready(id(7)));
    assert!(client.is_quiet());
    master.say(&ToWorker::Serve(id(7)));
    assert!(client.line().starts_with("in OK [CAPABILITY IMAP4rev1 "));
    assert!(client.line().starts_with("a OK"));
    assert!(client.ask("LOGOUT").0.starts_with("OK"));
    assert_eq!(gone(master.hear()), (7, Gone::Logout));
    assert!(master.end().success());
}

#[test]
fn a_withdrawn_client_hears_nothing() {
    let scratch = Scratch::new();
    let mut master = start(&scratch);
    let environment = scratch.environment("alice", ALICE);
    let mut client = master.give(id(1), environment.clone());
    client.send("a NOOP\r\n");
    assert_eq!(master.hear(), FromWorker::Ready(id(1)));
    master.say(&ToWorker::Withdraw(id(1)));
    assert_eq!(gone(master.hear()), (1, Gone::Withdrawn));
    assert_eq!(client.rest(), "");
    // It was asleep, and finds both at once.
    master.signal(Signal::SIGSTOP);
    let mut client = master.give(id(2), environment);
    master.say(&ToWorker::Withdraw(id(2)));
    master.signal(Signal::SIGCONT);
    assert_eq!(master.hear(), FromWorker::Ready(id(2)));
    assert_eq!(gone(master.hear()), (2, Gone::Withdrawn));
    assert_eq!(client.rest(), "");
}

#[test]
fn what_is_no_client_is_refused() {
    let scratch = Scratch::new();
    let mut master = start(&scratch);
    let good = scratch.environment("alice", ALICE);
    let broken: [(&str, Option<&str>); 8] = [
        ("USER", None),
        ("USER", Some("")),
        ("HOME", Some("somewhere")),
        ("MAIL", Some("mbox:~/mail")),
        ("ADVISE_SETUID", Some("0")),
        ("ADVISE_SETUID", Some("-5")),
        ("IMAPLOGINTAG", Some("a b")),
        ("IMAP_MAX_LINE_LENGTH", Some("long")),
    ];
    for (number, (variable, value)) in (1..).zip(broken) {
        let mut environment = good.clone();
        environment.remove(variable);
        if let Some(value) = value {
            environment.set(variable, value).unwrap();
        }
        environment.set("ADVISE_SETGID", "20001").unwrap();
        let mut client = master.give(id(number), environment);
        assert!(matches!(master.hear(), FromWorker::Refused { id: refused, .. } if refused == id(number)));
        assert_eq!(client.rest(), "");
    }
    let mut client = master.hand_over(id(9), good);
    assert!(client.ask("NOOP").0.starts_with("OK"));
}

#[test]
fn orders_for_nobody_are_ignored() {
    let scratch = Scratch::new();
    let mut master = start(&scratch);
    let mut client = master.hand_over(id(1), scratch.environment("alice", ALICE));
    master.say(&ToWorker::Serve(id(1)));
    master.say(&ToWorker::Withdraw(id(1)));
    for order in [ToWorker::Serve(id(2)), ToWorker::Withdraw(id(2))] {
        master.say(&order);
    }
    master.say(&ToWorker::Kick { id: id(2), text: "go".to_owned() });
    master.babble(b"something-new\twith=fields\n");
    master.say(&ToWorker::Ping(5));
    assert_eq!(master.hear(), FromWorker::Pong(5));
    assert!(client.ask("NOOP").0.starts_with("OK"));
    let mut twin = master.give(id(1), scratch.environment("alice", ALICE));
    assert!(matches!(master.hear(), FromWorker::Refused { .. }));
    assert_eq!(twin.rest(), "");
}

#[test]
fn a_kicked_client_is_told_why() {
    let scratch = Scratch::new();
    let mut master = start(&scratch);
    let mut client = master.hand_over(id(1), scratch.environment("alice", ALICE));
    let mut other = master.hand_over(id(2), scratch.environment("alice", ALICE));
    client.send("a IDLE\r\n");
    client.until("+ idling");
    master.say(&ToWorker::Kick { id: id(1), text: "Come back later.".to_owned() });
    assert_eq!(client.rest(), "* BYE Come back later.\r\n");
    assert_eq!(gone(master.hear()), (1, Gone::Kicked));
    assert!(other.ask("NOOP").0.starts_with("OK"));
}

#[test]
fn stopping_says_goodbye_to_all() {
    let scratch = Scratch::new();
    let mut master = start(&scratch);
    let mut clients: Vec<Client> =
        (1..4).map(|number| master.hand_over(id(number), scratch.environment("alice", ALICE))).collect();
    let mut unserved = master.give(id(9), scratch.environment("alice", ALICE));
    assert_eq!(master.hear(), FromWorker::Ready(id(9)));
    master.say(&ToWorker::Stop);
    for client in &mut clients {
        assert_eq!(client.rest(), "* BYE Server shutting down.\r\n");
    }
    assert_eq!(unserved.rest(), "");
    let mut all: Vec<u32> = (0..4)
        .map(|_| {
            let (id, reason) = gone(master.hear());
            assert_eq!(reason, Gone::Stopped);
            id
        })
        .collect();
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 9]);
    assert!(master.worker.wait().unwrap().success());
}

#[test]
fn a_signal_stops_it_as_the_master_does() {
    let scratch = Scratch::new();
    let mut master = start(&scratch);
    let mut client = master.hand_over(id(1), scratch.environment("alice", ALICE));
    master.signal(Signal::SIGHUP);
    assert!(client.ask("NOOP").0.starts_with("OK"));
    master.signal(Signal::SIGTERM);
    assert_eq!(client.rest(), "* BYE Server shutting down.\r\n");
    assert!(master.worker.wait().unwrap().success());
}

#[test]
fn without_master_clients_are_served_on_and_then_it_ends() {
    let scratch = Scratch::new();
    for broken in [&b"client\tid=0\n"[..], b"serve\n", b"new\tx=\\x\n", b"client\tid=5\n", b"\xff\n"] {
        let mut master = start(&scratch);
        let mut client = master.hand_over(id(1), scratch.environment("alice", ALICE));
        let mut unserved = master.give(id(2), scratch.environment("alice", ALICE));
        assert_eq!(master.hear(), FromWorker::Ready(id(2)));
        master.babble(broken);
        assert_eq!(master.hear_or_end(), None);
        assert_eq!(unserved.rest(), "");
        assert!(client.ask("SELECT INBOX").0.starts_with("OK"));
        assert!(client.ask("LOGOUT").0.starts_with("OK"));
        assert!(master.worker.wait().unwrap().success());
    }
}

#[test]
fn a_panic_ends_its_client_and_no_other() {
    let scratch = Scratch::new();
    let mut master = start(&scratch);
    deliver(&scratch.home("alice", ALICE), "1.a", "Subject: 1\n\n1\n");
    let [mut one, mut two, mut three] =
        [1, 2, 3].map(|number| master.hand_over(id(number), scratch.environment("alice", ALICE)));
    for client in [&mut one, &mut two, &mut three] {
        assert!(client.ask("SELECT INBOX").0.starts_with("OK"));
    }
    three.send("i IDLE\r\n");
    three.until("+ idling");
    one.send("x XPANIC\r\n");
    assert_eq!(one.rest(), "* BYE Internal error.\r\n");
    assert_eq!(gone(master.hear()), (1, Gone::Error));
    // The others have the mailbox anew, and find it as it was.
    deliver(&scratch.home("alice", ALICE), "2.b", "Subject: 2\n\n2\n");
    three.until("* 2 EXISTS");
    let (answer, news) = two.ask("NOOP");
    assert!(answer.starts_with("OK"), "{answer}");
    assert!(news.contains(&"* 2 EXISTS".to_owned()), "{news:?}");
    let mut four = master.hand_over(id(4), scratch.environment("alice", ALICE));
    assert!(four.ask("SELECT INBOX").1.contains(&"* 2 EXISTS".to_owned()));
}

#[test]
fn a_dead_worker_has_marked_whom_it_worked_for() {
    let scratch = Scratch::new();
    let mut master = start(&scratch);
    let mut other = master.hand_over(id(70_000), scratch.environment("alice", ALICE));
    assert!(other.ask("NOOP").0.starts_with("OK"));
    let mut client = master.hand_over(id(70_001), scratch.environment("alice", ALICE));
    master.say(&ToWorker::Ping(1));
    assert_eq!(master.hear(), FromWorker::Pong(1));
    client.send("x XABORT\r\n");
    assert_eq!(client.rest(), "");
    assert_eq!(master.hear_or_end(), None);
    assert_eq!(master.marked(), 70_001);
}

#[test]
fn a_report_has_a_row_for_each() {
    let scratch = Scratch::new();
    let mut master = start(&scratch);
    let mut client = master.hand_over(id(1), scratch.environment("alice", ALICE));
    client.ask("SELECT INBOX");
    client.send("i IDLE\r\n");
    client.until("+ idling");
    master.say(&ToWorker::Report);
    match master.hear() {
        FromWorker::State(state) => {
            assert_eq!((state.id, state.user.as_str()), (id(1), "alice"));
            assert_eq!((state.mailbox.as_slice(), state.doing.as_str()), (&b"INBOX"[..], "IDLE"));
            assert_eq!(state.input, "t SELECT INBOX\r\ni IDLE\r\n".len() as u64);
            assert!(state.output > 100);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(master.hear(), FromWorker::Reported);
    master.signal(Signal::SIGUSR2);
    master.logged("1 clients, linked to the master, identity: one uid");
    assert!(master.logged("1 alice: from 127.0.0.1").contains("mailbox INBOX, IDLE"));
}

#[test]
fn clients_hear_of_new_mail_at_once() {
    let scratch = Scratch::new();
    let mut master = start(&scratch);
    let home = scratch.home("alice", ALICE);
    let mut clients: Vec<Client> =
        (1..4).map(|number| master.hand_over(id(number), scratch.environment("alice", ALICE))).collect();
    for client in &mut clients {
        assert!(client.ask("SELECT INBOX").1.contains(&"* 0 EXISTS".to_owned()));
        client.send("i IDLE\r\n");
        client.until("+ idling");
    }
    for count in 1..4 {
        deliver(&home, &format!("{count}.x"), "Subject: x\n\nx\n");
        for client in &mut clients {
            client.until(&format!("* {count} EXISTS"));
        }
        // One that stops listening takes nothing from the others.
        let mut leaver = clients.pop().unwrap();
        leaver.send("DONE\r\n");
        leaver.until("i OK");
    }
}
