//! Tally: counters of one listener, backend or server, one shard a worker, summed on read.
//!
//! Owns the one table of counters; their names and meanings are nowhere else in Rust. A shard is written by
//! its worker alone, so a plain load and store (no locked instruction) is enough. Must never lock, nor
//! allocate when it counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use serde::Serialize;

use crate::close::CloseReason;
use crate::histogram::Histogram;

macro_rules! counts {
    (
        everywhere { $($name:ident $word:ident $help:literal;)* }
        apart { $($lone:ident $lone_word:ident $lone_help:literal;)* }
    ) => {
        /// The things that are counted. Every name is a key of `stats()`; a row of the table below.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Count {
            $(#[doc = $help] $name,)*
            $(#[doc = $lone_help] $lone,)*
        }

        impl Count {
            /// All of them, in the order of their cells.
            pub const ALL: &[Self] = &[$(Self::$name,)* $(Self::$lone,)*];

            /// Returns its key in `stats()`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($word),)*
                    $(Self::$lone => stringify!($lone_word),)*
                }
            }

            /// Says in a sentence what it counts.
            pub fn help(self) -> &'static str {
                match self {
                    $(Self::$name => $help,)*
                    $(Self::$lone => $lone_help,)*
                }
            }
        }

        /// Sums of what listeners, backends and servers all count, over all workers, under the names of the
        /// table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub struct Sums {
            $(#[doc = $help] pub $word: u64,)*
        }

        impl Tally {
            /// Sums up what listeners, backends and servers all count.
            pub fn sums(&self) -> Sums {
                Sums { $($word: self.sum(Count::$name),)* }
            }
        }
    };
}

// Everywhere: of listeners, backends and servers alike. Apart: of backends or servers alone.
counts! {
    everywhere {
        Connections connections "Connections accepted (listener) or made (backend, server).";
        BytesIn bytes_in "Bytes from clients.";
        BytesOut bytes_out "Bytes to clients.";
        Failed failed "Connections or requests that ended by a fault.";
        Denied denied "Clients or requests turned away by access lists or limits.";
        Requests requests "Requests; 0 where no HTTP is spoken, as are those below.";
        Responses1xx responses_1xx "Responses 100 to 199 that ended a request, such as 101.";
        Responses2xx responses_2xx "Responses 200 to 299.";
        Responses3xx responses_3xx "Responses 300 to 399.";
        Responses4xx responses_4xx "Responses 400 to 499; of a listener also the proxy's own.";
        Responses5xx responses_5xx "Responses 500 to 599; of a listener also the proxy's own.";
    }
    apart {
        Retries retries "Connects tried again on another server.";
        ConnectFailures connect_failures "Connects that failed.";
    }
}

const COUNTS: usize = Count::ALL.len();

const REASONS: usize = CloseReason::ALL.len();

impl Count {
    /// Returns the count that a response with this status belongs to.
    #[inline]
    pub fn response(status: u16) -> Self {
        match status {
            ..200 => Self::Responses1xx,
            200..300 => Self::Responses2xx,
            300..400 => Self::Responses3xx,
            400..500 => Self::Responses4xx,
            _ => Self::Responses5xx,
        }
    }
}

/// One set of counters.
#[derive(Debug)]
pub struct Tally {
    shards: Shards<COUNTS>,
    /// Times that requests took, from their head to the last byte of the response.
    pub latency: Histogram,
}

impl Tally {
    /// Makes counters for `shards` workers (at least one).
    pub fn new(shards: usize) -> Self {
        Self { shards: Shards::new(shards), latency: Histogram::new(shards) }
    }

    /// Adds `n`. Only worker number `shard` may call this with `shard`.
    #[inline]
    pub fn add(&self, shard: usize, count: Count, n: u64) {
        self.shards.add(shard, count as usize, n);
    }

    /// Returns the sum over all workers.
    pub fn sum(&self, count: Count) -> u64 {
        self.shards.sum(count as usize)
    }
}

/// Counters of the ends of one listener's connections and exchanges by reason: one for each access record.
#[derive(Debug)]
pub struct EndTally {
    shards: Shards<REASONS>,
}

impl EndTally {
    /// Makes counters for `shards` workers (at least one).
    pub fn new(shards: usize) -> Self {
        Self { shards: Shards::new(shards) }
    }

    /// Counts one end. Only worker number `shard` may call this with `shard`.
    #[inline]
    pub fn add(&self, shard: usize, reason: CloseReason) {
        self.shards.add(shard, reason.index(), 1);
    }

    /// Sums up one reason over all workers.
    pub fn sum(&self, reason: CloseReason) -> u64 {
        self.shards.sum(reason.index())
    }
}

/// `N` counters for each worker.
#[derive(Debug)]
struct Shards<const N: usize>(Box<[CachePadded<[AtomicU64; N]>]>);

impl<const N: usize> Shards<N> {
    fn new(shards: usize) -> Self {
        let fresh = || CachePadded::new([const { AtomicU64::new(0) }; N]);
        Self((0..shards.max(1)).map(|_| fresh()).collect())
    }

    #[inline]
    fn add(&self, shard: usize, index: usize, n: u64) {
        if let Some(cells) = self.0.get(shard) {
            let cell = &cells[index];
            cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
        }
    }

    fn sum(&self, index: usize) -> u64 {
        self.0.iter().map(|cells| cells[index].load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_its_own() {
        let tally = Tally::new(2);
        for (status, count) in [
            (103, Count::Responses1xx),
            (204, Count::Responses2xx),
            (399, Count::Responses3xx),
            (400, Count::Responses4xx),
            (599, Count::Responses5xx),
        ] {
            assert_eq!(Count::response(status), count);
            tally.add(1, count, u64::from(status));
            tally.add(0, count, 1);
            assert_eq!(tally.sum(count), u64::from(status) + 1);
        }
        assert_eq!(tally.sum(Count::Requests), 0);
    }

    #[test]
    fn every_count_has_its_name_and_its_help() {
        let tally = Tally::new(1);
        for (place, count) in Count::ALL.iter().enumerate() {
            assert_eq!(*count as usize, place);
            assert!(count.help().ends_with('.'), "{}", count.name());
            tally.add(0, *count, place as u64 + 1);
        }
        let told = serde_json::to_value(tally.sums()).unwrap();
        let told = told.as_object().unwrap();
        let apart = [Count::Retries, Count::ConnectFailures];
        for count in Count::ALL.iter().filter(|count| !apart.contains(count)) {
            assert_eq!(told[count.name()], *count as u64 + 1);
        }
        assert_eq!(told.len() + apart.len(), Count::ALL.len());
    }

    #[test]
    fn every_end_is_its_own() {
        let ends = EndTally::new(2);
        for (place, reason) in CloseReason::ALL.iter().enumerate() {
            (0..=place).for_each(|times| ends.add(times % 2, *reason));
        }
        for (place, reason) in CloseReason::ALL.iter().enumerate() {
            assert_eq!(ends.sum(*reason), place as u64 + 1, "{}", reason.as_str());
        }
    }
}
