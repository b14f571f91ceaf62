//! A random server, by weight.

use super::{Balance, Candidate, Memory, Seed};

/// A random server, by weight.
#[derive(Debug)]
pub(super) struct Random;

impl Balance for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn choose(&self, candidates: &[Candidate], _seed: &Seed<'_>, _memory: &mut Memory) -> usize {
        candidates[0].server
    }
}
