//! What is counted of the resolver. Must never hold anybody up: counters are atomic.

use std::array;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use headworks_core::names::{Resolution, Unresolved};
use serde::Serialize;

/// Counters of a resolver.
#[derive(Debug)]
pub(super) struct ResolverTally {
    asks: AtomicU64,
    answers: AtomicU64,
    cached: AtomicU64,
    stale: AtomicU64,
    datagrams: AtomicU64,
    connections: AtomicU64,
    failures: [AtomicU64; Unresolved::ALL.len()],
    waiting: AtomicUsize,
}

impl Default for ResolverTally {
    fn default() -> Self {
        Self {
            asks: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            datagrams: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            failures: array::from_fn(|_| AtomicU64::new(0)),
            waiting: AtomicUsize::new(0),
        }
    }
}

/// Counters of a resolver at one moment.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct ResolverStats {
    /// Names that were asked for.
    pub asks: u64,
    /// Asks that got endpoints.
    pub answers: u64,
    /// Asks for which no nameserver had to be waited for.
    pub cached: u64,
    /// Asks that got endpoints which hold no longer, for no nameserver answered.
    pub stale: u64,
    /// Datagrams sent to nameservers.
    pub datagrams: u64,
    /// Connections to nameservers.
    pub connections: u64,
    /// Asks that got no endpoints, by the reason; reasons that did not occur are left out.
    pub failures: BTreeMap<&'static str, u64>,
    /// Asks that wait for their reply.
    pub waiting: usize,
}

impl ResolverTally {
    /// Counts an ask.
    pub(super) fn begin(&self) {
        self.asks.fetch_add(1, Ordering::Relaxed);
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what came of it.
    pub(super) fn end(&self, outcome: &Result<Resolution, Unresolved>) {
        let counter = match outcome {
            Ok(_) => &self.answers,
            Err(failure) => &self.failures[failure.index()],
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if outcome.as_ref().is_ok_and(|resolution| resolution.stale_since.is_some()) {
            self.stale.fetch_add(1, Ordering::Relaxed);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts an ask that did not wait for a nameserver.
    pub(super) fn count_cached(&self) {
        self.cached.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a datagram.
    pub(super) fn count_datagram(&self) {
        self.datagrams.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection.
    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many asks wait for their reply.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Returns the counters as they are now.
    pub(super) fn stats(&self) -> ResolverStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ResolverStats {
            asks: read(&self.asks),
            answers: read(&self.answers),
            cached: read(&self.cached),
            stale: read(&self.stale),
            datagrams: read(&self.datagrams),
            connections: read(&self.connections),
            failures: Unresolved::ALL
                .iter()
                .map(|each| (each.as_str(), read(&self.failures[each.index()])))
                .filter(|(_, count)| *count > 0)
                .collect(),
            waiting: self.waiting(),
        }
    }
}
