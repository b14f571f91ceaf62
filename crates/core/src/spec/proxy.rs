//! `[proxy]` as plain values, as far as an engine that runs goes by it. Must never know a default.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// `[proxy]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxySpec {
    /// `[proxy.resources]`.
    pub resources: ResourcesSpec,
}

/// `[proxy.resources]`: descriptors and kernel memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourcesSpec {
    /// Descriptors kept for everything that is not a connection: polls, listeners, logs, checks, pipes,
    /// Python.
    pub reserved_descriptors: u32,
    /// How long accepting stays paused, once descriptors are used up, before it is tried again.
    pub accept_pause: Millis,
    /// Pipes in use at once, a worker; 0: bytes are always copied.
    pub max_pipes: u32,
    /// Bytes a pipe is asked to hold; unprivileged processes get less once the system's share is used up.
    pub pipe_size: u32,
    /// Times at most that a connection may come back to this process from itself.
    pub max_hops: u32,
}
