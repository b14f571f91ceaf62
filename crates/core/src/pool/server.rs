//! Server: one address with a weight, and why it cannot be chosen.
//!
//! Whether a server may be chosen now is decided here and nowhere else. Must never choose one: backends do.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use crate::address::Address;
use crate::balance;
use crate::pool::{Admin, Locator, ServerState};
use crate::spec::ServerSpec;
use crate::time::{Millis, NEVER};

/// One server of a Backend, immutable but for its state.
#[derive(Debug)]
pub struct Server {
    /// The address, which is what it is known by.
    pub address: Address,
    /// The address as text, for logs.
    pub name: Box<str>,
    /// Hash of the name, the same on every machine; the key of consistent hashing, affinity and retries.
    pub identity: u64,
    /// 0 to 256.
    pub weight: u32,
    /// Chosen only when no other server is usable.
    pub backup: bool,
    /// Open connections at most.
    pub max_connections: u32,
    /// The state that changes while running.
    pub state: Arc<ServerState>,
}

/// A server as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// The address, which is what it is known by.
    pub address: Address,
    /// 0 to 256.
    pub weight: u32,
    /// Chosen only when no other server is usable.
    pub backup: bool,
    /// Open connections at most.
    pub max_connections: u32,
}

/// A reason why a server is not chosen for a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unusable {
    /// Active checks took it down.
    Down,
    /// The server is in maintenance.
    Maintenance,
    /// The server finishes what it has and gets nothing new.
    Draining,
    /// The server's weight is 0.
    NoWeight,
    /// The server holds `max_connections`.
    Full,
    /// Connecting failed or its responses were errors repeatedly; used only when nothing else is left.
    Ejected,
    /// The connection has already tried the server.
    Tried,
}

impl Unusable {
    /// Returns the reason in words that follow "it".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "is down",
            Self::Maintenance => "is in maintenance",
            Self::Draining => "is draining",
            Self::NoWeight => "has weight 0",
            Self::Full => "holds max_connections",
            Self::Ejected => "is ejected after failures",
            Self::Tried => "was tried already",
        }
    }
}

impl ServerSettings {
    /// Reads what is written of a server that is given while running, which has an address; the error says
    /// what is wrong.
    pub fn read(spec: &ServerSpec) -> Result<Self, String> {
        if spec.weight > 256 {
            return Err(format!("weight: {} is more than 256", spec.weight));
        }
        let Locator::Address(address) = Locator::parse(&spec.address)? else {
            return Err(format!("\"{}\" is a name: its address is needed", spec.address));
        };
        let max_connections = spec.max_connections.unwrap_or(u32::MAX);
        Ok(Self { address, weight: spec.weight, backup: spec.backup, max_connections })
    }
}

impl Server {
    /// Makes a server with these settings, and a state that it may have had before.
    pub fn new(settings: ServerSettings, state: Arc<ServerState>) -> Self {
        let ServerSettings { address, weight, backup, max_connections } = settings;
        let name = address.to_string().into_boxed_str();
        Self { identity: balance::identity(&name), name, address, weight, backup, max_connections, state }
    }

    /// Returns the settings it was made with.
    pub fn settings(&self) -> ServerSettings {
        let Self { weight, backup, max_connections, .. } = *self;
        ServerSettings { address: self.address.clone(), weight, backup, max_connections }
    }

    /// Returns the weight a new connection sees at `now`: overridden or configured, and scaled while it
    /// starts slowly.
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
        // In u128 and divided last: any duration is safe, and weight 1 climbs to the whole without a leap.
        let (age, slow_start) = (u128::from(age), u128::from(slow_start));
        let scaled = u128::from(weight * SCALE) * (slow_start + 9 * age) / (10 * slow_start);
        scaled.max(1) as u32
    }

    /// Returns when the passing of time alone may next change whether it is chosen, or how often: NEVER if it
    /// does not.
    pub(super) fn next_change(&self, now: Millis, slow_start: Millis) -> Millis {
        let ejected = self.state.ejected_until();
        let ejection = if ejected > now { ejected } else { NEVER };
        let up_since = self.state.up_since.load(Relaxed);
        // A slow start goes on in small steps.
        let climbs = up_since != 0 && now.saturating_sub(up_since) < slow_start;
        let step = if climbs { now.saturating_add((slow_start / 64).max(1)) } else { NEVER };
        ejection.min(step)
    }

    /// Returns the reason why the server cannot be chosen now, or None. Whether it is a backup does not
    /// matter here.
    pub fn unusable(&self, now: Millis) -> Option<Unusable> {
        match self.barred(now) {
            None | Some(Unusable::Ejected) if self.state.active() >= self.max_connections => {
                Some(Unusable::Full)
            }
            reason => reason,
        }
    }

    /// Returns the reason why the server cannot be chosen now whether it has a place or not.
    pub(super) fn barred(&self, now: Millis) -> Option<Unusable> {
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
        state.is_ejected(now).then_some(Unusable::Ejected)
    }
}

/// Effective weights are in 1/16 so that a slow start of weight 1 is not all or nothing.
pub const SCALE: u32 = 16;
