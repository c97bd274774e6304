//! The order in which files get their UIDs, found in bounded turns.

use super::{Phase, Sync, Turn};
use crate::scan::{Budget, Run};

/// Puts the files that have no UID into the order in which they get one, in pieces: all at once would be a long turn.
pub(super) fn turn(sync: &Sync, mut from: usize, mut runs: Vec<Run>, budget: &mut Budget) -> Turn {
    let strangers = &sync.scan.strangers;
    while from < strangers.len() {
        if !budget.take(RUN / 8) {
            return Turn::Pause(Phase::Sort(from, runs));
        }
        let end = strangers.len().min(from + RUN);
        runs.push(strangers.run(from..end));
        from = end;
    }
    // Neighbours of one length, as far as that goes.
    while runs.len() > 1 {
        let mut halves = runs.into_iter();
        let mut merged = Vec::new();
        let mut cost = 0;
        while let Some(one) = halves.next() {
            let other = halves.next().unwrap_or_default();
            cost += one.len() + other.len();
            merged.push(if other.is_empty() { one } else { strangers.merge(one, other) });
        }
        runs = merged;
        if !budget.take(cost / 8) {
            return Turn::Pause(Phase::Sort(from, runs));
        }
    }
    Turn::Next(Phase::Assign(runs.pop().unwrap_or_default(), 0))
}

/// So many files are put into order at once.
const RUN: usize = 2000;
