//! %-variables: `maildir:/var/mail/%d/%n` with one client's facts put in.
//!
//! A [`Template`] is read once, when the configuration is loaded, so that a variable that does not exist is an error
//! there and not at a login. It must never fail on a client's bytes, and never put anything in but what it was given.
//! Variables and modifiers are those of mail-master.conf(5), section VARIABLES.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;

use md5::{Digest, Md5};
use thiserror::Error;

/// A text with variables in it, ready to be expanded for any number of clients.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

/// What the variables stand for. `*` in place of each is what a process has that serves many.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a> {
    /// `%u`, and by its parts `%n` and `%d`.
    pub user: &'a [u8],
    /// `%h`; some users have none.
    pub home: Option<&'a [u8]>,
    /// `%s`: the protocol in upper case.
    pub service: &'a [u8],
    /// `%l`: our address.
    pub local_ip: &'a [u8],
    /// `%r`: the client's address.
    pub remote_ip: &'a [u8],
    /// `%p`: the process that serves the client.
    pub pid: &'a [u8],
    /// `%i`: the user's uid.
    pub uid: &'a [u8],
}

/// Why a text is no template.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum Wrong {
    /// A `%` with nothing that it could belong to.
    #[error("'{0}' names no variable; a percent sign itself is written %%")]
    Unknown(String),
    /// `%{` without its `}`.
    #[error("'{0}' has no closing brace")]
    Open(String),
    /// More digits than make sense.
    #[error("'{0}' has an offset or a width above 9999")]
    Number(String),
}

/// A client has not what a template asks for.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("the user has no home directory, and the configuration needs one (%h)")]
pub struct NoHome;

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// [`Wrong`], with the part that is.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('%') {
            push_literal(&mut parts, literal);
            rest = match after.strip_prefix('%') {
                Some(after) => {
                    push_literal(&mut parts, "%");
                    after
                }
                None => {
                    let (expression, after) = Expression::parse(after)?;
                    parts.push(Part::Expression(expression));
                    after
                }
            };
        }
        push_literal(&mut parts, rest);
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The text with every variable replaced.
    ///
    /// # Errors
    /// [`NoHome`] where the text has a `%h` and the client no home.
    pub fn expand(&self, variables: &Variables<'_>) -> Result<Vec<u8>, NoHome> {
        let mut out = Vec::with_capacity(self.text.len() + variables.user.len());
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Expression(expression) => expression.expand_into(variables, &mut out)?,
            }
        }
        Ok(out)
    }

    /// Whether nothing is there, not even a literal.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<'a> Variables<'a> {
    /// Those of a process that serves many clients: `*` for whatever is a client's.
    pub fn of_many(service: &'a [u8], pid: &'a [u8]) -> Self {
        let any = b"*";
        Self { user: any, home: Some(any), service, local_ip: any, remote_ip: any, pid, uid: any }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Expression(Expression),
}

/// `%[offset.][width][modifiers]variable`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expression {
    /// Bytes to skip; negative: so many at the end are what is left.
    offset: i32,
    /// Bytes to take; negative: all but so many at the end; 0: all.
    width: i32,
    /// Fill up to `width` with zeros on the left rather than cut.
    pad: bool,
    modifiers: Vec<Modifier>,
    variable: Variable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Modifier {
    Lower,
    Upper,
    Escape,
    Reverse,
    Hex,
    Hash,
    Md5,
    DomainComponents,
    Trim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    User,
    Name,
    Domain,
    Service,
    Home,
    LocalIp,
    RemoteIp,
    Pid,
    Uid,
}

const MODIFIERS: [(char, Modifier); 9] = [
    ('L', Modifier::Lower),
    ('U', Modifier::Upper),
    ('E', Modifier::Escape),
    ('R', Modifier::Reverse),
    ('X', Modifier::Hex),
    ('H', Modifier::Hash),
    ('M', Modifier::Md5),
    ('D', Modifier::DomainComponents),
    ('T', Modifier::Trim),
];

const VARIABLES: [(char, &str, Variable); 9] = [
    ('u', "user", Variable::User),
    ('n', "username", Variable::Name),
    ('d', "domain", Variable::Domain),
    ('s', "service", Variable::Service),
    ('h', "home", Variable::Home),
    ('l', "lip", Variable::LocalIp),
    ('r', "rip", Variable::RemoteIp),
    ('p', "pid", Variable::Pid),
    ('i', "uid", Variable::Uid),
];

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Literal(before)) => before.push_str(text),
        _ if text.is_empty() => {}
        _ => parts.push(Part::Literal(text.to_owned())),
    }
}

impl Expression {
    /// Reads what follows a `%`; the expression, and the text after it.
    fn parse(text: &str) -> Result<(Self, &str), Wrong> {
        let (first, mut rest) = Count::parse(text)?;
        let mut number = first;
        let mut offset = 0;
        if let Some(after) = rest.strip_prefix('.') {
            offset = first.value;
            (number, rest) = Count::parse(after)?;
        }
        let mut modifiers = Vec::new();
        // No more than there are: each E may double the value.
        while modifiers.len() < MODIFIERS.len()
            && let Some((letter, modifier)) = MODIFIERS.iter().find(|(letter, _)| rest.starts_with(*letter))
        {
            modifiers.push(*modifier);
            rest = rest.strip_prefix(*letter).unwrap_or(rest);
        }
        let (variable, rest) = Variable::parse(rest).map_err(|wrong| wrong.within(text))?;
        Ok((Self { offset, width: number.value, pad: number.pad, modifiers, variable }, rest))
    }

    fn expand_into(&self, variables: &Variables<'_>, out: &mut Vec<u8>) -> Result<(), NoHome> {
        let mut value = Cow::Borrowed(self.variable.value(variables)?);
        // A hash takes the two numbers for itself: digits at least, and modulus.
        let mut numbers = (self.offset, self.width);
        for modifier in &self.modifiers {
            value = Cow::Owned(match modifier {
                Modifier::Hash => {
                    let (digits, modulus) = std::mem::take(&mut numbers);
                    hash(&value, digits, modulus).into_bytes()
                }
                other => other.apply(&value),
            });
        }
        let (offset, width) = numbers;
        let value = match usize::try_from(offset) {
            Ok(skip) => value.get(skip..).unwrap_or_default(),
            Err(_) => {
                let keep = offset.unsigned_abs() as usize;
                value.get(value.len().saturating_sub(keep)..).unwrap_or_default()
            }
        };
        match usize::try_from(width) {
            Ok(0) => out.extend_from_slice(value),
            Ok(width) if self.pad => {
                out.extend(std::iter::repeat_n(b'0', width.saturating_sub(value.len())));
                out.extend_from_slice(value);
            }
            Ok(width) => out.extend(value.iter().take(width)),
            Err(_) => {
                let drop = width.unsigned_abs() as usize;
                out.extend(value.iter().take(value.len().saturating_sub(drop)));
            }
        }
        Ok(())
    }
}

/// One of the two numbers before a variable.
#[derive(Clone, Copy)]
struct Count {
    value: i32,
    pad: bool,
}

impl Count {
    fn parse(text: &str) -> Result<(Self, &str), Wrong> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let (number, rest) = digits.split_at_checked(end).unwrap_or((digits, ""));
        if number.len() > 4 {
            return Err(Wrong::Number(format!("%{number}")));
        }
        // No digits at all are 0: everything.
        let value = number.parse::<i32>().unwrap_or(0);
        Ok((Self { value: sign * value, pad: sign == 1 && number.starts_with('0') }, rest))
    }
}

impl Variable {
    fn parse(text: &str) -> Result<(Self, &str), Wrong> {
        if let Some(rest) = text.strip_prefix('{') {
            let (name, rest) = rest.split_once('}').ok_or_else(|| Wrong::Open(String::new()))?;
            let known = VARIABLES.iter().find(|(_, long, _)| *long == name);
            let (_, _, variable) = known.ok_or_else(|| Wrong::Unknown(String::new()))?;
            return Ok((*variable, rest));
        }
        let known = VARIABLES.iter().find_map(|(letter, _, v)| Some((*v, text.strip_prefix(*letter)?)));
        known.ok_or_else(|| Wrong::Unknown(String::new()))
    }

    fn value<'a>(self, variables: &Variables<'a>) -> Result<&'a [u8], NoHome> {
        let user = variables.user;
        let at = user.iter().position(|b| *b == b'@');
        Ok(match self {
            Self::User => user,
            Self::Name => at.and_then(|at| user.get(..at)).unwrap_or(user),
            Self::Domain => at.and_then(|at| user.get(at + 1..)).unwrap_or_default(),
            Self::Service => variables.service,
            Self::Home => variables.home.ok_or(NoHome)?,
            Self::LocalIp => variables.local_ip,
            Self::RemoteIp => variables.remote_ip,
            Self::Pid => variables.pid,
            Self::Uid => variables.uid,
        })
    }
}

impl Wrong {
    /// Names what was written after the `%`, as far as it can have been meant as one variable.
    fn within(self, text: &str) -> Self {
        let closed = text.find('}').filter(|_| text.contains('{'));
        let end = closed.or_else(|| text.find(|c: char| c.is_ascii_alphabetic() && !is_modifier(c)));
        let length = end.and_then(|at| text.get(at..)?.chars().next().map(|c| at + c.len_utf8()));
        let shown: String = match length.and_then(|length| text.get(..length)) {
            Some(part) => format!("%{part}"),
            None => format!("%{}", text.chars().take(8).collect::<String>()),
        };
        match self {
            Self::Unknown(_) => Self::Unknown(shown),
            Self::Open(_) => Self::Open(shown),
            Self::Number(_) => Self::Number(shown),
        }
    }
}

fn is_modifier(letter: char) -> bool {
    MODIFIERS.iter().any(|(known, _)| *known == letter)
}

impl Modifier {
    /// All but `Hash`, which needs its numbers, work on the value alone.
    fn apply(self, value: &[u8]) -> Vec<u8> {
        match self {
            Self::Lower => value.to_ascii_lowercase(),
            Self::Upper => value.to_ascii_uppercase(),
            Self::Escape => {
                let escaped = |b: &u8| matches!(b, b'"' | b'\'' | b'\\').then_some(b'\\');
                value.iter().flat_map(|b| escaped(b).into_iter().chain([*b])).collect()
            }
            Self::Reverse => value.iter().rev().copied().collect(),
            Self::Hex => format!("{:x}", leading_number(value)).into_bytes(),
            Self::Hash => hash(value, 0, 0).into_bytes(),
            Self::Md5 => Md5::digest(value).iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect(),
            Self::DomainComponents => {
                let parts: Vec<&[u8]> = value.split(|b| *b == b'.').collect();
                parts.join(&b",dc="[..])
            }
            Self::Trim => value.trim_ascii_end().to_vec(),
        }
    }
}

/// The decimal number that a value begins with; 0 without one.
fn leading_number(value: &[u8]) -> u64 {
    let digits = value.iter().take_while(|b| b.is_ascii_digit());
    digits.fold(0, |sum: u64, b| sum.saturating_mul(10).saturating_add(u64::from(b - b'0')))
}

/// P. J. Weinberger's hash in hexadecimal: what directories that are spread by `%H` have been made with for ever.
fn hash(value: &[u8], digits: i32, modulus: i32) -> String {
    let mut sum: u32 = 0;
    for byte in value {
        sum = (sum << 4).wrapping_add(u32::from(*byte));
        let high = sum & 0xf000_0000;
        sum ^= high >> 24;
        sum ^= high;
    }
    let sum = sum.checked_rem(modulus.unsigned_abs()).unwrap_or(sum);
    format!("{sum:0digits$x}", digits = digits.unsigned_abs() as usize)
}

#[cfg(test)]
mod tests;
