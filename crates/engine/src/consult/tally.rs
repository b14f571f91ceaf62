//! Tally: what is counted of one analyzer, by workers and by those who answer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use headworks_core::close::ConsultFault;
use headworks_core::consult::Advice;
use headworks_core::histogram::Histogram;
use serde::Serialize;

/// The end of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered.
    Answered,
    /// There is no answer.
    Failed(ConsultFault),
    /// The client is gone.
    Cancelled,
}

impl Outcome {
    /// Returns the end that an answer is.
    pub(crate) fn of(advice: &Advice) -> Self {
        advice.fault.map_or(Self::Answered, Self::Failed)
    }
}

/// Counters of one analyzer.
#[derive(Debug)]
pub(super) struct DeskTally {
    asked: AtomicU64,
    answered: AtomicU64,
    failed: [AtomicU64; ConsultFault::ALL.len()],
    cancelled: AtomicU64,
    /// Microseconds of the interpreter.
    busy: AtomicU64,
    /// Microseconds from question to answer.
    times: Histogram,
}

/// Counts of one analyzer, at one moment.
#[derive(Debug, Serialize)]
pub struct DeskStats {
    /// Questions, with those that found no place.
    pub asked: u64,
    /// Answers that came in time.
    pub answered: u64,
    /// Exceptions, and answers that could not be given there.
    pub failed: u64,
    /// Answers that did not come in time.
    pub timed_out: u64,
    /// Questions that found no place.
    pub overflown: u64,
    /// Questions whose client left.
    pub cancelled: u64,
    /// Connections and exchanges that wait.
    pub parked: u64,
    /// Milliseconds that Python worked on answers.
    pub busy_ms: u64,
    /// Milliseconds that half of all answers took at most.
    pub latency_p50_ms: f64,
    /// The same for 99 in a hundred.
    pub latency_p99_ms: f64,
}

impl DeskTally {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            failed: Default::default(),
            cancelled: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            times: Histogram::new(shards),
        }
    }

    pub(super) fn asked(&self) {
        self.asked.fetch_add(1, Relaxed);
    }

    pub(super) fn ended(&self, shard: usize, outcome: Outcome, since: Instant) {
        match outcome {
            Outcome::Answered => {
                self.answered.fetch_add(1, Relaxed);
                self.times.record(shard, u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            Outcome::Failed(fault) => {
                self.failed[fault as usize].fetch_add(1, Relaxed);
            }
            Outcome::Cancelled => {
                self.cancelled.fetch_add(1, Relaxed);
            }
        }
    }

    pub(super) fn overflown(&self) {
        self.failed[ConsultFault::Full as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn worked(&self, micros: u64) {
        self.busy.fetch_add(micros, Relaxed);
    }

    pub(super) fn stats(&self, parked: u64) -> DeskStats {
        let failed = |fault: ConsultFault| self.failed[fault as usize].load(Relaxed);
        let times = self.times.sum();
        let quantile = |part: f64| times.quantile(part) / 1000.0;
        DeskStats {
            asked: self.asked.load(Relaxed),
            answered: self.answered.load(Relaxed),
            failed: [ConsultFault::Raised, ConsultFault::Verdict, ConsultFault::Stopping]
                .map(failed)
                .iter()
                .sum(),
            timed_out: failed(ConsultFault::Late),
            overflown: failed(ConsultFault::Full),
            cancelled: self.cancelled.load(Relaxed),
            parked,
            busy_ms: self.busy.load(Relaxed) / 1000,
            latency_p50_ms: quantile(0.5),
            latency_p99_ms: quantile(0.99),
        }
    }
}
