//! Host: the name that a client asks for, as it is written in requests: its port, its trailing dot, its case,
//! and whether a certificate is one for it.
//!
//! Plain functions on bytes, called for every request: must never allocate, and know no other room.

use std::net::{IpAddr, Ipv6Addr};

/// Whether a certificate with these names is one for `host`, as a request gives it: any case, a port, a
/// trailing dot, an IPv6 address in brackets.
///
/// A wildcard stands for exactly one label, the leftmost, and never for an address (RFC 9525 section 6.3).
pub fn covers(names: &[Box<str>], host: &[u8]) -> bool {
    let host = bare(host);
    match address(host) {
        Some(address) => names.iter().any(|name| name.parse() == Ok(address)),
        None => !host.is_empty() && names.iter().any(|name| is_for(name.as_bytes(), host)),
    }
}

/// Returns a host without its port: `[::1]:80` is `[::1]`.
pub fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| matches!(byte, b':' | b']')) {
        Some(at) if host[at] == b':' => &host[..at],
        _ => host,
    }
}

/// Returns a host without port and trailing dot.
pub fn bare(host: &[u8]) -> &[u8] {
    let host = without_port(host);
    host.strip_suffix(b".").unwrap_or(host)
}

/// Writes a host without its port, in lower case and without a trailing dot: as tables know it. Codecs let
/// nothing but ASCII through.
pub fn write_name(name: &mut String, host: &[u8]) {
    let end = match host.first() {
        Some(b'[') => host.iter().position(|byte| *byte == b']').map_or(host.len(), |at| at + 1),
        _ => host.iter().position(|byte| *byte == b':').unwrap_or(host.len()),
    };
    let host = host[..end].strip_suffix(b".").unwrap_or(&host[..end]);
    let start = name.len();
    match std::str::from_utf8(host) {
        Ok(host) => name.push_str(host),
        Err(_) => name.extend(host.iter().copied().map(char::from)),
    }
    name[start..].make_ascii_lowercase();
}

/// Returns the address that a host is, if it is one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (host, expected) in [
            ("Shop.Example.COM:8080", "shop.example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("[2001:DB8::1]:80", "[2001:db8::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            let mut name = String::new();
            write_name(&mut name, host.as_bytes());
            assert_eq!(name, expected);
        }
    }

    #[test]
    fn ports_are_taken_off() {
        for (host, bare) in [
            ("a.example:80", "a.example"),
            ("a.example", "a.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(without_port(host.as_bytes()), bare.as_bytes());
        }
    }
}
