//! What a server stands on: a scratch directory with users, their mail and a configuration, and an address of its own.

use std::fs::{self, File, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::unistd::{getegid, geteuid};
use tempfile::TempDir;

/// A user of the server. Everybody's password is `secret`.
#[derive(Debug, Clone)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The uid, and the number of a group of its own. Without root it is that of whoever runs the tests.
    pub uid: u32,
    groups: Vec<u32>,
    extra: String,
}

impl User {
    /// One with this uid.
    pub fn new(name: &str, uid: u32) -> Self {
        Self { name: name.to_owned(), uid, groups: Vec::new(), extra: String::new() }
    }

    /// The same, in these groups as well.
    #[must_use]
    pub fn with_groups(mut self, groups: &[u32]) -> Self {
        self.groups = groups.to_vec();
        self
    }

    /// The same, with these extra fields in the user database: `userdb_mail=...`.
    #[must_use]
    pub fn with_extra(mut self, extra: &str) -> Self {
        extra.clone_into(&mut self.extra);
        self
    }
}

/// See above.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    programs: PathBuf,
    address: Ipv4Addr,
    users: Vec<User>,
    delivered: AtomicU64,
    within: Vec<String>,
}

impl Site {
    /// One with the users alice, bob and carol, uids 20001 to 20003, whose mailboxes are empty.
    ///
    /// # Panics
    /// If the programs have not been built.
    pub fn new() -> Self {
        Self::with_users(
            ["alice", "bob", "carol"].iter().zip(20001..).map(|(name, uid)| User::new(name, uid)),
        )
    }

    /// One with these users.
    pub fn with_users(users: impl IntoIterator<Item = User>) -> Self {
        let folder = tempfile::Builder::new().prefix("mail-test.").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let mut site = Self {
            programs: programs(folder.path()),
            address: free_address(folder.path()),
            folder,
            users: Vec::new(),
            delivered: AtomicU64::new(0),
            within: Vec::new(),
        };
        fs::create_dir(site.path("home")).unwrap();
        site.set_users(users);
        fs::write(site.path("mail.conf"), site.configuration()).unwrap();
        site
    }

    /// The same, its master being started by a command that becomes what stands behind it.
    #[must_use]
    pub fn within(mut self, command: &[String]) -> Self {
        command.clone_into(&mut self.within);
        self
    }

    /// The words that start the master.
    pub fn master_command(&self) -> Vec<String> {
        let own = [self.program("mail-master"), "-F".into(), "-c".into(), self.path("mail.conf")];
        let own = own.iter().map(|word| word.to_str().unwrap().to_owned());
        self.within.iter().cloned().chain(own).collect()
    }

    /// A path in the scratch directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the programs are.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Where IMAP clients connect to.
    pub fn imap_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, 10143)
    }

    /// Where POP3 clients connect to.
    pub fn pop3_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, 10110)
    }

    /// Writes the settings that come behind, and win over, those that all tests have.
    pub fn configure(&self, settings: &str) {
        fs::write(self.path("test.conf"), settings).unwrap();
    }

    /// Writes the user database, and makes homes for those who have none.
    pub fn set_users(&mut self, users: impl IntoIterator<Item = User>) {
        self.users = users.into_iter().collect();
        let mut text = String::new();
        for User { name, uid, groups, extra } in &self.users {
            let home = self.home(name);
            if !home.exists() {
                for folder in ["", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"] {
                    self.make_folder(name, &home.join(folder));
                }
            }
            let gids: Vec<String> = [uid].into_iter().chain(groups).map(u32::to_string).collect();
            text +=
                &format!("{name}:{{PLAIN}}secret:{uid}:{}::{}::{extra}\n", gids.join(","), home.display());
        }
        let path = self.path("users.new");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        if geteuid().is_root() {
            chown(&path, None, Some(AUTH)).unwrap();
        }
        fs::rename(path, self.path("users")).unwrap();
    }

    /// A user's home directory.
    pub fn home(&self, user: &str) -> PathBuf {
        self.path("home").join(user)
    }

    /// A user's mail: the INBOX, or a folder such as `.Sent` below it.
    pub fn maildir(&self, user: &str, folder: &str) -> PathBuf {
        self.home(user).join("Maildir").join(folder)
    }

    /// Puts a message into a user's INBOX, or a folder such as `.Sent` below it, as a mail transport would.
    pub fn deliver(&self, user: &str, folder: &str, message: impl AsRef<[u8]>) -> PathBuf {
        let place = self.maildir(user, folder);
        for part in ["", "cur", "new", "tmp"] {
            if !place.join(part).exists() {
                self.make_folder(user, &place.join(part));
            }
        }
        let number = self.delivered.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.M{number}P{}.test", 1_700_000_000 + number, std::process::id());
        let (written, there) = (place.join("tmp").join(&name), place.join("new").join(&name));
        let mut file = File::create(&written).unwrap();
        file.write_all(message.as_ref()).unwrap();
        file.set_permissions(Permissions::from_mode(0o600)).unwrap();
        self.give(user, &written);
        fs::rename(&written, &there).unwrap();
        there
    }

    /// Makes a file or directory a user's own.
    pub fn give(&self, user: &str, path: &Path) {
        let uid = self.users.iter().find(|known| known.name == user).unwrap().uid;
        if geteuid().is_root() {
            chown(path, Some(uid), Some(uid)).unwrap();
        }
    }

    fn make_folder(&self, user: &str, path: &Path) {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
        self.give(user, path);
    }

    /// Copies one of the workers of tests/workers to where every user can run it; the command to run it.
    pub fn worker(&self, name: &str) -> String {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("workers").join(name);
        let path = self.path(name);
        fs::copy(&own, &path).unwrap_or_else(|why| panic!("{}: {why}", own.display()));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        format!("/usr/bin/python3 {}", path.display())
    }

    fn configuration(&self) -> String {
        let folder = self.folder.path().display();
        let (first, last) =
            if geteuid().is_root() { (20_001, 39_999) } else { (geteuid().as_raw(), geteuid().as_raw()) };
        let (first_group, last_group) =
            if geteuid().is_root() { (first, last) } else { (getegid().as_raw(), getegid().as_raw()) };
        format!(
            "base_dir = {folder}/run\n\
             protocols = imap pop3\n\
             mail_log_max_lines_per_sec = 0\n\
             login_process_per_connection = no\n\
             login_processes_count = 1\n\
             auth_failure_delay = 0\n\
             mail_base_user = {BASE}\n\
             auth_user = {AUTH}\n\
             login_user = {LOGIN}\n\
             first_valid_uid = {first}\n\
             last_valid_uid = {last}\n\
             first_valid_gid = {first_group}\n\
             last_valid_gid = {last_group}\n\
             mail_location = maildir:~/Maildir\n\
             protocol imap {{\n  listen = {}\n}}\n\
             protocol pop3 {{\n  listen = {}\n}}\n\
             passdb passwd-file {{\n  args = {folder}/users\n}}\n\
             userdb passwd-file {{\n  args = {folder}/users\n}}\n\
             !include {folder}/test.conf\n",
            self.imap_address(),
            self.pop3_address(),
        )
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

/// The directory with the programs that were built with this test: links to them, since the server's users may not reach
/// where they were built, and they may be built again meanwhile. Where there can be no links, as little as will do.
fn programs(folder: &Path) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let built = own.ancestors().nth(2).unwrap().to_owned();
    let is_open = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o001 != 0;
    let is_open = !geteuid().is_root() || built.ancestors().all(is_open);
    let links = folder.join("bin");
    fs::create_dir(&links).unwrap();
    for name in PROGRAMS {
        let (from, to) = (built.join(name), links.join(name));
        assert!(from.exists(), "{} is missing: cargo build --workspace --bins", from.display());
        match fs::hard_link(&from, &to) {
            Ok(()) => {}
            Err(_) if is_open => return built,
            Err(_) => drop(fs::copy(&from, &to).unwrap()),
        }
    }
    links
}

/// An address of this machine, and of no other test.
fn free_address(folder: &Path) -> Ipv4Addr {
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    let numbers = hasher.finish().to_le_bytes();
    for last in 1..=254 {
        // 127.0.x.x is left to clients.
        let address = Ipv4Addr::new(127, numbers[0] % 254 + 1, numbers[1], last);
        if [10143, 10110].iter().all(|port| TcpListener::bind((address, *port)).is_ok()) {
            return address;
        }
    }
    panic!("no address is free");
}

/// Users that own nothing.
const BASE: u32 = 19001;
const AUTH: u32 = 19002;
const LOGIN: u32 = 19003;

const PROGRAMS: [&str; 6] = ["mail-master", "mail-login", "mail-auth", "mail-worker", "mail-jail", "mailctl"];
