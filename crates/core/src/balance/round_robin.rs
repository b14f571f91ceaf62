//! Smooth weighted round robin: in turn, by weight, and never in bursts.
//!
//! Good for servers of known capacity and connections of similar cost. Source: nginx
//! (`ngx_http_upstream_round_robin.c`, Igor Sysoev, 2012). Cost: one pass over the candidates, and none while
//! they stay the same. Every choice is remembered, or a server that was alone for a while would be forgotten
//! to have had its turns.

use super::{Balance, Candidate, Memory, Ready, Seed};

/// Smooth weighted round robin.
#[derive(Debug)]
pub(super) struct RoundRobin;

impl Balance for RoundRobin {
    fn name(&self) -> &'static str {
        "round_robin"
    }

    fn choose(&self, candidates: &[Candidate], _seed: &Seed<'_>, memory: &mut Memory) -> usize {
        turn(candidates.iter(), memory)
    }

    fn choose_ready(&self, ready: &mut Ready, _seed: &Seed<'_>, _active: &dyn Fn(usize) -> u32) -> usize {
        ready.turn()
    }

    fn counts_every_choice(&self) -> bool {
        true
    }

    fn remembers(&self) -> bool {
        true
    }
}

/// Chooses whose turn it is: each candidate earns its weight, the richest is chosen and pays what all have
/// earned.
///
/// Worked example: a, b, c of weights 3, 1, 1.
///
/// | earned | chosen | left |
/// |---|---|---|
/// | 3 1 1 | a | -2 1 1 |
/// | 1 2 2 | b | 1 -3 2 |
/// | 4 -2 3 | a | -1 -2 3 |
/// | 2 -1 4 | c | 2 -1 -1 |
/// | 5 0 0 | a | 0 0 0 |
///
/// An absent server keeps what it had. While the candidates and weights stay the same nobody owns or owes
/// more than one round (the sum of weights); after a change of weights, what exceeds a round is forgotten, so
/// that old riches do not buy many turns in a row.
pub(super) fn turn<'a>(
    candidates: impl Iterator<Item = &'a Candidate> + Clone,
    memory: &mut Memory,
) -> usize {
    let round: i64 = candidates.clone().map(|candidate| i64::from(candidate.weight)).sum();
    let mut best = (i64::MIN, 0);
    for candidate in candidates {
        let current = memory.of(candidate.server);
        *current = (*current).clamp(-round, round) + i64::from(candidate.weight);
        if *current > best.0 {
            best = (*current, candidate.server);
        }
    }
    *memory.of(best.1) -= round;
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(weights: &[u32]) -> Vec<Candidate> {
        let numbered = weights.iter().enumerate();
        numbered
            .map(|(server, weight)| Candidate { server, weight: *weight, active: 0, identity: 0 })
            .collect()
    }

    fn turns(candidates: &[Candidate], memory: &mut Memory, number: usize) -> String {
        (0..number).map(|_| char::from(b'a' + turn(candidates.iter(), memory) as u8)).collect()
    }

    #[test]
    fn the_pattern_is_smooth() {
        assert_eq!(turns(&candidates(&[3, 1, 1]), &mut Memory::default(), 10), "abacaabaca");
        assert_eq!(turns(&candidates(&[5, 1, 1]), &mut Memory::default(), 7), "aabacaa");
        assert_eq!(turns(&candidates(&[16, 16]), &mut Memory::default(), 6), "ababab");
        assert_eq!(turns(&candidates(&[7]), &mut Memory::default(), 3), "aaa");
    }

    #[test]
    fn it_stays_fair_when_candidates_come_and_go() {
        let all = candidates(&[16, 16, 16]);
        let mut memory = Memory::default();
        let mut counts = [0; 3];
        for round in 0..3000 {
            // One of the three is absent, each for 100 turns.
            let absent = round / 100 % 3;
            let present: Vec<_> =
                all.iter().copied().filter(|candidate| candidate.server != absent).collect();
            counts[turn(present.iter(), &mut memory)] += 1;
        }
        assert_eq!(counts, [1000, 1000, 1000]);
        assert_eq!(memory.current.iter().sum::<i64>(), 0);
    }

    #[test]
    fn a_server_that_comes_back_gets_no_burst() {
        let all = candidates(&[16; 4]);
        let mut memory = Memory::default();
        turns(&all[1..], &mut memory, 1001);
        let after = turns(&all, &mut memory, 8);
        assert_eq!(after.matches('a').count(), 2, "{after}");
    }

    #[test]
    fn old_weights_are_forgotten_within_a_round() {
        let mut memory = Memory::default();
        turns(&candidates(&[4096, 16]), &mut memory, 128);
        let after = turns(&candidates(&[16, 16]), &mut memory, 12);
        let (a, b) = (after.matches('a').count(), after.matches('b').count());
        assert!(a.abs_diff(b) <= 4, "{after}");
    }
}
