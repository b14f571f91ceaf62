//! Host: whether the connection that a request came by was opened for the host that it asks for.
//!
//! A connection vouches for the name its client asked for in the handshake and for the names of the certificate it was shown;
//! what is asked of another host on it is misdirected (RFC 9110 section 7.4). Must never allocate: every request is asked.

use std::net::{IpAddr, Ipv6Addr};

use super::{Certificate, Termination, TlsFacts};
use crate::http::facts::without_port;

/// Whether a certificate with these names is one for `host`, as a request gives it: any case, a port, a trailing dot, an
/// IPv6 address in brackets.
///
/// A wildcard stands for exactly one label, the leftmost, and never for an address (RFC 9525 section 6.3).
pub fn covers(names: &[Box<str>], host: &[u8]) -> bool {
    let host = bare(host);
    match address(host) {
        Some(address) => names.iter().any(|name| name.parse() == Ok(address)),
        None => !host.is_empty() && names.iter().any(|name| is_for(name.as_bytes(), host)),
    }
}

impl Termination {
    /// Whether a request for `host` (its Host field; empty where it names none) came by a connection that was opened for
    /// another host, so that it gets 421.
    pub fn misdirected(&self, tls: &TlsFacts, host: &[u8]) -> bool {
        // Without a host nothing is asked of another one: the table decides.
        if !self.check_host || host.is_empty() {
            return false;
        }
        let name = tls.name.as_deref().unwrap_or_default().as_bytes();
        if !name.is_empty() && bare(host).eq_ignore_ascii_case(bare(name)) {
            return false;
        }
        match tls.certificate.and_then(|index| self.certificates.get(index as usize)) {
            Some(presented) => !covers(&presented.names, host),
            None => !self.could_be_shown(name, |certificate| covers(&certificate.names, host)),
        }
    }

    /// The certificate for a client that asks for `name`, or for none: one with that very name, else one with a wildcard for it,
    /// else the first. None: the client is refused, because `strict_sni` is on. Where several are as good, which of them the
    /// client can verify decides; this is the first.
    pub fn presented(&self, name: Option<&str>) -> Option<u32> {
        let named = name.and_then(|name| {
            let host = bare(name.as_bytes());
            let is_exact =
                |one: &Certificate| one.names.iter().any(|known| host.eq_ignore_ascii_case(known.as_bytes()));
            let exact = self.certificates.iter().position(is_exact);
            exact.or_else(|| self.certificates.iter().position(|one| covers(&one.names, name.as_bytes())))
        });
        let default = (!self.strict_sni && !self.certificates.is_empty()).then_some(0);
        named.or(default).map(|index| index as u32)
    }

    /// Whether one of the certificates that a client which asks for `name` could be shown is such. That is what is left to
    /// ask where a session was resumed: no certificate was shown then.
    fn could_be_shown(&self, name: &[u8], is_such: impl Fn(&Certificate) -> bool) -> bool {
        let mut named = self.certificates.iter().filter(|one| covers(&one.names, name)).peekable();
        match named.peek() {
            Some(_) => named.any(is_such),
            None => self.certificates.first().is_some_and(is_such),
        }
    }
}

/// A host without port and trailing dot.
fn bare(host: &[u8]) -> &[u8] {
    let host = without_port(host);
    host.strip_suffix(b".").unwrap_or(host)
}

/// The address that a host is, if it is one.
fn address(host: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(host).ok()?;
    match text.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        // Only what ends in a digit can be one: the parser need not look at every name.
        None if text.ends_with(|last: char| last.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

fn is_for(name: &[u8], host: &[u8]) -> bool {
    match name.strip_prefix(b"*") {
        Some(parent) => {
            let first = host.iter().position(|byte| *byte == b'.').unwrap_or(0);
            first > 0 && parent.len() > 1 && host[first..].eq_ignore_ascii_case(parent)
        }
        None => host.eq_ignore_ascii_case(name),
    }
}
