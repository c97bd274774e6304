//! Programs that block addresses: what ships for fail2ban and CrowdSec, on the lines that a real server logs.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use tests::{SHARED, Server, installed, run, skipped};

/// A server that has been treated badly, each way from an address of its own, and well from two others.
fn server() -> Server {
    let server = Server::start(&format!(
        "{SHARED}auth_max_attempts_per_minute = 1\nlogin_max_connections_per_ip = 1\nauth_username_chars =\n"
    ));
    let from = |number| server.imap_from(Ipv4Addr::new(127, 0, 0, number));
    from(2).ask("LOGIN alice wrong");
    from(3).ask("LOGIN nobody wrong");
    let mut client = from(4);
    client.ask("LOGIN alice secrets");
    client.try_login("alice");
    let _first = from(5);
    from(5).rest();
    let mut client = from(6);
    client.send(&b"GET / HTTP/1.1\r\n".repeat(20));
    client.rest();
    // Names that would have others blocked, or end the line.
    let evil = "x>, method=PLAIN, rip=192.0.2.66, lip=192.0.2.9\r\nNov 24 09:30:00 mail-master: Info: \
                imap-login: Login failed: rip=192.0.2.67, lip=192.0.2.9";
    let hidden = "imap-login: Login failed: user=<a>, method=PLAIN, rip=192.0.2.68, lip=192.0.2.9";
    for (number, name) in [(7, evil), (8, hidden), (9, "\u{2028}rip=192.0.2.69\u{85}\x1b[31m")] {
        let mut client = from(number);
        client.send(format!("a LOGIN {{{}+}}\r\n{name} wrong\r\n", name.len()).as_bytes());
        client.reply("a");
    }
    // Nothing is wrong with these.
    from(20).login("alice");
    from(21).ask("LOGOUT").ok();
    server.wait_for_log("rip=127.0.0.21");
    server
}

/// Who ought to be found.
fn bad(more: &[&str]) -> BTreeSet<String> {
    let all = (2..10).map(|number| format!("127.0.0.{number}"));
    all.chain(more.iter().map(|address| (*address).to_owned())).collect()
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name).canonicalize().unwrap()
}

#[test]
fn fail2ban_finds_who_is_to_be_blocked_and_nobody_else() {
    if !installed("fail2ban_finds_who_is_to_be_blocked_and_nobody_else", "fail2ban-regex") {
        return;
    }
    let server = server();
    let log = server.site.path("log");
    let filter = shipped("fail2ban/filter.d/mail-master.conf");
    let found = |log: &Path, mode: &str| -> BTreeSet<String> {
        let filter = format!("{}[mode={mode}]", filter.display());
        let output = run("fail2ban-regex", &["-o", "ip", log.to_str().unwrap(), &filter]);
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    assert_eq!(found(&log, "normal"), bad(&[]));
    assert_eq!(found(&log, "aggressive"), bad(&["127.0.0.21"]));
    // As syslog writes the same lines.
    let syslog = server.site.path("syslog");
    fs::write(&syslog, server.log().replace(" mail-master: ", " host mail-master[7]: ")).unwrap();
    assert_eq!(found(&syslog, "normal"), bad(&[]));
    // As the journal has what is on standard error.
    let twice = |line: &str| Some(format!("{} host mail-master[7]: {line}\n", line.get(..15)?));
    fs::write(&syslog, server.log().lines().filter_map(twice).collect::<String>()).unwrap();
    assert_eq!(found(&syslog, "normal"), bad(&[]));
}

/// Any user may log to the journal under any name, but not from a unit.
#[test]
fn of_the_journal_only_the_servers_own_lines_are_read() {
    for file in ["fail2ban/filter.d/mail-master.conf", "crowdsec/acquis.d/mail-master.yaml"] {
        let text = fs::read_to_string(shipped(file)).unwrap();
        assert!(text.contains("_SYSTEMD_UNIT=mail-master.service"), "{file}");
        assert!(!text.contains("SYSLOG_IDENTIFIER="), "{file}");
    }
}

#[test]
fn crowdsec_finds_who_is_to_be_blocked_and_nobody_else() {
    const TEST: &str = "crowdsec_finds_who_is_to_be_blocked_and_nobody_else";
    // Its package would register the machine with its makers; tests/tools.sh only unpacks it.
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients/crowdsec");
    if !package.exists() {
        skipped(TEST, &format!("no {}", package.display()));
        return;
    }
    let server = server();
    for (log_type, from, to) in
        [("mail-master", "", ""), ("syslog", " mail-master: ", " host mail-master[7]: ")]
    {
        let log = server.site.path(log_type);
        fs::write(&log, server.log().replace(from, to)).unwrap();
        let folder = crowdsec(&server, &package, log_type);
        let (program, config) = (package.join("usr/bin/crowdsec"), folder.join("config.yaml"));
        run(
            program.to_str().unwrap(),
            &[
                "-c",
                config.to_str().unwrap(),
                "-type",
                log_type,
                "-dsn",
                &format!("file://{}", log.display()),
                "-dump-data",
                folder.to_str().unwrap(),
            ],
        );
        let poured = fs::read_to_string(folder.join("bucketpour-dump.yaml")).unwrap();
        let (mut scenario, mut found) = ("", BTreeSet::new());
        for line in poured.lines() {
            if let Some(name) = line.strip_suffix(':').filter(|name| !name.starts_with(' ')) {
                scenario = name;
            } else if let Some(address) = line.trim().strip_prefix("source_ip: ") {
                found.insert((scenario, address.to_owned()));
            }
        }
        let of = |name: &str| -> BTreeSet<String> {
            let own = found.iter().filter(|(scenario, _)| *scenario == name);
            own.map(|(_, address)| address.clone()).collect()
        };
        let abuse = BTreeSet::from(["127.0.0.5", "127.0.0.6"].map(str::to_owned));
        assert_eq!(of("mail-master/mail-master-abuse"), abuse, "{poured}");
        assert_eq!(of("mail-master/mail-master-bf"), &bad(&[]) - &abuse, "{poured}");
    }
}

/// Sets it up in a folder of its own, with what ships here and what it needs of its own; that folder.
fn crowdsec(server: &Server, package: &Path, name: &str) -> PathBuf {
    let folder = server.site.path(&format!("crowdsec-{name}"));
    let copy = |from: PathBuf, to: &str| {
        let to = folder.join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&from, &to).unwrap_or_else(|why| panic!("{}: {why}", from.display()));
    };
    let hub = package.join("usr/share/crowdsec/hub");
    copy(hub.join("parsers/s00-raw/crowdsecurity/syslog-logs.yaml"), "parsers/s00-raw/syslog-logs.yaml");
    copy(
        shipped("crowdsec/parsers/s01-parse/mail-master-logs.yaml"),
        "parsers/s01-parse/mail-master-logs.yaml",
    );
    copy(
        hub.join("parsers/s02-enrich/crowdsecurity/dateparse-enrich.yaml"),
        "parsers/s02-enrich/dateparse-enrich.yaml",
    );
    copy(shipped("crowdsec/scenarios/mail-master.yaml"), "scenarios/mail-master.yaml");
    for entry in fs::read_dir(package.join("etc/crowdsec/patterns")).unwrap() {
        let path = entry.unwrap().path();
        copy(path.clone(), &format!("patterns/{}", path.file_name().unwrap().to_str().unwrap()));
    }
    for name in ["simulation.yaml", "profiles.yaml"] {
        copy(package.join("etc/crowdsec").join(name), name);
    }
    for name in ["data", "hub", "notifications", "plugins", "postoverflows"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    let index = r#"{"parsers":{},"scenarios":{},"collections":{},"postoverflows":{}}"#;
    fs::write(folder.join("hub/.index.json"), index).unwrap();
    fs::write(folder.join("acquis.yaml"), "").unwrap();
    let (at, api) = (folder.display(), format!("{}:10180", server.site.imap_address().ip()));
    let config = format!(
        "common: {{daemonize: false, log_media: stdout, log_level: info, log_dir: {at}, working_dir: .}}\n\
         config_paths: {{config_dir: {at}, data_dir: {at}/data, simulation_path: {at}/simulation.yaml, \
         hub_dir: {at}/hub, index_path: {at}/hub/.index.json, notification_dir: {at}/notifications, plugin_dir: {at}/plugins}}\n\
         crowdsec_service: {{acquisition_path: {at}/acquis.yaml, parser_routines: 1}}\n\
         cscli: {{output: human}}\n\
         db_config: {{type: sqlite, db_path: {at}/data/crowdsec.db, flush: {{max_items: 100, max_age: 1d}}}}\n\
         api:\n  client: {{credentials_path: {at}/credentials.yaml}}\n  \
         server: {{log_level: info, listen_uri: '{api}', profiles_path: {at}/profiles.yaml}}\n\
         prometheus: {{enabled: false, level: full, listen_addr: 127.0.0.1, listen_port: 6060}}\n"
    );
    fs::write(folder.join("config.yaml"), config).unwrap();
    let credentials = folder.join("credentials.yaml");
    fs::write(&credentials, format!("url: http://{api}\nlogin: test\npassword: test\n")).unwrap();
    run(
        package.join("usr/bin/cscli").to_str().unwrap(),
        &[
            "-c",
            folder.join("config.yaml").to_str().unwrap(),
            "machines",
            "add",
            "test",
            "-p",
            "test",
            "-f",
            credentials.to_str().unwrap(),
            "-u",
            &format!("http://{api}"),
            "--force",
        ],
    );
    folder
}
