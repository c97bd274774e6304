//! Programs of others that speak the protocol's client side.

mod play;

use std::path::Path;
use std::process::Command;

use play::Auth;
use tests::skipped;

const USERS: &str = "\
alice:secret:20001:20001::/home/alice::
bob:{SHA512-CRYPT}$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/:20002:20002::/home/bob::
";

/// `doveadm auth test` (package dovecot-core) speaks with Dovecot's own client library.
#[test]
fn doveadm_can_log_in() {
    if !Path::new("/usr/bin/doveadm").exists() {
        skipped("doveadm_can_log_in", "no doveadm(1) here");
        return;
    }
    let mut auth = Auth::with_users(USERS, &[]);
    let socket = auth.path("socket");
    auth.listen(&socket);
    for (user, password, answer) in [
        ("alice", "secret", "passdb: alice auth succeeded"),
        ("alice", "wrong", "passdb: alice auth failed"),
        ("bob", "secret", "passdb: bob auth succeeded"),
        ("carol", "secret", "passdb: carol auth failed"),
    ] {
        let mut command = Command::new("/usr/bin/doveadm");
        command.args(["auth", "test", "-x", "service=smtp", "-x", "rip=192.0.2.1", "-a"]);
        let output = command.arg(&socket).args([user, password]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with(answer), "{user} {password}: {output:?}");
    }
    let log = auth.end();
    assert!(log.contains("Ipasswd-file(alice,192.0.2.1): password mismatch"), "{log}");
}
