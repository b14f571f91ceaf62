//! Tally: counters of one listener, backend or server, one shard a worker, summed on read.
//!
//! A shard is written by its worker alone, so a plain load and store (no locked instruction) is enough.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

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
}

const COUNTS: usize = 9;

/// One set of counters.
#[derive(Debug)]
pub struct Tally {
    shards: Box<[CachePadded<[AtomicU64; COUNTS]>]>,
}

impl Tally {
    /// Counters for `shards` workers (at least one).
    pub fn new(shards: usize) -> Self {
        Self { shards: (0..shards.max(1)).map(|_| CachePadded::default()).collect() }
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
