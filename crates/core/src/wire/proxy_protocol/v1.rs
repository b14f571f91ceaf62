//! Version 1, one line of text (section 2.1). Must never accept two spellings of one header, nor wait for
//! bytes that could not help.
//!
//! ```text
//! PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n
//! PROXY UNKNOWN anything\r\n
//! ```

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, NoHeader};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// The longest line, its CRLF included.
const LONGEST: usize = 107;
const UNKNOWN: &str = "UNKNOWN";

/// Reads bytes that begin with the signature.
pub(super) fn read(held: &[u8]) -> Result<Header, NoHeader> {
    let seen = &held[..held.len().min(LONGEST)];
    let Some(end) = seen.windows(2).position(|pair| pair == b"\r\n") else {
        let missing = if seen.ends_with(b"\r") { 1 } else { 2 };
        let hopeless = seen.len() + missing > LONGEST || !can_go_on(&seen[SIGNATURE.len()..]);
        return Err(if hopeless { NoHeader::Invalid } else { NoHeader::Partial });
    };
    let rest = &seen[SIGNATURE.len()..end];
    let addresses =
        if is_unknown(rest) { None } else { Some(read_addresses(rest).ok_or(NoHeader::Invalid)?) };
    Ok((end + 2, addresses))
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
    let mut words = std::str::from_utf8(rest).ok()?.split(' ');
    let mut word = || words.next();
    let read_address: fn(&str) -> Option<IpAddr> = match word()? {
        "TCP4" => |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
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

/// Reads 0 to 65535 in decimal, without sign or leading zeros.
fn read_port(text: &str) -> Option<u16> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok())?
}

/// Appends the header.
pub(super) fn write(announced: Option<(SocketAddr, SocketAddr)>, out: &mut Vec<u8>) {
    let Some((client, local)) = announced else {
        out.extend_from_slice(b"PROXY UNKNOWN\r\n");
        return;
    };
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (client.ip(), local.ip());
    // Writing to a Vec cannot fail.
    let _ = write!(out, "PROXY {family} {from} {to} {} {}\r\n", client.port(), local.port());
}
