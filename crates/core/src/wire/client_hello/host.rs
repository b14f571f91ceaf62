//! The host name of a server_name extension: checked, and brought to the one spelling tables use. Must never
//! let through a name that a log, a table or a server could read in another way.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Defect, ServerName};

const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Reads a HostName (RFC 6066 section 3): letters, digits, `-` and `_` in labels of 1 to 63 bytes (RFC 1035
/// section 2.3.4). One trailing dot is dropped, letters become lower case. IP literals, also in brackets, are
/// no names.
pub(super) fn read(name: &[u8]) -> Result<ServerName, Defect> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Defect::HostName);
    }
    let text = std::str::from_utf8(name).map_err(|_| Defect::HostName)?;
    if is_literal(text) {
        return Ok(ServerName::Literal);
    }
    check_labels(name)?;
    Ok(ServerName::Host(text.to_ascii_lowercase().into_boxed_str()))
}

fn is_literal(name: &str) -> bool {
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    // Only these can be literals: the parsers need not look at every name.
    let ends_in_digit = inner.bytes().next_back().is_some_and(|last| last.is_ascii_digit());
    (ends_in_digit && inner.parse::<Ipv4Addr>().is_ok())
        || (inner.contains(':') && inner.parse::<Ipv6Addr>().is_ok())
}

fn check_labels(name: &[u8]) -> Result<(), Defect> {
    let mut label = 0;
    for &byte in name {
        match byte {
            b'.' if label == 0 => return Err(Defect::HostName),
            b'.' => label = 0,
            _ if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') => label += 1,
            _ => return Err(Defect::HostName),
        }
        if label > LONGEST_LABEL {
            return Err(Defect::HostName);
        }
    }
    if label == 0 { Err(Defect::HostName) } else { Ok(()) }
}
