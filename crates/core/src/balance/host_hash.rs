//! Consistent hash of the name.

use super::{Balance, Candidate, Memory, Seed};

/// Consistent hash of the name.
#[derive(Debug)]
pub(super) struct HostHash;

impl Balance for HostHash {
    fn name(&self) -> &'static str {
        "host_hash"
    }

    fn choose(&self, candidates: &[Candidate], _seed: &Seed<'_>, _memory: &mut Memory) -> usize {
        candidates[0].server
    }
}
