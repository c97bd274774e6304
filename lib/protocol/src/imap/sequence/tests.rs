use proptest::prelude::*;

use super::*;

fn set(text: &str) -> SequenceSet {
    SequenceSet::new(text.as_bytes()).unwrap()
}

fn resolved(text: &str, last: u32) -> String {
    let mut out = Vec::new();
    set(text).resolve(last).write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn sets_resolve_in_a_mailbox() {
    for (text, last, expected) in [
        ("1", 5, "1"),
        ("*", 5, "5"),
        ("*:*", 5, "5"),
        ("1:*", 5, "1:5"),
        ("*:1", 5, "1:5"),
        ("4:2", 5, "2:4"),
        ("3,1,2", 5, "1:3"),
        ("1:3,2:4,9", 9, "1:4,9"),
        ("5,1:2,5", 9, "1:2,5"),
        ("9:*", 5, "5"),
        ("6:9", 5, ""),
        ("1:4294967295", 5, "1:5"),
        ("4294967295", u32::MAX, "4294967295"),
        ("1:*", 0, ""),
        ("*", 0, ""),
        ("7", 0, ""),
    ] {
        assert_eq!(resolved(text, last), expected, "{text} of {last}");
    }
}

#[test]
fn what_is_no_set_is_refused() {
    for text in
        ["", "0", "1:0", ",", "1,", ",1", "1:", ":1", "1:2:3", "4294967296", "-1", "+1", "a", "1 ", "**"]
    {
        assert_eq!(SequenceSet::new(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn greatest_number_is_the_written_one() {
    assert_eq!(set("3:7,*,2").greatest(), Some(7));
    assert_eq!(set("*").greatest(), None);
}

#[test]
fn all_numbers_there_are_cost_nothing() {
    let all = set("1:*").resolve(u32::MAX);
    assert_eq!(all.count(), u64::from(u32::MAX));
    assert!(all.contains(1) && all.contains(u32::MAX) && !all.contains(0));
    assert_eq!(all.ranges().collect::<Vec<_>>(), [(1, u32::MAX)]);
    assert_eq!(all.iter().nth(2), Some(3));
}

proptest! {
    #[test]
    fn resolving_is_what_the_rfc_says(
        ranges in prop::collection::vec((0u32..15, 0u32..15), 1..6),
        last in 0u32..12,
    ) {
        // 0 stands for `*`.
        let number = |number: &u32| if *number == 0 { "*".to_owned() } else { number.to_string() };
        let text: Vec<String> = ranges.iter().map(|(one, other)| number(one) + ":" + &number(other)).collect();
        let ids = set(&text.join(",")).resolve(last);
        let value = |number: u32| if number == 0 { last } else { number };
        let expected: Vec<u32> = (1..=last)
            .filter(|id| ranges.iter().any(|(one, other)| {
                let (one, other) = (value(*one), value(*other));
                (one.min(other)..=one.max(other)).contains(id)
            }))
            .collect();
        prop_assert_eq!(ids.iter().collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(ids.count(), expected.len() as u64);
        prop_assert_eq!(ids.is_empty(), expected.is_empty());
        prop_assert!((0..20).all(|id| ids.contains(id) == expected.contains(&id)));
        prop_assert_eq!(ids, expected.into_iter().collect::<IdSet>());
    }

    #[test]
    fn ids_go_there_and_back(ids in prop::collection::btree_set(1u32..60, 1..20)) {
        let mut out = Vec::new();
        ids.iter().copied().collect::<IdSet>().write(&mut out);
        let back = SequenceSet::new(&out).unwrap().resolve(u32::MAX);
        prop_assert_eq!(back.iter().collect::<Vec<_>>(), ids.iter().copied().collect::<Vec<_>>());
        let backwards: IdSet = ids.iter().rev().copied().collect();
        prop_assert_eq!(backwards, back);
    }

    #[test]
    fn no_bytes_panic(bytes in "[0-9:,*]{0,20}") {
        if let Some(set) = SequenceSet::new(bytes.as_bytes()) {
            set.resolve(9);
        }
    }
}
