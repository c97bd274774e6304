//! What a mail process is told of its client: mail-environ(7), seen by a program that prints it (workers/scripted.py).
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use tests::{Imap, PRIVATE, SHARED, Server, Site, User, root};

type Variables = BTreeMap<String, String>;

fn site(users: impl IntoIterator<Item = User>) -> (Site, String) {
    let site = Site::with_users(users);
    fs::create_dir(site.path("notes")).unwrap();
    fs::set_permissions(site.path("notes"), Permissions::from_mode(0o777)).unwrap();
    let command = format!("{} {}", site.worker("scripted.py"), site.path("notes").display());
    let settings = format!("protocols = imap\nmail_executable = {command}\n");
    (site, settings)
}

fn variables(client: &mut Imap) -> Variables {
    let reply = client.ask("ENV").ok();
    let lines = reply
        .named("ENV")
        .into_iter()
        .map(|line| line.strip_prefix("ENV ").unwrap().split_once('=').unwrap());
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn alice() -> User {
    User::new("alice", 20001)
}

#[track_caller]
fn assert_has(variables: &Variables, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(variables.get(*name).map(String::as_str), Some(*value), "{name} in {variables:#?}");
    }
}

#[track_caller]
fn assert_lacks(variables: &Variables, names: &[&str]) {
    for name in names {
        let found = variables.keys().find(|key| match name.strip_suffix('*') {
            Some(beginning) => key.starts_with(beginning),
            None => key == name,
        });
        assert_eq!(found, None, "{variables:#?}");
    }
}

/// What every client's has, whoever serves it.
fn common(server: &Server, client: &Imap, variables: &Variables) {
    let home = server.site.home("alice");
    let address = server.site.imap_address();
    assert_has(
        variables,
        &[
            ("PROTOCOL", "imap"),
            ("LOGGED_IN", "1"),
            ("USER", "alice"),
            ("HOME", home.to_str().unwrap()),
            ("MAIL", "maildir:~/Maildir"),
            ("IP", "127.0.0.1"),
            ("REMOTE_PORT", &client.local_port().to_string()),
            ("LOCAL_IP", &address.ip().to_string()),
            ("LOCAL_PORT", &address.port().to_string()),
            ("IMAPLOGINTAG", "t1"),
            ("UMASK", "0077"),
            ("IMAP_MAX_LINE_LENGTH", "65536"),
            ("IMAP_LOGOUT_FORMAT", "bytes=%i/%o"),
            ("MAILBOX_IDLE_CHECK_INTERVAL", "30"),
            ("MAILDIR_COPY_WITH_HARDLINKS", "1"),
            ("MAIL_MAX_KEYWORD_LENGTH", "50"),
            ("POP3_UIDL_FORMAT", "%08Xu%08Xv"),
            ("STDERR_CLOSE_SHUTDOWN", "1"),
            ("WHO", "alice in alice"),
        ],
    );
    assert_lacks(
        variables,
        &["POP3_LOGOUT_FORMAT", "DEBUG", "MASTER_USER", "LD_*", "PATH", "PASSDB_*", "RUST_*"],
    );
    assert!(variables["CONNECTION_ID"].parse::<u32>().unwrap() > 0);
}

const PLUGIN: &str = "plugin {\n  who = %u in %n\n}\n";

#[test]
fn one_of_many_clients_is_told_whom_to_become() {
    let (site, settings) = site([alice().with_groups(&[20100, 20099])]);
    let server = site.start(&format!("{settings}{SHARED}{PLUGIN}"));
    // The one that the process is born with, and one that comes later.
    let mut clients: Vec<Imap> = (0..2).map(|_| server.login("alice")).collect();
    let mut ids = Vec::new();
    for client in &mut clients {
        let told = variables(client);
        common(&server, client, &told);
        assert_has(&told, &[("PERSISTENT_MAIL_PROCESS", "1"), ("MAIL_MAX_CONNECTIONS", "20")]);
        assert_lacks(&told, &["RESTRICT_*"]);
        if nix::unistd::geteuid().is_root() {
            assert_has(&told, &[("ADVISE_SETUID", "20001"), ("ADVISE_SETGID", "20001")]);
            assert_has(&told, &[("ADVISE_SETEXTRAGROUPS", "20099,20100")]);
        }
        ids.push(told["CONNECTION_ID"].clone());
    }
    let who: Vec<String> = server.who().iter().map(|row| row["session"].to_string()).collect();
    assert_eq!(who, ids);
}

#[test]
fn one_alone_is_told_who_it_is() {
    let (site, settings) = site([alice().with_groups(&[20100])]);
    let server = site.start(&format!("{settings}{PRIVATE}{PLUGIN}"));
    let mut client = server.login("alice");
    let told = variables(&mut client);
    common(&server, &client, &told);
    assert_has(&told, &[("MAIL_MAX_CONNECTIONS", "1")]);
    assert_lacks(&told, &["ADVISE_*", "PERSISTENT_MAIL_PROCESS"]);
    if nix::unistd::geteuid().is_root() {
        assert_has(&told, &[("RESTRICT_SETUID", "20001"), ("RESTRICT_SETGID", "20001")]);
        assert_has(&told, &[("RESTRICT_SETEXTRAGROUPS", "20100")]);
    }
}

#[test]
fn those_of_one_uid_are_it_for_good_and_speak_the_hand_off() {
    for share in ["uid", "user"] {
        let (site, settings) = site([alice()]);
        let server = site.start(&format!("{settings}{SHARED}{PLUGIN}mail_process_share = {share}\n"));
        let mut client = server.login("alice");
        let told = variables(&mut client);
        common(&server, &client, &told);
        assert_has(&told, &[("PERSISTENT_MAIL_PROCESS", "1"), ("MAIL_MAX_CONNECTIONS", "20")]);
        assert_lacks(&told, &["ADVISE_*"]);
        if nix::unistd::geteuid().is_root() {
            assert_has(&told, &[("RESTRICT_SETUID", "20001"), ("RESTRICT_SETGID", "20001")]);
            let reply = client.ask("PROCESS").ok();
            assert!(reply.named("PID")[0].ends_with(" UID 20001 GID 20001"), "{reply:?}");
        }
    }
}

#[test]
fn a_user_database_can_say_some_things_and_never_who_one_is() {
    let extra = "userdb_mail=maildir:/elsewhere/%%u userdb_quota_rule=*:storage=1G userdb_who=somebody \
                 userdb_mailbox_idle_check_interval=7 userdb_debug=yes \
                 userdb_advise_setuid=0 userdb_restrict_setuid=0 userdb_advise_setextragroups=0 \
                 userdb_ld_preload=/evil.so userdb_path=/evil userdb_user=root userdb_protocol=pop3 userdb_connection_id=1 \
                 userdb_persistent_mail_process=1 userdb_unheard_of=1 userdb_logged_in=no userdb_imaplogintag=x userdb_ip=6.6.6.6";
    let (site, settings) = site([alice().with_extra(extra)]);
    for sharing in [SHARED, PRIVATE] {
        site.configure(&format!("{settings}{sharing}{PLUGIN}"));
    }
    let server = site.start(&format!("{settings}{SHARED}{PLUGIN}"));
    let _first = server.login("alice");
    let mut client = server.login("alice");
    let told = variables(&mut client);
    assert_has(
        &told,
        &[
            ("QUOTA_RULE", "*:storage=1G"),
            ("WHO", "somebody"),
            ("MAILBOX_IDLE_CHECK_INTERVAL", "7"),
            ("USER", "alice"),
            ("PROTOCOL", "imap"),
            ("IP", "127.0.0.1"),
            ("IMAPLOGINTAG", "t1"),
            ("LOGGED_IN", "1"),
            ("CONNECTION_ID", "2"),
        ],
    );
    assert!(told["MAIL"].starts_with("maildir:/elsewhere/"), "{told:#?}");
    assert!(told.contains_key("DEBUG"));
    assert_lacks(&told, &["LD_*", "PATH", "UNHEARD_OF", "RESTRICT_*"]);
    if nix::unistd::geteuid().is_root() {
        assert_has(&told, &[("ADVISE_SETUID", "20001"), ("ADVISE_SETGID", "20001")]);
        assert_lacks(&told, &["ADVISE_SETEXTRAGROUPS"]);
    }
}

#[test]
fn settings_of_one_protocol_and_a_new_generation_are_told() {
    let (site, settings) = site([alice()]);
    let settings = format!("{settings}{SHARED}protocol imap {{\n  mail_max_keyword_length = 9\n}}\n");
    let server = site.start(&format!("{settings}plugin {{\n  colour = red\n}}\n"));
    let mut old = server.login("alice");
    assert_has(&variables(&mut old), &[("MAIL_MAX_KEYWORD_LENGTH", "9"), ("COLOUR", "red")]);
    server.reload(&format!("{settings}plugin {{\n  colour = green\n}}\n"));
    let mut new = server.login("alice");
    assert_has(&variables(&mut new), &[("COLOUR", "green")]);
    assert_has(&variables(&mut old), &[("COLOUR", "red")]);
}

#[test]
fn a_mail_user_who_must_not_be_is_none() {
    if !root("a_mail_user_who_must_not_be_is_none") {
        return;
    }
    for (user, why) in [
        (User::new("root", 0), "uid 0 is never a mail user's"),
        (User::new("low", 500), "uid 500 is outside of first_valid_uid"),
        (User::new("high", 40_000), "uid 40000 is outside of first_valid_uid"),
        (User::new("grouped", 20001).with_groups(&[0]), "gid 0 is never a mail user's"),
        (User::new("base", 20001).with_groups(&[19001]), "gid 19001 is that of mail_base_user"),
        (User::new("auth", 20001).with_groups(&[19002]), "gid 19002 is that of auth_user"),
        (User::new("login", 20001).with_groups(&[19003]), "gid 19003 is that of login_user"),
        (User::new("home", 20001).with_extra("userdb_chroot=/"), "chroot"),
    ] {
        for sharing in [SHARED, PRIVATE] {
            let (site, settings) = site([user.clone(), User::new("bob", 20002)]);
            let server = site.start(&format!("{settings}{sharing}"));
            let mut client = server.imap();
            let reply = client.try_login(&user.name);
            let text = "NO [UNAVAILABLE] Internal login failure. Refer to server log for more information.";
            assert_eq!(reply.status, text, "{}", user.name);
            let line = server.wait_for_log(why);
            assert!(line.contains(&user.name), "{line}");
            client.login("bob");
        }
    }
}

#[test]
fn a_user_is_in_no_group_of_the_system() {
    if !root("a_user_is_in_no_group_of_the_system") {
        return;
    }
    let (site, settings) = site([alice().with_groups(&[42, 43, 20100])]);
    let server = site.start(&format!("{settings}{SHARED}mail_access_groups = 42\n"));
    let mut client = server.login("alice");
    // The one that the administrator names is.
    assert_has(&variables(&mut client), &[("ADVISE_SETEXTRAGROUPS", "42,20100")]);
    server.wait_for_log("alice: groups [42, 43] are below first_valid_gid and left out");
}
