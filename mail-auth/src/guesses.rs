//! What wrong and right passwords mean for who comes next: attempts are counted, and answers held back, as
//! [`strangers::Penalties`] says. The master is told, so that an auth after this one knows it, too (mail-auth(7)).

use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use strangers::Remembered;
use wire::auth::{FromAuth, ToAuth};

use crate::auth::Auth;
use crate::query::Query;
use crate::secret::Secret;

impl Auth {
    /// Whether there may be one more attempt from there.
    pub(crate) fn may_attempt(&mut self, query: &Query) -> bool {
        self.penalties.attempt(query.remote, &self.settings.penalty, Instant::now())
    }

    /// A number that tells apart what is tried. Only this process can make it, so that it says nothing of a password.
    pub(crate) fn print(&self, password: &Secret) -> u64 {
        self.prints.hash_one(password.expose())
    }

    /// Counts a failure; how long after its beginning it is to be told.
    pub(crate) fn count_failure(&mut self, query: &Query, print: Option<u64>) -> Duration {
        let (rules, now) = (&self.settings.penalty, Instant::now());
        if self.penalties.failed(&query.user, query.remote, print, rules, now) {
            self.tell_master(&FromAuth::Failed { user: query.user.clone(), remote: query.remote });
        }
        self.penalties.after_failure(&query.user, query.remote, &self.settings.penalty, now)
    }

    /// Counts a success; how long after its beginning it is to be told.
    pub(crate) fn count_success(&mut self, query: &Query) -> Duration {
        let now = Instant::now();
        let after = self.penalties.after_success(&query.user, query.remote, &self.settings.penalty, now);
        if self.penalties.succeeded(&query.user, query.remote, now) {
            self.tell_master(&FromAuth::Succeeded { user: query.user.clone(), remote: query.remote });
        }
        after
    }

    /// Takes in what an auth before this one has found out.
    pub(crate) fn learn(&mut self, message: &ToAuth) {
        let ToAuth::Penalty { user, remote, failures, age } = message else { return };
        let (user, address, failures) = (user.clone(), *remote, *failures);
        let it = Remembered { user, address, failures, age: Duration::from_secs(*age) };
        self.penalties.learn(it, Instant::now());
    }
}
