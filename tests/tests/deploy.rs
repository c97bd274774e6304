//! What becomes of the server in the surroundings that service managers and containers make, and whether mail-security(7)
//! says so; and that the files for administrators in deploy/ are what they are for.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use tests::{SHARED, Server, Site, installed, root, run};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap()
}

/// What the page says comes of these surroundings: the form, or that nothing is served.
fn said(surroundings: &str) -> String {
    let page = read("man/mail-security.7");
    let row = format!(".It {surroundings} Ta ");
    let found = page.lines().find_map(|line| line.strip_prefix(&row));
    found.unwrap_or_else(|| panic!("no row '{row}'")).split([' ', ':']).next().unwrap().to_owned()
}

/// The values of a setting of the unit.
fn unit(name: &str) -> Vec<String> {
    let unit = read("deploy/systemd/mail-master.service");
    let values = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.unwrap().split_whitespace().map(str::to_owned).collect()
}

/// The capabilities that the unit leaves, but one.
fn unit_without(gone: &str) -> Vec<String> {
    unit("CapabilityBoundingSet").into_iter().filter(|name| name != gone).collect()
}

/// setpriv(1) with these capabilities, of which each child can have no other.
fn bounded(capabilities: &[String]) -> Vec<String> {
    let names = capabilities.iter().map(|name| name.strip_prefix("CAP_").unwrap().to_lowercase());
    let set = names.fold("-all".to_owned(), |set, name| set + ",+" + &name);
    vec!["setpriv".to_owned(), format!("--bounding-set={set}"), "--inh-caps=-all".to_owned()]
}

fn nested(arguments: &str) -> Vec<String> {
    let script = repository().join("tests/deploy/nested.py");
    let words = arguments.split_whitespace().map(str::to_owned);
    ["python3".to_owned(), script.display().to_string()].into_iter().chain(words).collect()
}

/// What the kernel has a shared worker in.
fn form(server: &Server) -> String {
    server.login("alice").ask("SELECT INBOX").ok();
    let worker = server.only("worker");
    let map = |pid: u32| fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
    assert_eq!(worker.status("CapBnd"), ["00000000000000c0"]);
    assert_eq!((worker.status("NoNewPrivs"), worker.status("Seccomp")), (vec!["1".into()], vec!["2".into()]));
    let own = map(worker.pid) == map(server.master().pid);
    let form = if own { "filter" } else { "namespace" };
    let told = server.status("worker")[0]["jail"].as_str().unwrap().to_owned();
    assert!(told.starts_with(form), "{told}, but it is {form}");
    form.to_owned()
}

const IMAP_ONLY: &str = "protocols = imap\n";

#[track_caller]
fn assert_said(surroundings: &str, within: &[String]) {
    let site = Site::new().within(within);
    let comes = match site.try_start(&format!("{SHARED}{IMAP_ONLY}")) {
        Ok(server) => form(&server),
        Err(log) => {
            assert!(log.contains("mail-jail"), "{surroundings}: the reason is not told:\n{log}");
            "refused".to_owned()
        }
    };
    assert_eq!(comes, said(surroundings), "{surroundings}");
}

#[test]
fn each_form_results_where_the_page_says() {
    if !root("each_form_results_where_the_page_says") {
        return;
    }
    let no_new_privs = vec!["setpriv".to_owned(), "--no-new-privs".to_owned()];
    let whole = nested("0 0 65536");
    let folder = tempfile::tempdir().unwrap();
    let changed = format!("mount --rbind / {0} && exec chroot {0} \"$@\"", folder.path().display());
    let changed = ["unshare", "--mount", "sh", "-c", &changed, "sh"].map(str::to_owned).to_vec();
    for (surroundings, within) in [
        ("root, nothing in the way", Vec::new()),
        ("NoNewPrivileges=yes, no-new-privs", no_new_privs),
        ("bounding set without CAP_SYS_ADMIN", bounded(&unit("CapabilityBoundingSet"))),
        ("no CAP_SETUID or no CAP_SETGID", bounded(&unit_without("CAP_SETUID"))),
        ("no CAP_SETUID or no CAP_SETGID", bounded(&unit_without("CAP_SETGID"))),
        ("the master in a chroot", changed),
        ("a container with a range of ids", whole),
        ("user.max_user_namespaces = 0", nested("--forbid 0 0 65536")),
        ("PrivateUsers=yes", nested("0 0 1")),
    ] {
        assert_said(surroundings, &within);
    }
}

#[test]
fn where_logins_cannot_be_locked_in_they_serve_without_and_it_is_told() {
    if !root("where_logins_cannot_be_locked_in_they_serve_without_and_it_is_told") {
        return;
    }
    assert!(said("no CAP_SETPCAP or no CAP_SYS_CHROOT").starts_with("as"));
    for missing in ["CAP_SETPCAP", "CAP_SYS_CHROOT"] {
        let site = Site::new().within(&bounded(&unit_without(missing)));
        let server = site.start(&format!("{SHARED}{IMAP_ONLY}"));
        server.wait_for_log("login processes have no empty root");
        server.login("alice");
    }
}

#[test]
fn where_nobody_may_make_namespaces_the_filter_does_and_the_page_says_so() {
    if !root("where_nobody_may_make_namespaces_the_filter_does_and_the_page_says_so") {
        return;
    }
    // mail-jail's own filter refuses what that of Docker and RestrictNamespaces= refuse.
    let site = Site::new();
    let jail = site.program("mail-jail").display().to_string();
    let keep = unit("CapabilityBoundingSet").join(",");
    let within = [jail, "--keep-cap".to_owned(), keep, "--".to_owned()];
    let server = site.within(&within).start(&format!("{SHARED}{IMAP_ONLY}"));
    for surroundings in ["RestrictNamespaces=yes", "Docker, default profile"] {
        assert_eq!(form(&server), said(surroundings), "{surroundings}");
    }
    // Who wants the other finds out before anybody is served by this one.
    let required = format!("{SHARED}{IMAP_ONLY}mail_jail_require = namespace\n");
    server.site.configure(&required);
    let output = server.mailctl(&["reload"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains("namespace"), "{text}");
    assert_eq!(form(&server), "filter");
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    if !installed("the_unit_is_one_that_systemd_takes", "systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mail-master.service");
    let unit = read("deploy/systemd/mail-master.service");
    // It is asked of the unit, and not whether anything is installed here.
    let programs = ["/usr/local/sbin/mail-master", "/usr/local/sbin/mailctl"];
    let unit = programs.iter().fold(unit, |unit, program| unit.replace(program, "/bin/true"));
    assert!(!unit.contains("/usr/local"), "{unit}");
    fs::write(&file, unit).unwrap();
    let output = run("systemd-analyze", &["verify", "--man=no", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn every_value_for_sysctl_is_one_that_there_is() {
    let text = read("deploy/sysctl.d/60-mail-master.conf");
    let mut count = 0;
    for line in text.lines().map(|line| line.trim_start_matches('#')) {
        let Some((name, value)) = line.split_once(" = ").filter(|(name, _)| !name.contains(' ')) else {
            continue;
        };
        let file = Path::new("/proc/sys").join(name.replace('.', "/"));
        assert!(file.exists(), "{name}");
        assert!(value.parse::<u64>().is_ok(), "{line}");
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn the_log_says_for_how_many_clients_there_is_room() {
    let small = "max_mail_processes = 4\nmail_max_connections = 5\nlogin_max_connections = 7\n";
    let server = Server::start(&format!("{SHARED}{IMAP_ONLY}{small}"));
    server.wait_for_log(
        "room for 20 clients, up to 5 in each of 4 mail processes, and for 7 before they log in",
    );
    let large = "max_mail_processes = 1000000\n";
    server.reload(&format!("{SHARED}{IMAP_ONLY}{large}"));
    server.wait_for_log("raise fs.inotify.max_user_instances");
}
