//! Starting mail processes, and what their death means for those whom they served.

use std::collections::BTreeSet;
use std::ffi::{CStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;

use envdump::Environment;
use log::{error, info, warn};
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::Pid;
use wire::{ConnectionId, Protocol, handoff};

use crate::admission::Offer;
use crate::children::{End, Role};
use crate::config::{Config, ProtocolSettings};
use crate::environ::{ClientFacts, Form, client_environment, spare_environment};
use crate::in_force::{self, Asked, InForce};
use crate::jail;
use crate::master::{Master, Source};
use crate::person::Person;
use crate::pool::{Share, Wanted, Worker, WorkerKey};
use crate::spawn::Spawn;
use expand::Variables;

/// Who answers the command that logged in, where a client has its own process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// The login has: most programs know nothing of it.
    Login,
    /// The process itself.
    Worker,
}

impl Master {
    /// Whether one more may be started now.
    pub(crate) fn may_start_worker(&self, protocol: Protocol) -> bool {
        let most = self.config.server.max_mail_processes.get() as usize;
        // Who waits for its login will have a process of its own.
        if self.pool.workers.len() + self.waiting_for_logins() >= most {
            error!("{protocol}: max_mail_processes = {most} is reached, no client is taken");
            return false;
        }
        true
    }

    /// A client's whole environment, for a process that is shared like this.
    pub(crate) fn client_environment(&self, offer: &Offer, share: &Share) -> Result<Environment, String> {
        let request = &offer.request;
        let settings = self.config.protocol(request.protocol);
        let form = match share {
            Share::Private => Form::Alone,
            Share::All => Form::Shared,
            Share::Uid { .. } | Share::User(_) => Form::Dropped,
        };
        let facts = ClientFacts {
            id: offer.id,
            person: &offer.person,
            local: request.local,
            remote: request.remote,
            tag: &request.tag,
            secured: request.secured,
            form,
            pid: None,
        };
        client_environment(settings, &facts).map_err(|why| why.to_string())
    }

    /// Starts a process that speaks the hand-off, with its first client: what it inherits is what a `client` message would
    /// have brought, and from there on there is one path.
    pub(crate) fn start_worker_with(
        &mut self,
        wanted: Wanted,
        alone: bool,
        offer: Offer,
    ) -> Result<(), String> {
        let environment = self.client_environment(&offer, &wanted.share)?;
        let person = (wanted.share != Share::All).then(|| offer.person.clone());
        let started = self.start_linked(wanted, alone, environment, person.as_deref(), Some(offer.client));
        let key = started.map_err(|why| format!("starting a mail process: {why}"))?;
        if let Some(worker) = self.pool.workers.get_mut(key) {
            worker.offered.insert(offer.id);
        }
        self.ledger.assign(offer.id, key);
        Ok(())
    }

    /// Starts a process that speaks the hand-off and has no client yet.
    pub(crate) fn start_spare(
        &mut self,
        settings: &ProtocolSettings,
        generation: u32,
    ) -> io::Result<WorkerKey> {
        let wanted = Wanted { protocol: settings.protocol, generation, share: Share::All };
        let environment = spare_environment(settings).map_err(io::Error::other)?;
        self.start_linked(wanted, false, environment, None, None)
    }

    fn start_linked(
        &mut self,
        kind: Wanted,
        alone: bool,
        mut environment: Environment,
        person: Option<&Person>,
        client: Option<OwnedFd>,
    ) -> io::Result<WorkerKey> {
        let (ours, theirs) = UnixStream::pair()?;
        let marker = marker()?;
        environment.set("WORKING_FD", WORKING_NUMBER.to_string()).map_err(io::Error::other)?;
        let mut descriptors =
            vec![(0, theirs.into()), (WORKING_NUMBER, marker.as_fd().try_clone_to_owned()?)];
        descriptors.extend(client.map(|client| (CLIENT_NUMBER, client)));
        let config = self.config_of(&kind);
        let settings = config.protocol(kind.protocol);
        let shared = kind.share == Share::All;
        let own = person.filter(|_| !shared);
        let chroot = own.and_then(|person| chroot_of(person, settings));
        let ((program, arguments), confinement) = if shared {
            (jail::shared(&config, &self.host, kind.protocol), None)
        } else {
            jail::of_one_user(&config, kind.protocol, chroot.as_deref())
        };
        let spawn = Spawn {
            program,
            arguments,
            environment,
            descriptors,
            credentials: own.map(|person| person.credentials.clone()).filter(|_| self.host.is_root()),
            umask: Some(settings.umask.0),
            chroot,
            directory: None,
            nice: own.and_then(|person| person.nice),
            limits: settings.mail_limits(),
            confinement,
        };
        let variables = Variables::of_many(kind.protocol.name().as_bytes(), b"");
        let prefix = settings.mail_log_prefix.expand(&variables).unwrap_or_default();
        let clients = u32::try_from(settings.clients_per_process()).unwrap_or(u32::MAX);
        let rate = self.config.server.mail_log_max_lines_per_sec.saturating_mul(clients);
        let role = Role::Mail(kind.protocol);
        let prefix = String::from_utf8_lossy(&prefix).into_owned();
        let link =
            self.new_link(ours, handoff::assembler(), handoff::version_line()).map_err(io::Error::other)?;
        let pid = match self.start_child(role, spawn, prefix, rate) {
            Ok(pid) => pid,
            Err(why) => {
                self.close_link(link);
                return Err(why);
            }
        };
        let worker = Worker::new(pid, kind, SystemTime::now());
        let source = link.key();
        let asked = Asked::of_mail(&config.server);
        let worker = Worker { alone, asked, link: Some(link), marker: Some(marker), ..worker };
        let key = self.pool.workers.insert(worker);
        self.own_source(source, Source::Worker(key));
        Ok(key)
    }

    /// Starts a process for one client, on its descriptors 0 and 1, that is this client's user for good.
    pub(crate) fn start_private_worker(&mut self, offer: Offer, answers: Answers) -> io::Result<()> {
        let mut environment = self.client_environment(&offer, &Share::Private).map_err(io::Error::other)?;
        if answers == Answers::Worker {
            environment.set("ANSWER_LOGIN", "1").map_err(io::Error::other)?;
        }
        let protocol = offer.request.protocol;
        let kind = Wanted { protocol, generation: self.generation, share: Share::Private };
        let config = self.config_of(&kind);
        let settings = config.protocol(protocol);
        let person = &offer.person;
        let chroot = chroot_of(person, settings);
        let ((program, mut arguments), confinement) = jail::of_one_user(&config, protocol, chroot.as_deref());
        make_blocking(&offer.client)?;
        if settings.verbose_proctitle {
            arguments.push(format!("[{} {}]", person.user, offer.request.remote.0).into());
        }
        let spawn = Spawn {
            program,
            arguments,
            environment,
            descriptors: vec![(1, offer.client.try_clone()?), (0, offer.client)],
            credentials: Some(person.credentials.clone()).filter(|_| self.host.is_root()),
            umask: Some(settings.umask.0),
            chroot,
            directory: None,
            nice: person.nice,
            limits: settings.mail_limits(),
            confinement,
        };
        let address = offer.request.remote.0.to_string();
        let local = offer.request.local.0.to_string();
        let uid = person.credentials.uid.to_string();
        let variables = Variables {
            user: person.user.as_bytes(),
            home: person.home.as_deref(),
            service: protocol.name().as_bytes(),
            local_ip: local.as_bytes(),
            remote_ip: address.as_bytes(),
            pid: b"",
            uid: uid.as_bytes(),
        };
        let prefix = settings.mail_log_prefix.expand(&variables).unwrap_or_default();
        let rate = self.config.server.mail_log_max_lines_per_sec;
        let role = Role::Mail(protocol);
        let pid = self.start_child(role, spawn, String::from_utf8_lossy(&prefix).into_owned(), rate)?;
        let asked = Asked::of_mail(&config.server);
        let worker = Worker { asked, ..Worker::new(pid, kind, SystemTime::now()) };
        let key = self.pool.workers.insert(worker);
        self.look_at_worker(key);
        self.ledger.assign(offer.id, key);
        self.ledger.commit(offer.id);
        Ok(())
    }

    /// A mail process is no more. What it said before is heard first; then its clients are gone, and those that it was
    /// offered and not yet told to serve are tried elsewhere.
    pub(crate) fn worker_ended(&mut self, pid: Pid, end: End, said: &str) {
        let Some(key) = self.pool.by_pid(pid) else { return };
        if let Some(link) = self.pool.workers.get_mut(key).and_then(|worker| worker.link.as_mut()) {
            link.drain();
            if let Err(why) = self.hear_worker(key) {
                error!("mail process {pid}: {why}");
            }
        }
        self.report_complete(key);
        let Some(mut worker) = self.pool.workers.remove(key) else { return };
        if let Some(timer) = worker.empty.take() {
            self.timers.cancel(timer);
        }
        if let Some(link) = worker.link.take() {
            self.close_link(link);
        }
        self.account_for_death(key, &worker, end);
        self.ledger.forget_worker(key);
        self.probe_ended(key, worker.kind.protocol, end, said);
    }

    fn account_for_death(&mut self, key: WorkerKey, worker: &Worker, end: End) {
        let mine: BTreeSet<ConnectionId> = self.ledger.of_worker(key).collect();
        let guilty = worker.works_for().filter(|id| mine.contains(id));
        let mut users = BTreeSet::new();
        for id in mine.difference(&worker.offered) {
            let Some(entry) = self.ledger.close(*id) else { continue };
            users.insert(entry.group.user.clone());
            if guilty == Some(*id) && end != End::Exit(0) {
                self.blame(&entry.group.user);
            }
        }
        if worker.kind.share != Share::Private && !users.is_empty() {
            let users: Vec<String> = users.into_iter().collect();
            error!(
                "{}: mail process {} {end}: sessions of {} users lost: {}",
                worker.kind.protocol,
                worker.pid,
                users.len(),
                users.join(", ")
            );
        }
        if self.shutdown.is_some() {
            return;
        }
        for id in &worker.offered {
            match guilty {
                Some(other) if other != *id => self.not_taken(key, *id),
                _ => self.worker_died_of(key, *id),
            }
        }
        if worker.retired && worker.kind.generation != self.generation {
            info!(
                "{}: mail process {} of an earlier configuration has ended",
                worker.kind.protocol, worker.pid
            );
        }
    }

    /// A mail process runs its program: how it is confined is told once, and decides who can be in it.
    pub(crate) fn look_at_worker(&mut self, key: WorkerKey) {
        let Some(worker) = self.pool.workers.get(key) else { return };
        let Wanted { protocol, generation, ref share } = worker.kind;
        let (asked, shared) = (worker.asked, *share == Share::All);
        let role = Role::Mail(protocol);
        if !shared && self.children.is_announced(role, generation) {
            return;
        }
        let in_force = match InForce::of(worker.pid, asked) {
            Ok(in_force) => in_force,
            Err(why) => return warn!("{role}, pid {}: asking what confines it: {why}", worker.pid),
        };
        if shared && in_force.form == in_force::Form::Filter {
            match &mut self.reload {
                Some(reload) if reload.generation() == generation => drop(reload.filtered.insert(protocol)),
                _ if generation != self.generation => {}
                _ if self.pool.apart.add(protocol) => {
                    warn!(
                        "{role}: no more user namespaces can be had, filters keep processes to the mail users"
                    );
                }
                _ => {}
            }
        }
        self.announce(role, generation, &in_force, asked);
    }

    /// The configuration that a process is started with, which may be one that is being tried.
    pub(crate) fn config_of(&self, kind: &Wanted) -> Rc<Config> {
        let reload = self.reload.as_ref().filter(|reload| reload.generation() == kind.generation);
        reload.map_or(&self.config, |reload| reload.config()).clone()
    }
}

/// The memory file in which a worker says for whom it works. It has room for that and cannot grow: memory in files is not
/// what a process's limits count.
fn marker() -> io::Result<File> {
    let file = File::from(memfd_create(WORKING, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
    file.set_len(4)?;
    let seals = SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

/// Where a client or its user is to be locked into a directory, and which.
fn chroot_of(person: &Person, settings: &ProtocolSettings) -> Option<PathBuf> {
    let own = person.chroot.clone().map(|root| PathBuf::from(OsString::from_vec(root)));
    own.or_else(|| settings.mail_chroot.clone())
}

/// A program that knows nothing of us expects descriptors that wait.
fn make_blocking(client: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_truncate(fcntl(client, FcntlArg::F_GETFL)?);
    fcntl(client, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(())
}

/// What the memory file is called in which a worker says for whom it works, and its number there.
const WORKING: &CStr = c"mail-working";
const WORKING_NUMBER: i32 = 4;
/// The number of the client that a worker is born with.
const CLIENT_NUMBER: i32 = 3;
