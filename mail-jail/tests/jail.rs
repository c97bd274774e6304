//! mail-jail as its callers see it: what it leaves of a root process, and its exit codes.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn mail_jail(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mail-jail")).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Only root can try what only root can do.
fn root(test: &str) -> bool {
    nix::unistd::geteuid().is_root() || tests::skipped(test, "not root")
}

const BASE: [&str; 4] = ["--user", "19001", "--group", "19001"];

#[test]
fn the_program_has_what_was_kept_and_nothing_else() {
    if !root("the_program_has_what_was_kept_and_nothing_else") {
        return;
    }
    let kept = ["--keep-cap", "setuid", "--keep-cap", "setgid", "--", "cat", "/proc/self/status"];
    for (arguments, mask) in
        [(&kept[..], "00000000000000c0"), (&["cat", "/proc/self/status"], "0000000000000000")]
    {
        let output = mail_jail(&[&BASE[..], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let status = stdout(&output);
        for line in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert!(status.contains(&format!("{line}:\t{mask}\n")), "{line} in {status}");
        }
        for line in
            ["Uid:\t19001\t19001\t19001\t19001\n", "Gid:\t19001\t19001\t19001\t19001\n", "NoNewPrivs:\t1\n"]
        {
            assert!(status.contains(line), "{line} in {status}");
        }
        assert!(status.contains("\nGroups:\t \n"), "{status}");
    }
}

#[test]
fn the_kept_capabilities_are_enough_to_become_a_user_and_base_again() {
    if !root("the_kept_capabilities_are_enough_to_become_a_user_and_base_again") {
        return;
    }
    let turns =
        "$) = '20001 20001 5'; $> = 20001; print \"$> $)\\n\"; $> = $<; $) = \"$(\"; print \"$> $<\\n\"";
    let keep = ["--keep-cap", "setuid,setgid", "perl", "-e", turns];
    let output = mail_jail(&[&BASE[..], &keep].concat());
    assert_eq!(stdout(&output), "20001 20001 5 20001\n19001 19001\n", "{}", stderr(&output));
}

#[test]
fn without_kept_capabilities_nobody_can_be_become() {
    if !root("without_kept_capabilities_nobody_can_be_become") {
        return;
    }
    let output = mail_jail(&[&BASE[..], &["perl", "-e", "$> = 20001; print $>"]].concat());
    assert_eq!(stdout(&output), "19001");
}

#[test]
fn supplementary_groups_are_those_that_were_given() {
    if !root("supplementary_groups_are_those_that_were_given") {
        return;
    }
    let output = mail_jail(&[&BASE[..], &["--groups", "7,5", "id", "-G"]].concat());
    assert_eq!(stdout(&output), "19001 5 7\n");
}

#[test]
fn a_jail_that_cannot_be_had_starts_nothing() {
    if !root("a_jail_that_cannot_be_had_starts_nothing") {
        return;
    }
    // In this jail there is no right to make the next one.
    let jail = env!("CARGO_BIN_EXE_mail-jail");
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let copy = folder.path().join("mail-jail");
    // By another process: a child of another test could still hold what this one writes, and that is busy.
    assert!(Command::new("install").args(["-m", "755", jail]).arg(&copy).status().unwrap().success());
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let copy = copy.to_str().unwrap();
    let output =
        mail_jail(&[&BASE[..], &[copy, "--user", "19002", "--group", "19002", "echo", "out"]].concat());
    assert_eq!(output.status.code(), Some(126));
    assert_eq!(stdout(&output), "");
    assert!(
        stderr(&output).starts_with("mail-jail: changing user and group needs root"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn exit_codes_tell_usage_from_missing_and_unusable_programs() {
    let usage: [&[&str]; 10] = [
        &[],
        &["--group", "19001", "cat"],
        &["--map-uids", "20000-20099", "cat"],
        &["--user", "19001", "--group", "19001", "--map-uids", "0-20099", "cat"],
        &["--user", "19001", "--group", "19001", "--map-uids", "20099-20000", "cat"],
        &["--require", "landlock", "cat"],
        &["--user", "nobody-of-this-name", "cat"],
        &["--user", "0", "cat"],
        &["--user", "19001", "--group", "19001", "--keep-cap", "everything", "cat"],
        &BASE,
    ];
    for arguments in usage {
        let output = mail_jail(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(!output.stderr.is_empty());
    }
    if !root("exit_codes_tell_usage_from_missing_and_unusable_programs") {
        return;
    }
    assert_eq!(mail_jail(&[&BASE[..], &["/no/such/program"]].concat()).status.code(), Some(127));
    assert_eq!(mail_jail(&[&BASE[..], &["/etc/passwd"]].concat()).status.code(), Some(126));
    assert_eq!(mail_jail(&[&BASE[..], &["sh", "-c", "exit 7"]].concat()).status.code(), Some(7));
}

#[test]
fn dry_run_says_what_would_be_done_and_starts_nothing() {
    let arguments =
        ["--keep-cap", "setuid", "--signal-self", "--files", "50", "--dry-run", "sh", "-c", "echo >&2 x"];
    let output = mail_jail(&[&BASE[..], &arguments].concat());
    let plan = "bounding set: CAP_SETUID\nsupplementary groups: none\ngid: 19001\nuid: 19001\n\
         permitted, effective, inheritable and ambient set: CAP_SETUID\nno new privileges: yes\n\
         limits: files 50, core 0\nsystem calls refused: those of mail-jail(8), signals to others\n\
         become sh -c echo >&2 x\n";
    let here = stdout(&output).strip_prefix(plan).map(str::to_owned);
    let root = nix::unistd::geteuid().is_root();
    let wanted = if root {
        "here: seccomp signal-self no-new-privs\n"
    } else {
        "here: not started: changing user and group needs root, or the capabilities setuid and setgid\n"
    };
    assert_eq!(here.as_deref(), Some(wanted), "{}", stdout(&output));
    assert_eq!((output.status.success(), stderr(&output)), (root, String::new()));
}
