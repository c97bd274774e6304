//! A place in the ledger, or the answer that there is none.

use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use log::info;
use wire::Protocol;
use wire::login::Refusal;

use super::{Admission, AdmissionKey, Reserved, Stage, Waits};
use crate::ledger::{Counting, Exceeded, Group, Limit};
use crate::master::{Master, Timer};
use crate::person::Person;

/// Somebody for whom there is no place.
#[derive(Debug, Clone)]
pub(super) struct Full {
    person: Rc<Person>,
    /// How often it was looked.
    looks: u32,
}

impl Master {
    /// Reserves a place for a person who has logged in, unless there is a reason against it; then has the client placed.
    pub(super) fn reserve(&mut self, key: AdmissionKey, person: Rc<Person>, looks: u32) {
        let Some(admission) = self.admissions.get(key) else { return };
        let request = admission.request.clone();
        let settings = self.config.protocol(request.protocol).clone();
        let delay = match request.protocol {
            Protocol::Pop3 if person.master_user.is_none() => settings.pop3_login_delay,
            _ => Duration::ZERO,
        };
        if !delay.is_zero()
            && let Some(left) = self.login_delay.left(&person.user, Instant::now())
        {
            let text = format!("You may log in again in {} seconds.", left.as_secs() + 1);
            return self.refuse(key, Refusal::Delay, &text);
        }
        let counting = match person.master_user {
            Some(_) => Counting::Exempt,
            None => Counting::Limited {
                per_address: settings.mail_max_userip_connections,
                per_user: settings.mail_max_user_connections,
            },
        };
        let in_all = self.config.server.mail_max_connections_total;
        let group =
            Group { protocol: request.protocol, user: person.user.clone(), address: request.remote.0 };
        match self.ledger.reserve(group, counting, in_all, SystemTime::now()) {
            Ok(id) => {
                self.login_delay.begin(&person.user, delay, Instant::now());
                let reserved = Reserved { id, person, waits: Waits::Worker, tried: Vec::new() };
                if let Some(admission) = self.admissions.get_mut(key) {
                    admission.stage = Stage::Reserved(reserved);
                }
                self.admitted_as.insert(id, key);
                self.place(key);
            }
            // A process of its own counts until it has ended, which takes longer than its client's next login.
            Err(_) if settings.share().is_none() && looks < LOOKS => {
                if let Some(admission) = self.admissions.get_mut(key) {
                    admission.stage = Stage::Full(Full { person, looks: looks + 1 });
                    self.after(LOOK_AGAIN, Timer::Full(key));
                }
            }
            Err(Exceeded { limit, count }) => {
                let (code, text) = match limit {
                    Limit::FromAddress(most) => (
                        Refusal::Limit,
                        format!(
                            "Maximum number of connections from user+IP exceeded (mail_max_userip_connections={most})"
                        ),
                    ),
                    Limit::OfUser(most) => (
                        Refusal::Limit,
                        format!(
                            "Maximum number of connections from user exceeded (mail_max_user_connections={most})"
                        ),
                    ),
                    Limit::InAll(_) => {
                        (Refusal::Unavailable, "Too many connections, try again later".to_owned())
                    }
                };
                info!(
                    "{}: {}, {}: refused, {count} connections are there: {text}",
                    request.protocol, person.user, request.remote.0
                );
                self.refuse(key, code, &text);
            }
        }
    }

    /// Looks again whether there is a place now.
    pub(crate) fn look_again(&mut self, key: AdmissionKey) {
        if let Some(Admission { stage: Stage::Full(full), .. }) = self.admissions.get(key) {
            let Full { person, looks } = full.clone();
            self.reserve(key, person, looks);
        }
    }
}

/// How often it is looked whether a process has ended.
const LOOKS: u32 = 10;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
