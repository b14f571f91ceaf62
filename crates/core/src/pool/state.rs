//! ServerState: what changes of a server while running, in atomics.
//!
//! Keyed by identity and handed from one Plan to the next, so that a reload forgets nothing. Must never read
//! a clock: time is a parameter, in milliseconds of the engine's clock.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use serde::Serialize;

use crate::tally::Tally;
use crate::time::Millis;

/// An operator's word on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u32)]
pub enum Admin {
    /// The server is in service.
    Ready = 0,
    /// No new connections.
    Drain = 1,
    /// No new connections and no checks.
    Maintenance = 2,
}

/// The state of a server that changes while running, shared by all workers.
#[derive(Debug)]
pub struct ServerState {
    /// The word of the active checks: the server is up.
    up: AtomicBool,
    /// [`Admin`] as a number.
    admin: AtomicU32,
    /// Weight set while running plus one; 0: the configured weight holds.
    pub(super) weight_override: AtomicU32,
    /// Open or opening connections.
    active: AtomicU32,
    /// Failed connects in a row.
    failures: AtomicU32,
    /// Until when it is ejected; 0: it is not.
    ejected_until: AtomicU64,
    /// Responses of 500 and above in a row.
    bad_responses: AtomicU32,
    /// Until when its responses have it ejected, which no connect ends; 0: they do not.
    responses_eject_until: AtomicU64,
    /// Time at which the server last came up; 0: it was never down.
    pub(super) up_since: AtomicU64,
    /// Counters.
    pub tally: Tally,
}

/// How often the state of any server of this process has changed in a way that may let it be chosen, or not.
/// One number for all: such changes are rare, and each makes workers look at every server once.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Returns how often the state of any server has changed. A worker that sees the same number twice sees the
/// same states, but for the passing of time and for places taken.
#[inline]
pub(super) fn changes() -> u64 {
    CHANGES.load(Acquire)
}

/// Notes a change; returns its number, which no other change has.
pub(super) fn changed() -> u64 {
    CHANGES.fetch_add(1, Release) + 1
}

impl ServerState {
    /// Makes a server that is taken to be up, with `shards` counters, one a worker.
    pub fn new(shards: usize) -> Self {
        Self {
            up: AtomicBool::new(true),
            admin: AtomicU32::new(Admin::Ready as u32),
            weight_override: AtomicU32::new(0),
            active: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            bad_responses: AtomicU32::new(0),
            responses_eject_until: AtomicU64::new(0),
            up_since: AtomicU64::new(0),
            tally: Tally::new(shards),
        }
    }

    /// Whether active checks hold it to be up.
    pub fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// Returns the number of open or opening connections.
    pub fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }

    /// Returns the number of failed connects in a row.
    pub fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    /// Returns what the operator said.
    pub fn admin(&self) -> Admin {
        match self.admin.load(Relaxed) {
            1 => Admin::Drain,
            2 => Admin::Maintenance,
            _ => Admin::Ready,
        }
    }

    /// Sets what the operator says.
    pub fn set_admin(&self, admin: Admin) {
        self.admin.store(admin as u32, Relaxed);
        changed();
    }

    /// Overrides the configured weight, or returns to it.
    pub fn set_weight(&self, weight: Option<u32>) {
        self.weight_override.store(weight.map_or(0, |w| w.min(256) + 1), Relaxed);
        changed();
    }

    /// Whether it is ejected at `now`.
    pub fn is_ejected(&self, now: Millis) -> bool {
        self.ejected_until.load(Relaxed) > now || self.responses_eject_until.load(Relaxed) > now
    }

    /// Returns when its ejection ends by time; a moment that is over where it is not ejected.
    pub(super) fn ejected_until(&self) -> Millis {
        self.ejected_until.load(Relaxed).max(self.responses_eject_until.load(Relaxed))
    }

    /// Notes that active checks took the server down or brought it up; returns true when it is a change.
    pub fn set_up(&self, up: bool, now: Millis) -> bool {
        let is_change = self.up.swap(up, Relaxed) != up;
        if is_change && up {
            self.revive(now);
        }
        if is_change {
            changed();
        }
        is_change
    }

    /// Takes it to be up until checks say otherwise.
    pub(super) fn assume_up(&self) {
        self.up.store(true, Relaxed);
        changed();
    }

    /// Notes a connect that succeeded; returns true when it ends an ejection.
    pub fn connected(&self, now: Millis) -> bool {
        if self.failures.load(Relaxed) == 0 {
            return false;
        }
        self.failures.store(0, Relaxed);
        let was_ejected = self.ejected_until.swap(0, Relaxed) != 0;
        if was_ejected {
            self.up_since.store(now.max(1), Relaxed);
            changed();
        }
        was_ejected
    }

    /// Notes a connect that failed; returns true when it ejects the server until `now + duration`.
    pub fn connect_failed(&self, now: Millis, after: u32, duration: Millis) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if after == 0 || failures < after {
            return false;
        }
        let until = self.ejected_until.load(Relaxed);
        self.ejected_until.store(now.saturating_add(duration), Relaxed);
        changed();
        until <= now
    }

    /// Notes the answer to a request; returns true when it ejects the server until `now + duration`.
    ///
    /// A response below 500 ends the run but no ejection: it may be to a request from before. An ejection
    /// ends by time, and one more bad response ejects again.
    pub fn answered(&self, status: u16, now: Millis, after: u32, duration: Millis) -> bool {
        if status < 500 {
            // Read first: this is shared by all workers and nearly always 0.
            if self.bad_responses.load(Relaxed) != 0 {
                self.bad_responses.store(0, Relaxed);
            }
            return false;
        }
        if after == 0 || self.bad_responses.fetch_add(1, Relaxed).saturating_add(1) < after {
            return false;
        }
        let until = self.responses_eject_until.swap(now.saturating_add(duration), Relaxed);
        changed();
        until <= now
    }

    /// Takes one of `limit` places; false when there is none.
    pub fn take(&self, limit: u32) -> bool {
        // Not add, compare and take back: in between, others would see a place taken that is free.
        self.active.fetch_update(Relaxed, Relaxed, |active| (active < limit).then_some(active + 1)).is_ok()
    }

    /// Gives a place back.
    pub fn release(&self) {
        self.active.fetch_sub(1, Relaxed);
    }

    fn revive(&self, now: Millis) {
        self.failures.store(0, Relaxed);
        self.ejected_until.store(0, Relaxed);
        self.bad_responses.store(0, Relaxed);
        self.responses_eject_until.store(0, Relaxed);
        self.up_since.store(now.max(1), Relaxed);
    }
}
