//! What the targets share: the shape of their input.

#![forbid(unsafe_code)]

/// Takes the lengths of pieces off the front of an input, and returns them with what remains.
pub fn lengths(input: &[u8]) -> (&[u8], &[u8]) {
    input.split_at_checked(4).unwrap_or((&[], input))
}

/// A stream in pieces, as a socket might give it: each of the lengths in turn, over and over. Some may be empty.
pub fn pieces<'a>(stream: &'a [u8], lengths: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let endless = lengths.iter().any(|&length| length > 0);
    let lengths = lengths.iter().map(|&length| usize::from(length)).cycle();
    let mut rest = stream;
    lengths.take_while(move |_| endless).chain(std::iter::repeat(usize::MAX)).map_while(move |length| {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        let more = !rest.is_empty();
        rest = after;
        more.then_some(piece)
    })
}
