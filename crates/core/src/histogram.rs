//! Histogram: how long things took, in buckets of which four share each power of two, one shard a worker,
//! summed on read.
//!
//! A shard is written by its worker alone, so a plain load and store (no locked instruction) is enough, and
//! takes memory (520 bytes) only once that worker has something to record: most servers of most backends
//! never do. Must never lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

use crate::time::Millis;

/// Buckets: 0, 1, 2, 3, then four for each power of two up to 131,071 ms, the last for all above as well.
pub const BUCKETS: usize = 64;

/// Bounds in milliseconds for whoever reads buckets, two for each power of two where most values are. Each is
/// the end of a bucket, so that counts below it are exact. Stable: graphs are drawn by them.
pub const BOUNDS: [Millis; 24] = [
    1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096, 8192, 16_384,
    32_768, 65_536,
];

/// One histogram of milliseconds.
#[derive(Debug)]
pub struct Histogram {
    shards: Box<[OnceLock<Box<CachePadded<Cells>>>]>,
}

/// The buckets, and the sum of all values.
type Cells = [AtomicU64; BUCKETS + 1];

/// The sum over all workers at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distribution {
    /// Values in each bucket.
    pub counts: [u64; BUCKETS],
    /// The sum of all values.
    pub sum: u64,
}

impl Histogram {
    /// Makes an empty one for `shards` workers (at least one).
    pub fn new(shards: usize) -> Self {
        Self { shards: (0..shards.max(1)).map(|_| OnceLock::new()).collect() }
    }

    /// Records one value. Only worker number `shard` may call this with `shard`.
    #[inline]
    pub fn record(&self, shard: usize, value: Millis) {
        let Some(shard) = self.shards.get(shard) else { return };
        let cells =
            shard.get_or_init(|| Box::new(CachePadded::new([const { AtomicU64::new(0) }; BUCKETS + 1])));
        for (cell, n) in [(&cells[bucket(value)], 1), (&cells[BUCKETS], value)] {
            cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
        }
    }

    /// Returns the sum over all workers.
    pub fn sum(&self) -> Distribution {
        let mut total = Distribution::default();
        for cells in self.shards.iter().filter_map(OnceLock::get) {
            for (count, cell) in total.counts.iter_mut().zip(&cells[..BUCKETS]) {
                *count += cell.load(Relaxed);
            }
            total.sum = total.sum.wrapping_add(cells[BUCKETS].load(Relaxed));
        }
        total
    }
}

impl Default for Distribution {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], sum: 0 }
    }
}

impl Distribution {
    /// Returns how many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts the values below a bound, exactly where a bucket ends there.
    pub fn below(&self, bound: Millis) -> u64 {
        self.counts[..bucket(bound)].iter().sum()
    }

    /// Counts the values below each of [`BOUNDS`], then all of them.
    pub fn cumulative(&self) -> [u64; BOUNDS.len() + 1] {
        std::array::from_fn(|place| {
            BOUNDS.get(place).map_or_else(|| self.count(), |bound| self.below(*bound))
        })
    }

    /// Returns the value that a fraction `q` (0 to 1) of all values does not exceed, 0 when there is none.
    ///
    /// As exact as the bucket is narrow: within a fifth of the true value.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = q.clamp(0.0, 1.0) * self.count() as f64;
        let mut below = 0;
        for (index, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            if (below + count) as f64 >= rank {
                let (first, last) = (lowest(index) as f64, highest(index) as f64);
                return first + (last - first) * ((rank - below as f64) / *count as f64).max(0.0);
            }
            below += count;
        }
        0.0
    }
}

/// Returns the smallest value in a bucket.
///
/// Worked example: bucket 7 is the fourth of the power of two that begins at 4 (4, 5, 6, 7); bucket 8 has 8
/// and 9.
pub fn lowest(bucket: usize) -> Millis {
    match bucket {
        0..4 => bucket as Millis,
        _ => ((4 + bucket % 4) as Millis) << (bucket / 4 - 1),
    }
}

/// Returns the largest value in a bucket; the last has larger ones, too.
pub fn highest(bucket: usize) -> Millis {
    lowest(bucket + 1) - 1
}

fn bucket(value: Millis) -> usize {
    if value < 4 {
        return value as usize;
    }
    let power = value.ilog2() as usize;
    let quarter = (value >> (power - 2)) as usize & 3;
    ((power - 1) * 4 + quarter).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_next_to_each_other_and_hold_what_they_say() {
        for value in (0..140_000).chain([1 << 40, u64::MAX]) {
            let bucket = bucket(value);
            assert!(lowest(bucket) <= value, "{value}");
            assert!(value <= highest(bucket) || bucket == BUCKETS - 1, "{value}");
        }
        assert_eq!((lowest(7), highest(7), lowest(8), highest(8)), (7, 7, 8, 9));
        assert_eq!(highest(BUCKETS - 1), 131_071);
    }

    #[test]
    fn cumulative_counts_are_exact() {
        let histogram = Histogram::new(1);
        (0..140_000).for_each(|value| histogram.record(0, value));
        let cumulative = histogram.sum().cumulative();
        for (bound, count) in BOUNDS.iter().zip(cumulative) {
            assert_eq!(count, *bound);
        }
        assert_eq!(cumulative.last(), Some(&140_000));
    }

    #[test]
    fn quantiles_are_near_the_truth() {
        let histogram = Histogram::new(2);
        for value in 0..10_000 {
            histogram.record(value as usize % 2, value);
        }
        let sum = histogram.sum();
        assert_eq!((sum.count(), sum.sum), (10_000, 49_995_000));
        for (q, truth) in [(0.01, 100.0), (0.5, 5000.0), (0.9, 9000.0), (0.99, 9900.0), (1.0, 10_000.0)] {
            let found = sum.quantile(q);
            assert!((found - truth).abs() <= truth / 5.0, "{q}: {found} for {truth}");
        }
        assert!(sum.quantile(0.0) < 1.0);
    }

    #[test]
    fn nothing_recorded_is_nothing() {
        let histogram = Histogram::new(0);
        histogram.record(9, 1);
        assert_eq!(histogram.sum(), Distribution::default());
        assert_eq!(histogram.sum().quantile(0.5).to_bits(), 0.0_f64.to_bits());
        histogram.record(0, 5);
        assert_eq!((histogram.sum().count(), histogram.sum().sum), (1, 5));
    }
}
