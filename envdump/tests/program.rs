//! envdump(1) as a user has it: an environment out, and in again.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

fn envdump() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_envdump"));
    command.env_clear();
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_is_printed_can_be_run_in() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("session.env");
    let odd = OsStr::from_bytes(b"two\nlines\t\\ and \xff");
    let printed = envdump().env("NOTE", odd).env("USER", "alice").output().unwrap();
    assert!(printed.stdout.starts_with(b"2\nNOTE=two\\nlines\\t\\\\ and \xff\n"));
    std::fs::write(&file, &printed.stdout).unwrap();
    let own = env!("CARGO_BIN_EXE_envdump");
    let again = envdump().env("LOST", "1").arg("run").arg(&file).arg(own).output().unwrap();
    assert_eq!(again.stdout, printed.stdout);
    assert!(envdump().arg("check").arg(&file).status().unwrap().success());
}

#[test]
fn json_has_strings_or_says_why_not() {
    let printed = envdump().env("USER", "alice").arg("--json").output().unwrap();
    assert_eq!(text(&printed), "{\"USER\":\"alice\"}\n");
    let refused = envdump().env("NOTE", OsStr::from_bytes(b"\xff")).arg("--json").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&refused.stderr),
        "envdump: NOTE: not UTF-8, which JSON cannot hold\n"
    );
}

#[test]
fn a_text_that_is_none_names_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad");
    std::fs::write(&file, "1\nnothing\n").unwrap();
    let output = envdump().arg("check").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, format!("envdump: {}: line 2: no '='\n", file.display()));
    std::fs::write(&file, "0\n").unwrap();
    let missing = envdump().arg("run").arg(&file).arg("/nonexistent/program").output().unwrap();
    assert_eq!(missing.status.code(), Some(127));
}
