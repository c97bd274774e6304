//! Ranges of user or group ids, as the settings, a namespace's map and a filter have them. No I/O.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

/// Sorted ranges of ids that neither overlap nor touch: `1000-59999,60001`. The number that means "no change" to the
/// system calls is never in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(Vec<RangeInclusive<u32>>);

/// Why a text is no [`Ranges`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoRanges {
    /// Neither an id nor two with a dash between.
    #[error("`{0}` is neither an id nor a range such as 1000-59999")]
    NoRange(String),
    /// The last is below the first.
    #[error("`{0}` ends before it begins")]
    Backwards(String),
}

impl Ranges {
    /// Those ids; in any order, and they may overlap.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = RangeInclusive<u32>>) -> Self {
        let mut sorted: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        sorted.sort_by_key(|range| *range.start());
        let mut merged: Vec<RangeInclusive<u32>> = Vec::new();
        for range in sorted {
            let range = *range.start()..=(*range.end()).min(LARGEST);
            match merged.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ if range.is_empty() => {}
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    /// With these as well.
    #[must_use]
    pub fn with(self, ids: impl IntoIterator<Item = u32>) -> Self {
        Self::new(self.0.into_iter().chain(ids.into_iter().map(|id| id..=id)))
    }

    /// With these taken out.
    #[must_use]
    pub fn without(self, ids: impl IntoIterator<Item = u32>) -> Self {
        ids.into_iter().fold(self, |ranges, id| {
            Self::new(ranges.0.into_iter().flat_map(|range| {
                if !range.contains(&id) {
                    return [Some(range), None].into_iter().flatten();
                }
                let below = id.checked_sub(1).map(|last| *range.start()..=last);
                [below, Some(id + 1..=*range.end())].into_iter().flatten()
            }))
        })
    }

    /// Whether the id is in one of them.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        self.0.iter().any(|range| range.contains(&id))
    }

    /// The ranges, from the lowest on.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u32>> {
        self.0.iter().cloned()
    }

    /// What lies between, before and behind them, less the number that means "no change".
    pub fn gaps(&self) -> impl Iterator<Item = RangeInclusive<u32>> {
        let firsts = std::iter::once(Some(0)).chain(self.0.iter().map(|range| range.end().checked_add(1)));
        let lasts = self.0.iter().map(|range| range.start().checked_sub(1)).chain([Some(LARGEST)]);
        firsts.zip(lasts).filter_map(|(first, last)| Some(first?..=last?)).filter(|gap| !gap.is_empty())
    }

    /// How many ranges there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no id.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The number above it is -1.
const LARGEST: u32 = u32::MAX - 1;

impl FromStr for Ranges {
    type Err = NoRanges;

    fn from_str(text: &str) -> Result<Self, NoRanges> {
        let ranges: Result<Vec<_>, _> = text.split(',').map(str::trim).map(range).collect();
        Ok(Self::new(ranges?))
    }
}

fn range(text: &str) -> Result<RangeInclusive<u32>, NoRanges> {
    let number = |digits: &str| match u32::from_str(digits.trim()) {
        Ok(number) if number <= LARGEST && !digits.contains('+') => Ok(number),
        _ => Err(NoRanges::NoRange(text.to_owned())),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if last < first { Err(NoRanges::Backwards(text.to_owned())) } else { Ok(first..=last) }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(text: &str) -> Ranges {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_sorted_and_those_that_touch_are_one() {
        assert_eq!(ranges("60001, 1000-59999").to_string(), "1000-59999,60001");
        assert_eq!(ranges("5-9,10,1-6").to_string(), "1-10");
        assert_eq!(ranges("7").to_string(), "7");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "a", "1,", "1-", "-1", "1--2", "+1", "4294967295", "1-4294967295"] {
            assert!(matches!(text.parse::<Ranges>(), Err(NoRanges::NoRange(_))), "{text}");
        }
        assert!(matches!("9-5".parse::<Ranges>(), Err(NoRanges::Backwards(_))));
    }

    #[test]
    fn ids_are_added_and_taken_out() {
        assert_eq!(ranges("1000-2000").with([7, 2001]).to_string(), "7,1000-2001");
        assert_eq!(ranges("1000-2000").without([1000, 1500, 2000, 3]).to_string(), "1001-1499,1501-1999");
        assert!(ranges("0").without([0]).is_empty());
    }

    #[test]
    fn gaps_are_all_that_is_not_in_the_ranges_but_no_change() {
        let gaps: Vec<_> = ranges("0-4,10,4294967294").gaps().collect();
        assert_eq!(gaps, [5..=9, 11..=4_294_967_293]);
        assert_eq!(Ranges::default().gaps().collect::<Vec<_>>(), [0..=4_294_967_294]);
    }

    proptest! {
        #[test]
        fn there_and_back(pairs in proptest::collection::vec((any::<u32>(), any::<u32>()), 1..9)) {
            let ranges = Ranges::new(pairs.iter().map(|&(a, b)| a.min(b)..=a.max(b)));
            if !ranges.is_empty() {
                prop_assert_eq!(ranges.to_string().parse::<Ranges>(), Ok(ranges.clone()));
            }
            prop_assert!(!ranges.contains(u32::MAX));
            for id in pairs.iter().flat_map(|&(a, b)| [a, b, a.wrapping_add(1), b.wrapping_sub(1)]) {
                prop_assert_eq!(ranges.gaps().any(|gap| gap.contains(&id)), !ranges.contains(id) && id != u32::MAX);
                prop_assert!(!ranges.clone().without([id]).contains(id));
            }
        }

        #[test]
        fn no_text_is_too_strange(text in ".{0,40}") {
            let _ = text.parse::<Ranges>();
        }
    }
}
