//! A random server, by weight.
//!
//! Good for many proxies in front of the same servers, none of which knows what the others chose. Cost: two
//! passes over the candidates, nothing remembered. The randomness is the caller's; the same number gives the
//! same choice.

use super::{Balance, Candidate, Memory, Ready, Seed};

/// A random server, by weight.
#[derive(Debug)]
pub(super) struct Random;

impl Balance for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn choose(&self, candidates: &[Candidate], seed: &Seed<'_>, _memory: &mut Memory) -> usize {
        candidates[draw(candidates, seed.random, None)].server
    }

    fn choose_ready(&self, ready: &mut Ready, seed: &Seed<'_>, _active: &dyn Fn(usize) -> u32) -> usize {
        ready.candidates()[ready.draw(seed.random, None)].server
    }
}

/// Returns the index of a candidate drawn by weight, never `except` (unless it is the only one).
///
/// Worked example: weights 1, 2, 1 and a `random` three eighths of the way up: 3/8 of 4 is 1.5, the second.
pub(super) fn draw(candidates: &[Candidate], random: u64, except: Option<usize>) -> usize {
    let open = || candidates.iter().enumerate().filter(|(index, _)| Some(*index) != except);
    let total: u64 = open().map(|(_, candidate)| u64::from(candidate.weight)).sum();
    // Lemire's multiplication instead of a remainder; the bias is below total / 2^64.
    let mut left = ((u128::from(random) * u128::from(total)) >> 64) as u64;
    for (index, candidate) in open() {
        match left.checked_sub(u64::from(candidate.weight)) {
            Some(rest) => left = rest,
            None => return index,
        }
    }
    except.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::testing::candidate;

    #[test]
    fn the_whole_range_is_covered_by_weight() {
        let three = [candidate(0, 1, 0), candidate(1, 2, 0), candidate(2, 1, 0)];
        let drawn: Vec<_> = (0..8).map(|eighth| draw(&three, (eighth << 61) + 1, None)).collect();
        assert_eq!(drawn, [0, 0, 1, 1, 1, 1, 2, 2]);
        assert_eq!((draw(&three, 0, None), draw(&three, u64::MAX, None)), (0, 2));
    }

    #[test]
    fn the_exception_is_never_drawn_while_there_is_another() {
        let three = [candidate(0, 1, 0), candidate(1, 2, 0), candidate(2, 1, 0)];
        let drawn: Vec<_> = (0..4).map(|quarter| draw(&three, quarter << 62, Some(1))).collect();
        assert_eq!(drawn, [0, 0, 2, 2]);
        assert_eq!(draw(&three[..1], 5, Some(0)), 0);
    }
}
