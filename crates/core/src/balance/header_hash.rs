//! Consistent hash of a request field's value: the same server for the same value as long as it is usable.
//!
//! Good for servers that keep something for each user or session that a field names. Weighted rendezvous
//! hashing, see `rendezvous.rs` for sources and cost. The key is the value of the backend's `hash_header`, as
//! the client sent it, of several fields the first. A request without the field, or with an empty value, gets
//! a random server.

use super::{Balance, Candidate, Memory, Ready, Seed, random, rendezvous};

/// Consistent hash of a field's value.
#[derive(Debug)]
pub(super) struct HeaderHash;

impl Balance for HeaderHash {
    fn name(&self) -> &'static str {
        "header_hash"
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

    fn asks_request(&self) -> bool {
        true
    }
}

/// Returns the key that has a home at a server; None when there is none.
fn key(seed: &Seed<'_>) -> Option<u64> {
    seed.header.filter(|value| !value.is_empty()).map(rendezvous::hash)
}
