//! What several clients of one user see of each other: every transcript, against our server with its clients in one
//! process and in one each, and against Debian's Dovecot.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::transcript::{Stage, Transcript, play};
use tests::{Dovecot, PRIVATE, SHARED, Server, Site, User, installed, root};

/// The transcripts, by their names; those that have `TRANSCRIPTS` in them if this is set.
fn transcripts() -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|file| file.extension().is_some_and(|end| end == "txt"));
    let wanted = std::env::var("TRANSCRIPTS").unwrap_or_default();
    let files = files.filter(|file| file.to_string_lossy().contains(&wanted));
    let mut named: Vec<(String, PathBuf)> =
        files.map(|file| (file.file_stem().unwrap().to_str().unwrap().to_owned(), file)).collect();
    named.sort();
    named
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts")
}

/// A site with a user for each transcript.
fn site() -> Site {
    Site::with_users(transcripts().iter().zip(20001..).map(|((name, _), uid)| User::new(name, uid)))
}

/// Plays all; those that `pending` lists must fail.
fn play_all<S>(mut server: S, name: &str, site: fn(&S) -> &Site, restart: fn(&mut S), pending: &[&str]) {
    let mut wrong = Vec::new();
    for ((user, file), uid) in transcripts().into_iter().zip(20001..) {
        let file_name = format!("tests/transcripts/{user}.txt");
        let (imap, pop3): (SocketAddrV4, SocketAddrV4) =
            (site(&server).imap_address(), site(&server).pop3_address());
        let is_pending = pending.contains(&user.as_str());
        let stage = Stage {
            imap,
            pop3,
            password: "secret".to_owned(),
            maildir: site(&server).maildir(&user, ""),
            third_party: nix::unistd::geteuid().is_root().then_some((uid, uid)),
            patience: Duration::from_secs(if is_pending { 2 } else { 20 }),
            user,
        };
        let transcript = Transcript::parse(&file_name, &fs::read_to_string(file).unwrap(), name);
        let played = transcript.and_then(|transcript| {
            play(&transcript, &stage, &mut || {
                restart(&mut server);
                Ok(())
            })
        });
        match played {
            Err(_) if is_pending => {}
            Err(why) => wrong.push(why),
            Ok(()) if is_pending => wrong.push(format!("{file_name}: passes, and is listed in pending")),
            Ok(()) => {}
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are not played as they are written\n\n{}\n",
        wrong.len(),
        wrong.join("\n\n")
    );
}

/// Those that our server does not play yet.
fn pending() -> Vec<&'static str> {
    let lines = include_str!("../transcripts/pending").lines();
    let names: Vec<&str> =
        lines.filter(|line| !line.starts_with('#')).map(|line| line.split(':').next().unwrap()).collect();
    for name in &names {
        assert!(folder().join(format!("{name}.txt")).exists(), "{name} is pending, and no transcript");
    }
    names
}

fn play_ours(settings: &str) {
    let server = site().start(settings);
    play_all(server, "mail-master", |server| &server.site, Server::restart, &pending());
}

#[test]
fn clients_in_one_process_see_what_is_written() {
    play_ours(SHARED);
}

#[test]
fn clients_in_processes_of_their_own_see_what_is_written() {
    play_ours(PRIVATE);
}

#[test]
fn clients_of_dovecot_see_what_is_written() {
    let test = "clients_of_dovecot_see_what_is_written";
    if root(test) && installed(test, "dovecot") {
        play_all(Dovecot::start(site()), "dovecot", |server| &server.site, Dovecot::restart, &[]);
    }
}
