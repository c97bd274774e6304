//! The part of a filter that looks at nothing but the number of a call, as a tree of comparisons.
//!
//! The kernel tries every number when a filter is installed: with a hundred comparisons one after the other that takes
//! longer than all else that a process does to start. What depends on arguments is left to seccompiler's programs.

use std::collections::BTreeMap;

use seccompiler::sock_filter;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Allow,
    Refuse(i32),
    /// What stands behind the tree decides.
    Further,
}

/// A program that ends calls of foreign ABIs with their process, and decides the others by `fates`, or else as `other`.
pub(crate) fn program(fates: &BTreeMap<i64, Fate>, other: Fate) -> Vec<sock_filter> {
    let mut steps: Vec<(u32, Fate)> = vec![(0, other)];
    for (&number, &fate) in fates {
        let Ok(number) = u32::try_from(number) else { continue };
        steps.retain(|(first, _)| *first < number);
        steps.extend([(number, fate), (number.saturating_add(1), other)]);
    }
    steps.dedup_by_key(|(_, fate)| *fate);
    let mut program = native();
    program.extend(tree(&steps));
    let end = program.len();
    for (at, instruction) in program.iter_mut().enumerate() {
        if instruction.code == JUMP && instruction.k == TO_THE_END {
            instruction.k = u32::try_from(end - at - 1).unwrap_or(TO_THE_END);
        }
    }
    program
}

/// For the number that is loaded: the fate of the last step that is not above it.
fn tree(steps: &[(u32, Fate)]) -> Vec<sock_filter> {
    let (low, high) = steps.split_at(steps.len() / 2);
    let Some(&(first, fate)) = high.first() else { return Vec::new() };
    if low.is_empty() {
        return vec![match fate {
            Fate::Allow => instruction(RETURN, libc::SECCOMP_RET_ALLOW),
            Fate::Refuse(error) => instruction(RETURN, libc::SECCOMP_RET_ERRNO | error.unsigned_abs()),
            Fate::Further => instruction(JUMP, TO_THE_END),
        }];
    }
    let (low, high) = (tree(low), tree(high));
    let over_low = u32::try_from(low.len()).unwrap_or(TO_THE_END);
    let at_least = sock_filter { code: JUMP_IF_AT_LEAST, jt: 0, jf: 1, k: first };
    [vec![at_least, instruction(JUMP, over_low)], low, high].concat()
}

/// Loads the number of a call, where it is one of this architecture and no x32 one, which counts as the same.
fn native() -> Vec<sock_filter> {
    let kill = instruction(RETURN, libc::SECCOMP_RET_KILL_PROCESS);
    let mut program = vec![
        instruction(LOAD, ARCHITECTURE_AT),
        sock_filter { code: JUMP_IF_EQUAL, jt: 1, jf: 0, k: ARCHITECTURE },
        kill.clone(),
        instruction(LOAD, NUMBER_AT),
    ];
    if cfg!(target_arch = "x86_64") {
        program.extend([sock_filter { code: JUMP_IF_ANY_BIT, jt: 0, jf: 1, k: X32 }, kill]);
    }
    program
}

fn instruction(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

// bpf(2) of old, as linux/filter.h has it.
const LOAD: u16 = 0x20;
const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_ANY_BIT: u16 = 0x45;
/// Stands for a distance that is known when the program is whole.
const TO_THE_END: u32 = u32::MAX;

/// In `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const X32: u32 = 0x4000_0000;
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use proptest::prelude::*;

    /// What a program answers, as the kernel runs it; none: it runs to its end.
    fn run(program: &[sock_filter], architecture: u32, number: u32) -> Option<u32> {
        let (mut at, mut loaded) = (0, 0);
        for _ in 0..program.len() {
            let instruction = program.get(at)?;
            let jump = |holds: bool| usize::from(if holds { instruction.jt } else { instruction.jf });
            at += 1;
            match instruction.code {
                LOAD => loaded = if instruction.k == NUMBER_AT { number } else { architecture },
                RETURN => return Some(instruction.k),
                JUMP => at += instruction.k as usize,
                JUMP_IF_EQUAL => at += jump(loaded == instruction.k),
                JUMP_IF_AT_LEAST => at += jump(loaded >= instruction.k),
                JUMP_IF_ANY_BIT => at += jump(loaded & instruction.k != 0),
                other => panic!("{other}"),
            }
        }
        None
    }

    fn answer(fate: Fate) -> Option<u32> {
        match fate {
            Fate::Allow => Some(libc::SECCOMP_RET_ALLOW),
            Fate::Refuse(error) => Some(libc::SECCOMP_RET_ERRNO | error.unsigned_abs()),
            Fate::Further => None,
        }
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            Just(Fate::Allow),
            Just(Fate::Further),
            Just(Fate::Refuse(Errno::EPERM as i32)),
            Just(Fate::Refuse(Errno::ENOSYS as i32))
        ]
    }

    proptest! {
        #[test]
        fn every_number_has_its_own_fate(
            fates in proptest::collection::btree_map(0..600i64, fate(), 0..400),
            other in fate()
        ) {
            let program = program(&fates, other);
            for number in (0..700).chain([X32 - 1]) {
                let expected = fates.get(&i64::from(number)).copied().unwrap_or(other);
                prop_assert_eq!(run(&program, ARCHITECTURE, number), answer(expected), "{}", number);
            }
        }
    }

    #[test]
    fn foreign_calls_end_their_process() {
        let program = program(&BTreeMap::new(), Fate::Allow);
        let kill = Some(libc::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(run(&program, 0x4000_0003, 1), kill);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(run(&program, ARCHITECTURE, X32 | 1), kill);
        }
        assert_eq!(run(&program, ARCHITECTURE, 1), answer(Fate::Allow));
    }

    #[test]
    fn a_tree_of_hundreds_is_no_higher_than_it_has_to_be() {
        let fates = (0..400).map(|number| (number * 2, Fate::Refuse(1))).collect();
        assert!(program(&fates, Fate::Allow).len() < 4096);
    }
}
