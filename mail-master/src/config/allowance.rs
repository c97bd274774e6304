//! How much each kind of process may have: memory as the settings say, and descriptors for as many clients as they let it have.

use crate::config::value::MegaBytes;
use crate::config::{Config, ProtocolSettings};
use crate::spawn::Limits;

impl ProtocolSettings {
    /// Of a mail process.
    pub(crate) fn mail_limits(&self) -> Limits {
        let clients = self.clients_per_process() as u64;
        limits(self.mail_process_size, clients.saturating_mul(A_SESSION))
    }

    /// Of a login process.
    pub(crate) fn login_limits(&self) -> Limits {
        let clients = if self.login_process_per_connection { 1 } else { self.login_max_connections.get() };
        limits(self.login_process_size, u64::from(clients) * A_LOGIN)
    }
}

impl Config {
    /// Of mail-auth.
    pub(crate) fn auth_limits(&self) -> Limits {
        let logins: u64 =
            self.served().map(|settings| u64::from(settings.login_max_processes_count.get())).sum();
        let programs = u64::from(self.server.auth_worker_max_count.get());
        let size = limits(self.server.auth_process_size, logins * A_LINK + programs * A_PROGRAM);
        Limits { memory: None, data: size.memory, ..size }
    }
}

fn limits(memory: MegaBytes, descriptors: u64) -> Limits {
    Limits {
        memory: Some(memory.0).filter(|bytes| *bytes > 0),
        descriptors: Some(descriptors.saturating_add(ANY)),
        ..Limits::default()
    }
}

/// The client, and the files that a command of his works with.
const A_SESSION: u64 = 16;
/// The client, his copy while he is handed over, and the two ends of a relay.
const A_LOGIN: u64 = 4;
/// A login process at mail-auth.
const A_LINK: u64 = 2;
/// A program that checks a password: its three pipes, both ends while it is started.
const A_PROGRAM: u64 = 8;
/// What any program may expect to have.
const ANY: u64 = 1024;
