//! Consistent hash of the name the client asked for: the same server as long as it is usable.
//!
//! Good for caches: each name is kept on one server. Weighted rendezvous hashing, see `rendezvous.rs` for
//! sources and cost. The key is the name in lower case, as the table sees it. A client that gives no name
//! gets a random server.

use super::Seed;
use super::rendezvous::{self, ByKey};

/// Consistent hash of the name.
#[derive(Debug)]
pub(super) struct HostHash;

impl ByKey for HostHash {
    fn name(&self) -> &'static str {
        "host_hash"
    }

    fn key(&self, seed: &Seed<'_>) -> Option<u64> {
        seed.host.map(|host| rendezvous::hash(host.as_bytes()))
    }
}
