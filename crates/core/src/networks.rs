//! Networks: a set of IP networks that answers "is this address inside?" in time independent of its size.

use std::net::IpAddr;

/// A set of networks.
#[derive(Debug, Default, Clone)]
pub struct Networks {}

impl Networks {
    /// Parses `10.0.0.0/8`, `::1`, `192.0.2.7`; the errors are `(index, reason)`.
    pub fn parse(_written: &[String]) -> Result<Self, Vec<(usize, String)>> {
        Ok(Self {})
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Whether `address` is inside. An IPv4-mapped IPv6 address is looked up as IPv4.
    pub fn contains(&self, _address: IpAddr) -> bool {
        false
    }
}
