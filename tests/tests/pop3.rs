//! POP3 as clients of other people speak it, several at once, and as Dovecot would have answered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;
use tests::dovecot::configuration;
use tests::{PRIVATE, Pop3, SHARED, Server, Site, installed, run, skipped, until};

const LETTERS: [&str; 3] = [
    "From: bob@example.org\nSubject: one\n\nfirst\n.\n..dots\nlast\n",
    "From: bob@example.org\nSubject: two\n\nonly\n",
    "From: bob@example.org\nSubject: three\n\n\n.\n",
];

fn site() -> Site {
    let site = Site::new();
    LETTERS.iter().for_each(|letter| drop(site.deliver("alice", "", letter)));
    site
}

fn with_each(work: impl Fn(Server)) {
    for settings in [SHARED, PRIVATE] {
        work(site().start(settings));
    }
}

/// How many messages are left.
fn left(server: &Server) -> usize {
    let folders = ["new", "cur"].map(|folder| server.site.maildir("alice", folder));
    folders.iter().map(|folder| fs::read_dir(folder).unwrap().count()).sum()
}

#[test]
fn poplib_does_all_it_can() {
    if !installed("poplib_does_all_it_can", "python3") {
        return;
    }
    with_each(|server| {
        let folder = server.site.path("letters");
        fs::create_dir(&folder).unwrap();
        for (number, letter) in LETTERS.iter().enumerate() {
            fs::write(folder.join(number.to_string()), letter).unwrap();
        }
        let address = server.site.pop3_address();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/pop3_session.py");
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        run("python3", &[script.to_str().unwrap(), &host, &port, folder.to_str().unwrap()]);
        assert_eq!(left(&server), 1);
    });
}

#[test]
fn getmail_takes_what_is_new_and_deletes_it() {
    if !installed("getmail_takes_what_is_new_and_deletes_it", "getmail") {
        return;
    }
    with_each(|server| {
        let (address, folder) = (server.site.pop3_address(), server.site.path("getmail"));
        fs::create_dir(&folder).unwrap();
        let mbox = folder.join("mbox");
        fs::write(&mbox, "").unwrap();
        let configure = |delete: bool| {
            let text = format!(
                "[retriever]\ntype = SimplePOP3Retriever\nserver = {}\nport = {}\nusername = alice\n\
                 password = secret\n[destination]\ntype = MDA_external\npath = /bin/sh\n\
                 arguments = (\"-c\", \"cat >>{}\")\nallow_root_commands = true\n[options]\ndelete = {delete}\n\
                 read_all = false\ndelivered_to = false\nreceived = false\n",
                address.ip(),
                address.port(),
                mbox.display(),
            );
            let file = folder.join("getmailrc");
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        };
        let getmail = || {
            let directory = format!("--getmaildir={}", folder.display());
            run("getmail", &[&directory, "--rcfile=getmailrc"]);
            fs::read_to_string(&mbox).unwrap().matches("Subject: ").count()
        };
        configure(false);
        assert_eq!((getmail(), getmail()), (3, 3));
        server.site.deliver("alice", "", LETTERS[0]);
        configure(true);
        assert_eq!(getmail(), 4);
        assert_eq!(left(&server), 0);
    });
}

#[test]
fn fetchmail_deletes_what_it_took() {
    if !installed("fetchmail_deletes_what_it_took", "fetchmail") {
        return;
    }
    with_each(|server| {
        let (address, taken) = (server.site.pop3_address(), server.site.path("taken"));
        let file = server.site.path("fetchmailrc");
        let text = format!(
            "poll {} service {} protocol pop3 uidl user alice password secret sslproto ''\n\
             no rewrite mda \"cat >>{}\"\n",
            address.ip(),
            address.port(),
            taken.display()
        );
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let (ids, pid) = (server.site.path("fetchids"), server.site.path("fetchmail.pid"));
        let [file, ids, pid] = [&file, &ids, &pid].map(|path| path.to_str().unwrap());
        run("fetchmail", &["-f", file, "-i", ids, "--pidfile", pid]);
        assert_eq!(fs::read_to_string(taken).unwrap().matches("\nSubject: ").count(), 3);
        assert_eq!(left(&server), 0);
    });
}

#[test]
fn curl_deletes_and_asks_whatever_it_is_told() {
    if !installed("curl_deletes_and_asks_whatever_it_is_told", "curl") {
        return;
    }
    with_each(|server| {
        let url = format!("pop3://{}/", server.site.pop3_address());
        let curl = |more: &[&str]| run("curl", &[&["-sS", "-u", "alice:secret"], more].concat()).stdout;
        let text = |more: &[&str]| String::from_utf8(curl(more)).unwrap();
        let top = text(&["-X", "TOP 1 1", &url]);
        assert!(top.ends_with("Subject: one\r\n\r\nfirst\r\n"), "{top}");
        assert_eq!(text(&["-X", "UIDL", &url]).lines().count(), 3);
        curl(&["-I", "-X", "DELE 2", &url]);
        assert_eq!(left(&server), 2);
        assert_eq!(text(&[&format!("{url}2")]), LETTERS[2].replace('\n', "\r\n"));
    });
}

#[test]
fn all_in_one_packet_is_answered_in_order() {
    with_each(|server| {
        let mut client = Pop3::connect(server.site.pop3_address(), None);
        client.send(
            b"CAPA\r\nUSER alice\r\nPASS secret\r\nSTAT\r\nRETR 2\r\nDELE 1\r\nXTND\r\nTOP 3 0\r\nNOOP\r\nQUIT\r\n",
        );
        let rest = client.rest();
        let at = rest.iter().position(|line| line.starts_with("+OK 3 ")).expect("STAT");
        let tail: Vec<&str> = rest[at + 1..].iter().map(String::as_str).collect();
        let two: Vec<&str> = LETTERS[1].lines().collect();
        assert_eq!(tail[1..5], two);
        assert_eq!(tail[5..8], [".", "+OK Marked to be deleted.", "-ERR Unknown command."]);
        assert_eq!(tail.last(), Some(&"+OK Logging out, messages deleted."));
        assert_eq!(left(&server), 2);
    });
}

#[test]
fn nothing_is_deleted_of_a_session_that_is_ended() {
    with_each(|server| {
        let mut kicked = server.pop3_login("alice");
        assert_eq!(kicked.ask("DELE 1"), "+OK Marked to be deleted.");
        server.ctl(&["kick", "alice"]);
        assert!(kicked.rest().iter().all(|line| line.starts_with("-ERR ")));
        let mut fool = server.pop3_login("alice");
        fool.ask("DELE 1");
        fool.send("QUIT 1\r\n".repeat(25).as_bytes());
        assert_eq!(fool.rest().last().map(String::as_str), Some("-ERR Too many invalid commands."));
        let mut long = server.pop3_login("alice");
        long.ask("DELE 1");
        long.send(format!("QUIT {}\r\n", "x".repeat(100_000)).as_bytes());
        assert_eq!(long.line(), "-ERR Line too long.");
        drop(long);
        let mut stopped = server.pop3_login("alice");
        assert_eq!(stopped.ask("DELE 1"), "+OK Marked to be deleted.");
        let maildir = server.site.maildir("alice", "cur");
        let count = || fs::read_dir(&maildir).unwrap().count();
        assert_eq!(count(), 3);
        server.stop();
        assert_eq!(stopped.rest(), ["-ERR Server shutting down."]);
    });
}

#[test]
fn a_locked_session_is_alone_where_processes_are_shared_and_where_they_are_not() {
    for settings in [SHARED, PRIVATE] {
        let server = site().start(&format!("{settings}pop3_lock_session = yes\n"));
        let mut imap = server.login("alice");
        imap.ask("SELECT INBOX").ok();
        let mut one = server.pop3_login("alice");
        assert_eq!(one.ask("DELE 1"), "+OK Marked to be deleted.");
        let mut two = server.pop3();
        // As the answer to PASS (RFC 1939, section 4).
        assert_eq!(two.try_login("alice"), "-ERR [IN-USE] The mailbox is in use by another session.");
        let reply = imap.ask("STORE 1 +FLAGS (\\Deleted)");
        assert!(reply.status.starts_with("NO [INUSE] "), "{reply:?}");
        // A message that cannot go is not copied either.
        let reply = imap.ask("MOVE 1 INBOX");
        assert!(reply.status.starts_with("NO [INUSE] ") && reply.named("EXISTS").is_empty(), "{reply:?}");
        server.site.deliver("alice", "", LETTERS[0]);
        assert!(one.ask("STAT").starts_with("+OK 2 "));
        assert_eq!(one.ask("QUIT"), "+OK Logging out, messages deleted.");
        let mut two = server.pop3_login("alice");
        assert!(two.ask("STAT").starts_with("+OK 3 "));
        // It goes without a word, and so does its lock.
        drop(two);
        let lock = server.site.maildir("alice", "dovecot-pop3-session.lock");
        until("the lock to go", || (!lock.exists()).then_some(()));
        imap.ask("NOOP").ok();
        imap.ask("STORE 1 +FLAGS (\\Deleted)").ok();
        imap.ask("EXPUNGE").ok();
        assert_eq!(left(&server), 2);
    }
}

#[test]
fn who_has_no_maildrop_does_not_get_in() {
    with_each(|server| {
        let maildir = server.site.home("alice").join("Maildir");
        fs::rename(&maildir, maildir.with_file_name("elsewhere")).unwrap();
        fs::write(&maildir, "no directory").unwrap();
        let mut pop3 = server.pop3();
        assert_eq!(pop3.try_login("alice"), "-ERR [SYS/TEMP] The mailbox cannot be opened.");
        assert!(pop3.rest().is_empty());
    });
}

/// Answers of the worker and of Dovecot's own program to the same, on the same Maildir.
#[test]
fn dovecot_would_have_said_the_same() {
    const DOVECOT: &str = "/usr/lib/dovecot/pop3";
    let test = "dovecot_would_have_said_the_same";
    if !installed(test, DOVECOT) {
        return;
    }
    if !geteuid().is_root() {
        skipped(test, "being alice needs root");
        return;
    }
    let site = site();
    let long = format!("Subject: long\n\n{}\n", "0123456789.".repeat(20_000));
    for odd in ["\n", "no end", "Subject: cr\r\n\r\na\r\nb\n.\n", "a\n\n\n\n", &long] {
        site.deliver("alice", "", odd);
    }
    let maildir = site.maildir("alice", "");
    let conf = configuration(&site.home("alice"), &format!("maildir:{}", maildir.display()));
    let all: String = (1..=8).map(|number| format!("RETR {number}\r\nTOP {number} 1\r\n")).collect();
    let commands =
        format!("STAT\r\nLIST\r\nUIDL\r\n{all}LIST 2\r\nUIDL 3\r\nDELE 1\r\nSTAT\r\nRSET\r\nQUIT\r\n");
    let dovecot = || {
        let mut child = Command::new(DOVECOT)
            .arg("-c")
            .arg(&conf)
            .env_clear()
            .envs([("USER", "alice"), ("HOME", site.home("alice").to_str().unwrap())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        output.stdout
    };
    // Twice: what Dovecot does not know it finds out once.
    dovecot();
    let theirs = dovecot();
    let server = site.start(SHARED);
    let mut ours = server.pop3_login("alice");
    ours.send(commands.as_bytes());
    let ours = ours.rest();
    let theirs = String::from_utf8_lossy(&theirs).replace("\r\n", "\n");
    let theirs: Vec<&str> = theirs.lines().collect();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        // What an answer says to people is everybody's own.
        let is_words =
            ours.starts_with("+OK") && (ours.contains(" octets") || !theirs.contains(char::is_numeric));
        assert!(ours == theirs || is_words && theirs.starts_with("+OK"), "{ours} {theirs}");
    }
}
