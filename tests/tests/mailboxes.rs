//! Mailboxes that come, go and change their names, through the whole server: with processes that all share and with one
//! each, by our own client and by Python's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use tests::server::process;
use tests::{Imap, PRIVATE, SHARED, Server, Site, installed, run};

const SPECIAL: &str = "namespace inbox {\n  inbox = yes\n  mailbox \"Sent Mail\" {\n    special_use = \\Sent\n    \
                       auto = subscribe\n  }\n  mailbox Trash {\n    special_use = \\Trash\n  }\n}\n";

fn with_each(test: impl Fn(&Server)) {
    for settings in [SHARED, PRIVATE] {
        let site = Site::new();
        site.deliver("alice", "", "Subject: one\n\none\n");
        site.deliver("alice", "", "Subject: two\n\ntwo\n");
        let server = site.start(&format!("{settings}{SPECIAL}"));
        test(&server);
        server.stop();
    }
}

/// Lists, and their answers without what is the same in all.
fn listed(client: &mut Imap, command: &str) -> Vec<String> {
    client.ask(command).ok().untagged
}

#[test]
fn everybody_has_what_the_administrator_says() {
    with_each(|server| {
        let mut alice = server.login("alice");
        assert!(alice.ask("CAPABILITY").ok().untagged[0].contains(" SPECIAL-USE"));
        let sent = "LIST (\\HasNoChildren \\Sent) \".\" \"Sent Mail\"";
        assert_eq!(listed(&mut alice, "LIST (SPECIAL-USE) \"\" *"), [sent]);
        assert_eq!(listed(&mut alice, "LSUB \"\" *"), ["LSUB () \".\" \"Sent Mail\""]);
        alice.ask("CREATE Trash").ok();
        assert_eq!(listed(&mut alice, "LIST \"\" Trash"), ["LIST (\\HasNoChildren \\Trash) \".\" Trash"]);
        assert!(fs::exists(server.site.maildir("alice", ".Sent Mail")).unwrap());
    });
}

#[test]
fn two_sessions_see_what_the_other_does() {
    with_each(|server| {
        let [mut one, mut other] = [0, 1].map(|_| server.login("alice"));
        one.ask("CREATE Work.Old").ok();
        one.ask("CREATE Work").ok();
        other.ask("SELECT Work.Old").ok();
        one.ask("RENAME INBOX Work.Saved").ok();
        let names = listed(&mut one, "LIST \"\" Work*");
        assert_eq!(names.len(), 3, "{names:?}");
        let status = listed(&mut other, "STATUS Work.Saved (MESSAGES)");
        assert_eq!(status, ["STATUS Work.Saved (MESSAGES 2)"]);
        assert_eq!(listed(&mut other, "STATUS INBOX (MESSAGES)"), ["STATUS INBOX (MESSAGES 0)"]);
        one.ask("RENAME Work Archive").ok();
        other.send(b"n NOOP\r\n");
        assert_eq!(other.line(), "* BYE The selected mailbox was deleted.");
        one.ask("SELECT Archive.Saved").ok();
        one.ask("DELETE Archive.Saved").ok();
        one.ask("NOOP").ok();
        // Another user in the same process has noticed nothing.
        let mut bob = server.login("bob");
        assert_eq!(listed(&mut bob, "LIST \"\" A*"), [""; 0]);
    });
}

#[test]
fn a_kill_after_the_answer_takes_nothing_back() {
    let site = Site::new();
    let server = site.start(SHARED);
    let mut alice = server.login("alice");
    let kill = |alice: &mut Imap| {
        let worker = server.who()[0]["worker"].clone();
        process(&worker).signal(nix::sys::signal::Signal::SIGKILL);
        while alice.try_line().is_some() {}
        server.wait_for_sessions(0);
        server.login("alice")
    };
    alice.ask("CREATE A.B").ok();
    alice.ask("SUBSCRIBE A.B").ok();
    let mut alice = kill(&mut alice);
    assert_eq!(listed(&mut alice, "LSUB \"\" *"), ["LSUB () \".\" A.B"]);
    let before = listed(&mut alice, "STATUS A.B (UIDVALIDITY)");
    alice.ask("RENAME A C").ok();
    let mut alice = kill(&mut alice);
    assert_eq!(listed(&mut alice, "STATUS C.B (UIDVALIDITY)"), [before[0].replace("A.B", "C.B")]);
    alice.ask("DELETE C.B").ok();
    let mut alice = kill(&mut alice);
    assert_eq!(listed(&mut alice, "LIST \"\" *"), ["LIST (\\HasNoChildren) \".\" INBOX"]);
    server.stop();
}

const IMAPLIB: &str = r#"
import imaplib, sys
def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]
m = imaplib.IMAP4(sys.argv[1], int(sys.argv[2]))
ok(m.login("alice", "secret"))
ok(m.create("Projects.One"))
ok(m.create('"With blank"'))
assert m.create("Projects.One")[0] == "NO"
ok(m.subscribe("Projects.One"))
assert ok(m.lsub()) == [b'() "." Projects.One', b'() "." "Sent Mail"'], m.lsub()
ok(m.rename("Projects", "Done"))
assert ok(m.list('""', "Done.%")) == [b'(\\HasNoChildren) "." Done.One']
ok(m.unsubscribe("Projects.One"))
ok(m.select("Done.One"))
ok(m.delete("Done.One"))
assert m.select("Done.One")[0] == "NO"
ok(m.delete('"With blank"'))
assert m.delete("INBOX")[0] == "NO"
assert ok(m.namespace()) == [b'(("" ".")) NIL NIL']
m.logout()
"#;

#[test]
fn pythons_imaplib_does_all_of_it() {
    if !installed("pythons_imaplib_does_all_of_it", "python3") {
        return;
    }
    with_each(|server| {
        let address = server.site.imap_address();
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let output = run("python3", &["-c", IMAPLIB, &ip, &port]);
        assert!(output.status.success(), "{output:?}");
    });
}
