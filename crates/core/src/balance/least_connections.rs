//! Fewest connections for its weight.

use super::{Balance, Candidate, Memory, Seed};

/// Fewest connections for its weight.
#[derive(Debug)]
pub(super) struct LeastConnections;

impl Balance for LeastConnections {
    fn name(&self) -> &'static str {
        "least_connections"
    }

    fn choose(&self, candidates: &[Candidate], _seed: &Seed<'_>, _memory: &mut Memory) -> usize {
        candidates[0].server
    }
}
