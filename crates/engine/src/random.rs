//! Random numbers for balancing and jitter: quick, seeded from the system, not for secrets.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A xorshift64* generator (Vigna, "An experimental exploration of Marsaglia's xorshift generators").
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Makes one that is seeded with the system's randomness.
    pub(crate) fn new() -> Self {
        // RandomState is the standard library's way to the system's random numbers.
        Self(RandomState::new().build_hasher().finish() | 1)
    }

    /// Returns the next number.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number near `mean`: evenly between nine and eleven tenths of it.
    pub(crate) fn around(&mut self, mean: u64) -> u64 {
        let tenth = mean / 10;
        mean - tenth + self.next() % (2 * tenth + 1)
    }
}
