//! Tally: counters of one listener, backend or server, one shard a worker, summed on read.
//!
//! A shard is written by its worker alone, so a plain load and store (no locked instruction) is enough.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

use crate::histogram::Histogram;

/// What is counted. Every name is a key of `stats()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Connections accepted (listener) or opened (backend, server).
    Connections,
    /// Connections that have ended.
    Ended,
    /// Bytes received from clients.
    BytesIn,
    /// Bytes sent to clients.
    BytesOut,
    /// Connections refused or failed for any fault.
    Failed,
    /// Connections closed because an address or a limit denied them.
    Denied,
    /// Attempts on another server.
    Retries,
    /// Attempts to connect that failed.
    ConnectFailures,
    /// Requests.
    Requests,
    /// Informational responses.
    Responses1xx,
    /// Successes.
    Responses2xx,
    /// Redirections.
    Responses3xx,
    /// Responses that blame the client.
    Responses4xx,
    /// Responses that blame the server.
    Responses5xx,
}

const COUNTS: usize = 14;

impl Count {
    /// The count that a response with this status belongs to.
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
    shards: Box<[CachePadded<[AtomicU64; COUNTS]>]>,
    /// How long requests took, from their head to the last byte of the response.
    pub latency: Histogram,
}

impl Tally {
    /// Counters for `shards` workers (at least one).
    pub fn new(shards: usize) -> Self {
        Self {
            shards: (0..shards.max(1)).map(|_| CachePadded::default()).collect(),
            latency: Histogram::new(shards),
        }
    }

    /// Adds `n`. Only worker number `shard` may call this with `shard`.
    #[inline]
    pub fn add(&self, shard: usize, count: Count, n: u64) {
        if let Some(cells) = self.shards.get(shard) {
            let cell = &cells[count as usize];
            cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
        }
    }

    /// The sum over all workers.
    pub fn sum(&self, count: Count) -> u64 {
        self.shards.iter().map(|cells| cells[count as usize].load(Relaxed)).sum()
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
}
