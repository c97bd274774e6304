//! Clients that keep a copy and bring both sides into agreement, in both directions: what is added, changed and deleted
//! on one side is so on the other, and nothing is doubled.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use tests::files::{messages, private_file};
use tests::{PRIVATE, SHARED, Server, Site, installed, run};

fn letter(subject: &str) -> String {
    format!(
        "From: bob@example.org\nTo: alice@example.org\nSubject: {subject}\n\
         Message-ID: <{subject}@example.org>\nDate: Tue, 24 Nov 2026 09:00:00 +0000\n\nThis is {subject}.\n"
    )
}

/// Subject and flags of all messages of a Maildir.
fn subjects(maildir: &Path) -> Vec<(String, String)> {
    let subject = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("Subject: "));
        line.unwrap_or("none").to_owned()
    };
    let all = messages(maildir, &[]).into_iter().map(|(text, flags)| (subject(text), flags));
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

fn is(found: &[(String, String)], wanted: &[(&str, &str)]) -> bool {
    found.iter().map(|(subject, flags)| (&subject[..], &flags[..])).eq(wanted.iter().copied())
}

/// Both sides change between two runs of `sync`, which keeps its copy of INBOX in `near("INBOX")`.
fn goes_both_ways(server: &Server, near: impl Fn(&str) -> std::path::PathBuf, sync: impl Fn()) {
    let far = |folder: &str| server.site.maildir("alice", folder);
    sync();
    assert!(is(&subjects(&near("INBOX")), &[("kept", ""), ("seen", "S"), ("thrown", "")]));

    // Here: one is answered, one thrown away, one written; a folder is made, with a message in it.
    let here = |subject: &str| {
        let found = ["new", "cur"].into_iter().flat_map(|sub| fs::read_dir(near("INBOX").join(sub)).unwrap());
        let found = found.map(|file| file.unwrap().path()).find(|path| {
            String::from_utf8_lossy(&fs::read(path).unwrap()).contains(&format!("is {subject}."))
        });
        found.expect("it was copied")
    };
    fs::remove_file(here("thrown")).unwrap();
    let kept = here("kept");
    let name = kept.file_name().unwrap().to_str().unwrap();
    let base = name.split_once(":2,").map_or(name, |(base, _)| base);
    fs::rename(&kept, near("INBOX").join("cur").join(format!("{base}:2,RS"))).unwrap();
    fs::write(near("INBOX").join("new/1790000000.1.here"), letter("written")).unwrap();
    for sub in ["", "cur", "new", "tmp"] {
        fs::create_dir(near("Plans").join(sub)).unwrap();
    }
    fs::write(near("Plans").join("cur/1790000000.2.here:2,FS"), letter("planned")).unwrap();

    // There: one is delivered, one flagged, and a folder gets a message.
    server.site.deliver("alice", "", letter("delivered"));
    let mut imap = server.login("alice");
    imap.ask("SELECT INBOX");
    imap.ask("STORE 2 +FLAGS (\\Flagged)");
    imap.ask("LOGOUT");
    server.site.deliver("alice", ".Sent", letter("sent"));

    sync();
    sync();
    let inbox = [("delivered", ""), ("kept", "RS"), ("seen", "FS"), ("written", "")];
    assert!(is(&subjects(&near("INBOX")), &inbox), "{:?}", subjects(&near("INBOX")));
    assert!(is(&subjects(&near("Sent")), &[("sent", "")]), "{:?}", subjects(&near("Sent")));
    assert!(is(&subjects(&far("")), &inbox), "{:?}", subjects(&far("")));
    assert!(is(&subjects(&far(".Plans")), &[("planned", "FS")]), "{:?}", subjects(&far(".Plans")));

    // Nothing changed: nothing is done.
    let before = (messages(&far(""), &[]), messages(&near("INBOX"), &[]));
    sync();
    assert_eq!((messages(&far(""), &[]), messages(&near("INBOX"), &[])), before);
}

/// A server with three messages, for each way of sharing.
fn with_each(client: impl Fn(&Server)) {
    for settings in [SHARED, PRIVATE] {
        let site = Site::new();
        site.deliver("alice", "", letter("kept"));
        site.deliver("alice", "", letter("seen"));
        site.deliver("alice", "", letter("thrown"));
        site.deliver("alice", ".Sent", letter("old"));
        let server = site.start(settings);
        let mut imap = server.login("alice");
        imap.ask("SELECT INBOX");
        imap.ask("STORE 2 FLAGS (\\Seen)");
        imap.ask("SELECT Sent");
        imap.ask("STORE 1 FLAGS (\\Deleted)");
        imap.ask("EXPUNGE");
        imap.ask("LOGOUT");
        client(&server);
        server.stop();
    }
}

#[test]
fn mbsync_goes_both_ways() {
    if !installed("mbsync_goes_both_ways", "mbsync") {
        return;
    }
    with_each(|server| {
        let (copy, state) = (server.site.path("copy"), server.site.path("state"));
        fs::create_dir(&copy).unwrap();
        fs::create_dir(&state).unwrap();
        let address = server.site.imap_address();
        let settings = format!(
            "IMAPStore far\nHost {}\nPort {}\nUser alice\nPass secret\nSSLType None\nAuthMechs LOGIN\n\n\
             MaildirStore near\nPath {copy}/\nInbox {copy}/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :far:\nNear :near:\nPatterns *\nSync All\nCreate Both\nRemove Both\n\
             Expunge Both\nSyncState {state}/\n",
            address.ip(),
            address.port(),
            copy = copy.display(),
            state = state.display()
        );
        let file = private_file(&server.site.path("mbsyncrc"), &settings);
        goes_both_ways(
            server,
            |folder| copy.join(folder),
            || {
                run("mbsync", &["-c", &file, "-a"]);
            },
        );
        // And a folder that is gone here goes there, once it is empty: mbsync deletes no other.
        for file in fs::read_dir(copy.join("Plans/cur")).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        run("mbsync", &["-c", &file, "-a"]);
        fs::remove_dir_all(copy.join("Plans")).unwrap();
        run("mbsync", &["-c", &file, "-a"]);
        assert!(!server.site.maildir("alice", ".Plans").exists());
    });
}

#[test]
fn offlineimap_goes_both_ways() {
    if !installed("offlineimap_goes_both_ways", "offlineimap") {
        return;
    }
    with_each(|server| {
        let copy = server.site.path("copy");
        let address = server.site.imap_address();
        let settings = format!(
            "[general]\nmetadata = {state}\naccounts = all\nui = quiet\nsocktimeout = 60\n\n\
             [Account all]\nlocalrepository = near\nremoterepository = far\n\n\
             [Repository near]\ntype = Maildir\nlocalfolders = {copy}\n\n\
             [Repository far]\ntype = IMAP\nremotehost = {}\nremoteport = {}\nremoteuser = alice\n\
             remotepass = secret\nssl = no\nstarttls = no\n",
            address.ip(),
            address.port(),
            copy = copy.display(),
            state = server.site.path("state").display()
        );
        let file = private_file(&server.site.path("offlineimaprc"), &settings);
        goes_both_ways(
            server,
            |folder| copy.join(folder),
            || {
                run("offlineimap", &["-c", &file, "-o"]);
            },
        );
    });
}
