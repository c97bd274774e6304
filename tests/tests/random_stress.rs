//! Many clients in the same few mailboxes, doing at random what is legal, each checking every answer against what it and
//! all others were told; with another program in the Maildirs as well. stress/stress.py says how.
//!
//! A run says its seed. By hand it can be as long as one likes: `STRESS="--seconds=600 --clients=100"`.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use tests::{Dovecot, PRIVATE, SHARED, Site, User, installed, root};

fn site() -> Site {
    Site::with_users((1..=3).map(|number| User::new(&format!("u{number}"), 20000 + number)))
}

fn stress(test: &str, settings: &str, options: &[&str]) {
    if !installed(test, "python3") {
        return;
    }
    let settings = format!("{settings}mail_max_userip_connections = 1000\nmail_max_connections = 1000\n");
    let server = site().start(&settings);
    run(&server.site, options);
    let log = server.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("Error")).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

fn run(site: &Site, options: &[&str]) {
    let (imap, pop3) = (site.imap_address(), site.pop3_address());
    let by_hand = std::env::var("STRESS").unwrap_or_default();
    let output = Command::new("python3")
        .arg("-B")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("stress/stress.py"))
        .args([imap.ip().to_string(), imap.port().to_string(), pop3.port().to_string()])
        .arg(site.path("home"))
        .args(["--seconds=6"])
        .args(options)
        .args(by_hand.split_whitespace())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Who finds faults with everybody finds none with us.
#[test]
fn the_sessions_find_no_fault_with_dovecot() {
    let test = "the_sessions_find_no_fault_with_dovecot";
    if !root(test) || !installed(test, "python3") || !installed(test, "dovecot") {
        return;
    }
    let dovecot = Dovecot::start(site());
    run(&dovecot.site, &["--clients=18", "--recent=0"]);
}

#[test]
fn sessions_of_one_process_agree() {
    stress("sessions_of_one_process_agree", SHARED, &[]);
}

#[test]
fn sessions_of_a_process_each_agree() {
    stress("sessions_of_a_process_each_agree", PRIVATE, &["--clients=18"]);
}

#[test]
fn sessions_of_one_process_and_another_program_agree() {
    stress("sessions_of_one_process_and_another_program_agree", SHARED, &["--outside=1"]);
}

#[test]
fn sessions_of_a_process_each_and_another_program_agree() {
    let options = ["--clients=18", "--outside=1"];
    stress("sessions_of_a_process_each_and_another_program_agree", PRIVATE, &options);
}
