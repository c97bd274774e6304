//! As root, with users 20001 to 20003 in one process that all share: whatever is done for a client is done as its user,
//! and as nobody else, whoever was served before and whatever went wrong.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use tests::process::Process;
use tests::server::process;
use tests::{Imap, SHARED, Server, Site, User, root, until};

const USERS: [(&str, u32); 3] = [("alice", 20001), ("bob", 20002), ("carol", 20003)];

fn message(user: &str) -> String {
    format!("From: {user}@example.org\nSubject: for {user} only\n\nsecret of {user}\n")
}

/// Each has a message, in INBOX and in a folder.
fn site() -> Site {
    let site = Site::new();
    for (user, _) in USERS {
        site.deliver(user, "", message(user));
        site.deliver(user, ".Sent", message(user));
    }
    site
}

fn imap_only(settings: &str) -> String {
    format!("{SHARED}protocols = imap\n{settings}")
}

/// All three in the one process that there is.
fn all_in_one(server: &Server) -> ([Imap; 3], Process) {
    let clients = USERS.map(|(user, _)| server.login(user));
    let workers: Vec<u64> = server.who().iter().map(|row| row["worker"].as_u64().unwrap()).collect();
    assert!(workers.len() == 3 && workers.iter().all(|pid| *pid == workers[0]), "{workers:?}");
    (clients, process(&server.who()[0]["worker"]))
}

/// Every file below a directory.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&entry.path()));
        }
        all.push(entry.path());
    }
    all
}

/// Everything in each home belongs to its user, and is for nobody else.
#[track_caller]
fn assert_each_owns_his_own(server: &Server) {
    for (user, uid) in USERS {
        for file in files(&server.site.home(user)) {
            let meta = fs::symlink_metadata(&file).unwrap();
            assert_eq!((meta.uid(), meta.gid()), (uid, uid), "{}", file.display());
            if !meta.is_symlink() {
                assert_eq!(meta.mode() & 0o077, 0, "{}: {:o}", file.display(), meta.mode());
            }
        }
    }
}

/// Nobody is being served: it is base, with nothing but the two capabilities.
fn assert_is_base_at_rest(worker: &Process) {
    // CAP_SETGID is number 6, CAP_SETUID 7.
    let two = "00000000000000c0";
    let expected = [
        ("Uid", "19001 19001 19001 19001"),
        ("Gid", "19001 19001 19001 19001"),
        ("Groups", ""),
        ("CapEff", two),
        ("CapPrm", two),
        ("CapAmb", two),
        ("CapBnd", two),
        ("NoNewPrivs", "1"),
        ("Threads", "1"),
    ];
    until("the worker to be base", || {
        expected.iter().all(|(line, words)| worker.status(line).join(" ") == *words).then_some(())
    });
}

fn contents(client: &mut Imap) -> String {
    client.ask("FETCH 1:* BODY.PEEK[]").ok().untagged.join("\n")
}

#[test]
fn each_reads_his_own_mail_and_files_that_come_of_it_are_his() {
    if !root("each_reads_his_own_mail_and_files_that_come_of_it_are_his") {
        return;
    }
    let server = site().start(&imap_only(""));
    let (mut clients, worker) = all_in_one(&server);
    for folder in ["INBOX", "Sent"] {
        for (client, (user, _)) in clients.iter_mut().zip(USERS) {
            client.ask(&format!("SELECT {folder}")).ok();
            let text = contents(client);
            assert!(text.contains(&format!("secret of {user}")), "{text}");
            assert_eq!(text.matches("secret of").count(), 1, "{text}");
            client.ask("STORE 1 +FLAGS (\\Flagged $Work)").ok();
        }
        // One after the other, and all at once.
        for round in 0..20 {
            let tags: Vec<String> =
                clients.iter_mut().map(|client| client.begin("FETCH 1 (FLAGS BODY.PEEK[TEXT])")).collect();
            for ((client, (user, _)), tag) in clients.iter_mut().zip(USERS).zip(tags) {
                let reply = client.reply(&tag).ok();
                assert!(reply.untagged[0].contains(&format!("secret of {user}")), "{round}: {reply:?}");
            }
        }
    }
    assert_each_owns_his_own(&server);
    let names: Vec<_> = files(&server.site.home("alice"));
    let has = |end: &str| names.iter().any(|name| name.to_str().unwrap().ends_with(end));
    assert!(has("dovecot-uidlist") && has("dovecot-keywords"), "{names:?}");
    assert_is_base_at_rest(&worker);
}

#[test]
fn names_lead_to_nobody_elses_mail() {
    if !root("names_lead_to_nobody_elses_mail") {
        return;
    }
    let server = site().start(&imap_only(""));
    let bobs = server.site.maildir("bob", "");
    let maildir = |name: &str| server.site.maildir("alice", name);
    // A folder that is bob's, a message that is bob's, and one that is a second name of bob's.
    symlink(&bobs, maildir(".Stolen")).unwrap();
    let letter = files(&bobs.join("new")).pop().unwrap();
    symlink(&letter, maildir("cur").join("1500000000.M1P1.link:2,S")).unwrap();
    fs::hard_link(&letter, maildir("cur").join("1500000001.M1P1.hard:2,S")).unwrap();
    for (name, to) in
        [("1500000002.M1P1.shadow:2,S", "/etc/shadow"), ("1500000003.M1P1.zero:2,S", "/dev/zero")]
    {
        symlink(to, maildir("cur").join(name)).unwrap();
    }
    let (mut clients, worker) = all_in_one(&server);
    let [alice, bob, _] = &mut clients;
    for name in [
        "Stolen",
        "../bob/Maildir",
        "../../bob/Maildir",
        "..",
        ".",
        "/",
        "/etc",
        "~bob/Maildir",
        "~",
        "INBOX/../../../bob/Maildir",
        "a/../../b",
        "{0}",
        "\\\"",
        "....",
        "&AC4ALg-",
        "&AC8-etc",
    ] {
        // Whoever was served last, in whatever identity.
        bob.ask("SELECT INBOX").ok();
        assert!(contents(bob).contains("secret of bob"));
        for verb in ["SELECT", "EXAMINE", "STATUS"] {
            let items = if verb == "STATUS" { " (MESSAGES UIDNEXT)" } else { "" };
            let reply = alice.ask(&format!("{verb} \"{name}\"{items}"));
            assert!(!reply.status.starts_with("OK"), "{verb} {name}: {reply:?}");
        }
    }
    for pattern in ["*", "../*", "%", "~bob/*", "/*"] {
        let reply = alice.ask(&format!("LIST \"\" \"{pattern}\"")).ok();
        let text = reply.untagged.join("\n");
        assert!(!text.contains("bob") && !text.contains(".."), "{pattern}: {text}");
    }
    bob.ask("NOOP").ok();
    alice.ask("SELECT INBOX").ok();
    // Whether or not it shows them, it does not show what is in them, and her own message it does.
    let mut text = String::new();
    for number in 1..=5 {
        text += &alice.ask(&format!("FETCH {number} BODY.PEEK[]")).untagged.join("\n");
    }
    assert!(text.contains("secret of alice"), "{text}");
    assert!(!text.contains("secret of bob") && !text.contains("root:"), "{text}");
    bob.ask("NOOP").ok();
    assert_is_base_at_rest(&worker);
}

/// A mailbox that a group may use, and two who are in it by their own entry or not.
fn group_site(thief: u32) -> Site {
    let mut site = Site::new();
    let mail = format!("userdb_mail=maildir:{}/shared/Maildir", site.path("").display());
    site.set_users([
        User::new("member", 20001).with_groups(&[20100]).with_extra(&mail),
        User::new("thief", thief).with_extra(&mail),
        User::new("other", 20003).with_groups(&[20101]).with_extra(&mail),
    ]);
    let shared = site.path("shared");
    for folder in ["", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"] {
        fs::create_dir(shared.join(folder)).unwrap();
        fs::set_permissions(shared.join(folder), Permissions::from_mode(0o2770)).unwrap();
        chown(shared.join(folder), None, Some(20100)).unwrap();
    }
    let letter = shared.join("Maildir/new/1500000000.M1P1.shared");
    fs::write(&letter, "Subject: x\n\nsecret of the group\n").unwrap();
    fs::set_permissions(&letter, Permissions::from_mode(0o640)).unwrap();
    chown(&letter, None, Some(20100)).unwrap();
    site
}

fn groups_come_and_go(thief: u32) {
    let server = group_site(thief).start(&imap_only(""));
    let mut member = server.login("member");
    let mut others = [server.login("thief"), server.login("other")];
    let worker = process(&server.who()[0]["worker"]);
    assert!(server.who().iter().all(|row| row["worker"] == worker.pid));
    for round in 0..10 {
        member.ask("SELECT INBOX").ok();
        assert!(contents(&mut member).contains("secret of the group"));
        for other in &mut others {
            let reply = other.ask("SELECT INBOX");
            assert!(reply.status.starts_with("NO "), "{round}: {reply:?}");
        }
    }
    // What the member made is for the group, as the directory says.
    let list = server.site.path("shared/Maildir/dovecot-uidlist");
    let meta = fs::metadata(&list).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (20001, 20100));
    assert_eq!(meta.mode() & 0o007, 0, "{:o}", meta.mode());
    drop((member, others));
    server.wait_for_sessions(0);
    assert_is_base_at_rest(&worker);
}

#[test]
fn a_group_gives_access_and_is_gone_for_the_next_client() {
    if root("a_group_gives_access_and_is_gone_for_the_next_client") {
        groups_come_and_go(20002);
    }
}

#[test]
fn a_group_is_gone_for_the_next_client_of_the_same_uid() {
    if root("a_group_is_gone_for_the_next_client_of_the_same_uid") {
        groups_come_and_go(20001);
    }
}

#[test]
fn groups_for_all_are_those_that_the_settings_name() {
    if !root("groups_for_all_are_those_that_the_settings_name") {
        return;
    }
    let server = group_site(20002).start(&imap_only("mail_access_groups = 20100\n"));
    for user in ["thief", "other", "member"] {
        let mut client = server.login(user);
        client.ask("SELECT INBOX").ok();
        assert!(contents(&mut client).contains("secret of the group"), "{user}");
    }
}

#[test]
fn what_comes_by_itself_comes_as_the_right_user() {
    if !root("what_comes_by_itself_comes_as_the_right_user") {
        return;
    }
    // Told by the system, and found by looking.
    for settings in ["", "mailbox_idle_check_interval = 1\nimap_idle_notify_interval = 1\n"] {
        let server = site().start(&imap_only(settings));
        let (mut clients, worker) = all_in_one(&server);
        let tags: Vec<String> = clients
            .iter_mut()
            .map(|client| {
                client.ask("SELECT INBOX").ok();
                client.idle()
            })
            .collect();
        for round in 2..=4 {
            for (user, _) in USERS {
                server.site.deliver(user, "", message(user));
            }
            for client in &mut clients {
                while client.line() != format!("* {round} EXISTS") {}
            }
        }
        assert_is_base_at_rest(&worker);
        for ((client, tag), (user, _)) in clients.iter_mut().zip(&tags).zip(USERS) {
            client.done(tag).ok();
            let text = contents(client);
            assert_eq!(text.matches("secret of").count(), 4, "{text}");
            assert_eq!(text.matches(&format!("secret of {user}")).count(), 4, "{text}");
        }
        assert_each_owns_his_own(&server);
    }
}

#[test]
fn errors_leave_nobody_as_somebody_else() {
    if !root("errors_leave_nobody_as_somebody_else") {
        return;
    }
    let mut server = site().start(&imap_only(""));
    server.expect_panics();
    let (mut clients, worker) = all_in_one(&server);
    let [alice, bob, carol] = &mut clients;
    for client in [&mut *alice, &mut *bob, &mut *carol] {
        client.ask("SELECT INBOX").ok();
    }
    let check = |bob: &mut Imap| {
        bob.ask("SELECT INBOX").ok();
        assert_eq!(contents(bob).matches("secret of bob").count(), 1);
    };
    // A command that is none, one that fails, a mailbox that is shut, and one that goes away.
    alice.ask("FROBNICATE");
    check(bob);
    alice.ask("FETCH 99 FLAGS");
    check(bob);
    let shut = server.site.maildir("alice", ".Sent");
    fs::set_permissions(&shut, Permissions::from_mode(0o000)).unwrap();
    assert!(alice.ask("SELECT Sent").status.starts_with("NO "));
    check(bob);
    fs::set_permissions(&shut, Permissions::from_mode(0o700)).unwrap();
    alice.ask("SELECT Sent").ok();
    fs::remove_dir_all(&shut).unwrap();
    alice.begin("NOOP");
    alice.begin("FETCH 1 BODY[]");
    check(bob);
    // A panic, and a client that breaks off in the middle of a command.
    if cfg!(debug_assertions) {
        carol.begin("XPANIC");
        carol.rest();
    }
    check(bob);
    let mut again = server.login("carol");
    again.ask("SELECT INBOX").ok();
    again.send(b"x FETCH 1 (BODY[");
    drop(again);
    check(bob);
    server.wait_for_sessions_of("carol", usize::from(!cfg!(debug_assertions)));
    assert_is_base_at_rest(&worker);
    server.login("carol").ask("SELECT INBOX").ok();
    assert_each_owns_his_own(&server);
}

#[test]
fn a_pop3_session_ends_as_its_user() {
    if !root("a_pop3_session_ends_as_its_user") {
        return;
    }
    let site = site();
    for (user, _) in USERS {
        site.deliver(user, "", message(user));
    }
    // In carol's nothing can be deleted, by her.
    let server = site.start(&format!("{SHARED}protocols = pop3\n"));
    let mut clients = USERS.map(|(user, _)| server.pop3_login(user));
    assert_eq!(server.status("worker").iter().filter(|row| row["clients"] == 3).count(), 1);
    for (client, (user, _)) in clients.iter_mut().zip(USERS) {
        assert!(client.list("RETR 1").contains(&format!("secret of {user}")));
        assert!(client.ask("DELE 1").starts_with("+OK"));
    }
    for folder in ["new", "cur"] {
        fs::set_permissions(server.site.maildir("carol", folder), Permissions::from_mode(0o500)).unwrap();
    }
    let [alice, bob, carol] = &mut clients;
    assert!(alice.ask("QUIT").starts_with("+OK"));
    let answer = carol.ask("QUIT");
    assert!(answer.starts_with("-ERR"), "{answer}");
    assert!(bob.ask("QUIT").starts_with("+OK"));
    server.wait_for_sessions(0);
    for folder in ["new", "cur"] {
        fs::set_permissions(server.site.maildir("carol", folder), Permissions::from_mode(0o700)).unwrap();
    }
    let letters = |user: &str| {
        ["new", "cur"]
            .map(|folder| files(&server.site.maildir(user, folder)).len())
            .into_iter()
            .sum::<usize>()
    };
    assert_eq!(USERS.map(|(user, _)| letters(user)), [1, 1, 2]);
    assert_each_owns_his_own(&server);
}

#[test]
fn users_cannot_reach_the_process_that_serves_them() {
    if !root("users_cannot_reach_the_process_that_serves_them") {
        return;
    }
    let server = site().start(&imap_only(""));
    let (mut clients, worker) = all_in_one(&server);
    for client in &mut clients {
        client.ask("SELECT INBOX").ok();
        let _ = client.idle();
    }
    let pid = worker.pid.to_string();
    for (user, uid) in USERS {
        let as_user = |program: &str, arguments: &[&str]| {
            let ids = ["--reuid", &uid.to_string(), "--regid", &uid.to_string(), "--clear-groups", program]
                .map(str::to_owned);
            Command::new("setpriv").args(ids).args(arguments).output().unwrap().status.success()
        };
        assert!(as_user("true", &[]), "setpriv works");
        assert!(!as_user("kill", &["-0", &pid]), "{user} can signal it");
        for file in ["environ", "mem", "maps"] {
            assert!(
                !as_user("head", &["-c", "1", &format!("/proc/{pid}/{file}")]),
                "{user} can read its {file}"
            );
        }
        assert!(!as_user("ls", &[&format!("/proc/{pid}/fd/0")]), "{user} can see its descriptors");
    }
}

#[test]
fn a_home_that_is_not_there_is_an_error_of_its_user_alone() {
    if !root("a_home_that_is_not_there_is_an_error_of_its_user_alone") {
        return;
    }
    let site = site();
    fs::remove_dir_all(site.home("carol")).unwrap();
    let server = site.start(&imap_only(""));
    let (mut clients, worker) = all_in_one(&server);
    let [alice, _, carol] = &mut clients;
    let reply = carol.ask("SELECT INBOX");
    assert!(reply.status.starts_with("NO "), "{reply:?}");
    alice.ask("SELECT INBOX").ok();
    assert!(!server.site.home("carol").exists());
    assert_is_base_at_rest(&worker);
}
