//! A list of system calls that are refused, and its way into the kernel: seccomp(2).
//!
//! Each error that a call is refused with is a program of its own, since seccompiler knows one answer a program. A call
//! that is in none of them is let through by all; the kernel remembers that of calls whose arguments nobody looks at.

use std::collections::BTreeMap;

use nix::errno::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};
use thiserror::Error;

use crate::numbers::{self, Fate};

/// What a process gives up.
#[derive(Debug, Clone)]
pub struct Filter {
    /// By the error and the number of the call: the conditions under which it is refused; none: always.
    refused: BTreeMap<(i32, i64), Vec<Vec<When>>>,
}

/// A condition on one argument of a call, of which the lower 32 bits are looked at: the kernel takes no more for ids,
/// flags, pids and requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    argument: u8,
    is: Is,
    value: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Equal,
    NotEqual,
    AtLeast,
    AtMost,
    Having,
    HavingNone,
}

impl When {
    /// The argument is this.
    #[must_use]
    pub fn is(argument: u8, value: u32) -> Self {
        Self { argument, is: Is::Equal, value }
    }

    /// The argument is not this.
    #[must_use]
    pub fn is_not(argument: u8, value: u32) -> Self {
        Self { argument, is: Is::NotEqual, value }
    }

    /// The argument is not below this.
    #[must_use]
    pub fn at_least(argument: u8, value: u32) -> Self {
        Self { argument, is: Is::AtLeast, value }
    }

    /// The argument is not above this.
    #[must_use]
    pub fn at_most(argument: u8, value: u32) -> Self {
        Self { argument, is: Is::AtMost, value }
    }

    /// The argument has all of these bits.
    #[must_use]
    pub fn has(argument: u8, bits: u32) -> Self {
        Self { argument, is: Is::Having, value: bits }
    }

    /// The argument has none of these bits.
    #[must_use]
    pub fn has_none(argument: u8, bits: u32) -> Self {
        Self { argument, is: Is::HavingNone, value: bits }
    }

    fn condition(self) -> Result<SeccompCondition, seccompiler::BackendError> {
        let value = u64::from(self.value);
        let comparison = match self.is {
            Is::Equal => SeccompCmpOp::Eq,
            Is::NotEqual => SeccompCmpOp::Ne,
            Is::AtLeast => SeccompCmpOp::Ge,
            Is::AtMost => SeccompCmpOp::Le,
            Is::Having | Is::HavingNone => SeccompCmpOp::MaskedEq(value),
        };
        let value = if self.is == Is::HavingNone { 0 } else { value };
        SeccompCondition::new(self.argument, SeccompCmpArgLen::Dword, comparison, value)
    }
}

/// Why a filter is not in force. Some of its programs may be: the process should not go on.
#[derive(Debug, Error)]
pub enum NotInstalled {
    /// It is too long, or compares an argument that no call has.
    #[error("making the system call filter: {0}")]
    NotMade(#[from] seccompiler::BackendError),
    /// The kernel has no seccomp, or refuses it.
    #[error("installing the system call filter: {0}")]
    Refused(#[from] seccompiler::Error),
}

impl Filter {
    /// The base: all that no program of a mail server has a use for, and that leads out of a jail.
    #[must_use]
    pub fn new() -> Self {
        crate::base::refuse(Self::empty())
    }

    /// Nothing but foreign ABIs.
    #[must_use]
    pub fn empty() -> Self {
        Self { refused: BTreeMap::new() }
    }

    /// Refuses these calls (`libc::SYS_...`) altogether, with EPERM.
    #[must_use]
    pub fn refuse(self, calls: &[i64]) -> Self {
        self.refuse_with(Errno::EPERM, calls)
    }

    /// Refuses these calls altogether, with that error.
    #[must_use]
    pub fn refuse_with(mut self, error: Errno, calls: &[i64]) -> Self {
        for &call in calls {
            self.refused.insert((error as i32, call), Vec::new());
        }
        self
    }

    /// Refuses a call, with EPERM, where all of `conditions` hold.
    #[must_use]
    pub fn refuse_when(self, call: i64, conditions: &[When]) -> Self {
        self.refuse_with_when(Errno::EPERM, call, conditions)
    }

    /// Refuses a call, with that error, where all of `conditions` hold.
    #[must_use]
    pub fn refuse_with_when(mut self, error: Errno, call: i64, conditions: &[When]) -> Self {
        match self.refused.get_mut(&(error as i32, call)) {
            // Refused whatever its arguments are.
            Some(rules) if rules.is_empty() => {}
            Some(rules) => rules.push(conditions.to_vec()),
            None => {
                self.refused.insert((error as i32, call), vec![conditions.to_vec()]);
            }
        }
        self
    }

    /// Lets these calls through after all.
    #[must_use]
    pub fn allow(mut self, calls: &[i64]) -> Self {
        self.refused.retain(|(_, call), _| !calls.contains(call));
        self
    }

    /// Sets no-new-privs and puts the filter in force for this thread, what it executes and what it starts, for good.
    ///
    /// # Errors
    /// The kernel's; the process should end then.
    pub fn install(&self) -> Result<(), NotInstalled> {
        for program in self.programs()? {
            apply_filter(&program)?;
        }
        Ok(())
    }

    fn programs(&self) -> Result<Vec<BpfProgram>, NotInstalled> {
        let (always, sometimes): (Vec<_>, Vec<_>) =
            self.refused.iter().partition(|(_, whens)| whens.is_empty());
        let fates = always.into_iter().map(|(&(error, call), _)| (call, Fate::Refuse(error))).collect();
        // It is there for foreign ABIs even where nothing is refused.
        let mut programs = vec![numbers::program(&fates, Fate::Allow)];
        let mut calls = sometimes.into_iter().peekable();
        let mut rules = BTreeMap::new();
        let mut size = 0;
        while let Some((&(error, call), whens)) = calls.next() {
            size += whens.len() + 1;
            let whens: Result<Vec<_>, _> = whens.iter().map(|when| conditions(when)).collect();
            rules.insert(call, whens?);
            let more =
                calls.peek().is_some_and(|((next, _), whens)| *next == error && size + whens.len() < LONGEST);
            if !more {
                programs.push(program(std::mem::take(&mut rules), error)?);
                size = 0;
            }
        }
        Ok(programs)
    }
}

/// So many conditions in one program. The kernel takes 4096 instructions, and a condition is up to ten.
const LONGEST: usize = 400;

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> Result<BpfProgram, NotInstalled> {
    let answer = SeccompAction::Errno(error.unsigned_abs());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, answer, NATIVE)?.try_into()?)
}

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn conditions(rule: &[When]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions: Result<Vec<_>, _> = rule.iter().map(|when| when.condition()).collect();
    SeccompRule::new(conditions?)
}

/// What seccompiler's programs demand: calls of another architecture, such as those of 32 bits, kill.
#[cfg(target_arch = "x86_64")]
pub(crate) const NATIVE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
pub(crate) const NATIVE: TargetArch = TargetArch::aarch64;

#[cfg(test)]
mod tests;
