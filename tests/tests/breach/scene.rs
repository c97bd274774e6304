//! What an attacker finds: neighbours, files and sockets, by the names that scripts have for them.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::unistd::{Group, User, geteuid};
use tests::process::Process;
use tests::{Server, Site};

use super::attacks::number;

/// Which process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Worker,
    Login,
    /// A program that is not ours.
    Stranger,
}

/// See above.
pub(crate) struct Scene {
    names: Vec<(String, String)>,
    // They listen as long as the attacks last.
    _listeners: (TcpListener, Vec<UnixListener>, UnixDatagram),
}

impl Scene {
    /// What `own` finds, beside which `neighbour` runs.
    pub(crate) fn new(
        site: &Site,
        who: Who,
        own: &Process,
        neighbour: &Process,
        server: Option<&Server>,
    ) -> Self {
        let letter = site.deliver("bob", "", "Subject: for bob only\n\nsecret\n");
        let key = site.path("key");
        fs::write(&key, "secret").unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let (path, letters) = (site.path("socket"), site.path("letters"));
        let control = site.path("run/control");
        let mut sockets = vec![UnixListener::bind(&path).unwrap()];
        if server.is_none() {
            fs::create_dir(site.path("run")).unwrap();
            sockets.push(UnixListener::bind(&control).unwrap());
            fs::set_permissions(&control, Permissions::from_mode(0o600)).unwrap();
        }
        let listeners = (tcp, sockets, UnixDatagram::bind(&letters).unwrap());
        for path in [&path, &letters] {
            fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        }
        let is_root = geteuid().is_root();
        let own_uid = geteuid().as_raw();
        let user = |uid: u32| if is_root { uid } else { own_uid };
        let base = user(if who == Who::Login { 19003 } else { 19001 });
        let group = |name: &str, number: u32| {
            Group::from_name(name).ok().flatten().map_or(number, |group| group.gid.as_raw())
        };
        let daemon = User::from_name("daemon").ok().flatten().map_or(1, |user| user.uid.as_raw());
        let (shadow, disk, docker) = (group("shadow", 42), group("disk", 6), group("docker", 998));
        let pid = |kind: &str| match server {
            Some(server) => server.status(kind)[0]["pid"].to_string(),
            None => neighbour.pid.to_string(),
        };
        let socket = socket_of(own).to_string();
        let login = if who == Who::Login { neighbour.pid.to_string() } else { pid("login") };
        let auth = pid("auth");
        let master = server.map_or(1, |server| server.master().pid).to_string();
        let path = |path: &Path| path.display().to_string();
        let gids = |gids: &[u32]| {
            format!("x'{}", hex(&gids.iter().flat_map(|gid| gid.to_ne_bytes()).collect::<Vec<_>>()))
        };
        let words = |words: &[u64]| {
            format!("x'{}", hex(&words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>()))
        };
        let names = [
            ("alice", user(20001).to_string()),
            ("bob", 20002.to_string()),
            ("base", base.to_string()),
            ("gid:bob", gids(&[20002])),
            ("gid:root", gids(&[0])),
            ("gid:shadow", gids(&[shadow])),
            ("gid:disk", gids(&[disk])),
            ("gid:docker", gids(&[docker])),
            ("gids:bob shadow", gids(&[20002, shadow])),
            ("gid:above", gids(&[60001])),
            ("daemon", daemon.to_string()),
            ("shadow", shadow.to_string()),
            ("auth user", 19002.to_string()),
            ("login user", if who == Who::Login { 19001 } else { 19003 }.to_string()),
            ("key", if is_root { path(&key) } else { "/etc/gshadow".to_owned() }),
            ("bob's", path(&letter)),
            ("home", path(&site.home("alice"))),
            ("users", path(&site.path("users"))),
            ("configuration", path(&site.path("mail.conf"))),
            ("neighbour", neighbour.pid.to_string()),
            ("neighbour's memory", memory_of(neighbour).to_string()),
            ("int:neighbour", gids(&[neighbour.pid])),
            ("login", login),
            ("auth", auth),
            ("master", master),
            ("socket", socket.clone()),
            ("marker", marker_of(own).to_string()),
            ("link", socket),
            ("port", internet(listeners.0.local_addr().unwrap().port())),
            ("any port", internet(0)),
            ("control", unix(&control)),
            ("somebody's", unix(&site.path("socket"))),
            ("somebody's letters", unix(&letters)),
            // CLONE_NEWUSER, and SIGCHLD at its end.
            ("process in a user namespace", words(&[0x1000_0000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0])),
            // ADJ_SETOFFSET by 0.
            ("an offset of nothing", words(&[&[0x0100][..], &[0; 25]].concat())),
            // An array of one number, by numbers.
            ("bpf map", words(&[2 | 4 << 32, 4 | 1 << 32, 0, 0, 0, 0, 0, 0, 0])),
            // A clock of this process, and nothing of the kernel.
            ("perf clock", words(&[&[1 | 112 << 32, 0, 0, 0, 0, 0x60][..], &[0; 8]].concat())),
        ];
        let names = names.into_iter().map(|(name, value)| (format!("{{{name}}}"), value)).collect();
        Self { names, _listeners: listeners }
    }

    /// A script of the table as tests/attacker reads it.
    pub(crate) fn script(&self, text: &str) -> String {
        let text = self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        assert!(!text.contains('{'), "a name that nobody knows: {text}");
        script(&text)
    }
}

/// The same, where there are no names in it.
pub(crate) fn script(text: &str) -> String {
    let calls = text.split(';').map(|call| {
        let mut words = call.split_whitespace();
        let name = words.next().unwrap();
        let number = number(name).map(|number| number.to_string());
        let first =
            if name == "=" { name.to_owned() } else { number.unwrap_or_else(|| panic!("{name}: unknown")) };
        [first].into_iter().chain(words.map(decimal)).collect::<Vec<_>>().join(" ")
    });
    calls.collect::<Vec<_>>().join(" ; ")
}

/// A word with its numbers in decimal, also where several are in brackets.
fn decimal(word: &str) -> String {
    let number = |word: &str| match word.get(..2) {
        Some("0x") => i64::from_str_radix(&word[2..], 16).unwrap().to_string(),
        Some("0o") => i64::from_str_radix(&word[2..], 8).unwrap().to_string(),
        _ => word.to_owned(),
    };
    match word.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        Some(list) => format!("[{}]", list.split('|').map(number).collect::<Vec<_>>().join("|")),
        None => number(word),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A sockaddr_in of this host.
fn internet(port: u16) -> String {
    let address = [&2_u16.to_ne_bytes()[..], &port.to_be_bytes(), &[127, 0, 0, 1], &[0; 8]].concat();
    format!("x'{}", hex(&address))
}

/// A sockaddr_un.
fn unix(path: &Path) -> String {
    let mut address = [&1_u16.to_ne_bytes()[..], path.as_os_str().as_encoded_bytes()].concat();
    address.resize(110, 0);
    format!("x'{}", hex(&address))
}

/// A unix socket that it has, or else any.
fn socket_of(process: &Process) -> u32 {
    let all = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let sockets: Vec<(u32, String)> =
        process.descriptors().into_iter().filter(|(_, name)| name.starts_with("socket:")).collect();
    let is_unix = |name: &str| {
        let inode = name.trim_start_matches("socket:[").trim_end_matches(']');
        all.lines().any(|line| line.split_whitespace().nth(6) == Some(inode))
    };
    sockets.iter().find(|(_, name)| is_unix(name)).or(sockets.first()).map_or(0, |(number, _)| *number)
}

/// The memory file in which it says for whom it works.
fn marker_of(process: &Process) -> u32 {
    let marker = process.descriptors().into_iter().find(|(_, name)| name.starts_with("/memfd:mail-working"));
    marker.map_or(0, |(number, _)| number)
}

/// Where a process has some memory.
fn memory_of(process: &Process) -> u64 {
    let maps = fs::read_to_string(format!("/proc/{}/maps", process.pid)).unwrap_or_default();
    let first = maps.split('-').next().unwrap_or_default();
    u64::from_str_radix(first, 16).unwrap_or(4096)
}

/// Whether this machine lets root make user namespaces.
pub(crate) fn has_namespaces() -> bool {
    Command::new("unshare")
        .args(["--user", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A program of tests/workers that answers scripts.
struct Answerer {
    child: Child,
    scripts: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Answerer {
    /// By the words in front of it, if any.
    fn start(site: &Site, words: &[&str], first: &str) -> Self {
        let program = site.worker("attacker.py");
        let (scripts, stdin) = UnixStream::pair().unwrap();
        let (answers, stdout) = UnixStream::pair().unwrap();
        let all: Vec<&str> = words.iter().copied().chain(program.split(' ')).chain([first]).collect();
        let child = Command::new(all[0])
            .args(&all[1..])
            .current_dir("/")
            .stdin(OwnedFd::from(stdin))
            .stdout(OwnedFd::from(stdout))
            .spawn()
            .unwrap();
        Self { child, scripts, answers: BufReader::new(answers) }
    }

    fn ask(&mut self, script: &str) -> String {
        writeln!(self.scripts, "{script}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty(), "the attacker has gone at {script}");
        answer.trim_end().to_owned()
    }

    fn process(&self) -> Process {
        Process::find(self.child.id()).unwrap()
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// With a program that is not ours in mail-jail by this form, serving alice, and another beside it.
pub(crate) fn in_jail(form: &str, attack: impl FnOnce(&Scene, &mut dyn FnMut(&str) -> String)) {
    let site = Site::new();
    let jail = site.program("mail-jail").display().to_string();
    let words = [
        &jail,
        "--user",
        "19001",
        "--group",
        "19001",
        "--keep-cap",
        "setuid,setgid",
        "--map-uids",
        "20001-39999",
        "--map-gids",
        "20001-39999",
        "--identity",
        form,
        "--signal-self",
        "--memory",
        "1073741824",
        "--files",
        "256",
        "--",
    ];
    let alice = script("setresgid -1 20001 -1 ; setresuid -1 20001 -1");
    let mut own = Answerer::start(&site, &words, &alice);
    let mut beside = Answerer::start(&site, &words, &alice);
    // Both are up.
    for it in [&mut own, &mut beside] {
        it.ask(&script("getpid"));
    }
    let scene = Scene::new(&site, Who::Stranger, &own.process(), &beside.process(), None);
    attack(&scene, &mut |script| own.ask(script));
}

/// As root, where nothing is in its way; what it does to mounts, names and memory of the machine it does to itself.
pub(crate) fn unconfined(attack: impl FnOnce(&Scene, &mut dyn FnMut(&str) -> String)) {
    let site = Site::new();
    let apart = script("unshare 0xc020000");
    let words = ["unshare", "--mount", "--uts", "--ipc"];
    let mut own = Answerer::start(&site, &words, &apart);
    let beside = Answerer::start(&site, &[], "");
    own.ask(&script("getpid"));
    let scene = Scene::new(&site, Who::Stranger, &own.process(), &beside.process(), None);
    attack(&scene, &mut |script| own.ask(script));
}
