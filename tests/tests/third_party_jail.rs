//! A worker that is not ours (workers/scripted.py) in the jail: it need not know of it, becomes each of its clients' users
//! to show them their mail, and cannot become anybody else.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use tests::{Imap, SHARED, Server, Site, User, root};

/// alice, and bob, who reads his mail for being in a group.
fn site() -> Site {
    let mut site = Site::new();
    site.set_users([User::new("alice", 20001), User::new("bob", 20002).with_groups(&[20100])]);
    for user in ["alice", "bob"] {
        let letter = site.deliver(user, "", format!("Subject: x\n\nsecret of {user}\n"));
        if user == "bob" && nix::unistd::geteuid().is_root() {
            chown(&letter, Some(0), Some(20100)).unwrap();
            fs::set_permissions(&letter, Permissions::from_mode(0o640)).unwrap();
        }
    }
    let notes = site.path("notes");
    fs::create_dir(&notes).unwrap();
    fs::set_permissions(&notes, Permissions::from_mode(0o777)).unwrap();
    site
}

fn start(settings: &str) -> Server {
    let site = site();
    let worker = format!("{} {}", site.worker("scripted.py"), site.path("notes").display());
    site.start(&format!(
        "{SHARED}protocols = imap\nmail_executable = {worker}\nplugin {{\n  script = serve\n}}\n{settings}"
    ))
}

/// One after the other, and again, so that it is each of them in turn.
fn assert_each_gets_his_mail(clients: &mut [Imap; 2]) {
    for _ in 0..3 {
        for (client, user) in clients.iter_mut().zip(["alice", "bob"]) {
            assert_eq!(client.ask("MAIL").ok().untagged, [format!("MAIL secret of {user}")]);
        }
    }
}

/// What comes of its trying to be this uid.
fn became(client: &mut Imap, uid: u32) -> String {
    client.ask(&format!("BECOME={uid}")).ok().named("BECAME")[0].to_owned()
}

#[test]
fn its_clients_get_their_mail() {
    for settings in [
        "",
        "mail_jail = filter\n",
        "mail_jail = no\n",
        "mail_process_share = uid\n",
        "mail_process_share = user\n",
    ] {
        println!("{settings}");
        let server = start(settings);
        let mut clients = ["alice", "bob"].map(|user| server.login(user));
        assert_each_gets_his_mail(&mut clients);
    }
}

#[test]
fn it_becomes_mail_users_and_nobody_else() {
    if !root("it_becomes_mail_users_and_nobody_else") {
        return;
    }
    // In a namespace there are no others, and the filter refuses to ask.
    for (form, refusal) in [("namespace", "EINVAL"), ("filter", "EPERM")] {
        let server = start(&format!("mail_jail = {form}\nmail_jail_require = identity, seccomp\n"));
        let mut clients = ["alice", "bob"].map(|user| server.login(user));
        // Below the range, above it, and the users of login and auth.
        for uid in [0, 1, 20_000, 40_000, 19_002, 19_003, 65_534] {
            assert_eq!(became(&mut clients[0], uid), format!("BECAME {refusal}"), "{form}: {uid}");
        }
        // It may be anybody whom it might serve, and stays what it was.
        assert_eq!(became(&mut clients[0], 39_999), "BECAME it");
        assert_each_gets_his_mail(&mut clients);
    }
}
