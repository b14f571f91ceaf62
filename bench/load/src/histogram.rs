//! Latencies in logarithmic buckets: 128 equal steps between any two powers of two, so a percentile is within 0.8 %
//! of the truth over the whole range from a nanosecond to hours, in a fixed 60 KB and without sorting.

/// Steps per power of two, as a number of bits.
const STEP_BITS: u32 = 7;
const STEPS: usize = 1 << STEP_BITS;
/// Values up to 2^64 - 1 fall in one of these.
const BUCKETS: usize = STEPS * (65 - STEP_BITS as usize);

/// Counts of values in nanoseconds.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    largest: u64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, largest: 0 }
    }

    /// Counts one value.
    pub fn record(&mut self, nanos: u64) {
        self.counts[bucket_of(nanos)] += 1;
        self.total += 1;
        self.largest = self.largest.max(nanos);
    }

    /// The value at or below which a share (0 to 1) of all values lie; 0 when there are none.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return highest_in(bucket).min(self.largest);
            }
        }
        self.largest
    }

    /// The largest value, exactly.
    pub fn largest(&self) -> u64 {
        self.largest
    }
}

/// The first 128 buckets hold one value each; after them each power of two has 128 buckets.
fn bucket_of(value: u64) -> usize {
    if value < STEPS as u64 {
        return value as usize;
    }
    let power = value.ilog2();
    let step = (value >> (power - STEP_BITS)) as usize - STEPS;
    STEPS * (power - STEP_BITS + 1) as usize + step
}

fn highest_in(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let shift = bucket / STEPS - 1;
    let lowest = ((STEPS + bucket % STEPS) as u64) << shift;
    lowest + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_close_to_its_top() {
        for value in (0..5_000).chain((6..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1])) {
            let top = highest_in(bucket_of(value));
            assert!(top >= value, "{value} above {top}");
            assert!(top - value <= value / 128, "{value} far below {top}");
        }
        assert_eq!(highest_in(bucket_of(u64::MAX)), u64::MAX);
    }

    #[test]
    fn buckets_are_in_the_order_of_their_values() {
        for bucket in 1..BUCKETS {
            assert!(highest_in(bucket) > highest_in(bucket - 1));
            assert_eq!(bucket_of(highest_in(bucket - 1) + 1), bucket);
        }
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let mut histogram = Histogram::new();
        (1..=100_000).for_each(|value| histogram.record(value));
        for (share, truth) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.999, 99_900.0)] {
            let found = histogram.quantile(share) as f64;
            assert!((found - truth).abs() / truth < 0.008, "{share}: {found}");
        }
        assert_eq!(histogram.quantile(1.0), 100_000);
        assert_eq!(histogram.largest(), 100_000);
    }

    #[test]
    fn an_empty_histogram_says_zero() {
        assert_eq!(Histogram::new().quantile(0.99), 0);
    }
}
