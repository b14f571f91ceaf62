//! Consistent hash of a request field's value: the same server for the same value as long as it is usable.
//!
//! Good for servers that keep something for each user or session that a field names. Weighted rendezvous
//! hashing, see `rendezvous.rs` for sources and cost. The key is the value of the backend's `hash_header`, as
//! the client sent it, of several fields the first. A request without the field, or with an empty value, gets
//! a random server.

use super::Seed;
use super::rendezvous::{self, ByKey};

/// Consistent hash of a field's value.
#[derive(Debug)]
pub(super) struct HeaderHash;

impl ByKey for HeaderHash {
    fn name(&self) -> &'static str {
        "header_hash"
    }

    fn key(&self, seed: &Seed<'_>) -> Option<u64> {
        seed.header.filter(|value| !value.is_empty()).map(rendezvous::hash)
    }

    fn asks_request(&self) -> bool {
        true
    }
}
