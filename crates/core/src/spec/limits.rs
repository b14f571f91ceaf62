//! Limits on the connections of a listener as plain values: how many may come in a time, and how many bytes
//! they may move. Must never know a default.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// `[listeners.NAME.connection_rate]`: a token bucket for each network that clients come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionRateSpec {
    /// Connections that one client network may open in `per`.
    pub connections: u32,
    /// The time in which they count.
    pub per: Millis,
    /// Connections that may come at once after a silence; absent: as many as `connections`.
    pub burst: Option<u32>,
    /// Bits of an IPv4 address that are one client.
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that are one client.
    pub ipv6_prefix: u8,
    /// Client networks that are not counted.
    pub exempt: Vec<String>,
    /// Client networks remembered at most, over all workers.
    pub keys: u32,
}

/// `[listeners.NAME.bandwidth]`: bytes a second.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandwidthSpec {
    /// Limits of each connection.
    pub per_connection: Option<RatesSpec>,
    /// Limits of all connections of the listener together.
    pub listener: Option<RatesSpec>,
}

/// Bytes a second in both directions, each by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatesSpec {
    /// From clients; absent: no limit.
    pub upload: Option<u64>,
    /// To clients; absent: no limit.
    pub download: Option<u64>,
}
