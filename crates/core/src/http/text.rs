//! Text: numbers and addresses as text, at the end of a buffer that its owner keeps.
//!
//! Must never allocate beyond the buffer, nor let a control byte through where a value is written.

use std::net::IpAddr;

use crate::short_text::ShortText;

/// Appends a decimal number.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends an address as text, without port or brackets. An IPv4-mapped one is IPv4.
pub(crate) fn push_ip(out: &mut Vec<u8>, ip: IpAddr) {
    out.extend_from_slice(ShortText::of_ip(ip.to_canonical()).as_bytes());
}

/// Appends what may be inside a line: all but control bytes, which are left out.
pub(crate) fn push_clean(out: &mut Vec<u8>, bytes: &[u8]) {
    let clean = headworks_scan::control(bytes);
    out.extend_from_slice(&bytes[..clean]);
    if clean < bytes.len() {
        out.extend(bytes[clean..].iter().filter(|byte| !byte.is_ascii_control()));
    }
}

/// Appends `name: ` and later its value; the caller ends the line.
pub(super) fn push_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
}

/// Appends a whole line of parts that are known to be clean.
pub(super) fn push_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    push_name(out, name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Members of a list of field values (RFC 9110 section 5.6.1), without those that are empty.
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_standard_library_does() {
        for text in ["0.0.0.0", "192.0.2.7", "255.255.255.255", "::", "::1", "2001:db8::1"] {
            let mut out = Vec::new();
            push_ip(&mut out, text.parse().unwrap());
            assert_eq!(out, text.as_bytes());
        }
        let mut out = Vec::new();
        push_ip(&mut out, "::ffff:192.0.2.7".parse().unwrap());
        assert_eq!(out, b"192.0.2.7");
    }

    #[test]
    fn control_bytes_never_pass() {
        let every: Vec<u8> = (0..=255).collect();
        let mut out = Vec::new();
        push_clean(&mut out, &every);
        assert_eq!(out.len(), 256 - 33);
        assert!(!out.iter().any(u8::is_ascii_control));
    }
}
