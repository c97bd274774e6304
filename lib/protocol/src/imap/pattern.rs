//! Patterns of `LIST` and `LSUB`, RFC 3501 section 6.3.8: `*` is anything, `%` anything but the separator.
//!
//! Matching follows all ways through the pattern at once, so that its cost is name times pattern at worst, and no
//! pattern makes it grow beyond.

/// What a `LIST` asks for, reference and pattern joined; both in wire form, as names are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<u8>);

impl Pattern {
    /// Longer ones match nothing; no name is that long.
    const LONGEST: usize = 1024;

    /// The reference in front of the pattern, unless that begins at the root already.
    pub fn new(reference: &[u8], pattern: &[u8], separator: u8) -> Pattern {
        let rooted = pattern.first() == Some(&separator);
        let mut joined: Vec<u8> = if rooted { Vec::new() } else { reference.to_vec() };
        joined.extend_from_slice(pattern);
        // A run of wildcards is the widest of them.
        joined.dedup_by(|later, earlier| match (*earlier, *later) {
            (b'*', b'*' | b'%') | (b'%', b'%') => true,
            (b'%', b'*') => {
                *earlier = b'*';
                true
            }
            _ => false,
        });
        Pattern(joined)
    }

    /// Does a name, in wire form, fit? `INBOX`, alone or as the first level, fits in any case.
    pub fn matches(&self, name: &str, separator: u8) -> bool {
        if self.0.len() > Pattern::LONGEST {
            return false;
        }
        let caseless = match name.as_bytes().split_at_checked(5) {
            Some((b"INBOX", rest)) if rest.first().is_none_or(|byte| *byte == separator) => 5,
            _ => 0,
        };
        // reached[i]: the bytes seen so far fit the first i of the pattern.
        let mut reached = vec![false; self.0.len() + 1];
        if let Some(first) = reached.first_mut() {
            *first = true;
        }
        self.skip_wildcards(&mut reached);
        for (at, byte) in name.bytes().enumerate() {
            let fits = |wanted: u8| wanted == byte || (at < caseless && wanted.eq_ignore_ascii_case(&byte));
            let mut before = false;
            for (wanted, state) in self.0.iter().map(Some).chain([None]).zip(&mut reached) {
                let (stays, moves) = match wanted {
                    Some(b'*') => (*state, false),
                    Some(b'%') => (*state && byte != separator, false),
                    Some(wanted) => (false, *state && fits(*wanted)),
                    None => (false, false),
                };
                *state = stays || before;
                before = moves;
            }
            self.skip_wildcards(&mut reached);
        }
        reached.last() == Some(&true)
    }

    /// A wildcard may stand for nothing.
    fn skip_wildcards(&self, reached: &mut [bool]) {
        let mut before = false;
        for (wanted, state) in self.0.iter().map(Some).chain([None]).zip(reached) {
            *state |= before;
            before = *state && matches!(wanted, Some(b'*' | b'%'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(pattern: &str, name: &str) -> bool {
        Pattern::new(b"", pattern.as_bytes(), b'/').matches(name, b'/')
    }

    #[test]
    fn wildcards_stop_where_they_should() {
        for (pattern, name) in [
            ("*", "INBOX"),
            ("*", "a/b/c"),
            ("%", "a"),
            ("%/%", "a/b"),
            ("a/%", "a/b"),
            ("a*", "a"),
            ("a*", "a/b/c"),
            ("*b%", "a/b/bc"),
            ("%a%b%", "xaxaxb"),
            ("*%", "a/b"),
            ("%*", "a/b"),
            ("", ""),
            ("inbox", "INBOX"),
            ("InB%", "INBOX"),
            ("inbox/%", "INBOX/a"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("%", "a/b"),
            ("a/%", "a/b/c"),
            ("a%", "b"),
            ("%/%", "a"),
            ("a/*", "a"),
            ("inbox", "INBOXES"),
            ("inbox/A", "INBOX/a"),
            ("a", "A"),
            ("", "a"),
            ("a", ""),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn reference_goes_in_front() {
        assert!(Pattern::new(b"a/", b"%", b'/').matches("a/b", b'/'));
        assert!(Pattern::new(b"a.", b"%", b'.').matches("a.b", b'.'));
        assert!(!Pattern::new(b"a/", b"/%", b'/').matches("a/b", b'/'));
    }

    #[test]
    fn cost_does_not_explode() {
        let pattern = "a*%".repeat(300) + "c";
        assert!(!fits(&pattern, &("a".repeat(4_000) + "b")));
    }

    /// The definition, word for word; exponential.
    fn slow(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) if slow(rest, name) => true,
            (Some((b'%', rest)), _) if slow(rest, name) => true,
            (Some((b'*', _)), Some((_, name))) => slow(pattern, name),
            (Some((b'%', _)), Some((byte, name))) => *byte != b'/' && slow(pattern, name),
            (Some((wanted, pattern)), Some((byte, name))) => wanted == byte && slow(pattern, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn same_answer_as_the_definition(pattern in "[ab/*%]{0,8}", name in "[ab/]{0,10}") {
            prop_assert_eq!(fits(&pattern, &name), slow(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
