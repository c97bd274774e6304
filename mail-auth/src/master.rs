//! The master side of the protocol: who is the user whose authentication has succeeded, or any other user?

use wire::auth::{Line, VERSION};

use crate::auth::{Auth, Done, LookupKey, SourceKey};
use crate::client::query;
use crate::fields::Field;
use crate::identity::{self, BadIdentity};
use crate::passdb::{Answer, Verdict};
use crate::peer::Offence;
use crate::query::Query;
use crate::secret::Secret;

/// One question of a master.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) master: SourceKey,
    id: u32,
    query: Query,
    /// What the passdb has said at the login; none without one.
    prefetched: Option<Vec<Field>>,
    /// The userdb that is asked.
    userdb: usize,
    trouble: bool,
}

impl Auth {
    /// Heeds one line.
    pub(crate) fn master_says(&mut self, key: SourceKey, text: &[u8]) -> Result<(), Offence> {
        let line = Line::parse(text);
        let Some(peer) = self.peer(key) else { return Ok(()) };
        match line.word() {
            "VERSION" if line.number(1) == Some(VERSION.0) => peer.greeted = true,
            _ if !peer.greeted => return Err(Offence::Version),
            "REQUEST" => {
                let numbers = (line.number(1), line.number(2), line.number(3));
                let (Some(id), Some(pid), Some(client_id)) = numbers else {
                    return Err(Offence::Malformed("REQUEST"));
                };
                let cookie = line.at(4).filter(|field| !field.contains(&b'='));
                let cookie = cookie.map(|cookie| Secret::new(cookie.to_vec()));
                match self.consume(pid, client_id, cookie) {
                    Some((query, account)) => {
                        let query = Query { user: account.user, ..query };
                        self.look_up(key, id, query, Some(account.prefetched));
                    }
                    None => {
                        log::warn!(
                            "a request of a master for what has not succeeded: pid {pid}, id {client_id}"
                        );
                        self.send(key, &failure_line(id, "no such authentication"));
                    }
                }
            }
            "USER" => {
                let user = line.at(2).and_then(|user| std::str::from_utf8(user).ok());
                let (Some(id), Some(user)) = (line.number(1), user) else {
                    return Err(Offence::Malformed("USER"));
                };
                match self.settings.names.admit(query(&line), user) {
                    Ok(query) => self.look_up(key, id, query, None),
                    Err((query, bad)) => {
                        log::info!("userdb({}): {bad}", query.who());
                        self.send(key, &Line::new("NOTFOUND").with(id.to_string()).to_bytes());
                    }
                }
            }
            word => {
                // Who asks for what is not here must not wait for ever; a notice without an id is not waited for.
                log::debug!("a master says {word:?}");
                if let Some(id) = line.number(1) {
                    self.send(key, &failure_line(id, "unknown request"));
                }
            }
        }
        Ok(())
    }

    fn look_up(&mut self, master: SourceKey, id: u32, query: Query, prefetched: Option<Vec<Field>>) {
        if self.lookups.len() >= MAX_LOOKUPS {
            log::error!("userdb({}): too many requests at once", query.who());
            self.send(master, &failure_line(id, TROUBLE));
            return;
        }
        let lookup = Lookup { master, id, query, prefetched, userdb: 0, trouble: false };
        let key = self.lookups.insert(lookup);
        self.find(key);
    }

    /// Asks the userdbs from the next one on, until one knows or has to be waited for.
    fn find(&mut self, key: LookupKey) {
        loop {
            let Some(lookup) = self.lookups.get(key) else { return };
            let Some(userdb) = self.settings.userdbs.get(lookup.userdb) else {
                return self.not_found(key);
            };
            let Lookup { query, prefetched, .. } = lookup;
            let passdbs = &self.settings.passdbs;
            let verdict = match userdb.find(&mut self.files, passdbs, query, prefetched.as_deref()) {
                Answer::Now(verdict) => verdict,
                Answer::Later(work) => {
                    let panicked = Done::Found(key, Verdict::panicked());
                    match self.waiting.submit(move || Done::Found(key, work.verdict()), panicked) {
                        Ok(()) => return,
                        Err(full) => Verdict::Trouble(full.to_string()),
                    }
                }
            };
            if self.heed_userdb(key, verdict) {
                return;
            }
        }
    }

    /// A userdb that had to be waited for has answered.
    pub(crate) fn found(&mut self, key: LookupKey, verdict: Verdict) {
        if !self.heed_userdb(key, verdict) {
            self.find(key);
        }
    }

    /// What follows from a userdb's answer. True: no other one has to be asked.
    fn heed_userdb(&mut self, key: LookupKey, verdict: Verdict) -> bool {
        let Some(lookup) = self.lookups.get_mut(key) else { return true };
        let name = self.settings.userdbs.get(lookup.userdb).map_or("userdb", |userdb| userdb.name());
        lookup.userdb += 1;
        match verdict {
            Verdict::Match(account) => {
                self.resolve(key, account.user, account.prefetched);
                return true;
            }
            Verdict::Unknown | Verdict::Mismatch(_) => {
                log::debug!("{name}({}): unknown user", lookup.query.who());
            }
            Verdict::Trouble(why) => {
                log::error!("{name}({}): {why}", lookup.query.who());
                lookup.trouble = true;
            }
        }
        false
    }

    /// Makes numbers of names, by a thread where the system has to be asked.
    fn resolve(&mut self, key: LookupKey, user: String, facts: Vec<Field>) {
        if !identity::has_names(&facts) {
            return self.resolved(key, &user, identity::resolve(facts));
        }
        let panicked = Done::Resolved(key, user.clone(), Err(BadIdentity::Panicked));
        let job = move || Done::Resolved(key, user, identity::resolve(facts));
        if self.waiting.submit(job, panicked).is_err() {
            self.resolved(key, "", Err(BadIdentity::Busy));
        }
    }

    /// All is known about a user that a master has asked for.
    pub(crate) fn resolved(&mut self, key: LookupKey, user: &str, facts: Result<Vec<Field>, BadIdentity>) {
        let Some(lookup) = self.lookups.remove(key) else { return };
        let line = match facts {
            Ok(facts) => {
                let line = Line::new("USER").with(lookup.id.to_string()).with(user);
                facts.iter().fold(line, |line, field| line.with(field.text())).to_bytes()
            }
            Err(bad) => {
                log::error!("userdb({}): {bad}", lookup.query.who());
                failure_line(lookup.id, TROUBLE)
            }
        };
        self.send(lookup.master, &line);
    }

    fn not_found(&mut self, key: LookupKey) {
        let Some(lookup) = self.lookups.remove(key) else { return };
        let line = if lookup.trouble {
            failure_line(lookup.id, TROUBLE)
        } else {
            let who = lookup.query.who();
            match lookup.prefetched {
                Some(_) => log::error!("userdb({who}): his password was right, but no userdb has him"),
                None => log::debug!("userdb({who}): unknown user"),
            }
            Line::new("NOTFOUND").with(lookup.id.to_string()).to_bytes()
        };
        self.send(lookup.master, &line);
    }
}

fn failure_line(id: u32, what: &str) -> Vec<u8> {
    Line::new("FAIL").with(id.to_string()).with(what).to_bytes()
}

const TROUBLE: &str = "internal failure; see the server's log";

/// How many questions may be open at once.
const MAX_LOOKUPS: usize = 8192;
