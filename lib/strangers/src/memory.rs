//! A table with a bound, in which who was met last stays longest.
//!
//! It is two tables: new keys, and those that are met again, go into the young one; when that is full it becomes the old
//! one, and what the old one still had is forgotten. So both are never larger than a half, and nothing has to be sorted.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// See above.
#[derive(Debug)]
pub struct Memory<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash, V> Memory<K, V> {
    /// One for at most twice `half` keys; it remembers at least the last `half` of them.
    pub fn new(half: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: half.max(1) }
    }

    /// What is remembered of a key.
    pub fn recall(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Meets a key: what is remembered of it, to be changed.
    pub fn meet(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let before = self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.young.entry(key).or_insert_with(|| before.unwrap_or_default())
    }

    /// What is remembered of a key, to be changed, if there is something.
    pub fn recall_mut(&mut self, key: &K) -> Option<&mut V> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }

    /// Forgets a key; what was remembered.
    pub fn forget(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// Everything, what was met lately first.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.young.iter().chain(&self.old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_has_a_bound_and_remembers_the_last_half(half in 1usize..8, keys: Vec<u8>) {
            let mut memory = Memory::new(half);
            for (turn, key) in keys.iter().enumerate() {
                *memory.meet(*key) = turn;
                prop_assert!(memory.iter().count() <= 2 * half);
            }
            let mut last = Vec::new();
            for (turn, key) in keys.iter().enumerate().rev() {
                if last.len() == half {
                    break;
                }
                if !last.contains(key) {
                    prop_assert_eq!(memory.recall(key), Some(&turn));
                    last.push(*key);
                }
            }
        }
    }

    #[test]
    fn what_is_forgotten_is_not_remembered() {
        let mut memory = Memory::new(1);
        *memory.meet('a') = 1;
        *memory.meet('b') = 2;
        assert_eq!((memory.recall(&'a'), memory.recall(&'b')), (Some(&1), Some(&2)));
        assert_eq!((memory.forget(&'a'), memory.recall(&'a')), (Some(1), None));
        *memory.meet('c') = 3;
        *memory.meet('d') = 4;
        assert_eq!(memory.recall(&'b'), None);
    }
}
