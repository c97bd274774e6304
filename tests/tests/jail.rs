//! What each process is confined by: as it is configured, as the kernel has it, as `mailctl status` says it, and what
//! becomes of it on a machine that lacks a part.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::server::process;
use tests::{Imap, PRIVATE, SHARED, Server, Site, User, root};

/// What each process of a kind is confined by, and what is missing: the same for all of them.
#[track_caller]
fn jail(server: &Server, kind: &str) -> (String, String) {
    let rows = server.status(kind);
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let mut all: Vec<_> = rows.iter().map(|row| (text(row, "jail"), text(row, "missing"))).collect();
    all.dedup();
    assert_eq!(all.len(), 1, "{rows:?}");
    all.remove(0)
}

#[track_caller]
fn assert_jail(server: &Server, kind: &str, words: &str, missing: &str) {
    assert_eq!(jail(server, kind), (words.to_owned(), missing.to_owned()), "{kind}");
}

/// With a user who is in a further group.
fn site_with_groups() -> Site {
    let mut site = Site::new();
    site.set_users([
        User::new("alice", 20001),
        User::new("bob", 20002).with_groups(&[20100, 20101]),
        User::new("carol", 20003),
    ]);
    site
}

/// The settings for a machine on which no user namespace can be made: mail-jail, and what it starts, is in one jail
/// already, which refuses that and takes no rights away.
fn without_namespaces(site: &Site) -> String {
    let programs = site.path("without");
    fs::create_dir(&programs).unwrap();
    for name in ["mail-login", "mail-auth", "mail-worker", "mailctl"] {
        symlink(site.program(name), programs.join(name)).unwrap();
    }
    let jail = site.program("mail-jail");
    let script = format!(
        "#!/bin/sh\nexec {0} --keep-cap setuid,setgid,setpcap,sys_chroot -- {0} \"$@\"\n",
        jail.display()
    );
    fs::write(programs.join("mail-jail"), script).unwrap();
    fs::set_permissions(programs.join("mail-jail"), Permissions::from_mode(0o755)).unwrap();
    format!("libexec_dir = {}\n", programs.display())
}

fn master(site: &Site, option: &str) -> String {
    let mut command = Command::new(site.program("mail-master"));
    let output = command.arg(option).arg("-c").arg(site.path("mail.conf")).output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// Rows of numbers in /proc.
fn numbers(path: &Path) -> Vec<Vec<u32>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect()).collect()
}

#[test]
fn every_process_is_in_its_jail_and_it_is_told() {
    let is_root = nix::unistd::geteuid().is_root();
    for settings in [SHARED, PRIVATE, "mail_process_per_connection = no\nmail_process_share = uid\n"] {
        let server = Server::start(&format!("{settings}protocols = imap\n"));
        let _alice = server.login("alice");
        let form = match (is_root, settings == SHARED) {
            (false, _) => "one uid",
            (true, true) => "namespace",
            (true, false) => "dropped",
        };
        let own = if is_root { "dropped" } else { "one uid" };
        let worker = format!("{form}, seccomp, no-new-privs");
        assert_jail(&server, "worker", &worker, "");
        assert_jail(&server, "login", &format!("{own}, seccomp, no-new-privs"), "");
        server.wait_for_log(&format!("mail process for imap: {worker}"));
        server.wait_for_log(&format!("mail-login for imap: {own}, seccomp, no-new-privs"));
        server.wait_for_log(&format!("mail-auth: {own}, seccomp"));
        // For people, too.
        let page = String::from_utf8(server.mailctl(&["status"]).stdout).unwrap();
        assert!(page.contains(&worker) && page.contains("missing"), "{page}");
        if is_root {
            assert_jail(&server, "auth", &format!("{own}, seccomp, landlock, no-new-privs"), "");
        }
        // Each kind once, however many there are.
        let _bob = server.login("bob");
        assert_eq!(server.log().matches("mail process for imap: ").count(), 1);
    }
}

#[test]
fn a_process_may_have_no_more_than_it_needs() {
    let server = Server::start(&format!(
        "{SHARED}protocols = imap\nmail_process_size = 100\nmail_max_connections = 3\n\
         login_process_size = 40\nauth_process_size = 300\n"
    ));
    server.login("alice");
    for (kind, memory, megabytes) in [
        ("worker", "Max address space", 100),
        ("login", "Max address space", 40),
        ("auth", "Max data size", 300),
    ] {
        let pid = server.only(kind).pid;
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let limit = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let words: Vec<u64> = line.split_whitespace().take(2).map(|word| word.parse().unwrap()).collect();
            assert_eq!(words[0], words[1], "{kind}: {name}");
            words[0]
        };
        assert_eq!(limit(memory), megabytes << 20, "{kind}");
        assert_eq!(limit("Max core file size"), 0, "{kind}");
        assert!((1024..=4096).contains(&limit("Max open files")), "{kind}: {limits}");
    }
}

#[test]
fn hashes_that_need_more_memory_together_than_there_is_wait_for_each_other() {
    let site = Site::new();
    // 64 MiB each, as other servers make them.
    let hash = "$argon2id$v=19$m=65536,t=1,p=1$c2FsdHNhbHRzYWx0$aGdOpRChTPcuvW+hx4W1QaBuDfJUFEFYYYYSm9rVezc";
    let users = fs::read_to_string(site.path("users")).unwrap();
    fs::write(site.path("users"), users.replace("{PLAIN}secret", &format!("{{ARGON2ID}}{hash}"))).unwrap();
    let server = site.start(&format!("{SHARED}protocols = imap\nauth_process_size = 100\n"));
    let auth = server.only("auth");
    let mut clients: Vec<Imap> = (0..6).map(|_| server.imap()).collect();
    let tags: Vec<String> = clients.iter_mut().map(|client| client.begin("LOGIN alice secret")).collect();
    for (client, tag) in clients.iter_mut().zip(&tags) {
        client.reply(tag).ok();
    }
    assert!(auth.is_alive());
}

#[test]
fn the_namespace_has_those_whom_the_master_prints_and_nobody_else() {
    if !root("the_namespace_has_those_whom_the_master_prints_and_nobody_else") {
        return;
    }
    let settings = format!("{SHARED}protocols = imap\nmail_access_groups = 104\nlast_valid_uid = 70000\n");
    let server = Server::start(&settings);
    let printed = master(&server.site, "-a");
    let map = "\n# imap: uids 20001-65533,65535-70000\n# imap: gids 104,20001-39999\n";
    assert!(printed.contains(map), "{printed}");
    let worker = server.only("worker").pid;
    let map = |name: &str| numbers(Path::new(&format!("/proc/{worker}/{name}")));
    // With those of the base user.
    assert_eq!(
        map("uid_map"),
        [[19001, 19001, 1], [20001, 20001, 65533 - 20001 + 1], [65535, 65535, 70000 - 65535 + 1]]
    );
    assert_eq!(map("gid_map"), [[104, 104, 1], [19001, 19001, 1], [20001, 20001, 19999]]);
    assert!(master(&server.site, "-t").contains("every mail user is in the system's group 104"));
}

#[test]
fn logins_are_locked_into_an_empty_directory() {
    if !root("logins_are_locked_into_an_empty_directory") {
        return;
    }
    let site = Site::new();
    // Nobody but root has a way to it.
    fs::create_dir(site.path("run")).unwrap();
    fs::set_permissions(site.path("run"), Permissions::from_mode(0o700)).unwrap();
    let server = site.start(&format!("{SHARED}protocols = imap\n"));
    server.login("alice");
    let login = server.only("login");
    let empty = server.site.path("run/empty");
    let meta = fs::metadata(&empty).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o755));
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
    for link in ["root", "cwd"] {
        assert_eq!(fs::read_link(format!("/proc/{}/{link}", login.pid)).unwrap(), empty);
    }
}

/// Users in further groups are served apart, as themselves, and the others together.
fn groups_are_apart(server: &Server, missing: &str) {
    let mut clients: Vec<Imap> = ["alice", "carol", "bob", "bob"].map(|user| server.login(user)).into();
    for client in &mut clients {
        client.ask("SELECT INBOX").ok();
    }
    let who = server.who();
    let of = |user: &str| {
        let rows: Vec<&Value> = who.iter().filter(|row| row["user"] == user).collect();
        assert!(rows.iter().all(|row| row["worker"] == rows[0]["worker"]), "{rows:?}");
        process(&rows[0]["worker"])
    };
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(of);
    assert_eq!(alice.pid, carol.pid);
    assert_ne!(alice.pid, bob.pid);
    assert_eq!(bob.status("Uid"), ["20002"; 4]);
    assert_eq!(bob.status("Groups"), ["20100", "20101"]);
    assert_eq!(bob.status("CapPrm"), ["0000000000000000"]);
    for row in server.status("worker") {
        let shared = row["share"] == "all";
        let words = if shared { "filter" } else { "dropped" };
        assert_eq!(row["jail"], format!("{words}, seccomp, no-new-privs"), "{row}");
        assert_eq!(row["missing"], if shared { missing } else { "" }, "{row}");
        assert!(shared || row["share"] == "uid 20002", "{row}");
    }
    assert_eq!(server.log().matches("imap: bob: is in further groups").count(), 1);
}

#[test]
fn where_a_filter_replaces_the_namespace_users_in_groups_are_apart() {
    if !root("where_a_filter_replaces_the_namespace_users_in_groups_are_apart") {
        return;
    }
    let settings = format!("{SHARED}protocols = imap\nmail_jail = filter\n");
    let server = site_with_groups().start(&settings);
    groups_are_apart(&server, "");
    // With a namespace there is no need to.
    server.reload(&format!("{SHARED}protocols = imap\n"));
    let (_alice, _bob) = (server.login("alice"), server.login("bob"));
    let open: Vec<Value> = server
        .status("worker")
        .into_iter()
        .filter(|row| row["generation"] == 2 && row["clients"] != 0)
        .collect();
    assert!(open.len() == 1 && open[0]["clients"] == 2, "{open:?}");
}

#[test]
fn a_machine_without_user_namespaces_has_a_filter_and_says_so() {
    if !root("a_machine_without_user_namespaces_has_a_filter_and_says_so") {
        return;
    }
    let site = site_with_groups();
    let settings = format!("{SHARED}protocols = imap\n{}", without_namespaces(&site));
    let server = site.start(&settings);
    groups_are_apart(&server, "namespace");
    server.wait_for_log("mail process for imap: filter, seccomp, no-new-privs; missing: namespace");
}

#[test]
fn when_no_more_namespaces_can_be_had_users_in_groups_are_apart_from_then_on() {
    if !root("when_no_more_namespaces_can_be_had_users_in_groups_are_apart_from_then_on") {
        return;
    }
    let site = site_with_groups();
    let settings = without_namespaces(&site);
    // As long as this file is there, they can be had.
    let flag = site.path("without/there");
    fs::write(&flag, "").unwrap();
    let script = site.path("without/mail-jail");
    let text = fs::read_to_string(&script).unwrap();
    let with = format!(
        "#!/bin/sh\n[ ! -e {0} ] || exec {1} \"$@\"\n",
        flag.display(),
        site.program("mail-jail").display()
    );
    fs::write(&script, text.replace("#!/bin/sh\n", &with)).unwrap();
    let server = site.start(&format!("{SHARED}protocols = imap\nmail_max_connections = 1\n{settings}"));
    let mut first = server.login("bob");
    fs::remove_file(&flag).unwrap();
    let mut others = [server.login("bob"), server.login("alice"), server.login("bob")];
    for client in others.iter_mut().chain([&mut first]) {
        client.ask("SELECT INBOX").ok();
    }
    server.wait_for_log("no more user namespaces can be had");
    let rows = server.status("worker");
    let count = |share: &str, form: &str| {
        let begins = |row: &&Value| row["jail"].as_str().unwrap().starts_with(form);
        rows.iter().filter(|row| row["share"] == share && row["clients"] == 1).filter(begins).count()
    };
    assert_eq!(
        (count("all", "namespace"), count("all", "filter"), count("uid 20002", "dropped")),
        (1, 1, 2),
        "{rows:?}"
    );
}

#[test]
fn a_required_part_that_is_missing_is_an_error_at_start() {
    if !root("a_required_part_that_is_missing_is_an_error_at_start") {
        return;
    }
    for jail in ["mail_jail_require = namespace\n", "mail_jail = namespace\n"] {
        let site = Site::new();
        let without = without_namespaces(&site);
        let said = site.try_start(&format!("{SHARED}{jail}{without}")).unwrap_err();
        assert!(said.contains("mail-worker in its jail: no "), "{said}");
        assert!(said.contains(", which is required: "), "{said}");
        assert!(said.contains("mail_jail and mail_jail_require say what it has to"), "{said}");
    }
}

#[test]
fn a_required_part_that_is_missing_at_reload_leaves_all_as_it_was() {
    if !root("a_required_part_that_is_missing_at_reload_leaves_all_as_it_was") {
        return;
    }
    let site = Site::new();
    let settings = format!("{SHARED}protocols = imap\n{}", without_namespaces(&site));
    let server = site.start(&settings);
    let mut alice = server.login("alice");
    server.site.configure(&format!("{settings}mail_jail_require = namespace, seccomp\n"));
    let output = server.mailctl(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no namespace, which is required"), "{said}");
    alice.ask("NOOP").ok();
    server.login("bob").ask("NOOP").ok();
    assert_eq!(server.status("master")[0]["generation"], 1);
}

#[test]
fn without_a_jail_it_is_said_what_that_costs() {
    if !root("without_a_jail_it_is_said_what_that_costs") {
        return;
    }
    let server = site_with_groups().start(&format!("{SHARED}protocols = imap\nmail_jail = no\n"));
    assert!(server.log().contains("mail processes are in no jail"), "{}", server.log());
    let mut bob = server.login("bob");
    bob.ask("SELECT INBOX").ok();
    assert_jail(&server, "worker", "any user, seccomp, no-new-privs", "namespace, identity");
}

#[test]
fn mail_processes_that_see_some_paths_only_serve_as_ever() {
    for settings in [SHARED, PRIVATE, "mail_process_per_connection = no\nmail_process_share = user\n"] {
        let site = Site::new();
        site.deliver("alice", "", "Subject: x\n\nhello\n");
        let home = site.path("home");
        let server =
            site.start(&format!("{settings}protocols = imap\nmail_jail_paths = {}\n", home.display()));
        let mut alice = server.login("alice");
        alice.ask("SELECT INBOX").ok();
        assert!(alice.ask("FETCH 1 BODY[TEXT]").ok().untagged.join("\n").contains("hello"));
        alice.ask("STORE 1 +FLAGS (\\Seen $Work)").ok();
        alice.ask("CREATE Sent").ok();
        alice.ask("COPY 1 Sent").ok();
        alice.ask("APPEND Sent {17+}\r\nSubject: y\r\n\r\nz\r\n").ok();
        alice.ask("STATUS Sent (MESSAGES)").ok();
        if nix::unistd::geteuid().is_root() {
            assert!(
                jail(&server, "worker").0.contains("landlock"),
                "{settings}: {:?}",
                server.status("worker")
            );
            assert_eq!(jail(&server, "worker").1, "");
        }
    }
}

#[test]
fn a_home_outside_of_the_paths_is_told_at_the_login() {
    let site = Site::new();
    let elsewhere = site.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let server =
        site.start(&format!("{SHARED}protocols = imap\nmail_jail_paths = {}\n", elsewhere.display()));
    let reply = server.imap().try_login("alice");
    assert!(reply.status.starts_with("NO [UNAVAILABLE]"), "{reply:?}");
    server.wait_for_log("alice, 127.0.0.1: home is in none of mail_jail_paths");
}

#[test]
fn a_worker_of_others_is_in_the_same_jail() {
    let site = Site::new();
    let notes = site.path("notes");
    fs::create_dir(&notes).unwrap();
    fs::set_permissions(&notes, Permissions::from_mode(0o777)).unwrap();
    let worker = format!("{} {}", site.worker("scripted.py"), notes.display());
    let server = site.start(&format!(
        "{SHARED}protocols = imap\nmail_executable = {worker}\nplugin {{\n  script = serve\n}}\n"
    ));
    let form = if nix::unistd::geteuid().is_root() { "namespace" } else { "one uid" };
    assert_jail(&server, "worker", &format!("{form}, seccomp, no-new-privs"), "");
    server.login("alice");
}
