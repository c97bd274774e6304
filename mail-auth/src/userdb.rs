//! Who is this user: the userdb drivers behind one question.

use expand::NoHome;

use crate::account::Account;
use crate::checkpassword::{Checkpassword, Question};
use crate::fields::{self, Field};
use crate::passdb::{Answer, Passdb, Verdict, Work};
use crate::passwd_file::{Entry, Files, PasswdFile};
use crate::query::Query;
use crate::static_users::StaticUserdb;

/// A database of users.
#[derive(Debug)]
pub(crate) enum Userdb {
    PasswdFile(PasswdFile),
    Static(StaticUserdb),
    Checkpassword(Checkpassword),
    /// What the passdb has said by the way.
    Prefetch,
}

impl Userdb {
    /// The name of its driver.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::PasswdFile(_) => "passwd-file",
            Self::Static(_) => "static",
            Self::Checkpassword(_) => "checkpassword",
            Self::Prefetch => "prefetch",
        }
    }

    /// What is known about the user of `query`: a [`Verdict::Match`] whose `prefetched` fields say it.
    /// `prefetched` is what his passdb has said; none for a question without a login before.
    pub(crate) fn find(
        &self,
        files: &mut Files,
        passdbs: &[Passdb],
        query: &Query,
        prefetched: Option<&[Field]>,
    ) -> Answer {
        let found = |facts: Result<Vec<Field>, NoHome>| match facts {
            Ok(facts) => {
                Verdict::Match(Account { user: query.user.clone(), told: Vec::new(), prefetched: facts })
            }
            Err(error) => Verdict::Trouble(error.to_string()),
        };
        match (self, prefetched.filter(|facts| !facts.is_empty())) {
            (Self::PasswdFile(file), _) => Answer::Now(match file.find(files, query) {
                Ok(Some(entry)) => found(facts_of(query, &entry)),
                Ok(None) => Verdict::Unknown,
                Err(problem) => Verdict::Trouble(problem.to_string()),
            }),
            (Self::Static(users), _) => {
                // Who has not logged in must at least be somebody whom a passdb knows.
                let is_known = if prefetched.is_some() || users.all_users {
                    Some(true)
                } else {
                    is_known(passdbs, files, query)
                };
                Answer::Now(match is_known {
                    Some(true) => found(users.facts(query)),
                    Some(false) => Verdict::Unknown,
                    None => Verdict::Trouble(
                        "no passdb can say whether he exists (allow_all_users=yes?)".to_owned(),
                    ),
                })
            }
            (Self::Prefetch | Self::Checkpassword(_), Some(facts)) => Answer::Now(found(Ok(facts.to_vec()))),
            (Self::Prefetch, None) => Answer::Now(Verdict::Unknown),
            (Self::Checkpassword(program), None) => Answer::Later(Work::Program {
                program: program.clone(),
                query: query.clone(),
                question: Question::User,
            }),
        }
    }
}

/// True if one passdb knows him, false if none does.
fn is_known(passdbs: &[Passdb], files: &mut Files, query: &Query) -> Option<bool> {
    let mut known = Some(false);
    for passdb in passdbs {
        match passdb.knows(files, query) {
            Some(false) => {}
            Some(true) => return Some(true),
            None => known = None,
        }
    }
    known
}

/// What a line of a passwd-file says to a userdb.
fn facts_of(query: &Query, entry: &Entry<'_>) -> Result<Vec<Field>, NoHome> {
    let mut facts = Vec::new();
    for (name, value) in [("uid", entry.uid), ("gid", entry.gid), ("home", entry.home().unwrap_or_default())]
    {
        if !value.is_empty() {
            fields::set(&mut facts, name, Some(value.to_owned()));
        }
    }
    for Field { name, value } in
        query.with_variables(entry.home(), |variables| fields::expand(&entry.extra, variables))?
    {
        if let Some(name) = name.strip_prefix("userdb_") {
            fields::set(&mut facts, name, value);
        }
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(userdb: &Userdb, passdbs: &[Passdb], user: &str, prefetched: Option<&[Field]>) -> Verdict {
        let query = Query { user: user.into(), ..Query::default() };
        match userdb.find(&mut Files::default(), passdbs, &query, prefetched) {
            Answer::Now(verdict) => verdict,
            Answer::Later(work) => panic!("{work:?}"),
        }
    }

    #[test]
    fn a_static_userdb_knows_whom_a_passdb_knows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        std::fs::write(&path, "alice:x\n").unwrap();
        let passdbs = [Passdb::PasswdFile(PasswdFile::parse(path.to_str().unwrap()).unwrap())];
        let userdb = Userdb::Static(StaticUserdb::parse("uid=1").unwrap());
        assert!(matches!(find(&userdb, &passdbs, "alice", None), Verdict::Match(_)));
        assert_eq!(find(&userdb, &passdbs, "bob", None), Verdict::Unknown);
        // Who has logged in exists.
        assert!(matches!(find(&userdb, &passdbs, "bob", Some(&[])), Verdict::Match(_)));
        let all = Userdb::Static(StaticUserdb::parse("uid=1 allow_all_users=yes").unwrap());
        assert!(matches!(find(&all, &passdbs, "bob", None), Verdict::Match(_)));
        let program = [Passdb::Checkpassword(Checkpassword::parse("/bin/true", "".into()).unwrap())];
        assert!(matches!(find(&userdb, &program, "alice", None), Verdict::Trouble(_)));
    }

    #[test]
    fn prefetch_knows_what_the_passdb_has_said_and_no_more() {
        let facts = [Field { name: "uid".into(), value: Some("7".into()) }];
        assert!(matches!(
            find(&Userdb::Prefetch, &[], "alice", Some(&facts)),
            Verdict::Match(account) if account.prefetched == facts
        ));
        assert_eq!(find(&Userdb::Prefetch, &[], "alice", Some(&[])), Verdict::Unknown);
        assert_eq!(find(&Userdb::Prefetch, &[], "alice", None), Verdict::Unknown);
    }
}
