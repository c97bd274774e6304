//! What this machine allows in clients, compared with what the configuration promises: sentences for the log.
//!
//! Settings speak of clients and processes, the kernel of descriptors, inotify instances and the like; here one is
//! worked out from the other. A limit that is too low is no error: the server serves as many as it can.
//! `mail-security(7)` says what each limit counts.

use std::fs;
use std::path::{Path, PathBuf};

use log::Level;
use nix::sys::resource::{Resource, getrlimit};

use crate::config::{Config, ProtocolSettings, Share};

/// What the kernel allows; `u64::MAX` is no limit, or one that could not be read.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Descriptors of one process.
    pub(crate) descriptors: u64,
    /// Descriptors of all processes.
    pub(crate) all_descriptors: u64,
    /// Processes, whoever's: the lowest of several limits, and what that is called.
    pub(crate) processes: (u64, &'static str),
    /// Processes of one user.
    pub(crate) own_processes: u64,
    /// inotify instances of one user.
    pub(crate) instances: u64,
    /// Directories that one user can have watched.
    pub(crate) watches: u64,
    /// Memory, in bytes: the lowest of several limits, and what that is called.
    pub(crate) memory: (u64, &'static str),
}

impl Machine {
    /// That of this process, which takes its children's along; `proc` and `cgroup` are where these are mounted.
    pub(crate) fn read(proc: &Path, cgroup: &Path) -> Self {
        let sysctl = |name: &str| number(&proc.join("sys").join(name));
        let groups = groups(proc, cgroup);
        let group = |names: [&str; 2]| {
            let files = groups.iter().flat_map(|group| names.map(|name| group.join(name)));
            files.map(|file| number(&file)).min().unwrap_or(u64::MAX)
        };
        let rlimit = |resource| getrlimit(resource).unwrap_or((u64::MAX, u64::MAX));
        Self {
            descriptors: rlimit(Resource::RLIMIT_NOFILE).1,
            all_descriptors: sysctl("fs/file-max"),
            processes: least([
                (sysctl("kernel/pid_max"), "kernel.pid_max"),
                (sysctl("kernel/threads-max"), "kernel.threads-max"),
                (group(["pids.max"; 2]), "pids.max of the control group (systemd: TasksMax=)"),
            ]),
            own_processes: rlimit(Resource::RLIMIT_NPROC).0,
            instances: sysctl("fs/inotify/max_user_instances"),
            watches: sysctl("fs/inotify/max_user_watches"),
            memory: least([
                (installed(proc), "what is installed"),
                (group(["memory.max", "memory.limit_in_bytes"]), "memory.max of the control group"),
            ]),
        }
    }
}

fn least<const N: usize>(limits: [(u64, &'static str); N]) -> (u64, &'static str) {
    limits.into_iter().min_by_key(|(most, _)| *most).unwrap_or((u64::MAX, ""))
}

/// The number in a file; `max`, and whatever else is none, is no limit.
fn number(file: &Path) -> u64 {
    fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX)
}

/// The control groups that this process is in, from each up to the root, in either version.
fn groups(proc: &Path, cgroup: &Path) -> Vec<PathBuf> {
    let own = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
    let mut groups = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let own = cgroup.join(controllers).join(path.trim_start_matches('/'));
        // Nothing above where they are mounted is one.
        groups.extend(own.ancestors().filter(|group| group.starts_with(cgroup)).map(Path::to_owned));
    }
    groups
}

fn installed(proc: &Path) -> u64 {
    let text = fs::read_to_string(proc.join("meminfo")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.map_or(u64::MAX, |kilobytes| kilobytes.saturating_mul(1024))
}

/// Whose a process that all users share is, where the kernel counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// For processes nobody's, each namespace counting for itself; for all else root's, who made the namespaces.
    InNamespaces,
    /// mail_base_user's.
    AsBaseUser,
    /// That of who started the master, as everything is.
    AsInvoker,
}

/// What a configuration promises, in the kernel's terms; where protocols differ, the most.
#[derive(Debug)]
struct Promise {
    workers: u64,
    /// They, and those that wait for the disk in place of shared ones.
    mail_processes: u64,
    /// Clients in each.
    clients: u64,
    logins: u64,
    /// Clients in each that have not logged in.
    strangers: u64,
    /// Clients in all, as settings of their own have it.
    most_clients: u64,
    most_strangers: u64,
    /// Whether several clients have one process.
    shared: bool,
    /// Whether inotify instances of all workers count as one user's.
    one_user: bool,
    /// How many processes one user has at most.
    of_one_user: u64,
}

impl Promise {
    fn new(config: &Config, counted: Counted) -> Self {
        let most = |of: fn(&ProtocolSettings) -> u64| config.served().map(|settings| of(settings)).max();
        let strangers = |settings: &ProtocolSettings| match settings.login_process_per_connection {
            true => 1,
            false => u64::from(settings.login_max_connections.get()),
        };
        let logins = |settings: &ProtocolSettings| match settings.login_process_per_connection {
            true => u64::from(settings.login_max_processes_count.get()),
            false => u64::from(settings.login_processes_count.get()),
        };
        let workers = u64::from(config.server.max_mail_processes.get());
        let helped = |settings: &ProtocolSettings| settings.share().is_some() && !settings.fsync_disable;
        let each = if config.served().any(|settings| helped(settings)) { 2 } else { 1 };
        let mail_processes = workers.saturating_mul(each);
        let logins = config.served().map(|settings| logins(settings)).sum();
        let all_share = config.served().any(|settings| settings.share() == Some(Share::All));
        let one_uid =
            |settings: &ProtocolSettings| settings.share() != Some(Share::All) && settings.mail_uid.is_some();
        let one_uid = config.served().any(|settings| one_uid(settings));
        let of_one_user = match counted {
            Counted::AsInvoker => mail_processes.saturating_add(logins),
            Counted::AsBaseUser if all_share => mail_processes.max(logins),
            _ if one_uid => mail_processes.max(logins),
            _ => logins,
        };
        Self {
            workers,
            mail_processes,
            clients: most(|settings| settings.clients_per_process() as u64).unwrap_or(1),
            logins,
            strangers: most(strangers).unwrap_or(1),
            most_clients: or_any(config.server.mail_max_connections_total),
            most_strangers: or_any(config.server.login_max_connections_total),
            shared: config.served().any(|settings| settings.share().is_some()),
            one_user: counted == Counted::AsInvoker || all_share || one_uid,
            of_one_user,
        }
    }

    fn all_clients(&self) -> u64 {
        self.workers.saturating_mul(self.clients).min(self.most_clients)
    }

    fn all_strangers(&self) -> u64 {
        self.logins.saturating_mul(self.strangers).min(self.most_strangers)
    }
}

/// Of a setting for which 0 is no limit.
fn or_any(most: u32) -> u64 {
    if most == 0 { u64::MAX } else { most.into() }
}

/// What is to be said at start: that there is room, or what there is no room for.
pub(crate) fn sentences(machine: &Machine, config: &Config, counted: Counted) -> Vec<(Level, String)> {
    let promise = Promise::new(config, counted);
    let mut short = Vec::new();
    descriptors(machine, &promise, &mut short);
    processes(machine, &promise, &mut short);
    inotify(machine, &promise, &mut short);
    memory(machine, &promise, &mut short);
    if short.is_empty() {
        let Promise { workers, clients, .. } = promise;
        let room = format!(
            "room for {} clients, up to {clients} in each of {workers} mail processes, and for {} before they log in; \
             this machine's limits allow them",
            promise.all_clients(),
            promise.all_strangers()
        );
        return vec![(Level::Info, room)];
    }
    short.into_iter().map(|sentence| (Level::Warn, sentence)).collect()
}

fn descriptors(machine: &Machine, promise: &Promise, short: &mut Vec<String>) {
    let Promise { workers, clients, logins, strangers, .. } = *promise;
    let of_master = MASTER_DESCRIPTORS
        .saturating_add(workers.saturating_mul(DESCRIPTORS_A_CHILD))
        .saturating_add(logins.saturating_mul(DESCRIPTORS_A_CHILD));
    let of_worker = process_descriptors(clients);
    let of_login = process_descriptors(strangers);
    let raise = "raise LimitNOFILE= in systemd's unit, or what 'ulimit -Hn' says";
    let may = machine.descriptors;
    if of_master > may {
        short.push(format!(
            "max_mail_processes = {workers}, and {logins} for logins: mail-master needs {of_master} \
             descriptors, a process may have {may}; {raise}"
        ));
    }
    if of_worker > may {
        short.push(format!(
            "mail_max_connections = {clients}: a mail process needs {of_worker} descriptors, and may have {may}; \
             {raise}"
        ));
    }
    if of_login > may {
        short.push(format!(
            "login_max_connections = {strangers}: a login process needs {of_login} descriptors, and may have \
             {may}; {raise}"
        ));
    }
    let all = of_master
        .saturating_add(workers.saturating_mul(of_worker))
        .saturating_add(logins.saturating_mul(of_login));
    if all > machine.all_descriptors {
        let may = machine.all_descriptors;
        short.push(format!(
            "max_mail_processes = {workers}, and {logins} for logins: they need {all} descriptors, this machine has {may}; \
             raise fs.file-max"
        ));
    }
}

fn processes(machine: &Machine, promise: &Promise, short: &mut Vec<String>) {
    let Promise { workers, mail_processes, logins, of_one_user, .. } = *promise;
    // The master, auth, and one more of each when the configuration is read again.
    let all = mail_processes.saturating_add(logins).saturating_add(4);
    let (may, name) = machine.processes;
    if all > may {
        short.push(format!(
            "max_mail_processes = {workers}, and {logins} for logins: {all} processes are needed, {may} may \
             be there; raise {name}"
        ));
    }
    if of_one_user > machine.own_processes {
        let may = machine.own_processes;
        short.push(format!(
            "max_mail_processes = {workers}, and {logins} for logins: one user needs {of_one_user} processes, and \
             may have {may}; raise LimitNPROC= in systemd's unit, or what 'ulimit -u' says"
        ));
    }
}

fn inotify(machine: &Machine, promise: &Promise, short: &mut Vec<String>) {
    let Promise { workers, .. } = *promise;
    if !promise.one_user {
        return;
    }
    let most = machine.instances;
    let needed = workers.saturating_add(OTHERS_INSTANCES);
    if needed > most {
        short.push(format!(
            "max_mail_processes = {workers}: each needs an inotify instance, and one user may have {most}; further ones \
             look for new mail every mailbox_idle_check_interval; raise fs.inotify.max_user_instances to {needed}"
        ));
    }
    let (most, needed) = (machine.watches, promise.all_clients().saturating_mul(WATCHES_A_CLIENT));
    if needed > most {
        short.push(format!(
            "{} clients have {needed} directories watched, and one user may have {most}; the others are looked at every \
             mailbox_idle_check_interval; raise fs.inotify.max_user_watches",
            promise.all_clients()
        ));
    }
}

fn memory(machine: &Machine, promise: &Promise, short: &mut Vec<String>) {
    let Promise { workers, logins, .. } = *promise;
    let (most, name) = machine.memory;
    let process = if promise.shared { SHARED_PROCESS } else { PRIVATE_PROCESS };
    let needed = workers
        .saturating_mul(process)
        .saturating_add(promise.all_clients().saturating_mul(CLIENT))
        .saturating_add(logins.saturating_mul(LOGIN_PROCESS));
    if needed > most {
        let megabytes = |bytes: u64| bytes >> 20;
        short.push(format!(
            "{} clients need about {} MB of memory while nothing happens, and there are {} MB ({name}); write a \
             lower max_mail_processes, or give it more",
            promise.all_clients(),
            megabytes(needed),
            megabytes(most)
        ));
    }
}

/// What a process of many clients needs: its own, each client's socket, and for those who are being worked for a file
/// or two.
fn process_descriptors(clients: u64) -> u64 {
    PROCESS_DESCRIPTORS.saturating_add(clients.saturating_mul(2))
}

/// Those kept for children's, the loop's, logs and sockets, and clients on their way.
const MASTER_DESCRIPTORS: u64 = 128;
/// Its log, its link, and the memory in which it says whom it works for.
const DESCRIPTORS_A_CHILD: u64 = 3;
const PROCESS_DESCRIPTORS: u64 = 32;
/// What other programs of the same user may have: in a user namespace instances count as root's as well.
const OTHERS_INSTANCES: u64 = 32;
/// `new` and `cur` of one mailbox.
const WATCHES_A_CLIENT: u64 = 2;
/// Memory that is nobody else's, of processes that wait: measured, and rounded up.
const SHARED_PROCESS: u64 = 2 << 20;
const PRIVATE_PROCESS: u64 = 512 << 10;
const LOGIN_PROCESS: u64 = 512 << 10;
const CLIENT: u64 = 8 << 10;

#[cfg(test)]
mod tests;
