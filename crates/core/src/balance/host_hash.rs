//! Consistent hash of the name the client asked for: the same server as long as it is usable.
//!
//! Good for caches: each name is kept on one server. Weighted rendezvous hashing, see `rendezvous.rs` for
//! sources and cost. The key is the name in lower case, as the table sees it. A client that gives no name
//! gets a random server.

use super::{Balance, Candidate, Memory, Seed, random, rendezvous};

/// Consistent hash of the name.
#[derive(Debug)]
pub(super) struct HostHash;

impl Balance for HostHash {
    fn name(&self) -> &'static str {
        "host_hash"
    }

    fn choose(&self, candidates: &[Candidate], seed: &Seed<'_>, memory: &mut Memory) -> usize {
        match seed.host {
            Some(host) => rendezvous::choose(candidates, rendezvous::hash(host.as_bytes())),
            None => random::Random.choose(candidates, seed, memory),
        }
    }
}
