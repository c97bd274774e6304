//! Both sides of the authentication protocol, as mail-auth(7) describes them. A test that shows one of its clauses
//! names the clause's label.

mod play;

use std::fs;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use play::{Auth, Peer, base64, plain, plain_from};
use wire::auth::{FromAuth, ToAuth};

const USERS: &str = "\
alice:secret:20001:20001::/home/alice::userdb_mail=maildir:%h/M userdb_quota_rule=*:storage=1G
bob:{SHA512-CRYPT}$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/:20002:20002,7,8::/home/bob::userdb_groups=9
carol:secret:20003:20003::/home/carol::allow_nets=192.168.0.0/16
dave:{SSHA}xxxx:20004:20004::/home/dave::
erin:secret:root:no-such-group::/home/erin::
frank:secret:root:root::/home/frank::nologin reason=tab%%here
gone:{CRYPT}*:1:1::/::
half
";

/// [auth-version] [auth-mech] [auth-cookie] [auth-done]
#[test]
fn a_client_is_greeted_with_all_that_it_needs() {
    let mut auth = Auth::with_users(USERS, &[("AUTH_MECHANISMS", "plain")]);
    let mut client = auth.raw_client(100);
    assert_eq!(client.hear(), "VERSION\t1\t1");
    assert_eq!(client.hear(), "MECH\tPLAIN\tplaintext");
    assert_eq!(client.hear(), format!("SPID\t{}", auth.pid()));
    assert_eq!(client.hear(), "CUID\t1");
    let cookie = client.hear();
    assert_eq!(cookie.len(), "COOKIE\t".len() + 32);
    assert_eq!(client.hear(), "DONE");
    let mut other = auth.raw_client(101);
    assert_ne!(other.greet(101), cookie.trim_start_matches("COOKIE\t"));
    assert_eq!(
        other.ask("AUTH\t1\tLOGIN\tservice=imap"),
        "FAIL\t1\treason=Unsupported authentication mechanism\tcode=auth_mech_invalid"
    );
}

/// [auth-ok] [auth-fail] [auth-request] [auth-request-once] [auth-user-reply] [auth-master-fail]
#[test]
fn a_login_becomes_a_user_once() {
    let mut auth = Auth::with_users(USERS, &[]);
    let (mut client, mut master) = (auth.client(100), auth.master());
    assert_eq!(client.plain(1, "alice", "wrong"), "FAIL\t1\tuser=alice\twhy=password mismatch");
    assert_eq!(client.plain(2, "nobody", "secret"), "FAIL\t2\tuser=nobody\twhy=unknown user");
    assert_eq!(client.plain(3, "alice", "secret"), "OK\t3\tuser=alice");
    let user = "USER\t7\talice\tuid=20001\tgid=20001\thome=/home/alice\tmail=maildir:/home/alice/M\tquota_rule=*:storage=1G";
    assert_eq!(master.ask("REQUEST\t7\t100\t3"), user);
    let again = "FAIL\t8\tno such authentication";
    assert_eq!(master.ask("REQUEST\t8\t100\t3"), again);
    assert_eq!(master.ask("REQUEST\t8\t100\t1"), again);
    // Its id is free again.
    assert_eq!(client.plain(3, "bob", "secret"), "OK\t3\tuser=bob");
    assert_eq!(
        master.ask("REQUEST\t9\t100\t3"),
        "USER\t9\tbob\tuid=20002\tgid=20002\tgroups=7,8,9\thome=/home/bob"
    );
    let log = auth.end();
    assert!(log.contains("\nIpasswd-file(alice,127.0.0.1): password mismatch\n"), "{log}");
    assert!(log.contains("Ipasswd-file(nobody,127.0.0.1): unknown user\n"), "{log}");
    assert!(log.contains("users line 8: no colon behind the user's name\n"), "{log}");
    assert!(!log.contains("secret") && !log.contains("wrong"), "{log}");
}

/// [auth-success-bound] [auth-control-gone]
#[test]
fn a_success_is_its_own_clients_and_ends_with_it() {
    let mut auth = Auth::with_users(USERS, &[]);
    let (mut client, mut other, mut master) = (auth.client(100), auth.client(101), auth.master());
    for id in 1..=50 {
        assert_eq!(client.plain(id, "alice", "secret"), format!("OK\t{id}\tuser=alice"));
    }
    assert_eq!(other.plain(99, "alice", "secret"), "OK\t99\tuser=alice");
    assert_eq!(master.ask("REQUEST\t1\t101\t1"), "FAIL\t1\tno such authentication");
    assert_eq!(master.ask("REQUEST\t2\t100\t99"), "FAIL\t2\tno such authentication");
    // The connection's end is the client's; auth may see it after a question that came later, but soon.
    drop(client);
    let mut replies = (1..=50).map(|id| master.ask(&format!("REQUEST\t3\t100\t{id}")));
    assert!(replies.any(|reply| reply == "FAIL\t3\tno such authentication"));
    // So is the master's word; it says so before it asks.
    auth.tell(&ToAuth::Gone { pid: 101 }, None);
    assert_eq!(other.until_cut(), "");
    assert_eq!(master.ask("REQUEST\t4\t101\t99"), "FAIL\t4\tno such authentication");
}

/// [auth-request-cookie]
#[test]
fn a_cookie_that_is_given_must_be_the_connections() {
    let mut auth = Auth::with_users(USERS, &[]);
    let mut master = auth.master();
    let mut clients = [auth.raw_client(100), auth.raw_client(100)];
    let cookies = [clients[0].greet(100), clients[1].greet(100)];
    for client in &mut clients {
        assert_eq!(client.plain(1, "alice", "secret"), "OK\t1\tuser=alice");
    }
    assert_eq!(master.ask("REQUEST\t1\t100\t1"), "FAIL\t1\tno such authentication", "which of the two?");
    let wrong = format!("REQUEST\t2\t100\t1\t{}", "0".repeat(32));
    assert_eq!(master.ask(&wrong), "FAIL\t2\tno such authentication");
    for cookie in &cookies {
        assert!(master.ask(&format!("REQUEST\t3\t100\t1\t{cookie}")).starts_with("USER\t3\talice\t"));
    }
}

/// [auth-challenge] [auth-cont] [auth-resp-last] [auth-late] [auth-unknown] [auth-fail-authz]
#[test]
fn exchanges_of_several_steps() {
    let mut auth = Auth::with_users(USERS, &[]);
    let mut client = auth.client(100);
    assert_eq!(client.ask("AUTH\t1\tPLAIN\tservice=imap"), "CONT\t1\t");
    assert_eq!(client.ask("AUTH\t2\tLOGIN\tservice=imap"), format!("CONT\t2\t{}", base64(b"Username:")));
    assert_eq!(
        client.ask(&format!("CONT\t2\t{}", base64(b"alice"))),
        format!("CONT\t2\t{}", base64(b"Password:"))
    );
    assert_eq!(client.ask(&format!("CONT\t1\t{}", base64(b"\0alice\0secret"))), "OK\t1\tuser=alice");
    assert_eq!(client.ask(&format!("CONT\t2\t{}", base64(b"secret"))), "OK\t2\tuser=alice");
    let login = format!("AUTH\t3\tlogin\tservice=imap\tresp={}", base64(b"alice"));
    assert_eq!(client.ask(&login), format!("CONT\t3\t{}", base64(b"Password:")));
    assert_eq!(
        client.ask(&format!("CONT\t3\t{}", base64(b"wrong"))),
        "FAIL\t3\tuser=alice\twhy=password mismatch"
    );
    assert_eq!(
        client.ask("AUTH\t4\tPLAIN\tservice=imap\tresp=no base64"),
        "FAIL\t4\treason=Invalid response to a challenge\tcode=invalid_base64"
    );
    let other = format!("AUTH\t5\tPLAIN\tservice=imap\tresp={}", base64(b"bob\0alice\0secret"));
    assert_eq!(
        client.ask(&other),
        "FAIL\t5\tuser=alice\tauthz\tcode=authz_fail\twhy=not allowed to act for another user"
    );
    // One that nobody knows any more is no offence.
    client.say("CONT\t5\tAAAA");
    client.say("CANCEL\t6");
    client.say("SOMETHING\tnew");
    assert_eq!(client.plain(7, "alice", "secret"), "OK\t7\tuser=alice");
}

/// [auth-cancel]
#[test]
fn a_cancelled_request_is_void() {
    let mut auth = Auth::with_users(USERS, &[("AUTH_FAILURE_DELAY", "3600")]);
    let (mut client, mut master) = (auth.client(100), auth.master());
    assert_eq!(client.plain(1, "alice", "secret"), "OK\t1\tuser=alice");
    client.say("CANCEL\t1");
    client.say(&plain(2, "alice", "wrong"));
    client.say("CANCEL\t2");
    assert_eq!(client.plain(2, "alice", "secret"), "OK\t2\tuser=alice");
    assert_eq!(master.ask("REQUEST\t1\t100\t1"), "FAIL\t1\tno such authentication");
}

/// [auth-nologin]
#[test]
fn a_client_that_makes_no_login_leaves_no_success_behind() {
    let mut auth = Auth::with_users(USERS, &[]);
    let (mut client, mut master) = (auth.client(100), auth.master());
    let line = plain(1, "alice", "secret").replace("service=imap", "service=smtp\tnologin");
    assert_eq!(client.ask(&line), "OK\t1\tuser=alice");
    assert_eq!(master.ask("REQUEST\t1\t100\t1"), "FAIL\t1\tno such authentication");
}

/// [auth-failure-delay] [auth-no-waiting]
#[test]
fn a_failure_is_told_late_and_holds_up_nobody() {
    let mut auth = Auth::with_users(USERS, &[("AUTH_FAILURE_DELAY", "1")]);
    let (mut client, mut other) = (auth.client(100), auth.client(101));
    let began = Instant::now();
    client.say(&plain_from(1, 1, "alice", "wrong"));
    client.say(&plain_from(2, 2, "nobody", "wrong"));
    client.say(&plain_from(3, 3, "bob", "wrong"));
    client.say(&plain_from(4, 4, "alice", "secret"));
    assert_eq!(other.plain(1, "bob", "secret"), "OK\t1\tuser=bob");
    assert_eq!(client.hear(), "OK\t4\tuser=alice");
    assert!(began.elapsed() < Duration::from_secs(1));
    let mut failures = [client.hear(), client.hear(), client.hear()];
    let took = began.elapsed();
    failures.sort_unstable();
    assert_eq!(
        failures,
        [
            "FAIL\t1\tuser=alice\twhy=password mismatch",
            "FAIL\t2\tuser=nobody\twhy=unknown user",
            "FAIL\t3\tuser=bob\twhy=password mismatch"
        ]
    );
    assert!(took >= Duration::from_secs(1), "{took:?}");
}

/// [auth-penalty-success]
#[test]
fn a_right_password_waits_where_somebody_has_guessed_and_nowhere_else() {
    let mut auth = Auth::with_users(USERS, &[("AUTH_FAILURE_DELAY", "3600")]);
    let mut client = auth.client(100);
    for id in 1..=2 {
        client.say(&plain_from(id, 1, "alice", &format!("wrong{id}")));
    }
    client.say(&plain_from(3, 1, "erin", "secret"));
    client.say(&plain_from(4, 2, "alice", "secret"));
    assert_eq!(client.ask(&plain_from(5, 2, "erin", "secret")), "OK\t5\tuser=erin");
    // What waits has not succeeded.
    assert_eq!(auth.master().ask("REQUEST\t1\t100\t3"), "FAIL\t1\tno such authentication");
    let failed = |user: &str| FromAuth::Failed { user: user.to_owned(), remote: Some([192, 0, 2, 1].into()) };
    assert_eq!([auth.heard(), auth.heard()], [failed("alice"), failed("alice")]);
    let succeeded = |user: &str, host| FromAuth::Succeeded {
        user: user.to_owned(),
        remote: Some([192, 0, 2, host].into()),
    };
    assert_eq!(auth.heard(), succeeded("erin", 1));
    assert_eq!(auth.heard(), succeeded("alice", 2));
}

/// [auth-control-penalty]
#[test]
fn what_an_auth_before_has_found_out_counts() {
    let mut auth = Auth::with_users(USERS, &[("AUTH_FAILURE_DELAY", "3600")]);
    let bad = Some([192, 0, 2, 1].into());
    let home = Some([192, 0, 2, 2].into());
    let alice = Some("alice".to_owned());
    for (user, remote, failures) in
        [(None, bad, Some(9)), (alice.clone(), None, Some(9)), (alice.clone(), home, None)]
    {
        auth.tell(&ToAuth::Penalty { user, remote, failures, age: 1 }, None);
    }
    let mut client = auth.client(100);
    client.say(&plain_from(1, 1, "erin", "secret"));
    client.say(&plain_from(2, 3, "alice", "secret"));
    assert_eq!(client.ask(&plain_from(3, 2, "alice", "secret")), "OK\t3\tuser=alice");
    assert_eq!(client.ask(&plain_from(4, 2, "erin", "secret")), "OK\t4\tuser=erin");
}

/// [auth-attempts]
#[test]
fn too_many_attempts_are_not_looked_at() {
    let mut auth = Auth::with_users(
        USERS,
        &[("AUTH_MAX_ATTEMPTS_PER_MINUTE", "2"), ("LOGIN_TRUSTED_NETWORKS", "192.0.2.9")],
    );
    let mut client = auth.client(100);
    for id in 1..=2 {
        let answer = client.ask(&plain_from(id, 1, "alice", "wrong"));
        assert_eq!(answer, format!("FAIL\t{id}\tuser=alice\twhy=password mismatch"));
    }
    assert_eq!(
        client.ask(&plain_from(3, 1, "alice", "secret")),
        "FAIL\t3\tuser=alice\ttemp\tcode=temp_fail\treason=Too many login attempts, try again later.\t\
         why=too many attempts"
    );
    for id in 4..20 {
        assert_eq!(client.ask(&plain_from(id, 2, "bob", "secret")), format!("OK\t{id}\tuser=bob"));
        client.ask(&plain_from(id + 100, 9, "bob", "wrong"));
    }
}

/// [auth-why]
#[test]
fn why_it_has_failed_is_not_told_to_those_who_come_by_themselves() {
    let mut auth = Auth::with_users(USERS, &[]);
    let path = auth.path("socket");
    auth.listen(&path);
    let mut client = Peer::new(UnixStream::connect(&path).unwrap());
    client.greet(std::process::id());
    assert_eq!(client.plain(1, "alice", "wrong"), "FAIL\t1\tuser=alice");
    assert_eq!(client.plain(2, "nobody", "wrong"), "FAIL\t2\tuser=nobody");
}

/// [auth-fail-temporary]
#[test]
fn what_is_the_administrators_fault_fails_for_now() {
    let mut auth = Auth::with_users(USERS, &[]);
    let (mut client, mut master) = (auth.client(100), auth.master());
    assert_eq!(client.plain(1, "dave", "secret"), "FAIL\t1\tuser=dave\ttemp\tcode=temp_fail");
    assert_eq!(
        client.plain(2, "carol", "secret"),
        "FAIL\t2\tuser=carol\twhy=not from an address in allow_nets"
    );
    assert_eq!(client.plain(3, "gone", "*"), "FAIL\t3\tuser=gone\twhy=the account has no usable password");
    assert_eq!(client.plain(4, "erin", "secret"), "OK\t4\tuser=erin");
    assert_eq!(master.ask("REQUEST\t1\t100\t4"), "FAIL\t1\tinternal failure; see the server's log");
    assert_eq!(client.plain(5, "frank", "secret"), "OK\t5\tuser=frank\tnologin\treason=tab%here");
    assert_eq!(master.ask("REQUEST\t2\t100\t5"), "USER\t2\tfrank\tuid=0\tgid=0\thome=/home/frank");
    fs::remove_file(auth.path("users")).unwrap();
    assert_eq!(client.plain(6, "alice", "secret"), "FAIL\t6\tuser=alice\ttemp\tcode=temp_fail");
    let log = auth.end();
    for line in [
        "Epasswd-file(dave,127.0.0.1): unknown password scheme \"SSHA\"",
        "Ipasswd-file(carol,127.0.0.1): not from an address in allow_nets",
        "Ipasswd-file(gone,127.0.0.1): the account has no usable password",
        "Euserdb(erin,127.0.0.1): gid: no user or group \"no-such-group\" in this system",
        "users: No such file or directory",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
}

/// [auth-user] [auth-notfound] [auth-unknown-question]
#[test]
fn a_master_can_ask_for_any_user() {
    let mut auth = Auth::with_users(USERS, &[]);
    let mut master = auth.master();
    assert_eq!(
        master.ask("USER\t1\tbob\tservice=lmtp"),
        "USER\t1\tbob\tuid=20002\tgid=20002\tgroups=7,8,9\thome=/home/bob"
    );
    assert_eq!(master.ask("USER\t2\tnobody\tservice=lmtp"), "NOTFOUND\t2");
    assert_eq!(master.ask("USER\t3\t../etc\tservice=lmtp"), "NOTFOUND\t3");
    assert_eq!(master.ask("PASS\t4\tbob\tservice=lmtp"), "FAIL\t4\tunknown request");
}

#[test]
fn a_changed_file_counts_at_once() {
    let mut auth = Auth::with_users(USERS, &[]);
    let mut client = auth.client(100);
    assert_eq!(client.plain(1, "alice", "secret"), "OK\t1\tuser=alice");
    for (id, password) in (2..20).zip(["one", "two", "three"].iter().cycle()) {
        fs::write(auth.path("users"), format!("alice:{password}:1:1::/::\n")).unwrap();
        assert_eq!(client.plain(id, "alice", password), format!("OK\t{id}\tuser=alice"));
        assert_eq!(
            client.plain(id + 100, "alice", "secret"),
            format!("FAIL\t{}\tuser=alice\twhy=password mismatch", id + 100)
        );
    }
}

#[test]
fn several_databases_are_asked_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    fs::write(&first, "alice:{PLAIN}one:1:1::/first::userdb_uid=11 userdb_home=/pre userdb_gid=12\n")
        .unwrap();
    fs::write(&second, "alice:{PLAIN}two:2:2::/second::\nbob:{PLAIN}two:2:2::/second/%u::\n").unwrap();
    let mut auth = Auth::start(&[
        ("PASSDB_1_DRIVER", "passwd-file"),
        ("PASSDB_1_ARGS", first.to_str().unwrap()),
        ("PASSDB_2_DRIVER", "passwd-file"),
        ("PASSDB_2_ARGS", second.to_str().unwrap()),
        ("PASSDB_3_DRIVER", "static"),
        ("PASSDB_3_ARGS", "password=three user=%Lu_x told=%r"),
        ("USERDB_1_DRIVER", "prefetch"),
        ("USERDB_2_DRIVER", "static"),
        ("USERDB_2_ARGS", "uid=500 gid=501 home=/home/%1n/%u mail=%h/m"),
    ]);
    let (mut client, mut master) = (auth.client(100), auth.master());
    assert_eq!(client.plain(1, "alice", "one"), "OK\t1\tuser=alice");
    assert_eq!(master.ask("REQUEST\t1\t100\t1"), "USER\t1\talice\tuid=11\tgid=12\thome=/pre");
    assert_eq!(client.plain(2, "alice", "two"), "OK\t2\tuser=alice");
    assert_eq!(
        master.ask("REQUEST\t2\t100\t2"),
        "USER\t2\talice\tuid=500\tgid=501\thome=/home/a/alice\tmail=/home/a/alice/m"
    );
    assert_eq!(client.plain(3, "Carol", "three"), "OK\t3\tuser=carol_x\ttold=127.0.0.1");
    assert_eq!(
        master.ask("REQUEST\t3\t100\t3"),
        "USER\t3\tcarol_x\tuid=500\tgid=501\thome=/home/c/carol_x\tmail=/home/c/carol_x/m"
    );
    assert_eq!(client.plain(4, "carol", "four"), "FAIL\t4\tuser=carol\twhy=password mismatch");
}

/// [auth-control-listen] [auth-cpid-not-believed]
#[test]
fn a_client_can_come_by_itself() {
    let mut auth = Auth::with_users(USERS, &[]);
    let path = auth.path("socket");
    auth.listen(&path);
    let mut client = Peer::new(UnixStream::connect(&path).unwrap());
    client.greet(std::process::id());
    assert_eq!(client.plain(1, "alice", "secret"), "OK\t1\tuser=alice");
    let mut master = auth.master();
    // Whatever it says about itself, what counts is what the kernel says.
    let mut liar = Peer::new(UnixStream::connect(&path).unwrap());
    liar.greet(4242);
    assert_eq!(liar.plain(2, "bob", "secret"), "OK\t2\tuser=bob");
    assert_eq!(master.ask("REQUEST\t1\t4242\t2"), "FAIL\t1\tno such authentication");
    let pid = std::process::id();
    assert!(master.ask(&format!("REQUEST\t2\t{pid}\t2")).starts_with("USER\t2\tbob\t"));
    assert!(master.ask(&format!("REQUEST\t3\t{pid}\t1")).starts_with("USER\t3\talice\t"));
    // A master that has let go: no new clients, and its end when nothing is begun.
    auth.end();
    assert!(UnixStream::connect(&path).is_err());
}

/// [auth-finish] [auth-finish-successes]
#[test]
fn what_was_begun_is_finished_after_the_master_has_let_go() {
    let mut auth = Auth::with_users(USERS, &[("AUTH_FAILURE_DELAY", "1")]);
    let (mut client, mut master) = (auth.client(100), auth.master());
    assert_eq!(client.plain(1, "alice", "secret"), "OK\t1\tuser=alice");
    client.say(&plain(2, "alice", "wrong"));
    // Both sides have read all of that before the master lets go.
    assert_eq!(client.ask("AUTH\t3\tLOGIN\tservice=imap"), format!("CONT\t3\t{}", base64(b"Username:")));
    auth.let_go();
    assert_eq!(client.hear(), "FAIL\t2\tuser=alice\twhy=password mismatch");
    assert_eq!(client.plain(4, "alice", "secret"), "FAIL\t4\ttemp\tcode=temp_fail");
    client.say("CANCEL\t3");
    assert!(master.ask("REQUEST\t1\t100\t1").starts_with("USER\t1\talice\t"));
    let (status, log) = auth.wait();
    assert!(status.success(), "{log}");
    assert_eq!(client.until_cut(), "");
}
