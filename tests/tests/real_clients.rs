//! Clients that other people wrote, with processes that all share and with one each: what they fetch is what was
//! delivered, to the byte.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use tests::files::{messages, private_file};
use tests::{PRIVATE, SHARED, Server, Site, installed, run};

const MESSAGE: &str = "From: Bob <bob@example.org>\nTo: alice@example.org\nSubject: =?utf-8?q?Caf=C3=A9?=\n\
                       Date: Tue, 24 Nov 2026 09:00:00 +0000\nMessage-ID: <cafe@example.org>\n\nLe caf\u{e9}.\n.\n..two dots\n";

/// A server with mail for alice in INBOX and in a folder.
fn server(settings: &str) -> Server {
    let site = Site::new();
    site.deliver("alice", "", MESSAGE);
    site.deliver("alice", "", MESSAGE.replace("cafe@", "second@"));
    site.deliver("alice", ".Sent", MESSAGE.replace("cafe@", "sent@"));
    site.start(settings)
}

/// As it is on the wire.
fn crlf(message: &str) -> String {
    message.replace('\n', "\r\n")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn with_each(client: impl Fn(&Server)) {
    for settings in [SHARED, PRIVATE] {
        let server = server(settings);
        client(&server);
        server.stop();
    }
}

#[test]
fn curl_lists_fetches_and_marks() {
    if !installed("curl_lists_fetches_and_marks", "curl") {
        return;
    }
    with_each(|server| {
        let imap = format!("imap://{}/", server.site.imap_address());
        let pop3 = format!("pop3://{}/", server.site.pop3_address());
        let curl =
            |more: &[&str]| text(&run("curl", &[&["-sS", "-u", "alice:secret"], more].concat()).stdout);
        let listed = curl(&[&imap]);
        assert!(listed.contains("INBOX\r\n") && listed.contains("Sent\r\n"), "{listed}");
        assert_eq!(curl(&[&format!("{imap}INBOX;MAILINDEX=1")]), crlf(MESSAGE));
        let flags = curl(&[&format!("{imap}INBOX"), "-X", "FETCH 1:* (FLAGS)"]);
        assert!(flags.starts_with("* 1 FETCH (FLAGS (\\Seen"), "{flags}");
        assert_eq!(
            curl(&[&pop3]),
            format!("1 {0}\r\n2 {1}\r\n", crlf(MESSAGE).len(), crlf(MESSAGE).len() + 2)
        );
        assert_eq!(curl(&[&format!("{pop3}1")]), crlf(MESSAGE));
    });
}

#[test]
fn pythons_libraries_do_what_programs_do_with_them() {
    if !installed("pythons_libraries_do_what_programs_do_with_them", "python3") {
        return;
    }
    with_each(|server| {
        let script = "
import imaplib, poplib, sys
host, imap, pop3 = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
m = imaplib.IMAP4(host, imap)
assert m.login('alice', 'secret')[0] == 'OK'
assert m.enable('X-NOTHING')[0] == 'OK'
assert m.select('INBOX') == ('OK', [b'2'])
kind, data = m.fetch('1', '(UID FLAGS RFC822.SIZE BODY.PEEK[])')
sys.stdout.buffer.write(data[0][1])
assert m.store('2', '+FLAGS', '(\\\\Flagged $Work)')[1][0].count(b'$Work') == 1
assert m.uid('FETCH', '1:*', '(ENVELOPE)')[1][1].count(b'second@example.org') == 1
assert m.status('Sent', '(MESSAGES)')[1] == [b'Sent (MESSAGES 1)'], m.status('Sent', '(MESSAGES)')
assert m.logout()[0] == 'BYE'
p = poplib.POP3(host, pop3)
p.user('alice'); p.pass_('secret')
assert p.stat()[0] == 2
p.dele(2)
assert p.quit().startswith(b'+OK')
p = poplib.POP3(host, pop3)
p.user('alice'); p.pass_('secret')
assert p.stat()[0] == 1
sys.stdout.buffer.write(b'\\r\\n'.join(p.retr(1)[1]) + b'\\r\\n')
p.quit()
";
        let imap = server.site.imap_address();
        let ports = [imap.port().to_string(), server.site.pop3_address().port().to_string()];
        let fetched = run("python3", &["-c", script, &imap.ip().to_string(), &ports[0], &ports[1]]);
        assert_eq!(text(&fetched.stdout), crlf(MESSAGE).repeat(2));
    });
}

#[test]
fn fetchmail_takes_all_by_either_protocol() {
    if !installed("fetchmail_takes_all_by_either_protocol", "fetchmail") {
        return;
    }
    with_each(|server| {
        for (protocol, address) in
            [("imap", server.site.imap_address()), ("pop3", server.site.pop3_address())]
        {
            let taken = server.site.path(&format!("taken.{protocol}"));
            let file = private_file(
                &server.site.path(&format!("fetchmailrc.{protocol}")),
                &format!(
                    "poll {} service {} protocol {protocol} user alice password secret sslproto ''\n\
                     keep no rewrite fetchall mda \"cat >>{}\"\n",
                    address.ip(),
                    address.port(),
                    taken.display()
                ),
            );
            let ids = server.site.path(&format!("fetchids.{protocol}"));
            let pid = server.site.path(&format!("fetchmail.{protocol}.pid"));
            run("fetchmail", &["-f", &file, "-i", ids.to_str().unwrap(), "--pidfile", pid.to_str().unwrap()]);
            let taken = fs::read_to_string(taken).unwrap();
            assert_eq!(taken.matches("\n..two dots\n").count(), 2, "{protocol}: {taken}");
            assert_eq!(taken.matches("Le caf\u{e9}.\n.\n").count(), 2, "{protocol}: {taken}");
        }
    });
}

#[test]
fn mbsync_copies_every_folder() {
    if !installed("mbsync_copies_every_folder", "mbsync") {
        return;
    }
    with_each(|server| {
        let copy = server.site.path("copy");
        fs::create_dir(&copy).unwrap();
        let address = server.site.imap_address();
        let file = private_file(
            &server.site.path("mbsyncrc"),
            &format!(
                "IMAPStore far\nHost {}\nPort {}\nUser alice\nPass secret\nSSLType None\nAuthMechs LOGIN\n\n\
                 MaildirStore near\nPath {copy}/\nInbox {copy}/INBOX\nSubFolders Verbatim\n\n\
                 Channel all\nFar :far:\nNear :near:\nPatterns *\nSync Pull\nCreate Near\nSyncState *\n",
                address.ip(),
                address.port(),
                copy = copy.display()
            ),
        );
        run("mbsync", &["-c", &file, "-a"]);
        let mails = |folder: &str| {
            let all = messages(&copy.join(folder), &["X-TUID: "]);
            all.into_iter().map(|(text, _)| text).collect::<Vec<_>>()
        };
        assert_eq!(mails("INBOX"), [MESSAGE.to_owned(), MESSAGE.replace("cafe@", "second@")]);
        assert_eq!(mails("Sent"), [MESSAGE.replace("cafe@", "sent@")]);
    });
}

#[test]
fn mutt_reads_and_changes_nothing() {
    if !installed("mutt_reads_and_changes_nothing", "mutt") {
        return;
    }
    with_each(|server| {
        let copy = server.site.path("mutt.mbox");
        let file = private_file(
            &server.site.path("muttrc"),
            &format!(
                "set ssl_starttls=no ssl_force_tls=no\nset header_cache=\"\" message_cachedir=\"\"\n\
                 set confirmappend=no confirmcreate=no\n\
                 push \"<copy-message>{}<enter><exit>\"\n",
                copy.display()
            ),
        );
        let mailbox = format!("imap://alice:secret@{}/INBOX", server.site.imap_address());
        // It wants a terminal, even when it is told what to do.
        let command = format!("TERM=dumb mutt -n -R -F '{file}' -f '{mailbox}'");
        run("script", &["-q", "-e", "-c", &command, "/dev/null"]);
        let copied = fs::read_to_string(&copy).unwrap();
        assert!(copied.contains("Le caf\u{e9}.\n.\n..two dots\n"), "{copied}");
    });
}

/// Mail as people get it, from the demo: in several parts, in other alphabets, with messages in messages.
#[test]
fn every_kind_of_message_arrives_as_it_was_delivered() {
    if !installed("every_kind_of_message_arrives_as_it_was_delivered", "python3") {
        return;
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    for settings in [SHARED, PRIVATE] {
        let site = Site::new();
        let wanted = site.path("wanted");
        fs::create_dir(&wanted).unwrap();
        let folders = ["alice", "bob"].map(|user| own.join("demo/mail").join(user).join("INBOX"));
        let letters = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
        for (number, letter) in letters.enumerate() {
            let letter = fs::read(letter.unwrap().path()).unwrap();
            site.deliver("alice", "", &letter);
            fs::write(wanted.join(format!("{number:03}")), letter).unwrap();
        }
        let server = site.start(settings);
        let (imap, pop3) = (server.site.imap_address(), server.site.pop3_address().port().to_string());
        let script = own.join("clients/every_message.py");
        let (address, port) = (imap.ip().to_string(), imap.port().to_string());
        run("python3", &[script.to_str().unwrap(), &address, &port, &pop3, wanted.to_str().unwrap()]);
    }
}
