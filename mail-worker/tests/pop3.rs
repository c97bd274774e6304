//! POP3: by hand on pipes, and handed over by a master.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what helps a test may fail it")]

mod master;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use envdump::Environment;
use master::{ALICE, As, Client, Master, Scratch, deliver, id, program};
use nix::sys::signal::Signal;
use wire::handoff::{FromWorker, Gone, ToWorker};

/// The size that a name tells is believed: that of the second is not true.
const MESSAGES: [(&str, &str); 3] = [
    ("1.a", "Subject: one\n\nfirst\n.dot\n..\nlast\n"),
    ("2.b,W=30", "Subject: two\r\n\r\n1\r\n2\r\n3\r\n4\r\n"),
    ("3.c", "Subject: three\n\nno end"),
];

/// A user with three messages.
fn scratch() -> (Scratch, Environment) {
    let scratch = Scratch::new();
    let mut environment = scratch.environment("alice", ALICE);
    let home = scratch.home("alice", ALICE);
    MESSAGES.iter().for_each(|(name, text)| deliver(&home, name, text));
    environment.remove("IMAPLOGINTAG");
    environment.set("PROTOCOL", "pop3").unwrap();
    (scratch, environment)
}

fn by_hand(scratch: &Scratch, environment: &Environment, input: &str) -> Output {
    let mut command = program(scratch, ALICE, false);
    // By hand, the log has only what goes wrong, unless it is asked for more.
    command.env_clear().envs(environment.to_vars()).env_remove("LOGGED_IN").env("DEBUG", "1");
    for advice in ["ADVISE_SETUID", "ADVISE_SETGID"] {
        command.env_remove(advice);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended before it has read all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// What the client reads, and what the log has.
fn talk(scratch: &Scratch, environment: &Environment, input: &str) -> (String, String) {
    let output = by_hand(scratch, environment, input);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// Names of the files that are left, sorted.
fn files(home: &Path) -> Vec<String> {
    let mut names: Vec<String> = ["new", "cur"]
        .iter()
        .flat_map(|directory| fs::read_dir(home.join("Maildir").join(directory)).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_whole_session_by_hand() {
    let (scratch, environment) = scratch();
    let (answer, log) = talk(
        &scratch,
        &environment,
        "STAT\r\nLIST\r\nLIST 2\r\nRETR 1\r\nTOP 2 1\r\nRETR 3\r\nDELE 2\r\nSTAT\r\nLIST\r\nRETR 2\r\nQUIT\r\n",
    );
    assert_eq!(
        answer,
        "+OK Logged in as alice.\r\n+OK 3 93\r\n\
         +OK 3 messages (93 octets)\r\n1 39\r\n2 30\r\n3 24\r\n.\r\n+OK 2 30\r\n\
         +OK 39 octets\r\nSubject: one\r\n\r\nfirst\r\n..dot\r\n...\r\nlast\r\n.\r\n\
         +OK 30 octets\r\nSubject: two\r\n\r\n1\r\n.\r\n\
         +OK 24 octets\r\nSubject: three\r\n\r\nno end\r\n.\r\n\
         +OK Marked to be deleted.\r\n+OK 2 63\r\n\
         +OK 2 messages (63 octets)\r\n1 39\r\n3 24\r\n.\r\n\
         -ERR The message is marked as deleted.\r\n\
         +OK Logging out, messages deleted.\r\n"
    );
    assert_eq!(files(&scratch.home("alice", ALICE)), ["1.a:2,S", "3.c:2,S"]);
    assert!(log.contains("alice: logged out, top=1/22, retr=2/73, del=1/3, size=93"), "{log}");
}

#[test]
fn numbers_of_no_message_are_errors() {
    let (scratch, environment) = scratch();
    for command in [
        "DELE 0", "DELE 4", "DELE", "RETR 0", "RETR 4", "TOP 1", "LIST 4", "UIDL 4", "XTND", "LAST", "USER x",
    ] {
        let (answer, _) = talk(&scratch, &environment, &format!("{command}\r\nNOOP\r\nQUIT\r\n"));
        let lines: Vec<&str> = answer.lines().collect();
        assert!(lines[1].starts_with("-ERR "), "{command}: {answer}");
        assert_eq!(lines[2..], ["+OK", "+OK Logging out."], "{command}");
    }
    let (answer, _) = talk(&scratch, &environment, "DELE 1\r\nDELE 1\r\nRSET\r\nSTAT\r\nQUIT\r\n");
    assert_eq!(
        answer.lines().skip(1).collect::<Vec<_>>(),
        [
            "+OK Marked to be deleted.",
            "-ERR The message is marked as deleted.",
            "+OK",
            "+OK 3 93",
            "+OK Logging out."
        ]
    );
    assert_eq!(files(&scratch.home("alice", ALICE)).len(), 3);
}

#[test]
fn only_quit_deletes() {
    let (scratch, environment) = scratch();
    for command in ["", "QUI", "QUIT"] {
        let (_, log) = talk(&scratch, &environment, &format!("DELE 1\r\n{command}"));
        assert!(log.contains("connection closed"), "{log}");
        assert_eq!(files(&scratch.home("alice", ALICE)).len(), 3, "{command}");
    }
}

#[test]
fn unique_ids_stay_and_follow_the_format() {
    let (scratch, mut environment) = scratch();
    let ids = |environment: &Environment| {
        let (answer, _) = talk(&scratch, environment, "UIDL\r\nUIDL 2\r\nQUIT\r\n");
        answer.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = ids(&environment);
    assert_eq!((before[0].as_str(), before[4].as_str()), ("+OK", "."));
    assert!(before[1].starts_with("1 00000001") && before[1].len() == 18, "{before:?}");
    assert_eq!(before[5], format!("+OK {}", before[2]));
    deliver(&scratch.home("alice", ALICE), "4.d", "X-UIDL: mine\n\n");
    talk(&scratch, &environment, "DELE 1\r\nQUIT\r\n");
    let after = ids(&environment);
    assert_eq!(after[1][1..], before[2][1..]);
    environment.set("POP3_UIDL_FORMAT", "%f").unwrap();
    environment.set("POP3_REUSE_XUIDL", "1").unwrap();
    assert_eq!(ids(&environment)[1..4], ["1 2.b,W=30", "2 3.c", "3 mine"]);
}

#[test]
fn settings_change_what_is_done() {
    let (scratch, mut environment) = scratch();
    for flag in ["POP3_NO_FLAG_UPDATES", "POP3_ENABLE_LAST"] {
        environment.set(flag, "1").unwrap();
    }
    let (answer, _) =
        talk(&scratch, &environment, "LAST\r\nRETR 2\r\nLAST\r\nRSET\r\nLAST\r\nDELE 3\r\nQUIT\r\n");
    let lasts: Vec<&str> =
        answer.lines().filter(|line| line.len() == 5 && line.starts_with("+OK ")).collect();
    assert_eq!(lasts, ["+OK 0", "+OK 2", "+OK 0"]);
    assert!(answer.ends_with("+OK Logging out, messages deleted.\r\n"), "{answer}");
    let left = files(&scratch.home("alice", ALICE));
    assert!(left.len() == 2 && left.iter().all(|name| !name.ends_with('S')), "{left:?}");
}

fn hand_over(master: &mut Master, number: u32, environment: &Environment) -> Client {
    master.hand_over(id(number), environment.clone())
}

/// The same, and waits for no answer.
fn begin(master: &mut Master, number: u32, environment: &Environment) -> Client {
    let client = master.give(id(number), environment.clone());
    assert_eq!(master.hear(), FromWorker::Ready(id(number)));
    master.say(&ToWorker::Serve(id(number)));
    client
}

#[test]
fn a_message_that_others_deleted_costs_its_command() {
    let (scratch, environment) = scratch();
    let mut master = Master::start(&scratch, As::User(ALICE));
    let mut one = hand_over(&mut master, 1, &environment);
    let mut two = hand_over(&mut master, 2, &environment);
    one.send("DELE 1\r\nQUIT\r\n");
    assert_eq!(one.rest(), "+OK Marked to be deleted.\r\n+OK Logging out, messages deleted.\r\n");
    fs::remove_file(scratch.home("alice", ALICE).join("Maildir/cur/3.c:2,")).unwrap();
    two.send("RETR 1\r\nTOP 3 0\r\nRETR 2\r\nDELE 1\r\nDELE 2\r\nDELE 3\r\nQUIT\r\n");
    let rest = two.rest();
    let gone = "-ERR [SYS/TEMP] The message is gone.\r\n";
    assert!(rest.starts_with(&format!("{gone}{gone}+OK 30 octets\r\nSubject: two\r\n")), "{rest}");
    assert!(rest.ends_with("+OK Logging out, messages deleted.\r\n"), "{rest}");
    assert!(files(&scratch.home("alice", ALICE)).is_empty());
}

#[test]
fn a_panic_ends_its_client_and_the_other_keeps_its_numbers() {
    let (scratch, environment) = scratch();
    let mut master = Master::start(&scratch, As::User(ALICE));
    let mut one = hand_over(&mut master, 1, &environment);
    let mut two = hand_over(&mut master, 2, &environment);
    two.send("DELE 1\r\n");
    two.until("+OK");
    one.send("XPANIC\r\n");
    assert_eq!(one.rest(), "-ERR Internal error.\r\n");
    deliver(&scratch.home("alice", ALICE), "4.d", "Subject: four\n\n");
    two.send("STAT\r\nQUIT\r\n");
    assert_eq!(two.rest(), "+OK 2 54\r\n+OK Logging out, messages deleted.\r\n");
    assert_eq!(files(&scratch.home("alice", ALICE)).len(), 3);
}

#[test]
fn a_locked_session_has_the_mailbox_for_itself() {
    let (scratch, mut environment) = scratch();
    let imap = scratch.environment("alice", ALICE);
    environment.set("POP3_LOCK_SESSION", "1").unwrap();
    let mut master = Master::start(&scratch, As::User(ALICE));
    let mut imap = hand_over(&mut master, 1, &imap);
    imap.send("a SELECT INBOX\r\n");
    imap.until("a OK");
    let mut one = hand_over(&mut master, 2, &environment);
    one.send("DELE 2\r\n");
    one.until("+OK Marked");
    // By another process, which is told so after a moment.
    let (answer, _) = talk(&scratch, &environment, "STAT\r\nQUIT\r\n");
    assert_eq!(answer, "-ERR [IN-USE] The mailbox is in use by another session.\r\n");
    // In the same one.
    let mut two = begin(&mut master, 3, &environment);
    assert_eq!(two.rest(), "-ERR [IN-USE] The mailbox is in use by another session.\r\n");
    let gone = master.hear();
    assert!(matches!(gone, FromWorker::Gone { reason: Gone::Error, .. }), "{gone:?}");
    imap.send("b STORE 1 +FLAGS (\\Deleted)\r\n");
    imap.until("b NO [INUSE] A POP3 session has the mailbox for itself");
    imap.send("c FETCH 1 FLAGS\r\n");
    imap.until("c OK");
    one.send("QUIT\r\n");
    assert_eq!(one.rest(), "+OK Logging out, messages deleted.\r\n");
    imap.send("d STORE 1 +FLAGS (\\Deleted)\r\ne EXPUNGE\r\n");
    assert!(imap.until("e OK").contains(&"* 1 EXPUNGE".to_owned()));
    assert_eq!(talk(&scratch, &environment, "STAT\r\nQUIT\r\n").0.lines().nth(1), Some("+OK 1 24"));
    assert_eq!(files(&scratch.home("alice", ALICE)), ["3.c:2,"]);
    let left = fs::read_dir(scratch.home("alice", ALICE).join("Maildir")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.ends_with(".lock")), "{left:?}");
}

#[test]
fn a_session_that_waits_gets_the_lock_when_the_other_goes() {
    let (scratch, mut environment) = scratch();
    environment.set("POP3_LOCK_SESSION", "1").unwrap();
    let mut master = Master::start(&scratch, As::User(ALICE));
    let mut one = hand_over(&mut master, 1, &environment);
    one.send("DELE 1\r\n");
    one.until("+OK Marked");
    let mut two = begin(&mut master, 2, &environment);
    two.send("STAT\r\nQUIT\r\n");
    // It goes without QUIT: nothing is deleted.
    drop(one);
    assert_eq!(two.rest(), "+OK Logged in.\r\n+OK 3 93\r\n+OK Logging out.\r\n");
}

#[test]
fn a_session_without_the_lock_deletes_nothing_of_another_ones() {
    let (scratch, mut environment) = scratch();
    let mut master = Master::start(&scratch, As::User(ALICE));
    let mut two = hand_over(&mut master, 1, &environment);
    environment.set("POP3_LOCK_SESSION", "1").unwrap();
    let mut one = hand_over(&mut master, 2, &environment);
    one.send("DELE 1\r\n");
    one.until("+OK Marked");
    two.send("DELE 2\r\nQUIT\r\n");
    assert!(two.rest().ends_with("-ERR [SYS/TEMP] Some deleted messages were not removed.\r\n"));
    one.send("STAT\r\nQUIT\r\n");
    assert_eq!(one.rest(), "+OK 2 54\r\n+OK Logging out, messages deleted.\r\n");
    assert_eq!(files(&scratch.home("alice", ALICE)).len(), 2);
}

#[test]
fn no_farewell_stands_within_a_message() {
    let (scratch, environment) = scratch();
    let home = scratch.home("alice", ALICE);
    deliver(&home, "0.big", &format!("Subject: big\n\n{}", "x".repeat(99).repeat(100_000)));
    let mut master = Master::start(&scratch, As::User(ALICE));
    let mut client = hand_over(&mut master, 1, &environment);
    client.send("RETR 1\r\n");
    client.until("Subject: big");
    master.say(&ToWorker::Kick { id: id(1), text: "Go.".to_owned() });
    assert!(!client.rest().contains("Go."));
    match master.hear() {
        FromWorker::Gone { reason, .. } => assert_eq!(reason, Gone::Kicked),
        other => panic!("{other:?}"),
    }
    let mut client = hand_over(&mut master, 2, &environment);
    master.signal(Signal::SIGTERM);
    assert_eq!(client.rest(), "-ERR Server shutting down.\r\n");
}

#[test]
fn a_mailbox_that_cannot_be_opened_is_told() {
    let (scratch, environment) = scratch();
    let home = scratch.home("alice", ALICE);
    fs::remove_dir_all(home.join("Maildir")).unwrap();
    fs::write(home.join("Maildir"), "no directory").unwrap();
    let (answer, log) = talk(&scratch, &environment, "STAT\r\n");
    assert_eq!(answer, "-ERR [SYS/TEMP] The mailbox cannot be opened.\r\n");
    assert!(log.contains("alice: opening INBOX: "), "{log}");
}

#[test]
fn what_another_server_called_messages_and_how_it_listed_them_stays() {
    let (scratch, environment) = scratch();
    let home = scratch.home("alice", ALICE);
    let list = home.join("Maildir/dovecot-uidlist");
    fs::write(&list, "3 V7 N9\n2 O2 Pfirst-id :1.a\n5 O1 :2.b,W=30\n6 Pwith\x7f :3.c\n").unwrap();
    let owner = fs::metadata(&home).unwrap();
    let (uid, gid) =
        (std::os::unix::fs::MetadataExt::uid(&owner), std::os::unix::fs::MetadataExt::gid(&owner));
    std::os::unix::fs::chown(&list, Some(uid), Some(gid)).unwrap();
    let (answer, _) = talk(&scratch, &environment, "UIDL\r\nTOP 1 0\r\nDELE 2\r\nQUIT\r\n");
    let uids = "1 0000000500000007\r\n2 first-id\r\n3 0000000600000007\r\n.\r\n";
    assert!(answer.contains(&format!("+OK\r\n{uids}")), "{answer}");
    assert!(answer.contains("Subject: two\r\n"), "{answer}");
    let (answer, _) = talk(&scratch, &environment, "UIDL\r\nLIST\r\nQUIT\r\n");
    assert!(answer.contains("1 0000000500000007\r\n2 0000000600000007\r\n.\r\n"), "{answer}");
    assert!(answer.contains("1 30\r\n2 24\r\n.\r\n"), "{answer}");
    assert_eq!(files(&home), ["2.b,W=30:2,", "3.c:2,"]);
}

#[test]
fn capabilities_and_languages_after_login() {
    let (scratch, mut environment) = scratch();
    environment.set("POP3_LOGIN_DELAY", "60").unwrap();
    let (answer, _) = talk(&scratch, &environment, "CAPA\r\nLANG en\r\nLANG de\r\nUTF8\r\nQUIT\r\n");
    let lines: Vec<&str> = answer.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "+OK",
            "TOP",
            "UIDL",
            "RESP-CODES",
            "AUTH-RESP-CODE",
            "PIPELINING",
            "EXPIRE NEVER",
            "UTF8",
            "LANG",
            "LOGIN-DELAY 60",
            "IMPLEMENTATION mail-worker",
            ".",
            "+OK en Language changed.",
            "-ERR We speak English only.",
            "-ERR Already logged in.",
            "+OK Logging out."
        ]
    );
}

/// Lone CRs, no end of line, NULs, dots: each message's size is that of what is sent.
#[test]
fn sizes_are_those_of_what_is_sent_however_odd_a_message_is() {
    let scratch = Scratch::new();
    let mut environment = scratch.environment("alice", ALICE);
    let home = scratch.home("alice", ALICE);
    environment.remove("IMAPLOGINTAG");
    environment.set("PROTOCOL", "pop3").unwrap();
    environment.set("POP3_CLIENT_WORKAROUNDS", "outlook-no-nuls").unwrap();
    let long = "x".repeat(200_000);
    let messages =
        ["", "\n", ".", "a\r\r\nb\rc\n\n.\r\n..\nlast", "A: 1\n\n\0\0\r", "\r\n.\r\n", "A\r", &long];
    for (number, text) in messages.iter().enumerate() {
        deliver(&home, &format!("{number}.a"), text);
    }
    let commands: String = (1..=messages.len()).map(|number| format!("RETR {number}\r\n")).collect();
    let output = by_hand(&scratch, &environment, &format!("LIST\r\n{commands}QUIT\r\n"));
    let mut rest = output.stdout.split(|byte| *byte == b'\n').map(|line| [line, b"\n"].concat());
    assert_eq!(rest.next().unwrap(), b"+OK Logged in as alice.\r\n");
    assert!(rest.next().unwrap().starts_with(b"+OK 8 messages"));
    let sizes: Vec<usize> = rest
        .by_ref()
        .take_while(|line| line != b".\r\n")
        .map(|line| String::from_utf8(line).unwrap().trim_end().split_once(' ').unwrap().1.parse().unwrap())
        .collect();
    for (text, size) in messages.iter().zip(sizes) {
        assert_eq!(rest.next().unwrap(), format!("+OK {size} octets\r\n").as_bytes());
        let lines = rest.by_ref().take_while(|line| line != b".\r\n");
        let body: Vec<u8> =
            lines.flat_map(|line| line.strip_prefix(b".").unwrap_or(&line).to_vec()).collect();
        let wanted = text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
        let nuls = |byte: &u8| if *byte == 0 { 0x80 } else { *byte };
        let wanted: Vec<u8> = wanted.iter().map(nuls).collect();
        assert_eq!(&body[..size.min(body.len())], wanted, "{text:?}");
        // The last line has an end, whether the message has one or not.
        assert!(body.len() == size || body.len() <= size + 2 && !text.ends_with('\n'), "{text:?}: {size}");
    }
}

#[test]
fn sizes_that_took_a_look_are_remembered() {
    let (scratch, environment) = scratch();
    let home = scratch.home("alice", ALICE);
    (10..20).for_each(|number| deliver(&home, &format!("{number}.x"), "Subject: x\n\nx\n"));
    let stat = || {
        let (answer, _) = talk(&scratch, &environment, "STAT\r\nQUIT\r\n");
        answer.lines().nth(1).unwrap().to_owned()
    };
    let before = stat();
    assert!(before.starts_with("+OK 13 "), "{before}");
    // What is there now has another size, and nobody looks at it.
    fs::write(home.join("Maildir/cur/15.x:2,"), "Subject: xyz\n\nxyz\n").unwrap();
    assert_eq!(stat(), before);
    fs::remove_file(home.join("Maildir/mail-cache")).unwrap();
    assert_ne!(stat(), before);
}

#[test]
fn ids_that_would_be_the_same_are_told_apart_and_long_ones_are_shortened() {
    let (scratch, mut environment) = scratch();
    let home = scratch.home("alice", ALICE);
    MESSAGES.iter().for_each(|(name, text)| deliver(&home, &format!("9{name}"), text));
    let name = format!("7.{}", "x".repeat(100));
    deliver(&home, &name, "X-UIDL: its-own\n\n");
    deliver(&home, "8.x", "X-UIDL: its-own\n\n");
    let mut uidl = |format: &str, reuse| {
        environment.set("POP3_UIDL_FORMAT", format).unwrap();
        if reuse {
            environment.set("POP3_REUSE_XUIDL", "1").unwrap();
        }
        let input = "DELE 1\r\nUIDL 8\r\nRSET\r\nUIDL\r\nUIDL 8\r\nQUIT\r\n";
        let (answer, log) = talk(&scratch, &environment, input);
        let mut lines: Vec<&str> = answer.lines().skip(2).collect();
        let one = lines.remove(0);
        let ids: Vec<String> = lines[2..10].iter().map(|line| line[2..].to_owned()).collect();
        assert_eq!((one, lines[11]), (format!("+OK 8 {}", ids[7]).as_str(), one), "{answer}{log}");
        assert!(ids.iter().all(|id| (1..=70).contains(&id.len())), "{ids:?}");
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 8, "{ids:?}");
        ids
    };
    let sums = uidl("%m", false);
    assert_eq!(sums.iter().filter(|id| id.len() == 32).count(), 4, "{sums:?}");
    let names = uidl("%f", false);
    assert_eq!(names.iter().filter(|id| id.len() == 70).count(), 1, "{names:?}");
    let own = uidl("%u", true);
    assert_eq!(own.iter().filter(|id| id.starts_with("its-own")).count(), 2, "{own:?}");
}
