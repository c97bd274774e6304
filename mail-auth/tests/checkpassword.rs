//! The checkpassword driver with programs that Debian has: `checkpw` (package checkpw), which becomes the user, and
//! `cvm-checkpassword` (package cvm), which asks another program.

mod play;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::{User, getgid, getuid};
use play::{Auth, program};
use tests::skipped;

fn start(arguments: &str) -> Auth {
    Auth::start(&[
        ("PASSDB_1_DRIVER", "checkpassword"),
        ("PASSDB_1_ARGS", arguments),
        ("USERDB_1_DRIVER", "prefetch"),
    ])
}

#[test]
fn checkpw_becomes_the_user() {
    if !Path::new("/usr/bin/checkpw").exists() {
        skipped("checkpw_becomes_the_user", "no checkpw(8) here");
        return;
    }
    let user = User::from_uid(getuid()).unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".password"), "secret\n").unwrap();
    fs::set_permissions(folder.path().join(".password"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut auth = start(&format!("/usr/bin/env MAILDIR={} /usr/bin/checkpw", folder.path().display()));
    let (mut client, mut master) = (auth.client(100), auth.master());
    let name = &user.name;
    assert_eq!(client.plain(1, name, "wrong"), format!("FAIL\t1\tuser={name}\twhy=password mismatch"));
    assert_eq!(
        client.plain(2, "no-such-name-here", "secret"),
        "FAIL\t2\tuser=no-such-name-here\twhy=password mismatch"
    );
    assert_eq!(client.plain(3, name, "secret"), format!("OK\t3\tuser={name}"));
    let (uid, gid, home) = (getuid(), getgid(), user.dir.display());
    assert_eq!(
        master.ask("REQUEST\t1\t100\t3"),
        format!("USER\t1\t{name}\tuid={uid}\tgid={gid}\thome={home}")
    );
    let log = auth.end();
    assert!(log.contains(&format!("Icheckpassword({name},127.0.0.1): password mismatch")), "{log}");
}

#[test]
fn cvm_checkpassword_asks_another_program() {
    if !Path::new("/usr/bin/cvm-checkpassword").exists() {
        skipped("cvm_checkpassword_asks_another_program", "no cvm-checkpassword(8) here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    let (uid, gid) = (getuid(), getgid());
    fs::write(&users, format!("alice:secret:{uid}:{gid}::{}:/bin/sh\n", folder.path().display())).unwrap();
    let cvm = "/usr/bin/cvm-checkpassword /usr/bin/cvm-pwfile";
    let mut auth = start(&format!("/usr/bin/env CVM_PWFILE_PATH={} {cvm}", users.display()));
    let (mut client, mut master) = (auth.client(100), auth.master());
    assert_eq!(client.plain(1, "alice", "wrong"), "FAIL\t1\tuser=alice\twhy=password mismatch");
    assert_eq!(client.plain(2, "alice", "secret"), "OK\t2\tuser=alice");
    assert_eq!(
        master.ask("REQUEST\t1\t100\t2"),
        format!("USER\t1\talice\tuid={uid}\tgid={gid}\thome={}", folder.path().display())
    );
}

#[test]
fn a_script_gives_what_its_variables_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("check");
    let text = r#"#!/bin/sh
        echo "chatty, with $(tr '\000' ' ' <&3 | wc -w) words"
        export USER=renamed HOME=/home/renamed userdb_uid=501 userdb_gid=502 userdb_mail="maildir:~/My	Mail" x=y
        export EXTRA="userdb_uid userdb_gid userdb_mail x"
        exec "$@"
    "#;
    program(&path, text);
    let mut auth = start(path.to_str().unwrap());
    let (mut client, mut master) = (auth.client(100), auth.master());
    assert_eq!(client.plain(1, "alice", "secret"), "OK\t1\tuser=renamed\tx=y");
    assert_eq!(
        master.ask("REQUEST\t1\t100\t1"),
        "USER\t1\trenamed\tuid=501\tgid=502\thome=/home/renamed\tmail=maildir:~/My\u{1}tMail"
    );
}

/// Programs run beside each other, and one that takes its time holds up nobody.
#[test]
fn a_slow_program_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (path, gate) = (folder.path().join("check"), folder.path().join("gate"));
    let text = format!(
        "#!/bin/sh\nif grep -qa slow <&3; then read line < {}; fi\nuserdb_uid=1 userdb_gid=1 exec \"$@\"\n",
        gate.display()
    );
    program(&path, &text);
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut auth = start(path.to_str().unwrap());
    let mut client = auth.client(100);
    client.say(&play::plain(1, "slow", "x"));
    assert_eq!(client.plain(2, "quick", "x"), "OK\t2\tuser=quick");
    fs::write(&gate, "go\n").unwrap();
    assert_eq!(client.hear(), "OK\t1\tuser=slow");
}
