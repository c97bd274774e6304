//! What is wrong is told where it is, all of it at once, with what to write instead.

use super::*;

fn only(text: &str) -> String {
    let machine = Machine::root();
    let mut errors = machine.errors(&format!("{USERS}{text}"));
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.remove(0)
}

#[test]
fn an_error_shows_the_line_and_points_into_it() {
    let machine = Machine::root();
    let report = machine.load("# x\n\tmail_max_conections = 20\n").err().unwrap();
    let text = report.to_string().replace(&machine.directory.path().display().to_string(), "/etc");
    assert!(
        text.contains(
            "error: there is no setting 'mail_max_conections'\n \
             --> /etc/mail.conf:2:2\n  |\n\
             2 |     mail_max_conections = 20\n  \
             |     ^^^^^^^^^^^^^^^^^^^\n  |\n  \
             = help: did you mean 'mail_max_connections'?\n"
        ),
        "{text}"
    );
}

#[test]
fn all_errors_are_told_at_once() {
    let errors = Machine::root().errors("umask = 9\nfoo = 1\nlisten = nowhere\n}\nprotocol imap {\n");
    let starts: Vec<&str> = errors.iter().filter_map(|line| line.split(';').next()).collect();
    assert_eq!(
        starts,
        [
            "there is no passdb: nobody could log in",
            "there is no userdb: nothing says who a user is",
            "mail.conf:1:9: umask: '9' is no file mode",
            "mail.conf:2:1: there is no setting 'foo'",
            "mail.conf:3:10: listen: 'nowhere' is no address",
            "mail.conf:4:1: this brace closes no section",
            "mail.conf:5:1: this section is not closed in its file",
        ]
    );
}

#[test]
fn a_flood_of_errors_is_cut() {
    let machine = Machine::root();
    let report = machine.load(&"what\n".repeat(1000)).err().unwrap();
    // There are no databases either, which is two of the first 200.
    assert_eq!(report.errors(), 1002);
    let text = report.to_string();
    assert_eq!(text.matches("error: ").count(), 30);
    assert!(text.ends_with("... and 972 more\n\n"));
}

#[test]
fn values_of_the_wrong_type_say_what_is_right() {
    assert_eq!(
        only("mail_debug = true\n"),
        "mail.conf:9:14: mail_debug: 'true' is neither yes nor no; write 'yes'"
    );
    assert_eq!(
        only("mail_max_connections = 0\n"),
        "mail.conf:9:24: mail_max_connections: this must be at least 1; write 1 or more"
    );
    assert!(
        only("protocols = imap imaps\n")
            .starts_with("mail.conf:9:18: protocols: 'imaps' is not served here; TLS")
    );
    assert!(
        only("imap_client_workarounds = tb-extra-mailbox-sep outlook-idle\n").starts_with("mail.conf:9:48: ")
    );
    assert!(
        only("mail_location = mbox:~/mail\n").contains("'mbox' is no kind of mailbox that is served here")
    );
    assert!(
        only("mail_location = maildir:/var/mail/%x\n")
            .starts_with("mail.conf:9:35: mail_location: '%x' names no variable")
    );
    assert!(only("pop3_uidl_format = %v\n").contains("all messages of a mailbox would have the same UIDL"));
    assert!(only("imap_logout_format = %s\n").contains("known here are %i %o"));
    assert!(only("base_dir = run\n").contains("begin it with '/'"));
    assert!(only("login_user = nobody2\n").contains("this machine has no user 'nobody2'; create it"));
    assert!(only("mail_uid = 0\n").contains("nobody's mail is read as root"));
    assert!(only("imap_capability = IDLE\n").contains("IMAP4rev1 is missing"));
}

#[test]
fn a_forced_executable_is_explained() {
    let error = only("mail_executable = /usr/libexec/mail/other!\n");
    assert!(
        error.starts_with(
            "mail.conf:9:42: mail_executable: a '!' at the end forces nothing here; remove it: "
        ),
        "{error}"
    );
}

#[test]
fn a_missing_user_of_a_default_is_told_without_a_place() {
    let mut machine = Machine::root();
    machine.host.user = |_| None;
    let errors = machine.errors(&format!("{USERS}login_user = 1\nauth_user = 2\n"));
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(
        errors[0].starts_with("mail_base_user: this machine has no user 'mailbase'; create it (useradd ")
    );
}

#[test]
fn settings_in_the_wrong_section_are_sent_home() {
    assert_eq!(
        only("protocol imap {\n  base_dir = /x\n}\n"),
        "mail.conf:10:3: base_dir holds for the whole server; move it out of 'protocol imap { }'"
    );
    assert_eq!(
        only("protocol imap {\n  pop3_enable_last = yes\n}\n"),
        "mail.conf:10:3: pop3_enable_last means nothing to IMAP; write it in 'protocol pop3 { }'"
    );
}

#[test]
fn sharing_without_ranges_proposes_those_of_this_machine() {
    let machine = Machine::root();
    machine.write("login.defs", "# x\nUID_MIN  2000\nUID_MAX\t30000\nGID_MAX 40000 # y\n");
    let errors = machine.errors(&format!("{USERS}last_valid_gid = 0\nmail_process_per_connection = no\n"));
    assert_eq!(
        errors,
        [
            "mail.conf:10:31: where users share a process, first_valid_uid, last_valid_uid, first_valid_gid, last_valid_gid must \
          be set; a shared process can become these users and no other; this machine's ordinary users are: \
          first_valid_uid = 2000, last_valid_uid = 30000, first_valid_gid = 1000, last_valid_gid = 40000"
        ]
    );
}

#[test]
fn what_cannot_be_together_is_told() {
    let shared = "mail_process_per_connection = no\nfirst_valid_uid = 1000\nlast_valid_uid = 60000\n\
                  first_valid_gid = 1000\nlast_valid_gid = 60000\n";
    assert!(
        only(&format!("{shared}mail_chroot = /srv\n"))
            .contains("mail_chroot cannot be where clients of all users share")
    );
    assert!(only("last_valid_uid = 400\n").contains("last_valid_uid is 400, which is below the first, 500"));
    assert!(
        only("auth_user = maillogin\n").contains("auth_user and login_user are the same user, maillogin")
    );
    assert!(only("login_user = root\n").contains("login_user is root"));
    assert!(only("listen = *:1143\n").contains("0.0.0.0:1143 is listened on twice, for IMAP and POP3"));
    assert!(only("mail_executable = /opt/missing -x\n").contains("/opt/missing cannot be executed"));
    assert!(only("log_path = /no/such/place/log\n").contains("there is no directory /no/such/place"));
}

#[test]
fn a_jail_is_not_asked_for_and_left_out() {
    let [without, filter, nowhere] = [
        "mail_jail = no\nmail_jail_require = seccomp\n",
        "mail_jail = filter\nmail_jail_require = namespace\n",
        "mail_jail_require = landlock\n",
    ]
    .map(only);
    assert!(without.contains("mail_jail = no leaves out what mail_jail_require asks for"), "{without}");
    assert!(filter.contains("mail_jail = filter is without the namespace"), "{filter}");
    assert!(nowhere.contains("mail_jail_paths is empty"), "{nowhere}");
    let warnings = Machine::root().warnings("mail_jail = no\n");
    assert!(warnings.len() == 1 && warnings[0].contains("mail processes are in no jail"), "{warnings:?}");
}

#[test]
fn a_group_of_the_system_for_all_mail_users_is_warned_of() {
    let warnings = Machine::root().warnings("mail_access_groups = 8, 6000, 42\n");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("every mail user is in the system's group 8 and 42"), "{warnings:?}");
    assert_eq!(Machine::plain().warnings("mail_access_groups = 8\n"), [""; 0]);
}

#[test]
fn plugin_names_that_would_stand_for_others_are_refused() {
    assert!(only("plugin {\n  user = x\n}\n").contains("USER is a variable that the master sets itself"));
    assert!(only("plugin {\n  ld_preload = x\n}\n").contains("LD_PRELOAD is a variable"));
    assert!(only("plugin {\n  debug = x\n}\n").contains("DEBUG is a variable"));
    assert!(only("plugin {\n  a-b = x\n}\n").contains("can be no variable"));
    assert!(only("plugin {\n  quota_warning = storage=95% cmd\n}\n").contains("'% c' names no variable"));
}

#[test]
fn dovecots_names_say_where_they_went() {
    assert!(
        only("ssl_cert_file = /etc/x\n")
            .contains("'ssl_cert_file' is not supported; TLS is not supported yet")
    );
    assert!(only("namespace private {\n  prefix = INBOX.\n}\n").contains("namespaces are not supported yet"));
    let mailbox =
        |line: &str| only(&format!("namespace inbox {{\n  mailbox Sent {{\n    {line}\n  }}\n}}\n"));
    assert!(mailbox("special_use = \\Sent \\Send").contains("there is no '\\Send'; it is one of: \\All, "));
    assert!(mailbox("auto = yes").contains("write no, create or subscribe"));
    assert!(mailbox("autoexpunge = 30d").contains("old messages are not removed by themselves"));
    assert!(mailbox("color = red").contains("write 'special_use = ...' or 'auto = ...'"));
    assert!(only("mailbox {\n}\n").contains("this mailbox has no name"));
    assert!(only("protocol imap {\n  mailbox Sent {\n  }\n}\n").contains("cannot stand here"));
    assert!(only("service imap {\n  client_limit = 20\n}\n").contains("see mail_max_connections"));
    assert!(only("mail_plugins = quota\n").contains("plugins are not supported yet"));
    assert!(only("client_limit = 5\n").contains("write 'mail_max_connections' instead"));
    assert!(only("auth_failure_delai = 5\n").contains("did you mean 'auth_failure_delay'?"));
    assert!(only("imap_max_line_lenght = 5\n").contains("did you mean 'imap_max_line_length'?"));
    assert!(only("imap_metadata = yes\n").contains("'imap_metadata' is not supported"));
    assert!(
        only("passdb pam {\n}\n")
            .contains("the passdb driver 'pam' is not supported yet; the drivers are passwd-file")
    );
    assert!(
        only("passdb static {\n  args = nopassword\n  master = yes\n}\n")
            .contains("master users are not supported yet")
    );
}

#[test]
fn databases_without_what_they_need_are_refused() {
    assert!(only("passdb {\n}\n").contains("names no driver"));
    assert!(only("passdb passwd-file {\n}\n").contains("its args end with the absolute path"));
    assert!(
        only("passdb passwd-file {\n  args = shceme=PLAIN /x\n}\n")
            .contains("'shceme=PLAIN' is no option of it")
    );
    assert!(
        only("passdb checkpassword {\n  args = /bin/missing\n}\n")
            .contains("/bin/missing cannot be executed")
    );
    assert!(only("userdb static {\n  args = home=/%q\n}\n").contains("'%q' names no variable"));
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let machine = Machine::root();
    let report = load(&machine.directory.path().join("nowhere.conf"), &machine.host).err().unwrap();
    assert!(machine.lines(&report)[0].starts_with("cannot read nowhere.conf: No such file"));
    assert!(only("!include other.conf\n").contains("there is no file 'other.conf'"));
    machine.write("latin.conf", "x");
    std::fs::write(machine.directory.path().join("latin.conf"), b"umask = 0\n# \xe4\n").unwrap();
    let errors = machine.errors(&format!("{USERS}!include latin.conf\n"));
    assert_eq!(errors, ["mail.conf:9:10: cannot read latin.conf: line 2 is not UTF-8"]);
}

#[test]
fn a_fifo_is_told_and_not_waited_for() {
    let machine = Machine::root();
    let fifo = machine.directory.path().join("pipe.conf");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    for word in ["!include", "!include_try"] {
        let errors = machine.errors(&format!("{USERS}{word} pipe.conf\n"));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains("it is a fifo"), "{errors:?}");
    }
}

#[test]
fn a_file_that_includes_itself_is_told() {
    let machine = Machine::root();
    machine.write("b.conf", "!include mail.conf\n");
    let errors = machine.errors(&format!("{USERS}!include b.conf\n"));
    assert_eq!(errors, ["b.conf:1:10: mail.conf includes itself; remove one of the '!include' lines"]);
}

#[test]
fn a_setting_written_twice_is_warned_of_and_the_last_counts() {
    let machine = Machine::root();
    let warnings = machine.warnings("umask = 0022\numask = 0027\n");
    assert_eq!(warnings, ["mail.conf:10:1: umask is set a second time; this one counts; remove the other"]);
    assert_eq!(machine.config("umask = 0022\numask = 0027\n").imap.umask.0, 0o027);
}

#[test]
fn passwords_are_shown_nowhere() {
    let machine = Machine::root();
    let text = "passdb static {\n  args = password=swordfish %q\n}\n";
    let report = machine.load(&format!("{USERS}{text}")).err().unwrap();
    assert!(!report.to_string().contains("swordfish"), "{report}");
    let config = machine.config("passdb static {\n  args = password=swordfish\n}\n");
    assert!(!format!("{config:?}").contains("swordfish"));
    assert!(!print(&config, &machine.host, Shown::All).contains("swordfish"));
}

#[test]
fn a_shared_process_has_somebody_to_become_and_no_system_user() {
    let shared = |ranges: &str| format!("mail_process_per_connection = no\n{ranges}");
    let gids = "first_valid_gid = 1000\nlast_valid_gid = 2000\n";
    for (ids, name) in [("65534", "uid"), ("103", "uid")] {
        let error = only(&shared(&format!("first_valid_uid = {ids}\nlast_valid_uid = {ids}\n{gids}")));
        assert!(error.contains(&format!("nobody is left up to last_valid_{name}")), "{error}");
    }
    let text = format!("first_valid_uid = 1\nlast_valid_uid = 2000\n{gids}");
    let warnings = Machine::root().warnings(&shared(&text));
    assert!(warnings.iter().any(|line| line.contains("may become the system's own users")), "{warnings:?}");
    assert_eq!(Machine::root().warnings(&text), [""; 0]);
}

#[test]
fn static_users_are_within_the_ranges() {
    let error = only("first_valid_uid = 6000\nmail_uid = vmail\n");
    assert!(
        error.contains("mail_uid is 5000, which is outside of first_valid_uid and last_valid_uid"),
        "{error}"
    );
    let error = only("last_valid_gid = 5000\nmail_gid = shared\n");
    assert!(error.contains("mail_gid is 6000"), "{error}");
    assert!(Machine::root().errors(&format!("{USERS}mail_uid = vmail\nmail_gid = shared\n")).is_empty());
}
