//! The order in which files get their UIDs, found in bounded turns.

use std::collections::VecDeque;

use super::{Phase, Sync, Turn};
use crate::scan::{Budget, Merge, Run};

/// The files that have no UID, on the way to the order in which they get one.
#[derive(Debug, Default)]
pub(super) struct Sorting {
    /// Those from this one on are in no run yet.
    from: usize,
    runs: VecDeque<Run>,
    merge: Option<Merge>,
}

/// A turn, since all at once would be a long one: short runs, and then two of them as one until it is the only one.
pub(super) fn turn(sync: &Sync, mut sorting: Box<Sorting>, budget: &mut Budget) -> Turn {
    let strangers = &sync.scan.strangers;
    while budget.take(PIECE / 8) {
        if let Some(mut merge) = sorting.merge.take() {
            match strangers.merge(&mut merge, PIECE) {
                true => sorting.runs.push_back(merge.into_run()),
                false => sorting.merge = Some(merge),
            }
        } else if sorting.from < strangers.len() {
            let end = strangers.len().min(sorting.from + PIECE);
            sorting.runs.push_back(strangers.run(sorting.from..end));
            sorting.from = end;
        } else {
            // The two that have waited longest, and so are of one length, as far as that goes.
            match (sorting.runs.pop_front(), sorting.runs.pop_front()) {
                (Some(one), Some(other)) => sorting.merge = Some(Merge::new(one, other)),
                (run, _) => return Turn::Next(Phase::Assign(run.unwrap_or_default(), 0)),
            }
        }
    }
    Turn::Pause(Phase::Sort(sorting))
}

/// So many files are put into order at once, for an eighth of what reading their names costs.
const PIECE: usize = 2000;
