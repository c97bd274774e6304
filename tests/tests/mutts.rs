//! mutt and neomutt at work: letters are saved to a folder that is made for them, flagged, deleted, and of what is sent
//! a copy is kept.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use tests::files::{messages, private_file};
use tests::{PRIVATE, SHARED, Server, Site, installed, run};

fn letter(subject: &str) -> String {
    format!(
        "From: Bob <bob@example.org>\nTo: alice@example.org\nSubject: {subject}\n\
         Message-ID: <{subject}@example.org>\nDate: Tue, 24 Nov 2026 09:00:00 +0000\n\nThis is {subject}.\n"
    )
}

fn works(program: &str) {
    for settings in [SHARED, PRIVATE] {
        let site = Site::new();
        for subject in ["saved", "flagged", "thrown"] {
            site.deliver("alice", "", letter(subject));
        }
        let server = site.start(settings);
        let far = format!("imap://{}", server.site.imap_address());
        let common = format!(
            "set imap_user=alice imap_pass=secret ssl_starttls=no ssl_force_tls=no\nset header_cache=\"\" message_cachedir=\"\"\n\
             set confirmappend=no confirmcreate=no delete=yes move=no quit=yes\n\
             set from=alice@example.org sendmail=/bin/true\nset folder={far}\nset record={far}/Sent copy=yes\n"
        );
        let keys = "<search>~s saved<enter><save-message>=Old<enter>\
                    <search>~s flagged<enter><flag-message><search>~s thrown<enter><delete-message>\
                    <sync-mailbox><exit>";
        let file = private_file(&server.site.path("reading"), &format!("{common}push \"{keys}\"\n"));
        // It wants a terminal, even when it is told what to do.
        let command = format!("TERM=dumb {program} -n -F '{file}' -f '{far}/INBOX'");
        run("script", &["-q", "-e", "-c", &command, "/dev/null"]);
        let left = messages(&server.site.maildir("alice", ""), &[]);
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0].0.contains("Subject: flagged\n") && left[0].1.contains('F'), "{left:?}");
        let saved = messages(&server.site.maildir("alice", ".Old"), &[]);
        assert_eq!(saved.iter().map(|(text, _)| &text[..]).collect::<Vec<_>>(), [letter("saved")]);

        if program == "mutt" {
            sends(&server, &common);
        }
        server.stop();
    }
}

/// neomutt keeps no copy on a server where it is not asked for on a terminal.
fn sends(server: &Server, settings: &str) {
    let file = private_file(&server.site.path("writing"), settings);
    let body = server.site.path("body");
    fs::write(&body, "Dear Bob.\n").unwrap();
    let command = format!("mutt -n -F '{file}' -s 'An answer' bob@example.org <'{}'", body.display());
    run("sh", &["-c", &command]);
    let sent = messages(&server.site.maildir("alice", ".Sent"), &[]);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].0.contains("Subject: An answer\n") && sent[0].0.ends_with("\n\nDear Bob.\n"), "{sent:?}");
    assert!(sent[0].1.contains('S'), "{sent:?}");
}

#[test]
fn mutt_saves_flags_deletes_and_sends() {
    if installed("mutt_saves_flags_deletes_and_sends", "mutt") {
        works("mutt");
    }
}

#[test]
fn neomutt_saves_flags_and_deletes() {
    if installed("neomutt_saves_flags_and_deletes", "neomutt") {
        works("neomutt");
    }
}
