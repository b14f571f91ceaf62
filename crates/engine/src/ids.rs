//! Ids: numbers of connections and exchanges, each given once in the life of the process.
//!
//! ```text
//!   worker 0: 1, 2, 3 ... 65536, 131073 ...     worker 1: 65537, 65538 ...
//! ```
//!
//! A worker takes a block of them at a time, so that no counter is shared for each connection. They stay
//! below 2^53, which every reader of JSON holds exactly, for 2^37 blocks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Numbers of one block.
const BLOCK: u64 = 1 << 16;

/// One worker's numbers.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    last: u64,
    /// The last one of the block.
    end: u64,
}

impl Ids {
    /// Returns a number that nobody in this process had; it is not 0.
    #[inline]
    pub(crate) fn take(&mut self) -> u64 {
        if self.last == self.end {
            self.renew();
        }
        self.last += 1;
        self.last
    }

    #[cold]
    fn renew(&mut self) {
        static BLOCKS: AtomicU64 = AtomicU64::new(0);
        self.last = BLOCKS.fetch_add(1, Relaxed) * BLOCK;
        self.end = self.last + BLOCK;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_number_is_given_twice() {
        let mut workers = [Ids::default(), Ids::default(), Ids::default()];
        let mut seen = HashSet::new();
        for turn in 0..4 * BLOCK {
            let id = workers[turn as usize % 3].take();
            assert!(id > 0 && id < 1 << 53 && seen.insert(id), "{id}");
        }
    }
}
