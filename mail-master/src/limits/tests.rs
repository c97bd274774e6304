use super::*;
use crate::config::fixture_of_root as fixture;

const SHARED: &str = "mail_process_per_connection = no\nfirst_valid_uid = 1000\nlast_valid_uid = 60000\n\
    first_valid_gid = 1000\nlast_valid_gid = 60000\n";

/// One that allows whatever is asked.
fn large() -> Machine {
    Machine {
        descriptors: 1 << 20,
        all_descriptors: u64::MAX,
        processes: (1 << 22, "kernel.pid_max"),
        own_processes: u64::MAX,
        instances: 1 << 20,
        watches: 1 << 20,
        memory: (1 << 40, "what is installed"),
    }
}

fn said(machine: &Machine, settings: &str) -> Vec<String> {
    said_if(machine, settings, Counted::InNamespaces)
}

fn said_if(machine: &Machine, settings: &str, counted: Counted) -> Vec<String> {
    let said = sentences(machine, &fixture(settings), counted);
    said.into_iter().map(|(level, sentence)| format!("{level}: {sentence}")).collect()
}

#[track_caller]
fn assert_short(machine: &Machine, settings: &str, parts: [&str; 2]) {
    let said = said(machine, settings);
    assert_eq!(said.len(), 1, "{said:#?}");
    for part in parts {
        assert!(said[0].starts_with("WARN: ") && said[0].contains(part), "{}", said[0]);
    }
}

#[test]
fn where_there_is_room_it_says_for_how_many() {
    let room = "INFO: room for 512 clients, up to 1 in each of 512 mail processes, and for 256 before they log in; \
        this machine's limits allow them";
    assert_eq!(said(&large(), ""), [room]);
    let shared = format!("{SHARED}login_process_per_connection = no\n");
    let room = "INFO: room for 10240 clients, up to 20 in each of 512 mail processes, and for 1024 before they log in; \
        this machine's limits allow them";
    assert_eq!(said(&large(), &shared), [room]);
    let bounded = format!("{shared}mail_max_connections_total = 5000\nlogin_max_connections_total = 0\n");
    let room = said(&large(), &bounded);
    assert!(
        room[0].contains("room for 5000 clients, up to 20 ") && room[0].contains("for 1536 before"),
        "{room:?}"
    );
}

#[test]
fn each_limit_that_is_too_low_is_named_with_the_setting_that_needs_more() {
    let few = Machine { descriptors: 1024, ..large() };
    assert_short(&few, "", ["mail-master needs 2432 descriptors", "LimitNOFILE"]);
    let one = "max_mail_processes = 1\nlogin_max_processes_count = 1\n";
    assert_short(
        &few,
        &format!("{SHARED}{one}mail_max_connections = 1000\n"),
        ["mail_max_connections = 1000: a mail process needs 2032", "may have 1024"],
    );
    let many = "login_process_per_connection = no\nlogin_max_connections = 600\n";
    assert_short(&few, &format!("{one}{many}"), ["login_max_connections = 600", "1232 descriptors"]);
    let few = Machine { all_descriptors: 20000, ..large() };
    assert_short(&few, "", ["they need 28544 descriptors", "fs.file-max"]);
    let few = Machine { processes: (700, "pids.max"), ..large() };
    assert_short(&few, "", ["772 processes are needed, 700 may", "raise pids.max"]);
    let few = Machine { memory: (256 << 20, "what is installed"), ..large() };
    assert_short(&few, "", ["512 clients need about 388 MB", "there are 256 MB (what is installed)"]);
}

#[test]
fn instances_count_where_processes_are_of_one_user() {
    let usual = Machine { instances: 128, ..large() };
    assert_short(
        &usual,
        SHARED,
        ["max_mail_processes = 512: each needs an inotify", "max_user_instances to 544"],
    );
    assert_short(&usual, "mail_uid = vmail\n", ["one user may have 128", "mailbox_idle_check_interval"]);
    let own = said(&usual, "");
    assert!(own[0].starts_with("INFO: "), "{own:?}");
    let without_root = said_if(&usual, "", Counted::AsInvoker);
    assert!(without_root[0].contains("fs.inotify.max_user_instances"), "{without_root:?}");
    let few = Machine { watches: 8192, ..large() };
    assert_short(
        &few,
        SHARED,
        ["10240 clients have 20480 directories watched, and one user may have 8192", "max_user_watches"],
    );
}

#[test]
fn processes_of_one_user_are_counted_as_the_kernel_does() {
    let few = Machine { own_processes: 300, ..large() };
    let without_disk = format!("{SHARED}fsync_disable = yes\n");
    for (settings, counted, needed) in [
        ("", Counted::InNamespaces, None),
        ("mail_uid = vmail\n", Counted::InNamespaces, Some("one user needs 512 processes")),
        (SHARED, Counted::InNamespaces, None),
        (SHARED, Counted::AsBaseUser, Some("one user needs 1024 processes")),
        (&without_disk, Counted::AsBaseUser, Some("one user needs 512 processes")),
        ("", Counted::AsInvoker, Some("one user needs 768 processes")),
    ] {
        let said = said_if(&few, settings, counted);
        let expected = needed.unwrap_or("INFO: room for ");
        assert!(said.len() == 1 && said[0].contains(expected), "{settings}: {said:?}");
    }
}

#[test]
fn numbers_that_no_machine_has_are_added_up_all_the_same() {
    let settings = format!("{SHARED}max_mail_processes = 4294967295\nmail_max_connections = 4294967295\n");
    assert!(said(&large(), &settings).len() > 3);
}

#[test]
fn the_lowest_limit_of_all_groups_above_counts_in_both_versions() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    let read = || Machine::read(&directory.path().join("proc"), &directory.path().join("cgroup"));
    write("pids.max", "1\n");
    assert_eq!(read().processes.0, u64::MAX);
    write("proc/self/cgroup", "4:memory:/mail\n0::/system.slice/mail.service\n");
    write("proc/sys/kernel/pid_max", "32768\n");
    write("proc/meminfo", "MemTotal:        8048 kB\nMemFree: 1 kB\n");
    assert_eq!((read().processes, read().memory.0), ((32768, "kernel.pid_max"), 8048 << 10));
    write("cgroup/system.slice/mail.service/pids.max", "max\n");
    write("cgroup/system.slice/pids.max", "700\n");
    write("cgroup/memory/mail/memory.limit_in_bytes", "4096\n");
    assert_eq!((read().processes.0, read().memory.0), (700, 4096));
}

#[test]
fn this_machine_has_limits() {
    let machine = Machine::read(Path::new("/proc"), Path::new("/sys/fs/cgroup"));
    assert!(machine.processes.0 < u64::MAX && machine.memory.0 < u64::MAX, "{machine:?}");
}
