//! The PROXY protocol, versions 1 and 2: read from a balancer in front of us, written to servers behind us.

use std::net::SocketAddr;

use crate::backend::HeaderVersion;

/// What the bytes held so far are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// Could still become a header.
    Partial,
    /// A whole header of `length` bytes.
    Complete {
        /// Bytes to take away before what follows is looked at.
        length: usize,
        /// Source and destination of the original connection; None for LOCAL and UNKNOWN.
        addresses: Option<(SocketAddr, SocketAddr)>,
    },
    /// No further bytes can make this a header.
    Invalid,
}

/// The longest header accepted, in bytes.
pub const LIMIT: usize = 16 + 2048;

/// Parses the bytes held so far, oldest first.
pub fn parse(_held: &[u8]) -> Parsed {
    Parsed::Invalid
}

/// Whether the bytes could be the beginning of a header: a client that may not send one is refused when they are a
/// whole signature. `None`: too few bytes to tell.
pub fn begins_header(_held: &[u8]) -> Option<bool> {
    Some(false)
}

/// Appends a header that announces `client` connected to `local`. Addresses of two families, or none (unix sockets),
/// give `UNKNOWN` (version 1) or `LOCAL` (version 2).
pub fn write(
    _version: HeaderVersion,
    _client: Option<SocketAddr>,
    _local: Option<SocketAddr>,
    _out: &mut Vec<u8>,
) {
}
