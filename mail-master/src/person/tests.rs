use super::*;
use crate::config::fixture_of_root as fixture;

const RANGES: &str = "
    first_valid_uid = 1000
    last_valid_uid = 30000
    first_valid_gid = 1000
    last_valid_gid = 30000
    login_user = 19001
    auth_user = 19002
    mail_base_user = 19003
    mail_access_groups = 25000, 24000
    valid_chroot_dirs = /home:/srv/mail
";

fn answer(fields: &str) -> Result<Person, Unfit> {
    let config = fixture(RANGES);
    let rules = Rules { server: &config.server, protocol: &config.imap, invoker: None };
    Person::from_answer(&Line::parse(fields.replace(' ', "\t").as_bytes()), rules)
}

fn groups(fields: &str) -> Vec<u32> {
    answer(fields).unwrap().credentials.groups
}

#[test]
fn an_answer_makes_a_person() {
    let person = answer("USER 1 alice uid=20001 gid=20001 home=/home/alice quota_rule=*:storage=1G").unwrap();
    let credentials = Credentials { uid: 20001, gid: 20001, groups: vec![24000, 25000] };
    assert_eq!(person.user, "alice");
    assert_eq!(person.credentials, credentials);
    assert_eq!(person.home.as_deref(), Some(&b"/home/alice"[..]));
    assert_eq!(person.extra, [(b"quota_rule".to_vec(), b"*:storage=1G".to_vec())]);
}

#[test]
fn groups_come_from_all_sides_sorted_and_once() {
    assert_eq!(
        groups("USER 1 a uid=2000 gid=2000,23000,24000 groups=26000,23000"),
        [23000, 24000, 25000, 26000]
    );
}

#[test]
fn a_system_group_is_left_out_unless_the_settings_name_it() {
    assert_eq!(groups("USER 1 a uid=2000 gid=2000,42 groups=998,26000"), [24000, 25000, 26000]);
    let config =
        fixture(&format!("{}\nmail_access_groups = 42\n", RANGES.replace("mail_access_groups", "#")));
    let rules = Rules { server: &config.server, protocol: &config.imap, invoker: None };
    let person = Person::from_answer(&Line::parse(b"USER\t1\ta\tuid=2000\tgid=2000"), rules).unwrap();
    assert_eq!(person.credentials.groups, [42]);
}

#[test]
fn a_group_above_the_last_is_left_out_as_well() {
    assert_eq!(groups("USER 1 a uid=2000 gid=2000,30001 groups=65534,30000"), [24000, 25000, 30000]);
}

#[test]
fn where_all_share_nobody_is_outside_of_the_map() {
    let ranges = RANGES.replace("30000", "70000");
    let refused = |settings: &str, fields: &str| {
        let config = fixture(&format!("{ranges}{settings}"));
        let rules = Rules { server: &config.server, protocol: &config.imap, invoker: None };
        Person::from_answer(&Line::parse(format!("USER 1 a {fields}").replace(' ', "\t").as_bytes()), rules)
            .err()
    };
    let shared = "mail_process_per_connection = no\n";
    let outside = |field, id| Some(Unfit::NotInMap { field, id });
    assert_eq!(refused(shared, "uid=65534 gid=2000"), outside("uid", 65534));
    assert_eq!(refused(shared, "uid=2000 gid=65534"), outside("gid", 65534));
    assert_eq!(refused(shared, "uid=2000 gid=2000 groups=65534"), None);
    assert_eq!(refused("", "uid=65534 gid=65534"), None);
}

#[test]
fn nobody_is_root_or_one_of_ours() {
    let refused = |fields: &str| answer(&format!("USER 1 eve {fields}")).unwrap_err();
    assert_eq!(refused("uid=0 gid=20001"), Unfit::Root("uid"));
    assert_eq!(refused("uid=20001 gid=0"), Unfit::Root("gid"));
    assert_eq!(refused("uid=4294967295 gid=20001"), Unfit::Root("uid"));
    assert_eq!(refused("uid=20001 gid=20001 groups=0"), Unfit::Root("gid"));
    let ours = |field, id, setting| Unfit::OurOwn { field, id, setting };
    assert_eq!(refused("uid=19001 gid=20001"), ours("uid", 19001, "login_user"));
    assert_eq!(refused("uid=19002 gid=20001"), ours("uid", 19002, "auth_user"));
    assert_eq!(refused("uid=20001 gid=20001,19003"), ours("gid", 19003, "mail_base_user"));
}

#[test]
fn ids_keep_to_their_ranges() {
    assert!(matches!(answer("USER 1 a uid=999 gid=2000"), Err(Unfit::OutOfRange { field: "uid", .. })));
    assert!(matches!(answer("USER 1 a uid=30001 gid=2000"), Err(Unfit::OutOfRange { field: "uid", .. })));
    assert!(matches!(answer("USER 1 a uid=2000 gid=30001"), Err(Unfit::OutOfRange { field: "gid", .. })));
    assert!(answer("USER 1 a uid=30000 gid=1000").is_ok());
}

#[test]
fn what_is_no_number_is_no_root() {
    for wrong in ["abc", "", "1x", "+2000", "-1", "0x7d0", "99999999999"] {
        let refused = answer(&format!("USER 1 a uid={wrong} gid=2000")).unwrap_err();
        assert!(matches!(refused, Unfit::NotANumber { field: "uid", .. }), "{wrong}");
    }
    assert_eq!(answer("USER 1 a uid=2000 uid=2001 gid=2000").unwrap_err(), Unfit::Twice("uid"));
}

#[test]
fn what_the_database_does_not_say_the_settings_may() {
    assert_eq!(answer("USER 1 a gid=2000").unwrap_err(), Unfit::Missing("uid"));
    assert_eq!(answer("USER 1 a uid=2000").unwrap_err(), Unfit::Missing("gid"));
    let config = fixture(&format!("{RANGES}\nmail_uid = 5000\nmail_gid = 5001\n"));
    let rules = Rules { server: &config.server, protocol: &config.imap, invoker: None };
    let person = Person::from_answer(&Line::parse(b"USER\t1\ta"), rules).unwrap();
    assert_eq!((person.credentials.uid, person.credentials.gid), (5000, 5001));
}

#[test]
fn without_root_everybody_is_the_invoker() {
    let config = fixture(RANGES);
    let rules = Rules { server: &config.server, protocol: &config.imap, invoker: Some((77, 78)) };
    let person = Person::from_answer(&Line::parse(b"USER\t1\ta\tuid=20001\tgid=20001"), rules).unwrap();
    assert_eq!(person.credentials, Credentials { uid: 77, gid: 78, groups: Vec::new() });
}

#[test]
fn a_chroot_is_below_a_valid_directory_by_whole_names() {
    let chroot = |path: &str| answer(&format!("USER 1 a uid=2000 gid=2000 chroot={path}")).map(|p| p.chroot);
    assert_eq!(chroot("/home/a"), Ok(Some(b"/home/a".to_vec())));
    assert_eq!(chroot("/srv/mail"), Ok(Some(b"/srv/mail".to_vec())));
    for path in ["/homeX", "/home/../etc", "home/a", "/", "/srv"] {
        assert_eq!(chroot(path), Err(Unfit::Chroot(path.to_owned())));
    }
}

#[test]
fn a_home_is_an_absolute_path() {
    assert_eq!(answer("USER 1 a uid=2000 gid=2000 home=x").unwrap_err(), Unfit::RelativeHome);
    assert_eq!(answer("USER 1 a uid=2000 gid=2000 home=").unwrap().home, None);
}
