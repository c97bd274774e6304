use std::borrow::Cow;
use std::num::NonZeroU32;

use super::*;
use crate::config::{ServerSettings, fixture};

const ID: ConnectionId = ConnectionId(NonZeroU32::new(7).unwrap());

fn alice() -> Person {
    Person {
        user: "alice@example.org".to_owned(),
        credentials: Credentials { uid: 20001, gid: 20001, groups: vec![100, 6000] },
        home: Some(b"/home/alice".to_vec()),
        mail: None,
        chroot: None,
        nice: None,
        master_user: None,
        extra: Vec::new(),
    }
}

fn facts(person: &Person, form: Form) -> ClientFacts<'_> {
    ClientFacts {
        id: ID,
        person,
        local: ([192, 0, 2, 1].into(), 143),
        remote: ([198, 51, 100, 7].into(), 40000),
        tag: "a1",
        secured: false,
        form,
        pid: None,
    }
}

fn text(environment: &Environment) -> String {
    String::from_utf8(environment.to_text()).unwrap()
}

fn with_extra(settings: &str, extra: &[(&str, &str)]) -> Environment {
    let config = fixture(settings);
    let extra =
        extra.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    let person = Person { extra, ..alice() };
    client_environment(&config.imap, &facts(&person, Form::Shared)).unwrap()
}

#[test]
fn a_shared_client_is_advised() {
    let config = fixture(
        "mail_location = maildir:/var/mail/%d/%1n/%n\nmail_debug = yes\nmail_process_per_connection = no\n\
         mail_process_share = all\nplugin {\n quota = maildir:User quota\n quota_rule = *:storage=1G\n note = 95%% %Lu\n}\n",
    );
    let environment = client_environment(&config.imap, &facts(&alice(), Form::Shared)).unwrap();
    assert_eq!(
        text(&environment),
        "\
30
ADVISE_SETEXTRAGROUPS=100,6000
ADVISE_SETGID=20001
ADVISE_SETUID=20001
CONNECTION_ID=7
DEBUG=1
HOME=/home/alice
IMAPLOGINTAG=a1
IMAP_IDLE_NOTIFY_INTERVAL=120
IMAP_LOGOUT_FORMAT=bytes=%i/%o
IMAP_MAX_LINE_LENGTH=65536
IP=198.51.100.7
LOCAL_IP=192.0.2.1
LOCAL_PORT=143
LOGGED_IN=1
MAIL=maildir:/var/mail/example.org/a/alice
MAILBOX_IDLE_CHECK_INTERVAL=30
MAILDIR_COPY_WITH_HARDLINKS=1
MAIL_MAX_CONNECTIONS=20
MAIL_MAX_KEYWORD_LENGTH=50
MAIL_PROCESS_SIZE=256
NOTE=95% alice@example.org
PERSISTENT_MAIL_PROCESS=1
POP3_UIDL_FORMAT=%08Xu%08Xv
PROTOCOL=imap
QUOTA=maildir:User quota
QUOTA_RULE=*:storage=1G
REMOTE_PORT=40000
STDERR_CLOSE_SHUTDOWN=1
UMASK=0077
USER=alice@example.org
"
    );
}

#[test]
fn a_client_alone_is_restricted() {
    let person = Person {
        chroot: Some(b"/srv/alice".to_vec()),
        mail: Some(b"maildir:~/%n".to_vec()),
        master_user: Some("admin".to_owned()),
        ..alice()
    };
    let config = fixture("pop3_enable_last = yes\nmail_location = maildir:/x\n");
    let facts = ClientFacts { tag: "", secured: true, ..facts(&person, Form::Alone) };
    let environment = client_environment(&config.pop3, &facts).unwrap();
    assert_eq!(environment.text("RESTRICT_SETUID"), Some("20001"));
    assert_eq!(environment.text("RESTRICT_SETGID"), Some("20001"));
    assert_eq!(environment.text("RESTRICT_SETEXTRAGROUPS"), Some("100,6000"));
    assert_eq!(environment.text("RESTRICT_CHROOT"), Some("/srv/alice"));
    assert_eq!(environment.text("MAIL"), Some("maildir:~/%n"));
    assert_eq!(environment.text("MASTER_USER"), Some("admin"));
    assert_eq!(environment.text("POP3_ENABLE_LAST"), Some("1"));
    assert_eq!(environment.text("MAIL_MAX_CONNECTIONS"), Some("1"));
    assert_eq!(environment.text("SECURED"), Some("1"));
    let text = text(&environment);
    for absent in ["PERSISTENT", "ADVISE_", "\nIMAP", "POP3_LOCK_SESSION"] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
}

#[test]
fn mail_chroot_holds_for_those_of_whom_the_database_says_none() {
    let config = fixture("mail_chroot = /srv\n");
    let environment = client_environment(&config.imap, &facts(&alice(), Form::Alone)).unwrap();
    assert_eq!(environment.text("RESTRICT_CHROOT"), Some("/srv"));
}

#[test]
fn a_process_of_one_identity_is_restricted_and_speaks_the_hand_off() {
    let config = fixture("");
    let environment = client_environment(&config.imap, &facts(&alice(), Form::Dropped)).unwrap();
    assert!(environment.is_set("PERSISTENT_MAIL_PROCESS") && environment.is_set("RESTRICT_SETUID"));
    assert!(!environment.is_set("ADVISE_SETUID"));
}

#[test]
fn a_spare_knows_no_client() {
    let environment = spare_environment(&fixture("mail_process_per_connection = no\n").imap).unwrap();
    assert!(environment.is_set("PERSISTENT_MAIL_PROCESS"));
    assert_eq!(environment.text("MAIL_MAX_CONNECTIONS"), Some("20"));
    for absent in ["CONNECTION_ID", "USER", "HOME", "LOGGED_IN", "ADVISE_SETUID", "RESTRICT_SETUID", "MAIL"] {
        assert!(!environment.is_set(absent), "{absent}");
    }
}

#[test]
fn the_user_database_may_change_settings() {
    let environment = with_extra(
        "mail_debug = yes\nplugin {\n quota = maildir\n own_thing = a\n}\n",
        &[
            ("quota_rule", "*:storage=2G"),
            ("quota2", "dict"),
            ("own_thing", "b"),
            ("debug", "no"),
            ("mailbox_idle_check_interval", "5"),
            ("imap_capability", "IMAP4rev1"),
            ("acl_groups", "x"),
            ("mail_log_events", "delete"),
        ],
    );
    assert_eq!(environment.text("QUOTA_RULE"), Some("*:storage=2G"));
    assert_eq!(environment.text("QUOTA2"), Some("dict"));
    assert_eq!(environment.text("OWN_THING"), Some("b"));
    assert_eq!(environment.text("MAILBOX_IDLE_CHECK_INTERVAL"), Some("5"));
    assert_eq!(environment.text("IMAP_CAPABILITY"), Some("IMAP4rev1"));
    assert_eq!(environment.text("ACL_GROUPS"), Some("x"));
    assert_eq!(environment.text("MAIL_LOG_EVENTS"), Some("delete"));
    assert!(!environment.is_set("DEBUG"));
}

#[test]
fn the_user_database_can_never_change_who_a_client_is_or_how_programs_run() {
    let forged = [
        "restrict_setuid",
        "RESTRICT_SETGID",
        "restrict_chroot",
        "advise_setuid",
        "ADVISE_SETGID",
        "Advise_SetExtraGroups",
        "ld_preload",
        "LD_LIBRARY_PATH",
        "path",
        "tz",
        "home",
        "user",
        "ip",
        "local_ip",
        "logged_in",
        "connection_id",
        "persistent_mail_process",
        "master_user",
        "protocol",
        "imaplogintag",
        "secured",
        "umask",
        "mail_process_size",
        "mail_max_connections",
        "stderr_close_shutdown",
        "verbose_proctitle",
        "gconv_path",
        "malloc_check_",
        "ifs",
        "namespace_1",
        "unheard_of",
        "quota=x",
        "quota\nhome",
        "quota-rule",
        "",
    ];
    let fields: Vec<_> = forged.iter().map(|key| (*key, "forged")).collect();
    let plain = with_extra("", &[]);
    let environment = with_extra("", &fields);
    assert_eq!(text(&environment), text(&plain));
}

#[test]
fn no_extra_field_forges_a_variable_by_a_line_break() {
    let environment = with_extra("", &[("quota", "x\nADVISE_SETUID=1")]);
    assert_eq!(environment.get("QUOTA"), Some(&b"x\nADVISE_SETUID=1"[..]));
    assert!(text(&environment).contains("QUOTA=x\\nADVISE_SETUID=1\n"));
}

#[test]
fn a_user_without_home_fails_only_where_one_is_needed() {
    let person = Person { home: None, ..alice() };
    let facts = facts(&person, Form::Shared);
    let environment = client_environment(&fixture("").imap, &facts).unwrap();
    assert!(!environment.is_set("HOME") && !environment.is_set("MAIL"));
    let needs = fixture("mail_location = maildir:%h/Maildir\n");
    assert!(matches!(client_environment(&needs.imap, &facts), Err(NoEnvironment::Home(_))));
}

#[test]
fn a_value_that_is_too_large_costs_this_client_alone() {
    let person = Person { extra: vec![(b"quota".to_vec(), vec![b'x'; 70_000])], ..alice() };
    let result = client_environment(&fixture("").imap, &facts(&person, Form::Shared));
    assert_eq!(result, Err(NoEnvironment::Invalid(Invalid::TooLong)));
}

#[test]
fn every_variable_of_a_setting_is_a_users_or_the_masters() {
    for row in ProtocolSettings::TABLE {
        if let Some(name) = row.variable() {
            assert!(is_ours(name.as_bytes()), "{name}");
        }
    }
}

#[test]
fn every_variable_stands_in_the_man_page() {
    let page = include_str!("../../../man/mail-environ.7");
    let config = fixture("login_process_per_connection = yes\nmail_debug = yes\n");
    let person = Person { chroot: Some(b"/srv".to_vec()), master_user: Some("m".to_owned()), ..alice() };
    let secured = |form| ClientFacts { secured: true, ..facts(&person, form) };
    let mut environments = vec![config.auth_environment().unwrap()];
    for protocol in Protocol::ALL {
        environments.push(config.login_environment(protocol).unwrap());
        let settings = config.protocol(protocol);
        let forms = [Form::Alone, Form::Dropped, Form::Shared];
        environments.extend(forms.map(|form| client_environment(settings, &secured(form)).unwrap()));
    }
    let set = environments.iter().flat_map(Environment::iter).map(|(name, _)| String::from_utf8_lossy(name));
    let known = [SETTINGS, FLAGS, PLUGINS].concat();
    let rows = ServerSettings::TABLE.iter().chain(ProtocolSettings::TABLE).filter_map(|row| row.variable());
    for name in set.chain(known.into_iter().map(Cow::from)).chain(rows.map(Cow::from)) {
        assert!(page.split([' ', '\n']).any(|word| word == name), "{name}");
    }
}
