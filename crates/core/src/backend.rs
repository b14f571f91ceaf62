//! Backend (a named pool of Servers, immutable) and ServerState (what changes while running, in atomics).
//!
//! A Plan owns Backends; a ServerState is keyed by identity (backend name + server address) and handed from one Plan
//! to the next, so that a reload forgets nothing. Whether a server may be chosen is decided here and nowhere else.
//! Must never open a socket or read a clock: time is a parameter, in milliseconds of the engine's clock.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use serde::Serialize;
use smallvec::SmallVec;

use crate::address::Address;
use crate::balance::{Balance, Candidate, Memory, Seed};
use crate::tally::Tally;

/// Milliseconds of the engine's monotonic clock.
pub type Millis = u64;

/// A named pool of servers with one balancing policy.
#[derive(Debug)]
pub struct Backend {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Its servers, in file order.
    pub servers: Box<[Server]>,
    /// Chooses among the eligible servers.
    pub balance: &'static dyn Balance,
    /// Milliseconds one attempt to connect may take.
    pub connect_timeout: Millis,
    /// Other servers tried when connecting fails.
    pub retries: u32,
    /// PROXY header sent to the servers.
    pub proxy_header: Option<HeaderVersion>,
    /// Address our side is bound to before connecting.
    pub source: Option<std::net::SocketAddr>,
    /// TCP keep-alive probes towards the servers.
    pub keepalive: bool,
    /// Milliseconds from a tenth to the whole weight after a server came up.
    pub slow_start: Millis,
    /// Active checks.
    pub health: Option<Health>,
    /// Failed connects in a row that eject; 0 never ejects.
    pub eject_after: u32,
    /// Milliseconds an ejected server stays out.
    pub eject_for: Millis,
    /// Memory of the balancing policy, shared by all workers and carried over reloads.
    pub memory: Arc<Mutex<Memory>>,
    /// Counters.
    pub tally: Arc<Tally>,
}

/// Which PROXY header the servers get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderVersion {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// Active health checks of a backend, milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Between checks of one server.
    pub interval: Millis,
    /// One check.
    pub timeout: Millis,
    /// Successes in a row that bring a server up.
    pub rise: u32,
    /// Failures in a row that take a server down.
    pub fall: u32,
}

/// One server of a Backend.
#[derive(Debug)]
pub struct Server {
    /// Its address and identity.
    pub address: Address,
    /// The address as text, for logs.
    pub name: Box<str>,
    /// Hash of the name, the same on every machine; what consistent hashing keys on.
    pub identity: u64,
    /// 0 to 256.
    pub weight: u32,
    /// Chosen only when no other server is usable.
    pub backup: bool,
    /// Open connections at most.
    pub max_connections: u32,
    /// What changes while running.
    pub state: Arc<ServerState>,
}

/// Why a server is not chosen for a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unusable {
    /// Active checks took it down.
    Down,
    /// It is in maintenance.
    Maintenance,
    /// It finishes what it has and gets nothing new.
    Draining,
    /// Its weight is 0.
    NoWeight,
    /// It holds `max_connections`.
    Full,
    /// Connecting failed repeatedly; used only when nothing else is left.
    Ejected,
    /// This connection has already tried it.
    Tried,
}

/// What an operator said of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u32)]
pub enum Admin {
    /// In service.
    Ready = 0,
    /// No new connections.
    Drain = 1,
    /// No new connections and no checks.
    Maintenance = 2,
}

/// What changes while running, shared by all workers.
#[derive(Debug)]
pub struct ServerState {
    /// What active checks say.
    up: AtomicBool,
    /// [`Admin`] as a number.
    admin: AtomicU32,
    /// Weight set while running plus one; 0: the configured weight holds.
    weight_override: AtomicU32,
    /// Open or opening connections.
    active: AtomicU32,
    /// Failed connects in a row.
    failures: AtomicU32,
    /// Until when it is ejected; 0: it is not.
    ejected_until: AtomicU64,
    /// When it last came up; 0: it was never down.
    up_since: AtomicU64,
    /// Counters.
    pub tally: Tally,
}

impl ServerState {
    /// A server that is taken to be up, with `shards` counters, one a worker.
    pub fn new(shards: usize) -> Self {
        Self {
            up: AtomicBool::new(true),
            admin: AtomicU32::new(Admin::Ready as u32),
            weight_override: AtomicU32::new(0),
            active: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            up_since: AtomicU64::new(0),
            tally: Tally::new(shards),
        }
    }

    /// Whether active checks hold it to be up.
    pub fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// Open or opening connections.
    pub fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }

    /// Failed connects in a row.
    pub fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    /// What the operator said.
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
    }

    /// Overrides the configured weight, or returns to it.
    pub fn set_weight(&self, weight: Option<u32>) {
        self.weight_override.store(weight.map_or(0, |w| w.min(256) + 1), Relaxed);
    }

    /// Whether it is ejected at `now`.
    pub fn is_ejected(&self, now: Millis) -> bool {
        self.ejected_until.load(Relaxed) > now
    }

    /// Active checks took it down or brought it up; true when that is a change.
    pub fn set_up(&self, up: bool, now: Millis) -> bool {
        let changed = self.up.swap(up, Relaxed) != up;
        if changed && up {
            self.revive(now);
        }
        changed
    }

    /// A connect succeeded; true when it ends an ejection.
    pub fn connected(&self, now: Millis) -> bool {
        if self.failures.load(Relaxed) == 0 {
            return false;
        }
        self.failures.store(0, Relaxed);
        let was_ejected = self.ejected_until.swap(0, Relaxed) != 0;
        if was_ejected {
            self.up_since.store(now.max(1), Relaxed);
        }
        was_ejected
    }

    /// A connect failed; true when that ejects it until `now + duration`.
    pub fn connect_failed(&self, now: Millis, after: u32, duration: Millis) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if after == 0 || failures < after {
            return false;
        }
        let until = self.ejected_until.load(Relaxed);
        self.ejected_until.store(now + duration, Relaxed);
        until <= now
    }

    /// Takes one of `limit` places; false when there is none.
    pub fn take(&self, limit: u32) -> bool {
        if self.active.fetch_add(1, Relaxed) < limit {
            return true;
        }
        self.active.fetch_sub(1, Relaxed);
        false
    }

    /// Gives a place back.
    pub fn release(&self) {
        self.active.fetch_sub(1, Relaxed);
    }

    fn revive(&self, now: Millis) {
        self.failures.store(0, Relaxed);
        self.ejected_until.store(0, Relaxed);
        self.up_since.store(now.max(1), Relaxed);
    }
}

impl Server {
    /// The weight a new connection sees at `now`: overridden or configured, and scaled while it starts slowly.
    ///
    /// Worked example: weight 100, `slow_start` 10 s, up for 5 s: 55.
    pub fn effective_weight(&self, now: Millis, slow_start: Millis) -> u32 {
        let weight = match self.state.weight_override.load(Relaxed) {
            0 => self.weight,
            set => set - 1,
        };
        let up_since = self.state.up_since.load(Relaxed);
        let age = now.saturating_sub(up_since);
        if weight == 0 || up_since == 0 || age >= slow_start {
            return weight * SCALE;
        }
        let tenth = u64::from(weight * SCALE) / 10;
        (tenth + tenth * 9 * age / slow_start).max(1) as u32
    }

    /// Why it cannot be chosen now, or None. Whether it is a backup does not matter here.
    pub fn unusable(&self, now: Millis) -> Option<Unusable> {
        let state = &*self.state;
        match state.admin() {
            Admin::Maintenance => return Some(Unusable::Maintenance),
            Admin::Drain => return Some(Unusable::Draining),
            Admin::Ready => {}
        }
        if !state.is_up() {
            return Some(Unusable::Down);
        }
        if self.effective_weight(now, 0) == 0 {
            return Some(Unusable::NoWeight);
        }
        if state.active() >= self.max_connections {
            return Some(Unusable::Full);
        }
        state.is_ejected(now).then_some(Unusable::Ejected)
    }
}

/// Effective weights are in 1/16 so that a slow start of weight 1 is not all or nothing.
pub const SCALE: u32 = 16;

/// Servers a connection has already tried (at most `retries + 1`).
pub type Tried = SmallVec<[u16; 4]>;

impl Backend {
    /// Chooses a server for a new connection, or None when none is usable.
    ///
    /// Tiers, the first that has a usable server wins: servers, backups, ejected servers, ejected backups. A server
    /// that checks hold to be down is never chosen.
    pub fn choose(&self, seed: &Seed<'_>, tried: &Tried) -> Option<usize> {
        for (ejected, backup) in [(false, false), (false, true), (true, false), (true, true)] {
            let candidates = self.candidates(seed.now, tried, ejected, backup);
            match candidates.as_slice() {
                [] => {}
                [only] if !self.balance.counts_every_choice() => return Some(only.server),
                several => {
                    let mut memory = self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    return Some(self.balance.choose(several, seed, &mut memory));
                }
            }
        }
        None
    }

    /// Why `server` would not be chosen at `now`, for explanations.
    pub fn why_not(&self, server: usize, now: Millis) -> Option<Unusable> {
        self.servers.get(server)?.unusable(now)
    }

    fn candidates(
        &self,
        now: Millis,
        tried: &Tried,
        ejected: bool,
        backup: bool,
    ) -> SmallVec<[Candidate; 16]> {
        let wanted = ejected.then_some(Unusable::Ejected);
        self.servers
            .iter()
            .enumerate()
            .filter(|(index, server)| {
                server.backup == backup && server.unusable(now) == wanted && !tried.contains(&(*index as u16))
            })
            .map(|(index, server)| Candidate {
                server: index,
                weight: server.effective_weight(now, self.slow_start),
                active: server.state.active(),
                identity: server.identity,
            })
            .collect()
    }
}
