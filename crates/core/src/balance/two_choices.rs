//! The less loaded of two random servers.

use super::{Balance, Candidate, Memory, Seed};

/// The less loaded of two random servers.
#[derive(Debug)]
pub(super) struct TwoChoices;

impl Balance for TwoChoices {
    fn name(&self) -> &'static str {
        "two_choices"
    }

    fn choose(&self, candidates: &[Candidate], _seed: &Seed<'_>, _memory: &mut Memory) -> usize {
        candidates[0].server
    }
}
