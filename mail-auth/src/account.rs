//! What a passdb knows about a user whose password was right, and the extra fields that it understands itself.

use expand::NoHome;

use crate::fields::{self, Field, Pattern};
use crate::query::Query;

/// A user who has shown who he is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Account {
    /// His name, as everybody else is told it.
    pub(crate) user: String,
    /// What the client side is told beside it.
    pub(crate) told: Vec<Field>,
    /// What the passdb knows for the userdb, for the driver `prefetch`.
    pub(crate) prefetched: Vec<Field>,
}

/// What a passdb's extra fields come to for one user.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Who he is if his password is right.
    pub(crate) account: Account,
    /// Any password is right (`nopassword`).
    pub(crate) any_password: bool,
    /// Where he may come from (`allow_nets`).
    pub(crate) nets: Option<String>,
    /// The password, where it stands among the fields.
    pub(crate) password: Option<String>,
}

impl Terms {
    /// Of the fields in `patterns`: `user` renames, `nopassword` and `allow_nets` are as Dovecot has them, those that
    /// begin with `userdb_` are prefetched, and all others are told to the client side.
    ///
    /// # Errors
    /// A field asks for a home directory, and he has none.
    pub(crate) fn of(query: &Query, home: Option<&str>, patterns: &[Pattern]) -> Result<Self, NoHome> {
        let mut told = query.with_variables(home, |variables| fields::expand(patterns, variables))?;
        let renamed = fields::take(&mut told, "user").and_then(|field| field.value);
        let any_password = fields::take(&mut told, "nopassword").is_some_and(|field| field.is_set());
        let nets = fields::take(&mut told, "allow_nets").and_then(|field| field.value);
        let password = fields::take(&mut told, "password").and_then(|field| field.value);
        let mut prefetched = Vec::new();
        told.retain(|field| match field.name.strip_prefix("userdb_") {
            None => true,
            Some(name) => {
                fields::set(&mut prefetched, name, field.value.clone());
                false
            }
        });
        told.retain(|field| !KEPT.contains(&&*field.name));
        let user = renamed.filter(|user| !user.is_empty()).unwrap_or_else(|| query.user.clone());
        Ok(Self { account: Account { user, told, prefetched }, any_password, nets, password })
    }
}

/// What is nobody's business on the client side.
const KEPT: [&str; 2] = ["pass", "nodelay"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_go_where_their_names_say() {
        let query = Query { user: "al@ex.org".into(), ..Query::default() };
        let patterns =
            fields::parse("userdb_mail=mbox:~/%n nopassword allow_nets=::1 nologin host=h pass=x user=%n")
                .unwrap();
        let terms = Terms::of(&query, None, &patterns).unwrap();
        assert_eq!(terms.account.user, "al");
        assert_eq!(terms.account.told.iter().map(Field::text).collect::<Vec<_>>(), ["nologin", "host=h"]);
        assert_eq!(terms.account.prefetched.iter().map(Field::text).collect::<Vec<_>>(), ["mail=mbox:~/al"]);
        assert!(terms.any_password);
        assert_eq!(terms.nets.as_deref(), Some("::1"));
    }

    #[test]
    fn without_fields_it_is_the_user_himself() {
        let query = Query { user: "al".into(), ..Query::default() };
        let terms = Terms::of(&query, None, &[]).unwrap();
        assert_eq!(terms.account, Account { user: "al".into(), ..Account::default() });
        assert!(!terms.any_password && terms.nets.is_none());
    }
}
