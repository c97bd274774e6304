//! The driver `static`: the same for every user.

use expand::NoHome;
use thiserror::Error;

use crate::fields::{self, BadFields, Field, Pattern, text};
use crate::query::Query;
use crate::scheme::{Scheme, Stored, Unusable};

/// One password, or none at all, for everybody; it stands among the fields.
#[derive(Debug)]
pub(crate) struct StaticPassdb {
    pub(crate) extra: Vec<Pattern>,
}

/// One set of facts, with each user's name put in.
#[derive(Debug)]
pub(crate) struct StaticUserdb {
    /// He need not be in a passdb.
    pub(crate) all_users: bool,
    facts: Vec<Pattern>,
}

/// Why arguments are none of this driver.
#[derive(Debug, Error)]
pub(crate) enum BadArguments {
    #[error(transparent)]
    Fields(#[from] BadFields),
    #[error(transparent)]
    Password(#[from] Unusable),
    #[error("neither password= nor nopassword")]
    NoPassword,
}

impl StaticPassdb {
    /// Reads `password=TEXT` or `nopassword`, and extra fields.
    pub(crate) fn parse(arguments: &str) -> Result<Self, BadArguments> {
        let mut extra = fields::parse(arguments)?;
        let find = |name: &str| extra.iter().find(|pattern| pattern.name == name);
        match find("password").and_then(|pattern| pattern.value.as_ref()) {
            Some(password) => drop(Stored::parse(password.text(), Scheme::Plain)?),
            None if find("nopassword").is_some() => {}
            None => return Err(BadArguments::NoPassword),
        }
        // The same arguments may stand behind passdb and userdb.
        extra.retain(|pattern| !USERDB.contains(&&*pattern.name));
        Ok(Self { extra })
    }
}

impl StaticUserdb {
    /// Reads the facts and `allow_all_users=yes`.
    pub(crate) fn parse(arguments: &str) -> Result<Self, BadArguments> {
        let mut facts = fields::parse(arguments)?;
        let all =
            facts.iter().position(|pattern| pattern.name == "allow_all_users").map(|at| facts.remove(at));
        let all_users = all.is_some_and(|pattern| {
            let value = pattern.value.map(|template| template.text().to_owned());
            Field { name: pattern.name, value }.is_set()
        });
        // The same arguments may stand behind passdb and userdb.
        facts.retain(|pattern| !PASSDB.contains(&&*pattern.name));
        Ok(Self { all_users, facts })
    }

    /// The facts about the user of `query`.
    pub(crate) fn facts(&self, query: &Query) -> Result<Vec<Field>, NoHome> {
        let home = self.facts.iter().find(|pattern| pattern.name == "home");
        let home = home
            .and_then(|pattern| pattern.value.as_ref())
            .map(|home| Ok(text(query.with_variables(None, |variables| home.expand(variables))?)));
        let home = home.transpose()?;
        query.with_variables(home.as_deref(), |variables| fields::expand(&self.facts, variables))
    }
}

/// What only a userdb has a use for.
const USERDB: [&str; 7] = ["uid", "gid", "groups", "home", "mail", "system_user", "allow_all_users"];

/// What only a passdb has a use for.
const PASSDB: [&str; 3] = ["password", "nopassword", "allow_nets"];
