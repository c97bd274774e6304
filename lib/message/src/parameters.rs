//! A value's parameters with their pieces joined (RFC 2231, section 3): `name*0="a"; name*1*=b` to `name*`.
//!
//! Values stay encoded (section 4), so that clients see charset and language. Pieces of which one is missing stay
//! pieces.

use crate::value::Value;
use std::borrow::Cow;

/// Name and value.
pub(crate) type Parameter<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// All parameters: first those with plain names, as they come, then the others.
pub(crate) fn parameters(value: Value<'_>) -> impl Iterator<Item = Parameter<'_>> {
    let (mut plain, mut starred, mut pieces) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in value.parameters() {
        match Piece::new(name, value) {
            Ok(piece) => pieces.push(piece),
            Err((name, value)) if name.contains(&b'*') => starred.push((Cow::Borrowed(name), value)),
            Err((name, value)) => plain.push((Cow::Borrowed(name), value)),
        }
    }
    pieces.sort_by(|one, other| (&one.key, one.number).cmp(&(&other.key, other.number)));
    for pieces in pieces.chunk_by(|one, other| one.key == other.key) {
        if pieces.iter().zip(0..).all(|(piece, number)| piece.number == number) {
            starred.push(joined(pieces));
        } else {
            starred.extend(pieces.iter().map(|piece| (Cow::Borrowed(piece.name), piece.value.clone())));
        }
    }
    plain.into_iter().chain(starred)
}

/// Finds a parameter, whatever its case, whole or in pieces that need no decoding.
pub(crate) fn parameter<'a>(value: Value<'a>, name: &str) -> Option<Cow<'a, [u8]>> {
    let is_wanted = |found: &[u8]| found.eq_ignore_ascii_case(name.as_bytes());
    value
        .parameter(name)
        .or_else(|| parameters(value).find(|(found, _)| is_wanted(found)).map(|(_, value)| value))
}

/// One of the pieces of a parameter.
struct Piece<'a> {
    name: &'a [u8],
    /// What stands before the first asterisk, in lower case.
    key: Vec<u8>,
    number: u32,
    is_encoded: bool,
    value: Cow<'a, [u8]>,
}

impl<'a> Piece<'a> {
    /// `name*3` or `name*3*`; others are given back.
    fn new(name: &'a [u8], value: Cow<'a, [u8]>) -> Result<Piece<'a>, (&'a [u8], Cow<'a, [u8]>)> {
        let mut parts = name.splitn(3, |&byte| byte == b'*');
        let (key, number, after) = (parts.next(), parts.next(), parts.next());
        let is_number = |digits: &&[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let number = number.filter(is_number).and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
        match (key, number, after) {
            (Some(key @ [_, ..]), Some(number), None | Some([])) => {
                let key = key.to_ascii_lowercase();
                Ok(Piece { name, key, number, is_encoded: after.is_some(), value })
            }
            _ => Err((name, value)),
        }
    }
}

fn joined<'a>(pieces: &[Piece<'a>]) -> Parameter<'a> {
    let Some(first) = pieces.first() else { return (Cow::Borrowed(b""), Cow::Borrowed(b"")) };
    let mut name = first.name.get(..first.key.len()).unwrap_or_default().to_vec();
    let mut value = Vec::new();
    if pieces.iter().any(|piece| piece.is_encoded) {
        name.push(b'*');
        if !first.is_encoded {
            // No charset, no language.
            value.extend_from_slice(b"''");
        }
    }
    pieces.iter().for_each(|piece| value.extend_from_slice(&piece.value));
    (Cow::Owned(name), Cow::Owned(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(value: &str) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        parameters(Value::new(value.as_bytes()))
            .map(|(name, value)| text(&name) + "=" + &text(&value))
            .collect()
    }

    #[test]
    fn pieces_are_joined() {
        assert_eq!(list("a; Name*0=\"long \"; x=y; name*1=name"), ["x=y", "Name=long name"]);
        assert_eq!(list("a; n*0*=utf-8''%41; n*1=b"), ["n*=utf-8''%41b"]);
        assert_eq!(list("a; n*1=b; n*0=a; n*2*=%20c"), ["n*=''ab%20c"]);
        assert_eq!(list("a; n*=utf-8''x; n=plain"), ["n=plain", "n*=utf-8''x"]);
        assert_eq!(list("a; n*00=a; n*01=b"), ["n=ab"]);
    }

    #[test]
    fn what_cannot_be_joined_stays() {
        assert_eq!(list("a; n*0=a; n*2=c"), ["n*0=a", "n*2=c"]);
        assert_eq!(list("a; n*0=a; n*0=b"), ["n*0=a", "n*0=b"]);
        assert_eq!(list("a; n*1=a"), ["n*1=a"]);
        assert_eq!(
            list("a; n*x=a; *0=b; n*0*1=c; n*99999999999=d"),
            ["n*x=a", "*0=b", "n*0*1=c", "n*99999999999=d"]
        );
    }

    #[test]
    fn a_parameter_is_found_in_pieces() {
        let value = Value::new(b"multipart/mixed; boundary*0=a; boundary*1=b");
        assert_eq!(parameter(value, "boundary").as_deref(), Some(&b"ab"[..]));
    }
}
