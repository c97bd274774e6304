//! The other parts of a jail: its forms, its paths, its limits, and what is left of it without root.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

const JAIL: &str = env!("CARGO_BIN_EXE_mail-jail");
const BASE: [&str; 8] =
    ["--user", "19001", "--group", "19001", "--map-uids", "20000-20099", "--map-gids", "20000-20099"];

fn run(arguments: &[&str]) -> Output {
    Command::new(JAIL).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn root(test: &str) -> bool {
    nix::unistd::geteuid().is_root() || tests::skipped(test, "not root")
}

/// A folder that all may enter, since programs are not below anybody's home.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// mail-jail, where anybody may execute it.
    fn jail(&self) -> PathBuf {
        let copy = self.path("mail-jail");
        // By another process: a child of another test could still hold what this one writes, and that is busy.
        assert!(Command::new("install").args(["-m", "755", JAIL]).arg(&copy).status().unwrap().success());
        copy
    }
}

#[test]
fn a_namespace_maps_base_and_the_ranges_and_nothing_else() {
    const TEST: &str = "a_namespace_maps_base_and_the_ranges_and_nothing_else";
    if !root(TEST) {
        return;
    }
    let script = "cat /proc/self/uid_map /proc/self/gid_map; echo $MAIL_JAIL";
    let output =
        run(&[&BASE[..], &["--groups", "7", "--identity", "namespace", "sh", "-c", script]].concat());
    if output.status.code() == Some(126) {
        tests::skipped(TEST, &said(&output));
        return;
    }
    let words: Vec<_> = said(&output).split_whitespace().map(str::to_owned).collect();
    let wanted =
        "19001 19001 1 20000 20000 100 7 7 1 19001 19001 1 20000 20000 100 namespace seccomp no-new-privs";
    assert_eq!(words.join(" "), wanted);
}

#[test]
fn where_namespaces_are_forbidden_there_is_the_filter_and_a_line() {
    if !root("where_namespaces_are_forbidden_there_is_the_filter_and_a_line") {
        return;
    }
    let folder = Folder::new();
    let inner = folder.jail();
    // A jail without --user leaves its program root, but with no way to a namespace.
    let outer = ["--keep-cap", "setuid,setgid,setpcap", inner.to_str().unwrap()];
    let said_by = |options: &[&str]| {
        let output = run(&[&outer[..], &BASE, options, &["sh", "-c", "echo $MAIL_JAIL"]].concat());
        (output.status.code(), said(&output))
    };
    assert_eq!(
        said_by(&[]),
        (Some(0), "filter seccomp landlock no-new-privs\nmail-jail: no namespace: making one: EPERM: Operation not permitted\n".into())
    );
    let (code, text) = said_by(&["--require", "namespace"]);
    assert_eq!(code, Some(126));
    assert!(text.starts_with("mail-jail: no namespace, which is required: making one: EPERM"), "{text}");
    let (code, text) = said_by(&["--dry-run"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("\nhere: filter seccomp landlock no-new-privs\nhere: no namespace: "), "{text}");
}

/// A container, as far as users go: a namespace with the lower 65536 ids, and a root who is none outside.
struct Container(Child);

impl Container {
    fn start() -> Self {
        let mut child = Command::new("unshare")
            .args(["-U", "sh", "-c", "echo up; read end"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Nothing comes, and nothing is written, where there is no namespace.
        let mut up = [0; 3];
        if std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).is_ok() {
            for map in ["uid_map", "gid_map"] {
                std::fs::write(format!("/proc/{}/{map}", child.id()), "0 0 65536").unwrap();
            }
        }
        Self(child)
    }

    fn run(&self, script: &str) -> String {
        let pid = self.0.id().to_string();
        let mut command = Command::new("nsenter");
        said(&command.args(["-U", "-t", &pid, "-S", "0", "-G", "0", "sh", "-c", script]).output().unwrap())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

#[test]
fn in_a_container_there_is_what_it_allows() {
    const TEST: &str = "in_a_container_there_is_what_it_allows";
    if !root(TEST) {
        return;
    }
    let container = Container::start();
    let folder = Folder::new();
    let jail = folder.jail().display().to_string();
    let within = format!("{jail} {} sh -c 'echo $MAIL_JAIL'", BASE.join(" "));
    if container.run("echo in") != "in\n" {
        tests::skipped(TEST, "no user namespaces");
        return;
    }
    assert_eq!(container.run(&within), "namespace seccomp no-new-privs\n");
    let beyond = container.run(&within.replacen("20000-20099", "20000-70000", 1));
    assert!(
        beyond.starts_with("filter seccomp landlock no-new-privs\nmail-jail: no namespace: writing /proc/"),
        "{beyond}"
    );
    let forbidden = container.run(&format!("echo 0 >/proc/sys/user/max_user_namespaces; {within}"));
    assert!(
        forbidden
            .starts_with("filter seccomp landlock no-new-privs\nmail-jail: no namespace: making one: ENOSPC"),
        "{forbidden}"
    );
}

#[test]
fn without_root_there_is_still_most_of_a_jail() {
    if !root("without_root_there_is_still_most_of_a_jail") {
        return;
    }
    let folder = Folder::new();
    let jail = folder.jail();
    let user = |arguments: &[&str]| {
        let mut command = Command::new(&jail);
        // A user of no groups but his own, as a shell would have it.
        command.uid(20001).gid(20001).args(arguments).current_dir("/");
        command.output().unwrap()
    };
    let output = user(&["--signal-self", "sh", "-c", "echo $MAIL_JAIL; cat /proc/self/status"]);
    let text = said(&output);
    assert!(text.starts_with("seccomp signal-self no-new-privs\n"), "{text}");
    assert!(text.contains("NoNewPrivs:\t1\nSeccomp:\t2\n"), "{text}");
    let output = user(&[&BASE[..], &["true"]].concat());
    assert_eq!(output.status.code(), Some(126));
    assert!(said(&output).starts_with("mail-jail: changing user and group needs root"), "{}", said(&output));
    let output = user(&["--keep-cap", "setuid", "true"]);
    assert_eq!(output.status.code(), Some(126), "{}", said(&output));
}

#[test]
fn paths_are_all_that_can_be_opened() {
    const TEST: &str = "paths_are_all_that_can_be_opened";
    let folder = Folder::new();
    for name in ["mail/tmp", "mail/new", "other"] {
        std::fs::create_dir_all(folder.path(name)).unwrap();
    }
    std::fs::write(folder.path("other/file"), "x").unwrap();
    let mail = folder.path("mail");
    let programs =
        ["/bin", "/lib", "/lib64", "/usr"].into_iter().filter(|path| std::path::Path::new(path).exists());
    let mut paths: Vec<_> = programs.flat_map(|path| ["--execute", path]).collect();
    paths.extend(["--write", mail.to_str().unwrap(), "--write", "/dev/null", "--read", "/etc/passwd"]);
    let dry = run(&[&paths[..], &["--require", "landlock", "--dry-run", "true"]].concat());
    if !dry.status.success() {
        tests::skipped(TEST, &said(&dry));
        return;
    }
    let script = "cd $0; try() { \"$@\" >/dev/null 2>&1 && echo $* || echo not $*; }\n\
        echo x >mail/tmp/1; try mv mail/tmp/1 mail/new/1; try cat mail/new/1; try rm mail/new/1\n\
        try cat other/file; try cat /etc/passwd; try cat /etc/group; try ls other; try ls /; try cat /proc/self/status\n\
        try touch other/new; try mv other/file mail/new/2; try mkfifo mail/fifo; echo $MAIL_JAIL";
    let output = run(&[&paths[..], &["sh", "-c", script, folder.0.path().to_str().unwrap()]].concat());
    assert_eq!(
        said(&output),
        "mv mail/tmp/1 mail/new/1\ncat mail/new/1\nrm mail/new/1\nnot cat other/file\ncat /etc/passwd\n\
         not cat /etc/group\nnot ls other\nnot ls /\nnot cat /proc/self/status\nnot touch other/new\n\
         not mv other/file mail/new/2\nmkfifo mail/fifo\nseccomp landlock no-new-privs\n"
    );
    let output = run(&["--read", "/no/such/path", "true"]);
    assert_eq!(output.status.code(), Some(126));
    assert!(said(&output).contains("/no/such/path"), "{}", said(&output));
    if root(TEST) {
        // Base itself has no way to it.
        std::fs::set_permissions(folder.0.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let output =
            run(&[&paths[..], &BASE, &["--require", "landlock", "sh", "-c", "echo $MAIL_JAIL"]].concat());
        assert!(said(&output).contains(" landlock "), "{}", said(&output));
    }
}

#[test]
fn memory_descriptors_and_processes_come_to_an_end() {
    let perl = |option: &str, most: &str, script: &str| said(&run(&[option, most, "perl", "-e", script]));
    let memory = perl("--memory", "100000000", "my $x = 'x' x 200_000_000; print 'eaten'");
    assert!(memory.contains("ut of memory"), "{memory}");
    let files = "my @f; for (1 .. 20) { open(my $f, '<', '/dev/null') or print($! + 0), exit; push @f, $f }";
    assert_eq!(perl("--files", "20", files), libc::EMFILE.to_string());
    let none = "local $SIG{CHLD}; print fork // $! + 0";
    if root("memory_descriptors_and_processes_come_to_an_end") {
        let output = run(&[&BASE[..], &["--processes", "1", "perl", "-e", none]].concat());
        assert_eq!(said(&output), libc::EAGAIN.to_string());
    }
    assert_eq!(perl("--memory", "unlimited", "").lines().count(), 3);
    let core = said(&run(&["sh", "-c", "ulimit -c; ulimit -Hc"]));
    assert_eq!(core, "0\n0\n");
}

#[test]
fn a_root_can_be_entered_only_where_that_was_kept() {
    if !root("a_root_can_be_entered_only_where_that_was_kept") {
        return;
    }
    let try_it = |keep: &[&str]| {
        let base = ["--user", "19001", "--group", "19001"];
        let script = "print chroot('/tmp') ? 'entered' : $! + 0";
        said(&run(&[&base[..], keep, &["perl", "-e", script]].concat()))
    };
    assert_eq!(try_it(&["--keep-cap", "sys_chroot"]), "entered");
    assert_eq!(try_it(&[]), libc::EPERM.to_string());
}
