use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::SystemTime;

use ioloop::Ready;
use wire::{Protocol, handoff};

use super::*;
use crate::config::{Host, fixture};
use crate::ledger::{Counting, Group};
use crate::log_sink::LogSink;
use crate::master::Source;
use crate::pool::Worker;

/// A master that runs nothing, with a client that is offered to a worker; the worker's end of its link.
fn offered(directory: &tempfile::TempDir) -> (Master, WorkerKey, ConnectionId, UnixStream) {
    let base = directory.path().display();
    let config = fixture(&format!(
        "base_dir = {base}\nprotocols = imap\nprotocol imap {{\n listen = 127.0.0.1:0\n}}\n"
    ));
    let sink: &'static LogSink = Box::leak(Box::new(LogSink::stderr()));
    let mut master = Master::new(config, Host::this("/".into()), None, sink).unwrap();
    let here = ([127, 0, 0, 1].into(), 1);
    let group = Group { protocol: Protocol::Imap, user: "alice".to_owned(), address: here.0 };
    let id = master
        .ledger
        .reserve(group, Counting::Limited { per_address: 1, per_user: 0 }, 0, SystemTime::now())
        .unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let link = master.new_link(ours, handoff::assembler(), handoff::version_line()).unwrap();
    let source = link.key();
    let wanted = Wanted { protocol: Protocol::Imap, generation: 1, share: Share::All };
    let worker = Worker::new(nix::unistd::Pid::from_raw(i32::MAX), wanted, SystemTime::now());
    let worker =
        master.pool.workers.insert(Worker { alone: true, link: Some(link), offered: [id].into(), ..worker });
    master.own_source(source, Source::Worker(worker));
    master.ledger.assign(id, worker);
    let request = Request {
        id: 1,
        auth_id: 1,
        protocol: Protocol::Imap,
        local: here,
        remote: here,
        tag: "a".to_owned(),
        secured: false,
        stranger: None,
    };
    let person = Person {
        user: "alice".to_owned(),
        credentials: crate::spawn::Credentials { uid: 20001, gid: 20001, groups: Vec::new() },
        home: None,
        mail: None,
        chroot: None,
        nice: None,
        master_user: None,
        extra: Vec::new(),
    };
    let tried = vec![worker; TRIES];
    let reserved = Reserved { id, person: Rc::new(person), waits: Waits::Worker, tried };
    let key = master.admissions.insert_with_key(|key| Admission {
        login: None,
        request: Rc::new(request),
        client: UnixStream::pair().unwrap().0.into(),
        timer: master.timers.set(Instant::now() + PATIENCE, Timer::Admission(key)),
        stage: Stage::Reserved(reserved),
    });
    master.admitted_as.insert(id, key);
    (master, worker, id, theirs)
}

#[test]
fn a_lone_worker_whose_client_is_taken_back_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let (mut master, worker, id, mut peer) = offered(&directory);
    master.withdraw(worker, id);
    assert_eq!((master.ledger.len(), master.admissions.len()), (0, 0));
    let mut said = [0; 200];
    let count = peer.read(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said[..count]).into_owned();
    assert!(said.contains("\nwithdraw") && said.ends_with("stop\n"), "{said}");
}

#[test]
fn a_worker_that_died_before_it_was_told_to_serve_does_not_take_its_client_along() {
    let directory = tempfile::tempdir().unwrap();
    let (mut master, worker, id, mut peer) = offered(&directory);
    let ready = wire::handoff::FromWorker::Ready(id).to_bytes();
    std::io::Write::write_all(&mut peer, &[handoff::version_line(), ready].concat()).unwrap();
    drop(peer);
    master.on_worker(worker, Ready { key: 0, readable: true, writable: false });
    assert_eq!(master.ledger.entry(id).map(|entry| entry.stage), Some(crate::ledger::Stage::Reserved));
    assert_eq!(master.admissions.len(), 1);
    assert!(master.pool.workers[worker].offered.contains(&id));
}
