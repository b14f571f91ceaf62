//! Host and port, as in Host and in request targets (RFC 9110 section 7.2, RFC 3986 section 3.2). Must never
//! accept what two readers could take for two hosts.

use std::net::Ipv6Addr;

/// The longest name of a host, and a final dot.
const LONGEST: usize = 254;

/// A host and the port after it.
#[derive(Clone, Copy)]
pub(crate) struct Authority<'a> {
    host: &'a [u8],
    pub port: Option<u16>,
}

impl Authority<'_> {
    /// Whether both stand for the same place; `default` is the port that goes without saying.
    pub(crate) fn agrees(&self, other: &Self, default: Option<u16>) -> bool {
        let same_port = match default {
            Some(_) => self.port.or(default) == other.port.or(default),
            None => self.port == other.port,
        };
        same_port && self.same_host(other)
    }

    /// Whether both name the same host.
    pub(crate) fn same_host(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
    }
}

/// Reads `host`, `host:port`, `[address]` or `[address]:port`.
///
/// Stricter than the standard, which allows percent-encoding, sub-delims (a comma among them), an empty port
/// and addresses of the future: nobody needs them, and readers differ.
pub(crate) fn read(text: &[u8]) -> Option<Authority<'_>> {
    let host_length = if text.first() == Some(&b'[') {
        let close = text.iter().position(|byte| *byte == b']')?;
        std::str::from_utf8(&text[1..close]).ok()?.parse::<Ipv6Addr>().ok()?;
        close + 1
    } else {
        read_name(text)?
    };
    let (host, rest) = text.split_at(host_length);
    let port = match rest.split_first() {
        None => None,
        Some((b':', digits)) => Some(read_port(digits)?),
        Some(_) => return None,
    };
    Some(Authority { host, port })
}

/// Reads the name in front and returns its length: labels of letters, digits, `-`, `_` and `~`, separated by
/// single dots.
#[inline]
fn read_name(text: &[u8]) -> Option<usize> {
    let host = headworks_scan::host(text);
    (host.sound && (1..=LONGEST).contains(&host.end) && matches!(text.get(host.end), None | Some(b':')))
        .then_some(host.end)
}

/// Reads 1 to 5 digits, at most 65535.
fn read_port(digits: &[u8]) -> Option<u16> {
    let plain = (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}
