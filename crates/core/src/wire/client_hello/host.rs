//! The host name of a server_name extension: checked, and brought to the one spelling tables use. Must never
//! let through a name that a log, a table or a server could read in another way.

use std::net::IpAddr;

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
    let text = headworks_scan::ascii(name).ok_or(Defect::HostName)?;
    let sound = has_labels(text);
    // No other can be a literal: the parsers need not look at every name.
    let may_be_literal = !sound || text.ends_with(|last: char| last.is_ascii_digit());
    if may_be_literal && is_literal(text) {
        return Ok(ServerName::Literal);
    }
    if sound {
        Ok(ServerName::Host(text.to_ascii_lowercase().into_boxed_str()))
    } else {
        Err(Defect::HostName)
    }
}

#[cold]
fn is_literal(name: &str) -> bool {
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    inner.parse::<IpAddr>().is_ok()
}

/// Whether it consists of labels, the bytes of which are those of host names.
fn has_labels(name: &str) -> bool {
    let scan = headworks_scan::host(name.as_bytes());
    let sound = scan.end == name.len() && scan.sound && scan.registrable && !name.ends_with('.');
    sound && (name.len() <= LONGEST_LABEL || name.split('.').all(|label| label.len() <= LONGEST_LABEL))
}
