//! Consistent hash of the client's address: the same server as long as it is usable.
//!
//! Good for servers that keep something in memory for each client, where a cookie is not possible. Weighted
//! rendezvous hashing, see `rendezvous.rs` for sources and cost. The key is the 4 or 16 bytes of the address;
//! an IPv4-mapped IPv6 address is its IPv4 address. A client without an address (a unix socket) gets a random
//! server.

use std::net::IpAddr;

use super::{Balance, Candidate, Memory, Seed, random, rendezvous};

/// Consistent hash of the client address.
#[derive(Debug)]
pub(super) struct SourceHash;

impl Balance for SourceHash {
    fn name(&self) -> &'static str {
        "source_hash"
    }

    fn choose(&self, candidates: &[Candidate], seed: &Seed<'_>, memory: &mut Memory) -> usize {
        let key = match seed.client.map(|client| client.to_canonical()) {
            Some(IpAddr::V4(client)) => rendezvous::hash(&client.octets()),
            Some(IpAddr::V6(client)) => rendezvous::hash(&client.octets()),
            None => return random::Random.choose(candidates, seed, memory),
        };
        rendezvous::choose(candidates, key)
    }
}
