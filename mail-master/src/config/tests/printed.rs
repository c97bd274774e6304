//! What is printed can be read again; what is shipped is what the table says.

use super::*;

const CHANGED: &str = "\
base_dir = /run/mail
listen = 127.0.0.1
login_greeting = \" # hi \"
mail_max_userip_connections = 4
pop3_enable_last = yes
mail_location = maildir:~/Maildir
mail_executable =
namespace inbox {
  inbox = yes
  mailbox \"Sent Messages\" {
    special_use = \\sent
  }
  mailbox Drafts {
    special_use = \\Drafts
    auto = create
  }
}
mailbox Drafts {
  auto = subscribe
}
plugin {
  quota = maildir:User quota
  trash = /etc/trash
}
protocol imap {
  umask = 0027
  imap_max_line_length = 64k
  plugin {
    trash = /etc/trash-imap
  }
}
";

#[test]
fn only_what_differs_is_printed() {
    let machine = Machine::root();
    let config = machine.config(CHANGED);
    let printed = print(&config, &machine.host, Shown::Changed);
    let (first, rest) = printed.split_once('\n').unwrap();
    assert!(first.starts_with("# mail-master 0."));
    assert_eq!(
        rest,
        "\
base_dir = /run/mail
listen = 127.0.0.1
login_greeting = \" # hi \"
disable_plaintext_auth = no
mail_max_userip_connections = 4
mail_location = maildir:~/Maildir
pop3_enable_last = yes
passdb static {
  args = password=<secret>
}
userdb static {
  args = uid=vmail gid=vmail home=/home/%u
}
namespace inbox {
  mailbox \"Sent Messages\" {
    special_use = \\Sent
  }
  mailbox Drafts {
    special_use = \\Drafts
    auto = subscribe
  }
}
plugin {
  quota = maildir:User quota
}
protocol imap {
  umask = 0027
  plugin {
    trash = /etc/trash-imap
  }
}
protocol pop3 {
  plugin {
    trash = /etc/trash
  }
}
"
    );
}

#[test]
fn what_is_printed_is_read_as_the_same() {
    let machine = Machine::root();
    let config = machine.config(CHANGED);
    for shown in [Shown::Changed, Shown::All] {
        let (again, _) =
            machine.load(&print(&config, &machine.host, shown)).map_err(|r| r.to_string()).unwrap();
        let [again, before] =
            [again, config.clone()].map(|config| print(&config, &machine.host, Shown::Changed));
        assert_eq!(again, before);
    }
}

#[test]
fn ranges_that_sharing_needs_are_printed_even_as_defaults() {
    let machine = Machine::root();
    let ranges = "first_valid_uid = 500\nlast_valid_uid = 900\nfirst_valid_gid = 1\nlast_valid_gid = 900\n";
    let config = machine.config(&format!("mail_process_per_connection = no\n{ranges}"));
    machine
        .load(&print(&config, &machine.host, Shown::Changed))
        .map_err(|report| report.to_string())
        .unwrap();
}

#[test]
fn whom_a_shared_process_may_become_is_printed_with_all_settings() {
    let machine = Machine::root();
    let config = machine.config(
        "first_valid_uid = 1000\nlast_valid_uid = 2000\nfirst_valid_gid = 1000\nlast_valid_gid = 2000\n\
         login_user = 1500\nprotocol pop3 {\n mail_access_groups = shared\n}\n",
    );
    let printed = print(&config, &machine.host, Shown::All);
    let end = "# imap: uids 1000-1499,1501-2000\n# imap: gids 1000-1499,1501-2000\n\
               # pop3: uids 1000-1499,1501-2000\n# pop3: gids 1000-1499,1501-2000,6000\n";
    assert!(printed.ends_with(end), "{printed}");
    assert!(!print(&config, &machine.host, Shown::Changed).contains("# imap"));
}

#[test]
fn all_settings_are_printed_where_asked_for() {
    let machine = Machine::root();
    let printed = print(&machine.config(""), &machine.host, Shown::All);
    for row in ServerSettings::TABLE.iter().chain(ProtocolSettings::TABLE) {
        assert!(printed.contains(&format!("{} =", row.name)), "{}", row.name);
    }
    assert!(printed.contains("protocol imap {\n  mail_max_userip_connections = 10\n}\nprotocol pop3 {\n"));
}

#[test]
fn a_default_that_both_protocols_took_from_each_other_is_printed() {
    let machine = Machine::root();
    for number in [3, 10] {
        let config = machine.config(&format!("mail_max_userip_connections = {number}\n"));
        let (again, _) = machine
            .load(&print(&config, &machine.host, Shown::Changed))
            .map_err(|report| report.to_string())
            .unwrap();
        assert_eq!(again.imap.mail_max_userip_connections, number);
        assert_eq!(again.pop3.mail_max_userip_connections, number);
    }
}

#[test]
fn the_example_is_a_configuration_and_says_the_defaults() {
    let machine = Machine::root();
    let (config, _) = machine.load(&example()).map_err(|report| report.to_string()).unwrap();
    let uncommented: String = example()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting)
                if setting.starts_with(|c: char| c.is_ascii_lowercase()) && setting.contains(" =") =>
            {
                setting
            }
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let (same, _) = machine.load(&uncommented).map_err(|report| report.to_string()).unwrap();
    assert_eq!(print(&same, &machine.host, Shown::Changed).lines().count(), 1 + 6 + 1, "{uncommented}");
    assert_eq!(print(&config, &machine.host, Shown::Changed).lines().count(), 1 + 6);
}

#[test]
fn each_setting_has_a_text_and_sentences_in_it() {
    for row in ServerSettings::TABLE.iter().chain(ProtocolSettings::TABLE) {
        let last = row.text.last().unwrap();
        assert!(last.ends_with('.'), "{}: {last}", row.name);
        assert!(row.text.iter().all(|line| line.starts_with(' ') && line.len() < 130), "{}", row.name);
    }
}

/// 'mail-master --print-example' and '--print-settings-mdoc' make what these compare with.
#[test]
fn the_shipped_example_is_the_tables() {
    assert_eq!(include_str!("../../../mail-master.conf.example"), example());
}

#[test]
fn the_man_page_has_the_tables_settings() {
    assert!(include_str!("../../../../man/mail-master.conf.5").contains(&mdoc()));
}

#[test]
fn the_man_pages_examples_are_configurations() {
    let machine = Machine::root();
    let page = include_str!("../../../../man/mail-master.conf.5");
    let (_, examples) = page.split_once(".Sh EXAMPLES").unwrap();
    let blocks: Vec<&str> = examples.split(".Bd -literal -offset indent\n").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let (text, _) = block.split_once(".Ed").unwrap();
        machine.load(text).map_err(|report| report.to_string()).unwrap();
    }
}
