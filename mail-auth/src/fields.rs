//! What is known about a user beside name and password: a list of `key=value` fields and bare words.
//!
//! Administrators write them, separated by blanks, behind a line of a passwd-file and as arguments of a driver, with
//! %-variables in the values. A value that holds blanks is written in double quotes, with `\"` and `\\` inside.

use expand::{NoHome, Template, Variables, Wrong};
use thiserror::Error;

/// One fact, ready to be sent. A bare word has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

/// One fact as it was written, for any user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) name: String,
    pub(crate) value: Option<Template>,
}

/// Why a text is no list of fields.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum BadFields {
    #[error("a field has no name before its =")]
    Nameless,
    #[error("the field {0} has no closing quote")]
    Open(String),
    #[error("the field {0}: {1}")]
    Variable(String, Wrong),
}

impl Field {
    /// The bytes `name=value` or `name`, not yet escaped.
    pub(crate) fn text(&self) -> String {
        match &self.value {
            Some(value) => format!("{}={value}", self.name),
            None => self.name.clone(),
        }
    }

    /// True for a bare word, and for all values but those that say no.
    pub(crate) fn is_set(&self) -> bool {
        !self.value.as_deref().is_some_and(|value| ["no", "n", "0"].contains(&value.to_lowercase().as_str()))
    }
}

/// Sets `name`, in the place of a value that it had before.
pub(crate) fn set(fields: &mut Vec<Field>, name: &str, value: Option<String>) {
    match fields.iter_mut().find(|field| field.name == name) {
        Some(field) => field.value = value,
        None => fields.push(Field { name: name.to_owned(), value }),
    }
}

/// Takes `name` out of the list; none if it is not there.
pub(crate) fn take(fields: &mut Vec<Field>, name: &str) -> Option<Field> {
    let position = fields.iter().position(|field| field.name == name)?;
    Some(fields.remove(position))
}

/// Reads a list of fields.
pub(crate) fn parse(text: &str) -> Result<Vec<Pattern>, BadFields> {
    let mut patterns = Vec::new();
    let mut rest = text.trim_start_matches(BLANKS);
    while !rest.is_empty() {
        let end = rest.find(|c| c == '=' || BLANKS.contains(&c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(BadFields::Nameless);
        }
        let value = match after.strip_prefix('=') {
            None => {
                rest = after;
                None
            }
            Some(after) => {
                let (value, after) = value(after).ok_or_else(|| BadFields::Open(name.to_owned()))?;
                rest = after;
                Some(Template::parse(&value).map_err(|wrong| BadFields::Variable(name.to_owned(), wrong))?)
            }
        };
        patterns.push(Pattern { name: name.to_owned(), value });
        rest = rest.trim_start_matches(BLANKS);
    }
    Ok(patterns)
}

/// The value that `text` begins with, and the text after it; none if its quote is not closed.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(BLANKS).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

/// The fields of one user. A name that stands there twice has its last value.
pub(crate) fn expand(patterns: &[Pattern], variables: &Variables<'_>) -> Result<Vec<Field>, NoHome> {
    let mut fields = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        let value = pattern.value.as_ref().map(|value| value.expand(variables)).transpose()?;
        set(&mut fields, &pattern.name, value.map(text));
    }
    Ok(fields)
}

/// An expanded template as text: what goes in is UTF-8, only cutting by width can leave half a character.
pub(crate) fn text(expanded: Vec<u8>) -> String {
    String::from_utf8(expanded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

const BLANKS: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expanded(text: &str, user: &str) -> Vec<String> {
        let variables = Variables { user: user.as_bytes(), ..Variables::of_many(b"IMAP", b"1") };
        expand(&parse(text).unwrap(), &variables).unwrap().iter().map(Field::text).collect()
    }

    #[test]
    fn values_keep_colons_and_equal_signs_and_quoted_ones_their_blanks() {
        let text = r#"  userdb_mail=mbox:~/mail nopassword userdb_rule="*:storage=1G \"x\" \\"  empty="#;
        assert_eq!(
            expanded(text, "u"),
            ["userdb_mail=mbox:~/mail", "nopassword", r#"userdb_rule=*:storage=1G "x" \"#, "empty="]
        );
        assert_eq!(expanded("", "u"), [""; 0]);
    }

    #[test]
    fn variables_are_the_users() {
        assert_eq!(
            expanded("home=/home/%Ld/%n limit=95%%", "al@EX.org"),
            ["home=/home/ex.org/al", "limit=95%"]
        );
        assert!(matches!(parse("home=%q"), Err(BadFields::Variable(name, _)) if name == "home"));
    }

    #[test]
    fn the_last_of_two_wins() {
        assert_eq!(expanded("uid=1 gid=2 uid=3", "u"), ["uid=3", "gid=2"]);
    }

    #[test]
    fn what_is_no_list_says_why() {
        assert_eq!(parse("a =b"), Err(BadFields::Nameless));
        assert_eq!(parse("a=\"b"), Err(BadFields::Open("a".to_owned())));
    }

    #[test]
    fn no_means_no() {
        for (value, set) in [(None, true), (Some("yes"), true), (Some(""), true), (Some("No"), false)] {
            assert_eq!(Field { name: "x".to_owned(), value: value.map(str::to_owned) }.is_set(), set);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[ \"\\\\=a%\\PC]*") {
            let _ = parse(&text);
        }

        #[test]
        fn a_quoted_value_comes_out_as_it_went_in(value in "[^%]*") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(expanded(&format!("k=\"{quoted}\""), "u"), [format!("k={value}")]);
        }
    }
}
