//! Consistent hash of the name the client asked for: the same server as long as it is usable.
//!
//! Good for caches: each name is kept on one server. Weighted rendezvous hashing, see `rendezvous.rs` for
//! sources and cost. The key is the name in lower case, as the table sees it. A client that gives no name
//! gets a random server.

use super::{Balance, Candidate, Memory, Ready, Seed, random, rendezvous};

/// Consistent hash of the name.
#[derive(Debug)]
pub(super) struct HostHash;

impl Balance for HostHash {
    fn name(&self) -> &'static str {
        "host_hash"
    }

    fn choose(&self, candidates: &[Candidate], seed: &Seed<'_>, memory: &mut Memory) -> usize {
        match key(seed) {
            Some(key) => rendezvous::choose(candidates, key),
            None => random::Random.choose(candidates, seed, memory),
        }
    }

    fn choose_ready(&self, ready: &mut Ready, seed: &Seed<'_>, active: &dyn Fn(usize) -> u32) -> usize {
        match key(seed) {
            Some(key) => ready.home(key),
            None => random::Random.choose_ready(ready, seed, active),
        }
    }
}

/// Returns the key that has a home at a server; None when there is none.
fn key(seed: &Seed<'_>) -> Option<u64> {
    seed.host.map(|host| rendezvous::hash(host.as_bytes()))
}
