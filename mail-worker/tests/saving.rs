//! APPEND, COPY and MOVE, with one session and with two.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod master;

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::process::Command;

use master::{ALICE, As, BOB, Client, Master, Scratch, deliver, id};
use nix::unistd::geteuid;

struct Site {
    scratch: Scratch,
    master: Master,
    clients: u32,
}

impl Site {
    fn new() -> Self {
        let scratch = Scratch::new();
        let home = scratch.home("alice", ALICE);
        deliver(&home, "1.a", "Subject: a\n\nfirst\n");
        deliver(&home, "2.b", "Subject: b\n\nsecond\n");
        deliver(&home, "3.c", "Subject: c\n\nthird\n");
        let site = Self { master: Master::start(&scratch, As::Base), scratch, clients: 0 };
        for directory in ["Trash", "Trash/cur", "Trash/new", "Trash/tmp"] {
            let path = site.maildir().join(format!(".{directory}"));
            fs::create_dir(&path).unwrap();
            if geteuid().is_root() {
                chown(&path, Some(ALICE), Some(ALICE)).unwrap();
            }
        }
        site
    }

    fn client(&mut self) -> Client {
        self.clients += 1;
        self.master.hand_over(id(self.clients), self.scratch.environment("alice", ALICE))
    }

    fn maildir(&self) -> PathBuf {
        self.scratch.home("alice", ALICE).join("Maildir")
    }

    /// Names in a directory of the Maildir.
    fn ls(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.maildir().join(directory)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn select(client: &mut Client, name: &str) {
    assert!(client.ask(&format!("SELECT {name}")).0.starts_with("OK [READ-WRITE]"));
}

/// Sends what comes after a `+`, and returns the command's answer.
fn go_on(client: &mut Client, bytes: &[u8]) -> Vec<String> {
    assert_eq!(client.line(), "+ OK");
    client.send(bytes);
    client.until("t ")
}

/// The values of a response code, all but the UIDVALIDITY.
fn code(line: &str, name: &str) -> String {
    let (_, rest) = line.split_once(&format!("[{name} ")).unwrap_or_else(|| panic!("{name} in {line}"));
    let (values, _) = rest.split_once(']').unwrap();
    values.split_once(' ').unwrap().1.to_owned()
}

#[test]
fn an_appended_message_is_there_as_it_was_sent() {
    let mut site = Site::new();
    let mut client = site.client();
    select(&mut client, "INBOX");
    client.send("t APPEND INBOX (\\Seen $Junk) \"17-Jul-1996 02:44:25 -0700\" {18}\r\n");
    let lines = go_on(&mut client, b"Subject: x\r\nyz\nw\r\n\r\n");
    assert!(lines.contains(&"* 4 EXISTS".to_owned()), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("* FLAGS (") && line.contains("$Junk")), "{lines:#?}");
    let last = lines.last().unwrap();
    assert_eq!(code(last, "APPENDUID"), "4");
    assert!(last.ends_with("] Append completed."));
    let (_, lines) = client.ask("FETCH 4 (UID FLAGS INTERNALDATE RFC822.SIZE)");
    assert_eq!(
        lines,
        [
            "* 4 FETCH (UID 4 FLAGS (\\Seen \\Recent $Junk) INTERNALDATE \"17-Jul-1996 09:44:25 +0000\" RFC822.SIZE 19)"
        ]
    );
    let (_, lines) = client.ask("FETCH 4 BODY.PEEK[]");
    assert_eq!(lines, ["* 4 FETCH (BODY[] {19}", "Subject: x", "yz", "w", ")"]);
}

#[test]
fn a_missing_mailbox_is_said_before_anything_is_asked_for() {
    let mut site = Site::new();
    let mut client = site.client();
    assert_eq!(client.ask("APPEND nowhere {5}").0, "NO [TRYCREATE] No such mailbox.");
    assert_eq!(client.ask("APPEND nowhere {5+}\r\nabcde").0, "NO [TRYCREATE] No such mailbox.");
    assert_eq!(client.ask("APPEND INBOX {99999999999}").0, "NO [TOOBIG] The message is too large.");
    assert_eq!(client.ask("APPEND INBOX {0}").0, "NO Can't save a zero byte message.");
    assert!(client.ask("APPEND INBOX (\\Nonsense) {5}").0.starts_with("BAD "));
    assert_eq!(client.ask("NOOP").0, "OK Done.");
    select(&mut client, "INBOX");
    assert_eq!(client.ask("COPY 1 nowhere").0, "NO [TRYCREATE] No such mailbox.");
    assert_eq!(client.ask("MOVE 1 nowhere").0, "NO [TRYCREATE] No such mailbox.");
    assert!(site.ls("tmp").is_empty());
}

#[test]
fn several_are_saved_together_or_not_at_all() {
    let mut site = Site::new();
    let mut client = site.client();
    let (last, _) = client.ask("APPEND Trash (\\Seen) {3+}\r\none {3+}\r\ntwo");
    assert_eq!(code(&last, "APPENDUID"), "1:2");
    client.send("t APPEND Trash {3}\r\n");
    assert_eq!(client.line(), "+ OK");
    client.send("one {3}\r\n");
    assert_eq!(code(&go_on(&mut client, b"two\r\n")[0], "APPENDUID"), "3:4");
    for (broken, answer) in [
        ("APPEND Trash {3+}\r\none {0+}\r\n", "NO Can't save a zero byte message."),
        ("APPEND Trash {3+}\r\none (\\Nonsense) {3+}\r\ntwo", "BAD Unknown system flag"),
        ("APPEND Trash {3+}\r\none nonsense", "BAD "),
        ("APPEND Trash {3+}\r\none{3+}\r\ntwo", "BAD "),
    ] {
        let (last, _) = client.ask(broken);
        assert!(last.starts_with(answer), "{broken:?}: {last}");
    }
    assert_eq!(client.ask("NOOP").0, "OK Done.");
    let (_, lines) = client.ask("STATUS Trash (MESSAGES UIDNEXT)");
    assert_eq!(lines, ["* STATUS Trash (MESSAGES 4 UIDNEXT 5)"]);
    assert!(site.ls(".Trash/tmp").is_empty());
}

#[test]
fn a_client_that_goes_in_the_middle_leaves_nothing() {
    let mut site = Site::new();
    let mut client = site.client();
    client.send("t APPEND INBOX {100000}\r\n");
    assert_eq!(client.line(), "+ OK");
    client.send([b'x'; 5_000]);
    while site.ls("tmp").is_empty() {}
    drop(client);
    site.master.hear();
    assert!(site.ls("tmp").is_empty());
    assert_eq!(site.ls("new").len(), 3);
}

#[test]
fn the_other_session_is_told_of_what_one_saves() {
    let mut site = Site::new();
    let (mut one, mut other) = (site.client(), site.client());
    select(&mut one, "INBOX");
    other.send("t SELECT INBOX\r\nt IDLE\r\n");
    other.until("t OK");
    other.until("+ ");
    assert_eq!(code(&one.ask("APPEND INBOX {3+}\r\nabc").0, "APPENDUID"), "4");
    assert_eq!(other.until("* 4 EXISTS").len(), 1);
    assert_eq!(code(&one.ask("COPY 1:2 INBOX").0, "COPYUID"), "1:2 5:6");
    assert_eq!(other.until("* 6 EXISTS").last().unwrap(), "* 6 EXISTS");
}

#[test]
fn a_copy_keeps_flags_keywords_and_date_and_is_the_same_file() {
    let mut site = Site::new();
    let mut client = site.client();
    select(&mut client, "Trash");
    assert!(client.ask("APPEND Trash (Other) {3+}\r\nabc").0.starts_with("OK"));
    select(&mut client, "INBOX");
    assert!(client.ask("STORE 2 +FLAGS (\\Flagged Mine Other)").0.starts_with("OK"));
    let (_, before) = client.ask("FETCH 2 INTERNALDATE");
    assert_eq!(code(&client.ask("UID COPY 2:9 Trash").0, "COPYUID"), "2:3 2:3");
    assert_eq!(client.ask("UID COPY 77 Trash").0, "OK No messages copied.");
    assert!(client.ask("COPY 4 Trash").0.starts_with("BAD"));
    select(&mut client, "Trash");
    let (_, flags) = client.ask("FETCH 2:3 FLAGS");
    assert_eq!(flags, ["* 2 FETCH (FLAGS (\\Flagged \\Recent Other Mine))", "* 3 FETCH (FLAGS (\\Recent))"]);
    assert_eq!(client.ask("FETCH 2 INTERNALDATE").1, before);
    let inodes = |directory: &str| -> Vec<u64> {
        let paths = site.ls(directory).into_iter().map(|name| site.maildir().join(directory).join(name));
        paths.map(|path| fs::metadata(path).unwrap().ino()).collect()
    };
    let here = inodes("cur");
    assert_eq!(inodes(".Trash/cur").iter().filter(|inode| here.contains(inode)).count(), 2);
}

#[test]
fn a_moved_message_is_there_before_it_is_gone_here() {
    let mut site = Site::new();
    let mut client = site.client();
    select(&mut client, "INBOX");
    let (last, lines) = client.ask("MOVE 1,3 Trash");
    assert_eq!(last, "OK Move completed.");
    assert!(lines[0].starts_with("* OK [COPYUID "), "{lines:#?}");
    assert_eq!(code(&lines[0], "COPYUID"), "1,3 1:2");
    assert_eq!(lines[1..3], ["* 3 EXPUNGE", "* 1 EXPUNGE"]);
    assert_eq!(client.ask("UID MOVE 1 Trash").0, "OK No messages moved.");
    assert_eq!(client.ask("UID MOVE 2 INBOX").1.last().unwrap(), "* 1 RECENT");
    assert!(client.ask("EXAMINE INBOX").0.starts_with("OK"));
    assert_eq!(client.ask("MOVE 1 Trash").0, "NO [NOPERM] The mailbox is open read-only.");
    assert_eq!(site.ls(".Trash/new").len(), 2);
    assert_eq!(site.ls("cur").len(), 1);
}

#[test]
fn one_that_another_program_removed_stops_the_copy() {
    let mut site = Site::new();
    let mut client = site.client();
    select(&mut client, "INBOX");
    fs::remove_file(site.maildir().join("cur/2.b:2,")).unwrap();
    let (last, _) = client.ask("COPY 1:3 Trash");
    assert_eq!(last, "NO [EXPUNGEISSUED] Some of the messages no longer exist.");
    assert!(["new", "cur", "tmp"].iter().all(|directory| site.ls(&format!(".Trash/{directory}")).is_empty()));
}

/// Peak of a process's memory, in KiB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn fifty_megabytes_cost_no_memory() {
    let mut site = Site::new();
    let mut client = site.client();
    let mut neighbour = site.master.hand_over(id(99), site.scratch.environment("bob", BOB));
    assert!(client.ask("APPEND INBOX {3+}\r\nabc").0.starts_with("OK"));
    let before = peak(site.master.worker.id());
    let line = [&[b'x'; 78][..], b"\r\n"].concat();
    let stretch = line.repeat(12_500);
    client.send("t APPEND INBOX {50000000+}\r\n");
    for _ in 0..50 {
        client.send(&stretch);
        // Nobody waits for it.
        assert_eq!(neighbour.ask("NOOP").0, "OK Done.");
    }
    client.send("\r\n");
    assert_eq!(code(&client.until("t OK")[0], "APPENDUID"), "5");
    let grown = peak(site.master.worker.id()) - before;
    assert!(grown < 2_000, "{grown} KiB");
    let names = site.ls("new");
    assert!(names.iter().any(|name| name.ends_with(",S=49375000,W=50000000")), "{names:#?}");
}

#[test]
fn a_full_disk_costs_the_command_and_nothing_else() {
    const NAME: &str = "a_full_disk_costs_the_command_and_nothing_else";
    let mut site = Site::new();
    let small = site.maildir().join(".Small");
    fs::create_dir(&small).unwrap();
    let options = format!("size=256k,mode=0700,uid={ALICE},gid={ALICE}");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&small).output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        tests::skipped(NAME, "no file system can be mounted");
        return;
    }
    let mounted = Mounted(small);
    let mut client = site.client();
    select(&mut client, "INBOX");
    assert!(client.ask("APPEND Small {3+}\r\nabc").0.starts_with("OK"));
    for _ in 0..2 {
        let text = "x".repeat(400_000);
        let several = format!("APPEND Small {{3+}}\r\nabc {{400000+}}\r\n{text}");
        assert_eq!(client.ask(&several).0, "NO [OVERQUOTA] Not enough space.");
        let several = format!("APPEND Small {{400000+}}\r\n{text} {{3+}}\r\nabc");
        assert_eq!(client.ask(&several).0, "NO [OVERQUOTA] Not enough space.");
    }
    // On another file system it cannot be a link.
    assert_eq!(code(&client.ask("COPY 1:3 Small").0, "COPYUID"), "1:3 2:4");
    assert!(
        client.ask(&("APPEND INBOX {300000+}\r\n".to_owned() + &"x".repeat(300_000))).0.starts_with("OK")
    );
    assert_eq!(client.ask("COPY 1:4 Small").0, "NO [OVERQUOTA] Not enough space.");
    assert!(fs::read_dir(mounted.0.join("tmp")).unwrap().next().is_none());
    assert_eq!(client.ask("STATUS Small (MESSAGES UIDNEXT)").1, ["* STATUS Small (MESSAGES 4 UIDNEXT 5)"]);
    drop(client);
    drop(site.master);
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
