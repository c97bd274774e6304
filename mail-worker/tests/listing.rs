//! LIST and LSUB answer as Dovecot does on the same Maildir.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod master;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};

use master::{ALICE, Scratch, program};
use nix::unistd::geteuid;
use tests::dovecot::{IMAP, configuration};

/// One after the other; of each the untagged answers, in order of the alphabet.
fn answers(mut server: Command, home: &Path, commands: &[String]) -> Vec<Vec<String>> {
    server.env_clear().env("USER", "alice").env("HOME", home).env("MAIL", "maildir:~/Maildir");
    server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = server.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(output.next().unwrap().unwrap().starts_with("* PREAUTH"));
    let mut ask = |command: &String| {
        input.write_all(format!("a {command}\r\n").as_bytes()).unwrap();
        let mut lines: Vec<String> =
            output.by_ref().map(Result::unwrap).take_while(|line| !line.starts_with("a ")).collect();
        lines.sort();
        lines
    };
    let all = commands.iter().map(&mut ask).collect();
    ask(&"LOGOUT".to_owned());
    child.wait().unwrap();
    all
}

fn dovecot(scratch: &Scratch, home: &Path) -> Command {
    let conf = configuration(home, "maildir:~/Maildir");
    let ours = program(scratch, ALICE, false);
    let mut command = Command::new(ours.get_program());
    if geteuid().is_root() {
        // All but our own program's name.
        let arguments: Vec<_> = ours.get_args().collect();
        command.args(&arguments[..arguments.len() - 1]).arg(IMAP);
    } else {
        command = Command::new(IMAP);
    }
    command.arg("-c").arg(conf);
    command
}

#[test]
fn lists_are_dovecots() {
    let there = Path::new(IMAP).exists();
    if !there && !tests::skipped("lists_are_dovecots", "no Dovecot (dovecot-imapd)") {
        return;
    }
    let scratch = Scratch::new();
    let home = scratch.home("alice", ALICE);
    let root = home.join("Maildir");
    let own = |path: &Path| {
        if geteuid().is_root() {
            chown(path, Some(ALICE), Some(ALICE)).unwrap();
        }
    };
    let long = format!(".{}", "x".repeat(250));
    let names = [
        ".A",
        ".A.B",
        ".A.B.C",
        ".AB",
        ".gap.in.between",
        ".Sent Mail",
        ".INBOX.below",
        ".a",
        ".Entw&APw-rfe",
        ".&-",
        ".*",
        ".%x",
        "..DOVECOT-TRASHED",
        "plain",
        &long,
        ".quo\"te",
        ".back\\slash",
        ".(paren)",
        ".{3}",
        ".NIL",
    ];
    for name in names {
        for part in ["", "cur", "new", "tmp"] {
            fs::create_dir(root.join(name).join(part)).unwrap();
            own(&root.join(name).join(part));
        }
    }
    fs::write(root.join(".file"), "").unwrap();
    let subscriptions = "A.B\nINBOX\nA\ngap.in.between\nwent.away\nwent.away.too\nEntw&APw-rfe\nx y\nA.B\n";
    for version in [subscriptions.to_owned(), format!("V\t2\n\n{}", subscriptions.replace('.', "\t"))] {
        fs::write(root.join("subscriptions"), version).unwrap();
        own(&root.join("subscriptions"));
        let mut commands = Vec::new();
        for pattern in [
            "\"\" *",
            "\"\" %",
            "\"\" A",
            "\"\" A.%",
            "A. %",
            "\"\" a*",
            "\"\" %.%",
            "\"\" *.%",
            "\"\" %.B",
            "\"\" *B*",
            "\"\" inbox",
            "\"\" INBOX*",
            "\"\" gap",
            "\"\" gap.%",
            "gap.in %",
            "went. %",
            "\"\" went.%",
            "\"\" Sent*",
            "\"\" x*",
            "\"\" .A",
            "\"\" A.",
            "\"\" \"Sent Mail\"",
            "inb ox",
            "\"\" *%",
            "\"\" %%",
            "\"\" A.*.C",
            "\"\" nothing",
            "\"\" %.in",
        ] {
            commands.extend([format!("LIST {pattern}"), format!("LSUB {pattern}")]);
        }
        let theirs = answers(dovecot(&scratch, &home), &home, &commands);
        let ours = answers(program(&scratch, ALICE, false), &home, &commands);
        for ((command, theirs), ours) in commands.iter().zip(theirs).zip(ours) {
            assert_eq!(ours, theirs, "{command}");
        }
    }
}
