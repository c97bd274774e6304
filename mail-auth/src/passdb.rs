//! Is the password right: the passdb drivers, a file each, behind one question.
//!
//! An answer that takes no time comes at once. A slow hash, or another program, makes a [`Work`] for a thread.

use crate::account::{Account, Terms};
use crate::checkpassword::{Checkpassword, Question};
use crate::passwd_file::{Files, PasswdFile};
use crate::query::Query;
use crate::scheme::{self, Scheme, Stored};
use crate::secret::Secret;
use crate::static_users::StaticPassdb;

/// A database of passwords.
#[derive(Debug)]
pub(crate) enum Passdb {
    PasswdFile(PasswdFile),
    Static(StaticPassdb),
    Checkpassword(Checkpassword),
}

/// What a passdb says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The password is this user's.
    Match(Account),
    /// It is not; or it is, and he may not come in. Why is for the log only.
    Mismatch(&'static str),
    /// There is no such user here.
    Unknown,
    /// It can't say; why is for the log.
    Trouble(String),
}

/// How a passdb answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Now(Verdict),
    /// As soon as this is done; see [`Work::verdict`].
    Later(Work),
}

/// What takes too long to be done while everybody waits.
#[derive(Debug)]
pub(crate) enum Work {
    /// Much computing.
    Hash { hash: String, password: Secret, account: Account },
    /// Much waiting.
    Program { program: Checkpassword, query: Query, question: Question },
}

impl Passdb {
    /// The name of its driver.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::PasswdFile(_) => "passwd-file",
            Self::Static(_) => "static",
            Self::Checkpassword(_) => "checkpassword",
        }
    }

    /// Looks at what it will need.
    pub(crate) fn preload(&self, files: &mut Files) {
        if let Self::PasswdFile(file) = self {
            file.preload(files);
        }
    }

    /// Is `password` that of the user of `query`?
    pub(crate) fn check(&self, files: &mut Files, query: &Query, password: &Secret) -> Answer {
        match self {
            Self::PasswdFile(file) => passwd_file(file, files, query, password),
            Self::Static(users) => match Terms::of(query, None, &users.extra) {
                Ok(terms) => {
                    let stored = terms.password.clone().unwrap_or_default();
                    compare(query, terms, &stored, Scheme::Plain, password)
                }
                Err(error) => Answer::Now(Verdict::Trouble(error.to_string())),
            },
            Self::Checkpassword(program) => Answer::Later(Work::Program {
                program: program.clone(),
                query: query.clone(),
                question: Question::Password(password.clone()),
            }),
        }
    }

    /// Is there such a user? None if that can't be said without his password.
    pub(crate) fn knows(&self, files: &mut Files, query: &Query) -> Option<bool> {
        match self {
            Self::PasswdFile(file) => file.find(files, query).ok().map(|entry| entry.is_some()),
            Self::Static(_) => Some(true),
            Self::Checkpassword(_) => None,
        }
    }
}

impl Verdict {
    /// That of a thread that panicked.
    pub(crate) fn panicked() -> Self {
        Self::Trouble("the check panicked".to_owned())
    }
}

impl Work {
    /// Does it, and takes its time.
    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Self::Hash { hash, password, account } => match scheme::verify(&hash, &password) {
                Ok(true) => Verdict::Match(account),
                Ok(false) => Verdict::Mismatch(WRONG),
                Err(error) => Verdict::Trouble(error.to_string()),
            },
            Self::Program { program, query, question } => program.ask(&query, &question),
        }
    }
}

fn passwd_file(file: &PasswdFile, files: &mut Files, query: &Query, password: &Secret) -> Answer {
    let trouble = |text: String| Answer::Now(Verdict::Trouble(text));
    let entry = match file.find(files, query) {
        Ok(Some(entry)) => entry,
        Ok(None) => return Answer::Now(Verdict::Unknown),
        Err(problem) => return trouble(problem.to_string()),
    };
    match Terms::of(query, entry.home(), &entry.extra) {
        Ok(terms) => compare(query, terms, entry.password, file.scheme, password),
        Err(error) => trouble(error.to_string()),
    }
}

fn compare(query: &Query, terms: Terms, stored: &str, scheme: Scheme, password: &Secret) -> Answer {
    let stored = match Stored::parse(stored, scheme) {
        Ok(stored) => stored,
        Err(error) => return Answer::Now(Verdict::Trouble(error.to_string())),
    };
    match terms.nets.as_deref().map(|nets| query.is_within(nets)) {
        None | Some(Some(true)) => {}
        Some(Some(false)) => return Answer::Now(Verdict::Mismatch("not from an address in allow_nets")),
        Some(None) => return Answer::Now(Verdict::Trouble("allow_nets is no list of networks".to_owned())),
    }
    Answer::Now(match stored {
        Stored::Locked if terms.any_password => Verdict::Match(terms.account),
        _ if terms.any_password => {
            Verdict::Trouble("nopassword, and yet a password: which of them is meant?".to_owned())
        }
        Stored::Locked => Verdict::Mismatch("the account has no usable password"),
        Stored::Plain(right) if right.is(password) => Verdict::Match(terms.account),
        Stored::Plain(_) => Verdict::Mismatch(WRONG),
        Stored::Hash(hash) => {
            let (password, account) = (password.clone(), terms.account);
            return Answer::Later(Work::Hash { hash, password, account });
        }
    })
}

const WRONG: &str = "password mismatch";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::static_users::StaticPassdb;

    fn check(arguments: &str, password: &str) -> Verdict {
        let passdb = Passdb::Static(StaticPassdb::parse(arguments).unwrap());
        let query = Query { user: "alice".into(), remote: "192.0.2.1".parse().ok(), ..Query::default() };
        let password = Secret::new(password.as_bytes().to_vec());
        match passdb.check(&mut Files::default(), &query, &password) {
            Answer::Now(verdict) => verdict,
            Answer::Later(work) => work.verdict(),
        }
    }

    fn matches(arguments: &str, password: &str) -> bool {
        matches!(check(arguments, password), Verdict::Match(account) if account.user == "alice")
    }

    #[test]
    fn a_password_is_right_or_not() {
        assert!(matches("password=secret", "secret"));
        assert!(matches("password=50%%", "50%"));
        assert!(matches("password=\"two words\"", "two words"));
        assert_eq!(check("password=secret", "Secret"), Verdict::Mismatch(WRONG));
        assert_eq!(check("password=secret", ""), Verdict::Mismatch(WRONG));
        let hash = "password={CRYPT}$5$rounds=1000$xx$d75meIqNTXTVcg6UNOgURQvJIiQcTAzvA/hOq4L8.H.";
        assert!(matches(hash, "secret"));
        assert_eq!(check(hash, "secreT"), Verdict::Mismatch(WRONG));
        assert!(matches!(check("password={CRYPT}secret", "secret"), Verdict::Trouble(_)));
    }

    #[test]
    fn no_password_is_a_decision_and_never_a_slip() {
        assert!(matches("nopassword", "anything"));
        assert!(matches("nopassword=y password=", ""));
        assert!(matches!(check("nopassword=no password=", ""), Verdict::Mismatch(_)));
        assert!(matches!(check("nopassword password=secret", "secret"), Verdict::Trouble(_)));
        assert!(matches!(check("password=", ""), Verdict::Mismatch(_)));
    }

    #[test]
    fn where_he_may_come_from_counts_even_with_the_right_password() {
        assert!(matches("password=secret allow_nets=192.0.2.0/24", "secret"));
        assert!(matches!(check("password=secret allow_nets=192.0.3.0/24", "secret"), Verdict::Mismatch(_)));
        assert!(matches!(check("nopassword allow_nets=192.0.3.0/24", ""), Verdict::Mismatch(_)));
        assert!(matches!(check("password=secret allow_nets=anywhere", "secret"), Verdict::Trouble(_)));
    }
}
