//! What the jail costs, at each start of a program and at each login, in each of its forms: `make bench`, as root.
//!
//! What is compared is done in turns, so that whatever else the machine does meets all alike.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use tests::process::Process;
use tests::{PRIVATE, SHARED, Server, Site, User};

fn main() {
    if !nix::unistd::geteuid().is_root() {
        return println!("what the jail costs is measured as root");
    }
    starts();
    logins("shared", SHARED, &["no", "filter", "namespace"]);
    logins("a process each", PRIVATE, &["no", "auto"]);
}

/// Until a program has done the first thing that it is for.
fn starts() {
    let server = Server::start(&format!("{SHARED}protocols = imap\n"));
    let programs = [
        Program { name: "true", path: "/bin/true".into(), environment: Vec::new() },
        Program::like("mail-worker", &server, &server.only("worker")),
        Program::like("mail-login", &server, &server.only("login")),
    ];
    let jail = server.site.program("mail-jail");
    for program in programs {
        let mut times = FORMS.map(|_| Vec::new());
        for _ in 0..STARTS {
            for ((_, options), times) in FORMS.iter().zip(&mut times) {
                times.push(program.start(options.map(|options| (jail.as_path(), options))));
            }
        }
        let [without, ..] = times.each_mut().map(|times| median(times));
        for ((form, _), mut times) in FORMS.iter().zip(times) {
            let time = median(&mut times);
            println!(
                "start of {}, {form}: {:.2} ms, {:+.2} ms (n={STARTS})",
                program.name,
                milliseconds(time),
                milliseconds(time) - milliseconds(without)
            );
        }
    }
}

struct Program {
    name: &'static str,
    path: PathBuf,
    environment: Vec<(String, String)>,
}

impl Program {
    /// As the server has started this process of it, but with a root that is everybody's: for one of its own it has to be
    /// privileged.
    fn like(name: &'static str, server: &Server, process: &Process) -> Self {
        let text = fs::read_to_string(format!("/proc/{}/environ", process.pid)).unwrap();
        let variables = text.split_terminator('\0').filter_map(|line| line.split_once('='));
        let set = |key: &str| !["EMPTY_ROOT", "WORKING_FD", "MAIL_JAIL"].contains(&key);
        let environment = variables
            .filter(|(key, _)| set(key))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Self { name, path: server.site.program(name), environment }
    }

    /// Until it greets a client, speaks to its master, or has ended.
    fn start(&self, jail: Option<(&Path, &str)>) -> Duration {
        let (mut link, theirs) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut command = match jail {
            Some((jail, options)) => {
                let mut command = Command::new(jail);
                command.args(options.split_whitespace()).arg("--").arg(&self.path);
                command
            }
            None => {
                let mut command = Command::new(&self.path);
                command.uid(BASE).gid(BASE);
                command
            }
        };
        command.env_clear().envs(self.environment.iter().cloned());
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        command.fd_mappings(vec![FdMapping { parent_fd: listener.into(), child_fd: 3 }]).unwrap();
        let started = Instant::now();
        let mut child = command.spawn().unwrap();
        // It holds what is the child's, too, whose end is to be seen.
        drop(command);
        let mut byte = [0];
        match self.name {
            "true" => assert!(child.wait().unwrap().success()),
            "mail-login" => client.read_exact(&mut byte).unwrap(),
            _ => link.read_exact(&mut byte).unwrap(),
        }
        let time = started.elapsed();
        child.kill().unwrap();
        child.wait().unwrap();
        time
    }
}

/// Connect, log in, log out.
fn logins(what: &str, settings: &str, forms: &[&str]) {
    let servers: Vec<Server> = forms
        .iter()
        .map(|form| {
            let users = (1..=USERS).map(|number| User::new(&format!("u{number}"), 20_000 + number));
            Site::with_users(users).start(&format!(
                "{settings}protocols = imap\nmail_max_connections = 1000\nmail_max_userip_connections = 0\n\
                 mail_jail = {form}\n"
            ))
        })
        .collect();
    let mut times = vec![Duration::ZERO; forms.len()];
    // The first round only warms.
    for round in 0..=ROUNDS {
        for (server, time) in servers.iter().zip(&mut times) {
            let started = Instant::now();
            thread::scope(|scope| {
                for number in 0..THREADS {
                    scope.spawn(move || {
                        for turn in 0..LOGINS / THREADS {
                            let user = (number * 1000 + turn) % USERS + 1;
                            server.login(&format!("u{user}")).ask("LOGOUT").ok();
                        }
                    });
                }
            });
            if round > 0 {
                *time += started.elapsed();
            }
        }
    }
    let count = LOGINS * ROUNDS;
    let [without, ..] = times.as_slice() else { return };
    for (form, time) in forms.iter().zip(&times) {
        println!(
            "logins, {what}, mail_jail = {form}: {:.0} a second, {:.2} of those without (n={count})",
            f64::from(count) / time.as_secs_f64(),
            without.as_secs_f64() / time.as_secs_f64()
        );
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Options of mail-jail(8); none where the program is started as it is, as the same user.
const FORMS: [(&str, Option<&str>); 5] = [
    ("no jail", None),
    ("system calls", Some("--user 19001 --group 19001 --signal-self")),
    (
        "filter",
        Some(
            "--user 19001 --group 19001 --keep-cap setuid,setgid --map-uids 20001-39999 --map-gids 20001-39999 \
             --identity filter --signal-self",
        ),
    ),
    (
        "namespace",
        Some(
            "--user 19001 --group 19001 --keep-cap setuid,setgid --map-uids 20001-39999 --map-gids 20001-39999 \
             --identity namespace --signal-self",
        ),
    ),
    (
        "namespace and paths",
        Some(
            "--user 19001 --group 19001 --keep-cap setuid,setgid --map-uids 20001-39999 --map-gids 20001-39999 \
             --identity namespace --signal-self --read / --execute / --write /tmp --write /dev/null",
        ),
    ),
];
const BASE: u32 = 19_001;
const STARTS: usize = 100;
const USERS: u32 = 200;
const THREADS: u32 = 4;
const LOGINS: u32 = 400;
const ROUNDS: u32 = 5;
