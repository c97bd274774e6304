//! For tests: reads back what the writers of this crate write, as RFC 3501, section 9, has it.

/// A datum of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Datum {
    Nil,
    Number(u64),
    Text(Vec<u8>),
    List(Vec<Datum>),
}

/// Reads one datum that is all of `bytes`; panics if it isn't one.
pub(crate) fn read_all(bytes: &[u8]) -> Datum {
    let (datum, rest) = read(bytes);
    assert!(rest.is_empty(), "left over: {}", rest.escape_ascii());
    datum
}

fn read(bytes: &[u8]) -> (Datum, &[u8]) {
    match bytes {
        [b'(', rest @ ..] => read_list(rest),
        [b'"', rest @ ..] => read_quoted(rest),
        [b'{', rest @ ..] => {
            let (length, rest) = read_number(rest);
            let rest = rest.strip_prefix(b"}\r\n").unwrap();
            let (text, rest) = rest.split_at(length as usize);
            assert!(!text.contains(&0));
            (Datum::Text(text.to_vec()), rest)
        }
        [b'0'..=b'9', ..] => {
            let (number, rest) = read_number(bytes);
            (Datum::Number(number), rest)
        }
        _ => (Datum::Nil, bytes.strip_prefix(b"NIL").unwrap()),
    }
}

/// Lists are never empty; their members stand apart by a space, or not at all between lists.
fn read_list(mut bytes: &[u8]) -> (Datum, &[u8]) {
    let mut list = Vec::new();
    loop {
        let (datum, rest) = read(bytes);
        bytes = match (&datum, rest) {
            (Datum::List(_), [b'(', ..]) => rest,
            (_, [b' ', rest @ ..]) => rest,
            (_, rest) => rest.strip_prefix(b")").unwrap(),
        };
        list.push(datum);
        if rest.starts_with(b")") {
            return (Datum::List(list), bytes);
        }
    }
}

fn read_quoted(mut bytes: &[u8]) -> (Datum, &[u8]) {
    let mut text = Vec::new();
    loop {
        match bytes {
            [b'"', rest @ ..] => return (Datum::Text(text), rest),
            [b'\\', byte @ (b'"' | b'\\'), rest @ ..] => {
                text.push(*byte);
                bytes = rest;
            }
            [byte @ 1..=127, rest @ ..] => {
                assert!(!b"\r\n\\".contains(byte));
                text.push(*byte);
                bytes = rest;
            }
            _ => panic!("not in a quoted string: {}", bytes.escape_ascii()),
        }
    }
}

fn read_number(bytes: &[u8]) -> (u64, &[u8]) {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at(length);
    (std::str::from_utf8(digits).unwrap().parse().unwrap(), rest)
}
