use std::path::Path;
use std::time::Duration;

use nix::unistd::{Gid, Uid};
use proptest::prelude::*;

use super::*;
use crate::config::host::Ids;

fn host() -> Host {
    let root = Ids { uid: Uid::from_raw(0), gid: Gid::from_raw(0) };
    Host {
        invoker: root,
        libexec_dir: "/".into(),
        login_defs: "/".into(),
        user: |_| None,
        group: |_| None,
        executable: |_| true,
    }
}

fn parse<T: Value>(text: &str) -> Result<T, String> {
    T::parse(text, &host()).map_err(|fault| format!("{}; {}", fault.what, fault.help.unwrap_or_default()))
}

fn variable<T: Value>(text: &str) -> Option<String> {
    parse::<T>(text).unwrap().variable()
}

#[test]
fn times_have_units() {
    let seconds = |text| parse::<Duration>(text).map(|time| time.as_secs());
    assert_eq!(seconds("30"), Ok(30));
    assert_eq!(seconds("30 secs"), Ok(30));
    assert_eq!(seconds("2 mins"), Ok(120));
    assert_eq!(seconds("1h"), Ok(3600));
    assert_eq!(seconds("1 Day"), Ok(86_400));
    assert_eq!(seconds("0"), Ok(0));
    assert!(
        seconds("2 fortnights").unwrap_err().starts_with("'fortnights' is no unit of time; write seconds")
    );
    assert!(seconds("secs").unwrap_err().starts_with("'secs' is not a whole number"));
    assert!(seconds("99999999999999999999").unwrap_err().contains("too large"));
    assert!(seconds("99999999999 weeks").unwrap_err().contains("too large"));
    assert!(seconds("-1").is_err() && seconds("").is_err() && seconds("1.5h").is_err());
}

#[test]
fn sizes_are_megabytes_or_bytes_without_a_unit() {
    assert_eq!(parse::<MegaBytes>("256").unwrap(), parse("256M").unwrap());
    assert_eq!(parse::<MegaBytes>("1G").unwrap().0, 1 << 30);
    assert_eq!(parse::<Bytes>("64k").unwrap().0, 65536);
    assert_eq!(parse::<Bytes>("65536").unwrap().0, 65536);
    assert_eq!(variable::<MegaBytes>("0"), None);
    assert_eq!(variable::<MegaBytes>("17000k").as_deref(), Some("17"));
    assert_eq!(parse::<MegaBytes>("16").unwrap().0, 16 << 20);
    assert!(parse::<MegaBytes>("15M").unwrap_err().starts_with("'15M' is too little"));
    assert!(parse::<Bytes>("1x").unwrap_err().contains("'x' is no unit of size"));
    assert!(parse::<MegaBytes>("99999999999T").unwrap_err().contains("too large"));
}

#[test]
fn what_could_be_octal_is_not_guessed_at() {
    assert_eq!(
        parse::<u32>("010").unwrap_err(),
        "a number that begins with 0 could be meant as octal; write '10'"
    );
    assert_eq!(
        parse::<u32>("00").unwrap_err(),
        "a number that begins with 0 could be meant as octal; write '0'"
    );
    assert!(
        parse::<u32>("0x10").is_err() && parse::<u32>("4294967296").is_err() && parse::<u32>("+1").is_err()
    );
    assert_eq!(parse::<Mode>("77"), Ok(Mode(0o77)));
    assert_eq!(variable::<Mode>("27").as_deref(), Some("0027"));
    assert!(parse::<Mode>("0088").is_err() && parse::<Mode>("1777").is_err() && parse::<Mode>("").is_err());
}

#[test]
fn a_log_goes_to_a_file_to_syslog_or_to_standard_error() {
    assert_eq!(parse::<LogTo>(""), Ok(LogTo::Stderr));
    assert_eq!(parse::<LogTo>("/dev/stderr"), Ok(LogTo::Stderr));
    assert_eq!(parse::<LogTo>("syslog"), Ok(LogTo::Syslog));
    assert_eq!(parse::<LogTo>("/var/log/mail"), Ok(LogTo::File("/var/log/mail".into())));
    assert!(parse::<LogTo>("mail.log").is_err());
    assert_eq!(variable::<Facility>("local7"), Some((23 << 3).to_string()));
}

#[test]
fn addresses_may_have_ports() {
    let sockets = |text: &str| -> Result<Vec<String>, String> {
        Ok(parse::<Listen>(text)?.sockets(143).map(|socket| socket.to_string()).collect())
    };
    assert_eq!(sockets("*,[::]").unwrap(), ["0.0.0.0:143", "[::]:143"]);
    assert_eq!(
        sockets("* , [*]:1 ::1 127.0.0.1:65535").unwrap(),
        ["0.0.0.0:143", "[::]:1", "[::1]:143", "127.0.0.1:65535"]
    );
    assert!(sockets("localhost").unwrap_err().ends_with("write '127.0.0.1, [::1]' for localhost"));
    assert!(sockets("*:70000").unwrap_err().starts_with("'70000' is no port"));
    for bad in ["", ",", "*:", "*:+1", "[::1", "1.2.3", "[127.0.0.1]", ":143", "[::]:x"] {
        assert!(sockets(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_program_may_have_arguments() {
    let command = parse::<Command>("/bin/x -a  b").unwrap().0.unwrap();
    assert_eq!(command, (Path::new("/bin/x").to_owned(), vec!["-a".to_owned(), "b".to_owned()]));
    assert_eq!(parse::<Command>("").unwrap().0, None);
    assert!(parse::<Command>("x").is_err() && parse::<Command>("/bin/x !").is_err());
}

#[test]
fn flags_and_empty_texts_are_no_variables() {
    assert_eq!(variable::<bool>("No"), None);
    assert_eq!(variable::<bool>("YES").as_deref(), Some("1"));
    assert_eq!(variable::<ImapWorkarounds>(""), None);
    assert_eq!(
        variable::<ImapWorkarounds>("netscape-eoh, Delay-Newmail netscape-eoh").as_deref(),
        Some("netscape-eoh delay-newmail")
    );
}

#[test]
fn formats_know_their_letters() {
    assert!(parse::<UidlFormat>("%08Xu%08Xv").is_ok() && parse::<UidlFormat>("%f").is_ok());
    assert!(
        parse::<UidlFormat>("%v").is_err()
            && parse::<UidlFormat>("").is_err()
            && parse::<UidlFormat>("%u%").is_err()
    );
    assert!(parse::<Pop3LogoutFormat>("top=%t/%p, retr=%r/%b, del=%d/%m, size=%s 100%%").is_ok());
    assert!(parse::<Capability>("IMAP4rev1 IDLE AUTH=PLAIN").is_ok() && parse::<Capability>("").is_ok());
    assert!(parse::<Capability>("IMAP4rev1 ]").is_err() && parse::<Capability>("IMAP4rev1\tIDLE").is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        all(&text);
    }

    #[test]
    fn no_text_of_our_own_signs_panics(text in "[%0-9a-zA-Z:/!, \\[\\]*.-]{0,40}") {
        all(&text);
    }
}

fn all(text: &str) {
    let _ = parse::<Duration>(text).map(|value| value.variable());
    let _ = parse::<MegaBytes>(text).map(|value| value.variable());
    let _ = parse::<Mode>(text).map(|value| value.variable());
    let _ = parse::<Listen>(text).map(|value| value.variable());
    let _ = parse::<Command>(text).map(|value| value.variable());
    let _ = parse::<Groups>(text).map(|value| value.variable());
    let _ = parse::<UidlFormat>(text).map(|value| value.variable());
    let _ = parse::<MailLocation>(text).map(|value| value.variable());
    let _ = parse::<Mechanisms>(text).map(|value| value.variable());
    let _ = parse::<Vec<PathBuf>>(text).map(|value| value.variable());
}
