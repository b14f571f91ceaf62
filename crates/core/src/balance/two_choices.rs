//! The less loaded of two servers drawn at random, by weight.
//!
//! Good for many servers or many proxies: nearly as even as `least_connections`, without every proxy rushing
//! to the same idle server. Source: Mitzenmacher, "The power of two choices in randomized load balancing"
//! (2001). Cost: two draws, nothing remembered.

use super::random::draw;
use super::rendezvous::mix;
use super::{Balance, Candidate, Memory, Ready, Seed, less_loaded};

/// The less loaded of two random servers.
#[derive(Debug)]
pub(super) struct TwoChoices;

impl Balance for TwoChoices {
    fn name(&self) -> &'static str {
        "two_choices"
    }

    fn choose(&self, candidates: &[Candidate], seed: &Seed<'_>, _memory: &mut Memory) -> usize {
        let first = draw(candidates, seed.random, None);
        let second = draw(candidates, mix(seed.random), Some(first));
        let (first, second) = (&candidates[first], &candidates[second]);
        if less_loaded(second, first) { second.server } else { first.server }
    }

    fn choose_ready(&self, ready: &mut Ready, seed: &Seed<'_>, active: &dyn Fn(usize) -> u32) -> usize {
        let first = ready.draw(seed.random, None);
        let second = ready.draw(mix(seed.random), Some(first));
        let [first, second] = [first, second].map(|index| {
            let candidate = ready.candidates()[index];
            Candidate { active: active(candidate.server), ..candidate }
        });
        if less_loaded(&second, &first) { second.server } else { first.server }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::testing::{candidate, seed};

    #[test]
    fn of_two_servers_always_the_less_loaded() {
        let two = [candidate(7, 16, 5), candidate(9, 64, 19)];
        for n in 0..1000 {
            assert_eq!(TwoChoices.choose(&two, &seed(mix(n)), &mut Memory::default()), 9);
        }
    }

    #[test]
    fn the_most_loaded_of_many_is_never_chosen() {
        let many: Vec<_> = (0..10).map(|server| candidate(server, 16, server as u32)).collect();
        let mut counts = [0; 10];
        for n in 0..9000 {
            counts[TwoChoices.choose(&many, &seed(mix(n)), &mut Memory::default())] += 1;
        }
        assert!(counts.is_sorted_by(|more, less| more > less), "{counts:?}");
        assert_eq!(counts[9], 0);
    }
}
