//! Debian's Dovecot on a [`Site`]: the same users, mail and addresses, served by somebody else.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Imap, Site, until};

/// See above. It is stopped at its end.
#[derive(Debug)]
pub struct Dovecot {
    /// What it stands on.
    pub site: Site,
    master: Child,
}

impl Dovecot {
    /// Starts it.
    ///
    /// # Panics
    /// If it does not come to serve.
    pub fn start(site: Site) -> Self {
        let folder = site.path("dovecot");
        fs::create_dir_all(&folder).unwrap();
        let (imap, pop3) = (site.imap_address(), site.pop3_address());
        let configuration = format!(
            "base_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/log\n\
             protocols = imap pop3\nlisten = {}\nssl = no\ndisable_plaintext_auth = no\nauth_failure_delay = 0\n\
             first_valid_uid = 20001\nmail_max_userip_connections = 0\nmail_location = maildir:~/Maildir\n\
             mailbox_idle_check_interval = 1 secs\n\
             service imap-login {{\n inet_listener imap {{\n  port = {}\n }}\n}}\n\
             service pop3-login {{\n inet_listener pop3 {{\n  port = {}\n }}\n}}\n\
             service auth {{\n user = root\n}}\n\
             passdb {{\n driver = passwd-file\n args = {users}\n}}\n\
             userdb {{\n driver = passwd-file\n args = {users}\n}}\n",
            imap.ip(),
            imap.port(),
            pop3.port(),
            folder = folder.display(),
            users = site.path("users").display()
        );
        fs::write(folder.join("dovecot.conf"), configuration).unwrap();
        Self { master: launch(&site), site }
    }

    /// Ends it and starts it again.
    pub fn restart(&mut self) {
        self.end();
        self.master = launch(&self.site);
    }

    fn end(&mut self) {
        // If it is gone, the tests have noticed.
        let _ = kill(Pid::from_raw(i32::try_from(self.master.id()).unwrap()), Signal::SIGTERM);
        until("Dovecot to end", || self.master.try_wait().unwrap());
    }
}

/// Its program for one client, which it starts, or anybody by hand, with `-c` and a [`configuration`].
pub const IMAP: &str = "/usr/lib/dovecot/imap";

/// Writes a configuration for one of its programs that is run by hand, into the `home` of the user whose mail it is.
///
/// # Panics
/// If that cannot be written.
pub fn configuration(home: &Path, mail_location: &str) -> PathBuf {
    let owner = fs::metadata(home).unwrap();
    let (uid, gid, base) = (owner.uid(), owner.gid(), home.display());
    let path = home.join("dovecot.conf");
    let text = format!(
        "mail_location = {mail_location}\nmail_uid = {uid}\nmail_gid = {gid}\n\
         first_valid_uid = 1\nfirst_valid_gid = 1\n\
         base_dir = {base}\nlog_path = /dev/stderr\nstats_writer_socket_path =\n"
    );
    fs::write(&path, text).unwrap();
    path
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.end();
    }
}

fn launch(site: &Site) -> Child {
    let said = File::create(site.path("dovecot/said")).unwrap();
    let mut master = Command::new("dovecot")
        .arg("-F")
        .arg("-c")
        .arg(site.path("dovecot/dovecot.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .unwrap();
    until("Dovecot to serve", || {
        let ended = master.try_wait().unwrap();
        assert!(ended.is_none(), "{}", fs::read_to_string(site.path("dovecot/said")).unwrap());
        Imap::try_connect(site.imap_address(), None)
    });
    master
}
