//! mail-control(7): what `mailctl` asks. One socket for all, which root alone may use, and one that its group may use, for
//! questions that change nothing.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use fdpass::Channel;
use ioloop::{Interest, Ready, TimerId};
use log::{info, warn};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use slotmap::{SlotMap, new_key_type};
use wire::control::{self, Answer, CONTROL_SOCKET, Request, STATUS_SOCKET, Whom};
use wire::handoff::ToWorker;
use wire::{ConnectionId, Record};

use crate::link::{Link, Lost, Open};
use crate::master::{Master, Source, Timer, loop_key};
use crate::pool::{Share, WorkerKey};

new_key_type! {
    /// Names one connection of `mailctl`.
    pub(crate) struct ControlKey;
}

/// What may be asked at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    All,
    Looking,
}

/// The sockets and who is connected to them.
#[derive(Debug, Default)]
pub(crate) struct Control {
    /// With the loop's number for each.
    sockets: Vec<(Access, UnixListener, usize)>,
    connections: SlotMap<ControlKey, Connection>,
}

#[derive(Debug)]
struct Connection {
    link: Link,
    access: Access,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It has not asked yet.
    New,
    /// It has asked for what workers are asked for in turn.
    Reports { request: Request, missing: BTreeSet<WorkerKey>, timer: TimerId },
    /// It has asked for a reload that is being tried.
    Reload,
    /// It has its answer; what is not sent yet is.
    Answered,
}

impl Control {
    /// Removes the sockets' names.
    pub(crate) fn unlink(&self, base_dir: &Path) {
        for name in [CONTROL_SOCKET, STATUS_SOCKET] {
            // It may be gone already; a new master would replace it.
            let _ = fs::remove_file(base_dir.join(name));
        }
    }
}

impl Master {
    /// Binds both sockets below base_dir, nobody being able to connect before their modes are right.
    pub(crate) fn open_control(&mut self) -> Result<(), String> {
        let base = self.config.server.base_dir.clone();
        for (access, name, mode) in
            [(Access::All, CONTROL_SOCKET, 0o600), (Access::Looking, STATUS_SOCKET, 0o660)]
        {
            let path = base.join(name);
            let socket = bind(&path, mode).map_err(|why| format!("binding {}: {why}", path.display()))?;
            let key = self.source(Source::ControlSocket(access));
            self.io
                .watch(&socket, key, Interest::Read)
                .map_err(|why| format!("watching {}: {why}", path.display()))?;
            self.control.sockets.push((access, socket, key));
        }
        Ok(())
    }

    /// Somebody connects.
    pub(crate) fn on_control_socket(&mut self, access: Access) {
        let Some((_, socket, _)) = self.control.sockets.iter().find(|(other, ..)| *other == access) else {
            return;
        };
        let stream = match socket.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => {
                // Most likely there is no descriptor left: it would be told again and again.
                warn!("control socket: {error}");
                // It is heard again with the timer.
                let _ = self.io.unwatch(socket);
                self.after(PAUSE, Timer::ControlSocket(access));
                return;
            }
        };
        // To each socket its own: who may only look cannot keep root out.
        let there = self.control.connections.values().filter(|other| other.access == access).count();
        if there >= MOST_CONNECTIONS {
            return warn!("control socket: more than {MOST_CONNECTIONS} connections, one turned away");
        }
        if let Err(why) = self.accept_control(access, stream) {
            warn!("control socket: {why}");
        }
    }

    /// A socket that could not be accepted from has had its pause.
    pub(crate) fn hear_control_socket(&mut self, access: Access) {
        for (_, socket, key) in self.control.sockets.iter().filter(|(other, ..)| *other == access) {
            if let Err(why) = self.io.watch(socket, *key, Interest::Read) {
                warn!("control socket: {why}");
            }
        }
    }

    /// A connection that has not asked by now is in others' way.
    pub(crate) fn control_timed_out(&mut self, control: ControlKey) {
        let connection = self.control.connections.get(control);
        if connection.is_some_and(|connection| matches!(connection.state, State::New)) {
            self.close_control(control);
        }
    }

    fn accept_control(&mut self, access: Access, stream: UnixStream) -> Result<(), Lost> {
        let channel = Channel::new(OwnedFd::from(stream))?;
        let io = &self.io;
        let sources = &mut self.sources;
        let made = self.control.connections.try_insert_with_key(|control| -> Result<_, Lost> {
            let key = loop_key(sources.insert(Source::Control(control)));
            let link = Link::new(channel, control::assembler(), control::version_line(), key, io)?;
            Ok(Connection { link: link.with_limit(LONGEST_ANSWER), access, state: State::New })
        });
        let control = made?;
        self.after(QUESTION_TIME, Timer::Question(control));
        Ok(())
    }

    /// It has said something, or reads again, or is gone.
    pub(crate) fn on_control(&mut self, control: ControlKey, ready: Ready) {
        let Some(connection) = self.control.connections.get_mut(control) else { return };
        let open = connection.link.proceed(ready, &self.io);
        let asked = match (&open, &connection.state) {
            (Ok(_), State::New) => connection.link.next(),
            // What comes after its question is passed over, and not kept.
            (Ok(_), _) => loop {
                match connection.link.next() {
                    Ok(Some(_)) => {}
                    other => break other,
                }
            },
            (Err(_), _) => return self.close_control(control),
        };
        match asked {
            Ok(Some(record)) => self.asked(control, &record),
            Ok(None) => {}
            Err(why) => {
                warn!("control socket: {why}");
                return self.close_control(control);
            }
        }
        let Some(connection) = self.control.connections.get(control) else { return };
        let finished = matches!(connection.state, State::Answered) && connection.link.is_flushed();
        if finished || matches!(open, Ok(Open::No)) {
            self.close_control(control);
        }
    }

    fn asked(&mut self, control: ControlKey, record: &Record) {
        let Some(connection) = self.control.connections.get(control) else { return };
        let request = match Request::parse(record) {
            Ok(Some(request)) => request,
            Ok(None) => return self.answer_error(control, &format!("unknown request '{}'", record.word())),
            Err(why) => return self.answer_error(control, &why.to_string()),
        };
        if connection.access == Access::Looking && !request.only_looks() {
            return self.answer_error(control, "this socket is for status, who and ping");
        }
        match request {
            Request::Ping => self.answer(control, Vec::new()),
            Request::Status | Request::Who => self.begin_report(control, request),
            Request::Reload => match self.begin_reload(Some(control)) {
                Ok(()) => self.set_control_state(control, State::Reload),
                Err(why) => self.answer_error(control, &why),
            },
            Request::Stop => {
                info!("stopping, as mailctl asks");
                self.answer(control, Vec::new());
                self.begin_shutdown();
            }
            Request::Kick(whom) => {
                let kicked = self.kick(&whom);
                if kicked.is_empty() {
                    self.answer_error(control, "no such session");
                } else {
                    self.answer(control, kicked);
                }
            }
        }
    }

    /// Ends sessions; a row for each.
    fn kick(&mut self, whom: &Whom) -> Vec<Record> {
        let matches = |id: ConnectionId, entry: &crate::ledger::Entry| match whom {
            Whom::Session(session) => id == *session,
            Whom::User(user) => entry.group.user == *user,
            Whom::Address(address) => entry.group.address == *address,
        };
        let meant: Vec<_> = self
            .ledger
            .iter()
            .filter(|(id, entry)| matches(*id, entry))
            .filter_map(|(id, entry)| Some((id, entry.worker?, entry.group.clone())))
            .collect();
        let mut rows = Vec::new();
        for (id, worker, group) in meant {
            info!(
                "{}: {}, {}: session {id} is kicked, as mailctl asks",
                group.protocol, group.user, group.address
            );
            match self.pool.workers.get(worker) {
                Some(process) if process.kind.share == Share::Private => {
                    self.signal_child(process.pid, Signal::SIGTERM);
                }
                _ => {
                    let text = "Disconnected by the administrator.".to_owned();
                    self.tell_worker(worker, &ToWorker::Kick { id, text });
                }
            }
            rows.push(Answer::row("kicked").with_text("session", id).with("user", &group.user));
        }
        rows
    }

    /// Asks all linked workers what their clients do; the answer follows when they have said it or had their time.
    fn begin_report(&mut self, control: ControlKey, request: Request) {
        let linked = |worker: &crate::pool::Worker| worker.link.is_some() && worker.hello.is_some();
        let asked: BTreeSet<WorkerKey> =
            self.pool.workers.iter().filter(|(_, worker)| linked(worker)).map(|(key, _)| key).collect();
        let timer = self.after(REPORT_TIME, Timer::Report(control));
        let state = State::Reports { request, missing: asked.clone(), timer };
        self.set_control_state(control, state);
        for key in asked {
            self.ask_for_report(key);
        }
        self.answer_if_complete(control);
    }

    /// One answer serves all who wait for it.
    fn ask_for_report(&mut self, key: WorkerKey) {
        let Some(worker) = self.pool.workers.get_mut(key) else { return };
        if !worker.reporting {
            worker.reporting = true;
            worker.report.clear();
            self.tell_worker(key, &ToWorker::Report);
        }
    }

    /// A worker has said all, or will not.
    pub(crate) fn report_complete(&mut self, key: WorkerKey) {
        if let Some(worker) = self.pool.workers.get_mut(key) {
            worker.reporting = false;
        }
        for control in self.control.connections.keys().collect::<Vec<_>>() {
            if let Some(Connection { state: State::Reports { missing, .. }, .. }) =
                self.control.connections.get_mut(control)
                && missing.remove(&key)
            {
                self.answer_if_complete(control);
            }
        }
    }

    fn answer_if_complete(&mut self, control: ControlKey) {
        if let Some(Connection { state: State::Reports { missing, timer, .. }, .. }) =
            self.control.connections.get(control)
            && missing.is_empty()
        {
            self.timers.cancel(*timer);
            self.answer_report(control);
        }
    }

    /// Answers with what has been said until now.
    pub(crate) fn answer_report(&mut self, control: ControlKey) {
        let Some(Connection { state: State::Reports { request, missing, .. }, .. }) =
            self.control.connections.get(control)
        else {
            return;
        };
        let rows = match request {
            Request::Who => self.who_rows(missing),
            _ => self.status_rows(missing),
        };
        self.answer(control, rows);
    }

    /// The reload that a `mailctl` waits for has come to its end.
    pub(crate) fn reload_answered(&mut self, control: ControlKey, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.answer(control, Vec::new()),
            Err(why) => self.answer_error(control, &why),
        }
    }

    fn answer(&mut self, control: ControlKey, rows: Vec<Record>) {
        let rows = rows.into_iter().map(|row| Answer::Row(row).to_bytes());
        let bytes: Vec<u8> = rows.chain([Answer::Done.to_bytes()]).flatten().collect();
        self.send_answer(control, bytes);
    }

    fn answer_error(&mut self, control: ControlKey, text: &str) {
        self.send_answer(control, Answer::Error(text.to_owned()).to_bytes());
    }

    fn send_answer(&mut self, control: ControlKey, bytes: Vec<u8>) {
        let Some(connection) = self.control.connections.get_mut(control) else { return };
        connection.state = State::Answered;
        if connection.link.send(bytes, None, &self.io).is_err() || connection.link.is_flushed() {
            self.close_control(control);
        }
    }

    fn set_control_state(&mut self, control: ControlKey, state: State) {
        if let Some(connection) = self.control.connections.get_mut(control) {
            connection.state = state;
        }
    }

    fn close_control(&mut self, control: ControlKey) {
        let Some(connection) = self.control.connections.remove(control) else { return };
        if let State::Reports { timer, .. } = connection.state {
            self.timers.cancel(timer);
        }
        self.close_link(connection.link);
    }
}

/// A socket under a name that says who may connect from the moment when it is there. One that was left behind is replaced:
/// the pid file has shown that no master is there to use it.
fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    let socket = bound?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// How long a connection may take to ask.
const QUESTION_TIME: Duration = Duration::from_secs(30);
/// How long a socket rests that could not be accepted from.
const PAUSE: Duration = Duration::from_secs(1);
/// How long workers may take to report.
const REPORT_TIME: Duration = Duration::from_secs(2);
/// What an administrator's scripts may keep open at once, of each socket.
const MOST_CONNECTIONS: usize = 64;
/// Rows of a hundred thousand sessions.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;
