//! Version 1, one line of text (section 2.1). Must never accept two spellings of one header, nor wait for
//! bytes that could not help.
//!
//! ```text
//! PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n
//! PROXY UNKNOWN anything\r\n
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, NoHeader};
use crate::short_text::ShortText;

pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// The longest line, its CRLF included.
const LONGEST: usize = 107;
const UNKNOWN: &str = "UNKNOWN";

/// Reads bytes that begin with the signature.
pub(super) fn read(held: &[u8]) -> Result<Header, NoHeader> {
    let seen = &held[..held.len().min(LONGEST)];
    let Some(end) = line_end(seen) else {
        let missing = if seen.ends_with(b"\r") { 1 } else { 2 };
        let hopeless = seen.len() + missing > LONGEST || !can_go_on(&seen[SIGNATURE.len()..]);
        return Err(if hopeless { NoHeader::Invalid } else { NoHeader::Partial });
    };
    let rest = &seen[SIGNATURE.len()..end];
    let addresses =
        if is_unknown(rest) { None } else { Some(read_addresses(rest).ok_or(NoHeader::Invalid)?) };
    Ok((end + 2, addresses))
}

/// Returns where the first CRLF is.
fn line_end(seen: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        // A CR is among the bytes that end a text.
        at = headworks_scan::text_end(seen, at);
        match seen.get(at..at + 2)? {
            b"\r\n" => return Some(at),
            _ => at += 1,
        }
    }
}

/// Whether it is `UNKNOWN` alone, or followed by a space and anything at all.
fn is_unknown(rest: &[u8]) -> bool {
    rest.strip_prefix(UNKNOWN.as_bytes()).is_some_and(|after| matches!(after.first(), None | Some(b' ')))
}

/// Whether a line that has not ended may still become a header: its family, then the bytes addresses are made
/// of, then perhaps the CR.
fn can_go_on(rest: &[u8]) -> bool {
    let line = rest.strip_suffix(b"\r").unwrap_or(rest);
    if is_unknown(line) {
        return true;
    }
    let ended = line.len() < rest.len();
    let begins = |family: &[u8]| {
        let common = family.len().min(line.len());
        family[..common] == line[..common] && !(ended && line.len() <= family.len())
    };
    let is_text = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b' ' | b'.' | b':');
    begins(UNKNOWN.as_bytes()) && line.len() <= UNKNOWN.len()
        || (begins(b"TCP4 ") || begins(b"TCP6 ")) && line.iter().skip(5).all(is_text)
}

/// Reads `TCP4` or `TCP6`, source and destination address, source and destination port.
fn read_addresses(rest: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (family, rest) = rest.split_first_chunk()?;
    let mut words = rest.split(|byte| *byte == b' ');
    let mut word = || words.next();
    let read_address: fn(&[u8]) -> Option<IpAddr> = match family {
        b"TCP4 " => |text| read_v4(text).map(IpAddr::V4),
        b"TCP6 " => |text| std::str::from_utf8(text).ok()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return None,
    };
    let source = read_address(word()?)?;
    let destination = read_address(word()?)?;
    let (source_port, destination_port) = (read_port(word()?)?, read_port(word()?)?);
    if word().is_some() {
        return None;
    }
    Some((SocketAddr::new(source, source_port), SocketAddr::new(destination, destination_port)))
}

/// Reads four octets, without leading zeros, and the dots between them.
fn read_v4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut octets, mut at, mut digits) = ([0_u8; 4], 0, 0);
    for byte in text {
        let octet = octets.get_mut(at)?;
        match byte {
            b'0'..=b'9' if digits == 0 || *octet > 0 => {
                *octet = octet.checked_mul(10)?.checked_add(byte - b'0')?;
                digits += 1;
            }
            b'.' if digits > 0 => (at, digits) = (at + 1, 0),
            _ => return None,
        }
    }
    (at == 3 && digits > 0).then(|| Ipv4Addr::from(octets))
}

/// Reads 0 to 65535 in decimal, without sign or leading zeros.
fn read_port(text: &[u8]) -> Option<u16> {
    let canonical = text == b"0" || !matches!(text, [] | [b'0', ..]);
    let digits = |port: u16, byte: &u8| match byte {
        b'0'..=b'9' => port.checked_mul(10)?.checked_add(u16::from(byte - b'0')),
        _ => None,
    };
    text.iter().try_fold(0, digits).filter(|_| canonical)
}

/// Appends the header.
pub(super) fn write(announced: Option<(SocketAddr, SocketAddr)>, out: &mut Vec<u8>) {
    let Some((client, local)) = announced else {
        out.extend_from_slice(b"PROXY UNKNOWN\r\n");
        return;
    };
    let mut line = ShortText::new();
    line.push(if client.is_ipv4() { b"PROXY TCP4 " } else { b"PROXY TCP6 " });
    line.ip(client.ip());
    line.push(b" ");
    line.ip(local.ip());
    line.push(b" ");
    line.port(client.port());
    line.push(b" ");
    line.port(local.port());
    line.push(b"\r\n");
    out.extend_from_slice(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn addresses_are_read_as_the_standard_library_does(
            text in "([0-9]{0,4}\\.){0,5}[0-9a. ]{0,4}",
            v4: [u8; 4],
        ) {
            assert_eq!(read_v4(text.as_bytes()), text.parse().ok());
            let v4 = Ipv4Addr::from(v4);
            assert_eq!(read_v4(v4.to_string().as_bytes()), Some(v4));
        }

        #[test]
        fn ports_are_read_in_one_spelling(text in "[+]?[0-9]{0,6}", port: u16) {
            let canonical = text.parse::<u16>().ok().filter(|port| port.to_string() == text);
            assert_eq!(read_port(text.as_bytes()), canonical);
            assert_eq!(read_port(port.to_string().as_bytes()), Some(port));
        }

        #[test]
        fn a_line_ends_at_its_first_crlf(text in "[ab\r\n\u{0}\t]{0,60}") {
            assert_eq!(line_end(text.as_bytes()), text.find("\r\n"));
        }
    }
}
