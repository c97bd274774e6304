//! With shell scripts that behave as their text says. Real checkpassword programs: `tests/checkpassword.rs`.

use super::*;
use crate::fields::Field;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// A program that says what the `mail-auth` that it should become would say, in place of it.
fn reply(folder: &Path) -> PathBuf {
    script(folder, "reply", "printf 'mail-auth-reply\\tuserdb_uid=7\\tauthorized=%s\\n' \"$AUTHORIZED\" >&4")
}

/// Writes it by another process: if it were open for writing here, a process that another test starts at that moment
/// could hold it open, too, and it could not be executed.
fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let (draft, path) = (folder.join("draft"), folder.join(name));
    fs::write(&draft, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new("cp").arg("-p").args([&draft, &path]).status().unwrap().success());
    path
}

fn ask(text: &str, question: &Question) -> (Verdict, TempDir) {
    ask_within(TIME_LIMIT, text, question)
}

fn ask_within(limit: Duration, text: &str, question: &Question) -> (Verdict, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "checkpassword", text);
    let mut program = Checkpassword::parse(path.to_str().unwrap(), reply(folder.path())).unwrap();
    program.limit = limit;
    let query = Query { user: "alice".into(), service: "imap".into(), ..Query::default() };
    (program.ask(&query, question), folder)
}

fn password(text: &str) -> Question {
    Question::Password(Secret::new(text.as_bytes().to_vec()))
}

fn trouble(limit: Duration, text: &str) -> String {
    match ask_within(limit, text, &password("secret")).0 {
        Verdict::Trouble(what) => what,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn it_reads_name_and_password_and_becomes_its_arguments() {
    let check = r#"
        test "$(tr '\000' ' ' <&3 | sed 's/ [0-9]* $//')" = "alice secret" || exit 1
        test "$SERVICE" = imap || exit 99
        test -z "$(cat)" || exit 98
        exec "$@""#;
    let (verdict, _) = ask(check, &password("secret"));
    let Verdict::Match(account) = verdict else { panic!("{verdict:?}") };
    assert_eq!(account.user, "alice");
    assert_eq!(account.prefetched, [Field { name: "uid".into(), value: Some("7".into()) }]);
    assert_eq!(ask(check, &password("Secret")).0, Verdict::Mismatch("password mismatch"));
}

#[test]
fn its_exit_status_says_what_is_wrong() {
    assert_eq!(ask("exit 1", &password("x")).0, Verdict::Mismatch("password mismatch"));
    assert_eq!(ask("exit 3", &password("x")).0, Verdict::Unknown);
    for (text, what) in [
        ("exit 2", "misused"),
        ("exit 111", "temporary"),
        ("exit 0", "did not become"),
        ("echo mail-auth-reply; exit 7", "unexpected exit status 7"),
        ("kill -9 $$", "signal 9"),
    ] {
        let said = trouble(TIME_LIMIT, text);
        assert!(said.contains(what), "{text}: {said}");
    }
}

#[test]
fn one_that_does_not_end_or_says_too_much_is_ended() {
    let short = Duration::from_millis(500);
    for (limit, text, what) in [
        (short, "sleep 60", "timed out"),
        (short, "sleep 60 & exec sleep 60", "timed out"),
        (short, "exec 4>&-; sleep 60", "timed out"),
        (TIME_LIMIT, "exec cat /dev/zero >&4", "too much"),
    ] {
        let began = Instant::now();
        let said = trouble(limit, text);
        assert!(said.contains(what), "{text}: {said}");
        assert!(began.elapsed() < Duration::from_secs(30), "{text}");
    }
}

#[test]
fn one_that_is_not_there_is_trouble() {
    let program = Checkpassword::parse("/no/such/program x", PathBuf::new()).unwrap();
    let query = Query { user: "alice".into(), ..Query::default() };
    assert!(
        matches!(program.ask(&query, &password("x")), Verdict::Trouble(what) if what.contains("/no/such/program"))
    );
    assert!(Checkpassword::parse(" ", PathBuf::new()).is_err());
}

#[test]
fn more_than_the_interface_allows_is_not_asked() {
    let (verdict, _) = ask("exec \"$@\"", &password(&"x".repeat(600)));
    assert!(matches!(verdict, Verdict::Mismatch(_)));
}

#[test]
fn a_user_can_be_looked_up_by_a_program_that_knows_how() {
    let knows = "test \"$AUTHORIZED\" = 1 || exit 9; AUTHORIZED=2; exec \"$@\"";
    assert!(matches!(ask(knows, &Question::User).0, Verdict::Match(_)));
    assert!(matches!(ask("exec \"$@\"", &Question::User).0, Verdict::Trouble(_)));
}
