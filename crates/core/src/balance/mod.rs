//! Balance: choosing one server among candidates that may all be chosen.
//!
//! An algorithm is one file and one line in [`REGISTRY`]. Must never ask whether a server is up: every
//! [`Candidate`] is usable (see `backend.rs`).

mod header_hash;
mod host_hash;
mod least_connections;
mod path_hash;
mod random;
mod ready;
mod rendezvous;
mod round_robin;
mod source_hash;
mod turns;
mod two_choices;

use std::fmt::Debug;
use std::net::IpAddr;

use crate::time::Millis;

pub use ready::Ready;
pub use rendezvous::identity;

/// Every algorithm, by its name in the configuration.
pub static REGISTRY: &[&dyn Balance] = &[
    &round_robin::RoundRobin,
    &least_connections::LeastConnections,
    &random::Random,
    &two_choices::TwoChoices,
    &source_hash::SourceHash,
    &host_hash::HostHash,
    &path_hash::PathHash,
    &header_hash::HeaderHash,
];

/// One balancing algorithm.
pub trait Balance: Debug + Sync {
    /// Returns the algorithm's name in the configuration.
    fn name(&self) -> &'static str;

    /// Returns the [`Candidate::server`] chosen. `candidates` is not empty and every weight is at least 1.
    fn choose(&self, candidates: &[Candidate], seed: &Seed<'_>, memory: &mut Memory) -> usize;

    /// Returns what [`choose`](Self::choose) would, of candidates that are kept between choices, and mostly
    /// for less. `active`: the open connections of a server now.
    fn choose_ready(&self, ready: &mut Ready, seed: &Seed<'_>, active: &dyn Fn(usize) -> u32) -> usize {
        let (candidates, memory) = ready.refreshed(active);
        self.choose(candidates, seed, memory)
    }

    /// Whether a choice must be made (and remembered) even when there is one candidate.
    fn counts_every_choice(&self) -> bool {
        false
    }

    /// Whether what it hashes is a request's, so that it is of no use where there are none.
    fn asks_request(&self) -> bool {
        false
    }

    /// Whether it uses the [`Memory`].
    fn remembers(&self) -> bool {
        false
    }
}

/// A server that may be chosen.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Index in the backend's servers.
    pub server: usize,
    /// Effective weight, at least 1 (in units of 1/16, see [`SCALE`](crate::pool::SCALE)).
    pub weight: u32,
    /// Open connections.
    pub active: u32,
    /// Hash of the server's address: stable over reloads, restarts and machines.
    pub identity: u64,
}

/// The seed of a choice: all that it may depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seed<'a> {
    /// The client's address (from the PROXY header where there is one); None for a unix client.
    pub client: Option<IpAddr>,
    /// The name the client asked for, lower case; None when there is none.
    pub host: Option<&'a str>,
    /// The path and query of the request as it was sent; None for a connection.
    pub path: Option<&'a [u8]>,
    /// The value of the backend's `hash_header`; None when the request has no such field.
    pub header: Option<&'a [u8]>,
    /// A fresh random number.
    pub random: u64,
    /// The clock.
    pub now: Millis,
}

/// The memory of an algorithm between choices, in server order; sized by its backend.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Smooth weighted round robin: current weight of each server.
    pub current: Vec<i64>,
}

impl Memory {
    /// Returns the current weight of `server`.
    fn of(&mut self, server: usize) -> &mut i64 {
        if self.current.len() <= server {
            self.current.resize(server + 1, 0);
        }
        &mut self.current[server]
    }
}

/// Whether `one` has fewer connections for its weight than `other`.
fn less_loaded(one: &Candidate, other: &Candidate) -> bool {
    u64::from(one.active) * u64::from(other.weight) < u64::from(other.active) * u64::from(one.weight)
}

/// Returns the algorithm called `name`.
pub fn find(name: &str) -> Option<&'static dyn Balance> {
    REGISTRY.iter().copied().find(|balance| balance.name() == name)
}

#[cfg(test)]
mod testing {
    use super::{Candidate, Seed};

    pub(super) fn candidate(server: usize, weight: u32, active: u32) -> Candidate {
        Candidate { server, weight, active, identity: super::identity(&format!("192.0.2.{server}:80")) }
    }

    pub(super) fn seed(random: u64) -> Seed<'static> {
        Seed { random, ..Seed::default() }
    }
}
