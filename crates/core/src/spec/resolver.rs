//! `[resolver]` as plain values. Must never know a default but those of nothing at all.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// `[resolver]`: how names of servers are resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolverSpec {
    /// Addresses of nameservers, with or without a port; empty: those of the system.
    pub nameservers: Vec<String>,
    /// Time that a nameserver has to answer; absent: as the system says.
    pub timeout: Option<Millis>,
    /// Times that each nameserver is asked; absent: as the system says.
    pub attempts: Option<usize>,
    /// The families of addresses that are wanted: `both`, `ipv4`, `ipv6`, `ipv4_first` or `ipv6_first`.
    pub families: String,
    /// Time for which an answer holds at least.
    pub min_ttl: Millis,
    /// Time for which an answer holds at most.
    pub max_ttl: Millis,
    /// Time for which an answer is used after that while no nameserver answers.
    pub stale: Millis,
    /// The file of hosts.
    pub hosts: String,
    /// The configuration of the system's resolver.
    pub resolv_conf: String,
}

impl Default for ResolverSpec {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            timeout: None,
            attempts: None,
            families: "both".into(),
            min_ttl: 1_000,
            max_ttl: 3_600_000,
            stale: 86_400_000,
            hosts: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
        }
    }
}
