//! A list of system calls that are let through, and nothing else: for programs of ours, whose needs are known when they
//! are up.
//!
//! What is not in the list is answered as by a kernel that does not have it, so that a C library of tomorrow does in the
//! old way what it would do in a new one.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, apply_filter};

use crate::filter::{NATIVE, NotInstalled, When, conditions};
use crate::numbers::{self, Fate};

/// What a process keeps.
#[derive(Debug, Clone, Default)]
pub struct Only {
    /// By the number of the call: the conditions under which it is let through; none: always.
    calls: BTreeMap<i64, Vec<Vec<When>>>,
}

impl Only {
    /// Nothing at all yet.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Lets these calls (`libc::SYS_...`) through.
    #[must_use]
    pub fn and(mut self, calls: &[i64]) -> Self {
        self.calls.extend(calls.iter().map(|&call| (call, Vec::new())));
        self
    }

    /// Lets a call through where all of `conditions` hold; several times: where those of one of them do.
    #[must_use]
    pub fn and_when(mut self, call: i64, conditions: &[When]) -> Self {
        self.calls.entry(call).or_default().push(conditions.to_vec());
        self
    }

    /// Sets no-new-privs and puts the list in force for this thread and what it starts, for good.
    ///
    /// # Errors
    /// The kernel's; the process should end then.
    pub fn install(&self) -> Result<(), NotInstalled> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
        let mut fates = BTreeMap::new();
        for (&call, whens) in &self.calls {
            fates.insert(call, if whens.is_empty() { Fate::Allow } else { Fate::Further });
            if !whens.is_empty() {
                let whens: Result<_, _> = whens.iter().map(|when| conditions(when)).collect();
                rules.insert(call, whens?);
            }
        }
        let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let mut program = numbers::program(&fates, Fate::Refuse(libc::ENOSYS));
        let further: BpfProgram =
            SeccompFilter::new(rules, absent, SeccompAction::Allow, NATIVE)?.try_into()?;
        program.extend(further);
        Ok(apply_filter(&program)?)
    }
}
