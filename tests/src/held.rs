//! What the processes of a server hold, to see that it is no more afterwards than before.

use crate::process::Process;
use crate::{Server, until};

/// Descriptors, and memory in kilobytes, of each process.
#[derive(Debug)]
pub struct Held(Vec<(Process, usize, u64)>);

impl Held {
    /// When each has let go of what it need not hold.
    pub fn at_rest(server: &Server) -> Self {
        (0..20)
            .map(|_| Self::now(server))
            .min_by_key(|held| held.descriptors().iter().sum::<usize>())
            .unwrap()
    }

    fn now(server: &Server) -> Self {
        let mut all = server.master().descendants();
        all.push(server.master().clone());
        all.sort();
        let held = all.into_iter().map(|process| {
            let (descriptors, memory) = (process.descriptors().len(), process.private_memory());
            (process, descriptors, memory)
        });
        Self(held.collect())
    }

    /// How many descriptors each process has.
    pub fn descriptors(&self) -> Vec<usize> {
        self.0.iter().map(|(_, descriptors, _)| *descriptors).collect()
    }

    fn of_each(&self) -> Vec<(Process, usize)> {
        self.0.iter().map(|(process, descriptors, _)| (process.clone(), *descriptors)).collect()
    }

    /// Waits until what ended is closed: the processes are the same, and have as many descriptors as before. None has
    /// `growth` kilobytes of memory more.
    ///
    /// # Panics
    /// If they have more.
    pub fn assert_no_more(&self, server: &Server, growth: u64) {
        let mut after = Self::now(server);
        until(&format!("{:?} again, not {:?}", self.of_each(), after.of_each()), || {
            after = Self::now(server);
            (after.of_each() == self.of_each()).then_some(())
        });
        for ((process, _, before), (_, _, after)) in self.0.iter().zip(&after.0) {
            assert!(*after < before + growth, "{process:?}: {before} KB before, {after} KB after");
        }
        assert!(server.status("difference").is_empty());
        assert_eq!(server.status("master")[0]["sessions"], 0);
    }
}
