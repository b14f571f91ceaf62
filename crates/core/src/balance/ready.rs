//! Ready: the servers that may be chosen, kept for choice after choice until something changes.
//!
//! What an algorithm would find out anew each time is found out once: sums of weights for draws, the order of
//! turns, the homes of keys. A choice made with it is the one that
//! [`Balance::choose`](super::Balance::choose) would make. Must never know why a server may be chosen.

use super::turns::Turns;
use super::{Candidate, Memory, rendezvous};

/// Candidates, and what is known of them together.
#[derive(Debug, Clone, Default)]
pub struct Ready {
    candidates: Vec<Candidate>,
    /// Sum of the weights of each candidate and those before it.
    sums: Vec<u64>,
    memory: Memory,
    turns: Turns,
    /// Keys asked for and their servers, in groups that their hashes give; empty until one is asked for.
    homes: Vec<[Home; GROUP]>,
    /// The place in its group that the next new key gets.
    next: usize,
}

/// A key and the server that it prefers.
#[derive(Debug, Clone, Copy)]
struct Home {
    key: u64,
    /// [`NOWHERE`] where there is no key.
    server: u32,
}

/// Groups of keys whose homes are kept, and keys in a group.
const GROUPS: usize = 1024;
const GROUP: usize = 4;
const NOWHERE: u32 = u32::MAX;

impl Ready {
    /// Makes one without candidates, whose servers have had these turns.
    pub fn new(memory: Memory) -> Self {
        Self { memory, ..Self::default() }
    }

    /// Takes other candidates. What servers have had of their turns stays known.
    pub fn renew(&mut self, candidates: impl Iterator<Item = Candidate>) {
        self.turns.settle(&self.candidates, &mut self.memory);
        self.candidates.clear();
        self.candidates.extend(candidates);
        self.sums.clear();
        let mut sum = 0;
        self.sums.extend(self.candidates.iter().map(|candidate| {
            sum += u64::from(candidate.weight);
            sum
        }));
        self.homes.clear();
    }

    /// Returns the candidates; the open connections of each may be out of date.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Returns the turns that servers have had, to be written to or taken along.
    pub fn memory(&mut self) -> &mut Memory {
        self.turns.settle(&self.candidates, &mut self.memory);
        &mut self.memory
    }

    /// Returns the candidates with their open connections as they are now, and the memory.
    pub(super) fn refreshed(&mut self, active: &dyn Fn(usize) -> u32) -> (&[Candidate], &mut Memory) {
        self.turns.settle(&self.candidates, &mut self.memory);
        for candidate in &mut self.candidates {
            candidate.active = active(candidate.server);
        }
        (&self.candidates, &mut self.memory)
    }

    /// Returns the server whose turn it is by smooth weighted round robin.
    pub(super) fn turn(&mut self) -> usize {
        self.turns.next(&self.candidates, &mut self.memory)
    }

    /// Returns the index of the candidate that `random` draws by weight, never `except`, unless it is the
    /// only one: as [`draw`](super::random::draw) does, by halving.
    pub(super) fn draw(&self, random: u64, except: Option<usize>) -> usize {
        let Some(total) = self.sums.last() else { return 0 };
        let (skipped, begin) = match except {
            Some(at) => (u64::from(self.candidates[at].weight), self.sums[at]),
            None => (0, u64::MAX),
        };
        if skipped == *total {
            return except.unwrap_or(0);
        }
        let drawn = ((u128::from(random) * u128::from(total - skipped)) >> 64) as u64;
        let drawn = if drawn >= begin.wrapping_sub(skipped) { drawn + skipped } else { drawn };
        self.sums.partition_point(|sum| *sum <= drawn)
    }

    /// Returns the server that a key prefers.
    pub(super) fn home(&mut self, key: u64) -> usize {
        if self.homes.is_empty() {
            self.homes.resize(GROUPS, [Home { key: 0, server: NOWHERE }; GROUP]);
        }
        let group = &mut self.homes[key as usize % GROUPS];
        if let Some(home) = group.iter().find(|home| home.key == key && home.server != NOWHERE) {
            return home.server as usize;
        }
        let server = rendezvous::choose(&self.candidates, key);
        self.next = (self.next + 1) % GROUP;
        group[self.next] = Home { key, server: server as u32 };
        server
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::balance::{REGISTRY, Seed};

    fn candidates(weights: &[u32]) -> Vec<Candidate> {
        let numbered = weights.iter().enumerate();
        let identity = |server: usize| rendezvous::identity(&format!("192.0.2.1:{server}"));
        numbered
            .map(|(server, weight)| Candidate {
                server,
                weight: *weight,
                active: 0,
                identity: identity(server),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_ready_is_chosen_as_by_looking_at_all(
            weights in prop::collection::vec(1_u32..60, 1..9),
            rounds in prop::collection::vec((any::<u64>(), 0_u32..50, 0_u8..40), 1..120),
        ) {
            for balance in REGISTRY {
                let all = candidates(&weights);
                let (mut ready, mut memory) = (Ready::default(), Memory::default());
                let mut active = vec![0_u32; all.len()];
                ready.renew(all.iter().copied());
                for (random, client, change) in &rounds {
                    if *change == 0 {
                        // Nothing is different, but that is not known.
                        ready.renew(all.iter().copied());
                    }
                    let host = format!("host{client}");
                    let seed = Seed {
                        client: Some(std::net::IpAddr::from([10, 0, 0, *client as u8])),
                        host: Some(&host).filter(|_| client % 7 > 0).map(|host| &**host),
                        path: Some(b"/a"),
                        header: Some(host.as_bytes()),
                        random: *random,
                        now: 1,
                    };
                    let now: Vec<_> =
                        all.iter().map(|one| Candidate { active: active[one.server], ..*one }).collect();
                    let plain = balance.choose(&now, &seed, &mut memory);
                    let fast = balance.choose_ready(&mut ready, &seed, &|server| active[server]);
                    prop_assert_eq!(fast, plain, "{} {:?}", balance.name(), weights);
                    active[plain] += 1;
                }
            }
        }
    }
}
