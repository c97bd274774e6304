//! A response as a transcript has it: words, `<names>` for what is remembered and compared later, and `...` for anything.
//!
//! Flags are compared as the sets that they are, and what a server says for people to read is not compared at all.

use std::collections::HashMap;

/// What names stand for.
pub(crate) type Names = HashMap<String, String>;

/// See above.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
    /// Text for people may follow.
    is_status: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Text(String),
    Name(String),
    Anything,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let mut words = text.split(' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_status = matches!(first, "+" | "+OK" | "-ERR")
            || matches!(second, "OK" | "NO" | "BAD" | "BYE" | "PREAUTH");
        Self { tokens: tokens(&with_sets(text)), is_status }
    }

    /// Whether a response is as this says, which gives names that are new their meaning.
    pub(crate) fn matches(&self, response: &str, names: &mut Names) -> bool {
        let mut found = names.clone();
        let matches = follow(&self.tokens, &with_sets(response), self.is_status, &mut found);
        if matches {
            *names = found;
        }
        matches
    }
}

/// Replaces the names in a text by what they stand for.
pub(crate) fn filled_in(text: &str, names: &Names) -> String {
    let fill = |token| match token {
        Token::Text(text) => text,
        Token::Name(name) => names.get(&name).cloned().unwrap_or_else(|| format!("<{name}>")),
        Token::Anything => "...".to_owned(),
    };
    tokens(text).into_iter().map(fill).collect()
}

fn follow(tokens: &[Token], text: &str, is_status: bool, names: &mut Names) -> bool {
    let Some((first, others)) = tokens.split_first() else {
        return text.is_empty() || (is_status && text.starts_with(' '));
    };
    match first {
        Token::Text(expected) => {
            text.strip_prefix(expected.as_str()).is_some_and(|rest| follow(others, rest, is_status, names))
        }
        Token::Name(name) => {
            let end = text.find([' ', ')', ']', '\r', '\n']).unwrap_or(text.len());
            let (value, rest) = text.split_at(end);
            let known = names.entry(name.clone()).or_insert_with(|| value.to_owned());
            !value.is_empty() && known == value && follow(others, rest, is_status, names)
        }
        Token::Anything => {
            let ends = text.char_indices().map(|(end, _)| end).chain([text.len()]);
            ends.map(|end| text.split_at(end).1).any(|rest| {
                let mut found = names.clone();
                let follows = follow(others, rest, is_status, &mut found);
                if follows {
                    *names = found;
                }
                follows
            })
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let (token, length) = if rest.starts_with("...") {
            (Token::Anything, 3)
        } else if let Some(name) = name(rest) {
            (Token::Name(name.to_owned()), name.len() + 2)
        } else {
            plain.push(character);
            rest = rest.split_at(character.len_utf8()).1;
            continue;
        };
        tokens.extend((!plain.is_empty()).then(|| Token::Text(std::mem::take(&mut plain))));
        tokens.push(token);
        rest = rest.split_at(length).1;
    }
    tokens.extend((!plain.is_empty()).then_some(Token::Text(plain)));
    tokens
}

/// The name in angle brackets that a text begins with.
fn name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('<')?.split_once('>')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    is_name.then_some(name)
}

/// The same with the flags of each list of them in alphabetical order.
fn with_sets(text: &str) -> String {
    let Some((before, rest)) = text.split_once("FLAGS (") else { return text.to_owned() };
    let Some((inside, after)) = rest.split_once(')') else { return text.to_owned() };
    let mut flags: Vec<&str> = inside.split(' ').collect();
    flags.sort_unstable();
    format!("{before}FLAGS ({}){}", flags.join(" "), with_sets(after))
}
