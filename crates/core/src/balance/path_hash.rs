//! Consistent hash of the request's path: the same server for the same path as long as it is usable.
//!
//! Good for caches: each resource is kept on one server. Weighted rendezvous hashing, see `rendezvous.rs` for
//! sources and cost. The key is the path as the client sent it, without its query. Where there is no request
//! (and for `*`, which is no path) a random server is chosen.

use super::Seed;
use super::rendezvous::{self, ByKey};

/// Consistent hash of the path.
#[derive(Debug)]
pub(super) struct PathHash;

impl ByKey for PathHash {
    fn name(&self) -> &'static str {
        "path_hash"
    }

    fn key(&self, seed: &Seed<'_>) -> Option<u64> {
        let path = seed.path?.split(|byte| matches!(byte, b'?' | b'#')).next();
        path.filter(|path| path.first() == Some(&b'/')).map(rendezvous::hash)
    }

    fn asks_request(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::testing::{candidate, seed};
    use crate::balance::{Balance, Memory};

    #[test]
    fn the_query_does_not_matter_and_the_path_does() {
        let pool: Vec<_> = (0..50).map(|server| candidate(server, 16, 0)).collect();
        let home = |path: &'static str| {
            let seed = Seed { path: Some(path.as_bytes()), ..seed(0) };
            PathHash.choose(&pool, &seed, &mut Memory::default())
        };
        assert_eq!(home("/a"), home("/a?b=c"));
        assert_eq!(home("/a"), home("/a#b"));
        let homes: std::collections::BTreeSet<_> = ["/a", "/b", "/c", "/d", "/A"].map(home).into();
        assert!(homes.len() > 2, "{homes:?}");
    }
}
