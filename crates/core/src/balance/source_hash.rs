//! Consistent hash of the client's address: the same server as long as it is usable.
//!
//! Good for servers that keep something in memory for each client, where a cookie is not possible. Weighted
//! rendezvous hashing, see `rendezvous.rs` for sources and cost. The key is the 4 or 16 bytes of the address;
//! an IPv4-mapped IPv6 address is its IPv4 address. A client without an address (a unix socket) gets a random
//! server.

use std::net::IpAddr;

use super::Seed;
use super::rendezvous::{self, ByKey};

/// Consistent hash of the client address.
#[derive(Debug)]
pub(super) struct SourceHash;

impl ByKey for SourceHash {
    fn name(&self) -> &'static str {
        "source_hash"
    }

    fn key(&self, seed: &Seed<'_>) -> Option<u64> {
        match seed.client?.to_canonical() {
            IpAddr::V4(client) => Some(rendezvous::hash(&client.octets())),
            IpAddr::V6(client) => Some(rendezvous::hash(&client.octets())),
        }
    }
}
