//! PROXY headers in front of what the client says: required from listed sources, refused from all others.

use std::net::SocketAddr;

use super::{Analyzer, Facts, Verdict};
use crate::close::CloseReason;
use crate::wire::proxy_protocol::{self, HeaderParsed, LIMIT};

/// Whether a client begins with a PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderRule {
    /// The listener knows no PROXY headers.
    Unknown,
    /// The source must send one.
    Required,
    /// The source may not send one.
    Forbidden,
}

/// Demands a PROXY header and takes the client's addresses from it.
#[derive(Debug)]
pub struct ProxyHeader;

impl Analyzer for ProxyHeader {
    fn name(&self) -> &'static str {
        "proxy_header"
    }

    fn inspect(&self, held: &[u8], facts: &mut Facts) -> Verdict {
        match proxy_protocol::parse(held) {
            HeaderParsed::Partial if held.len() < LIMIT => Verdict::Wait { need: held.len() + 1 },
            HeaderParsed::Partial | HeaderParsed::Invalid => Verdict::Reject(CloseReason::BadRequest),
            HeaderParsed::Complete { length, addresses } => {
                if let Some((client, local)) = addresses {
                    facts.client = Some(canonical(client));
                    facts.local = Some(canonical(local));
                }
                Verdict::Pass { consumed: length }
            }
        }
    }
}

/// Turns an IPv4-mapped IPv6 address into an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Refuses a PROXY header from a source that may not send one.
#[derive(Debug)]
pub struct NoProxyHeader;

impl Analyzer for NoProxyHeader {
    fn name(&self) -> &'static str {
        "no_proxy_header"
    }

    fn inspect(&self, held: &[u8], _facts: &mut Facts) -> Verdict {
        match proxy_protocol::begins_header(held) {
            None => Verdict::Wait { need: held.len() + 1 },
            Some(true) => Verdict::Reject(CloseReason::BadRequest),
            Some(false) => Verdict::Pass { consumed: 0 },
        }
    }
}
