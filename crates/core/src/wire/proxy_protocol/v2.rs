//! Version 2, binary (section 2.2). Must never believe a length before it is checked against what is held,
//! nor an address when the extensions after it are not framed to the last byte.
//!
//! ```text
//! signature[12] | version 2, command | family, transport | length16 | addresses | type8 length16 value | ...
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, LIMIT, NoHeader};
use super::{crc32c, extensions};
use crate::tls::TlsFacts;

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const HEADER: usize = 16;
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
const CHECKSUM: u8 = 0x03;

/// Reads bytes that begin with the signature.
pub(super) fn read(held: &[u8]) -> Result<Header, NoHeader> {
    let command = *held.get(12).ok_or(NoHeader::Partial)?;
    if command != LOCAL && command != PROXY {
        return Err(NoHeader::Invalid);
    }
    let family = *held.get(13).ok_or(NoHeader::Partial)?;
    let addressed = if command == PROXY { address_length(family).ok_or(NoHeader::Invalid)? } else { 0 };
    let Some(&[high, low]) = held.get(14..HEADER).and_then(<[u8]>::first_chunk) else {
        return Err(NoHeader::Partial);
    };
    let length = HEADER + usize::from(u16::from_be_bytes([high, low]));
    if length > LIMIT || length < HEADER + addressed {
        return Err(NoHeader::Invalid);
    }
    let header = held.get(..length).ok_or(NoHeader::Partial)?;
    if command == LOCAL {
        return Ok((length, None));
    }
    check_extensions(header, HEADER + addressed).ok_or(NoHeader::Invalid)?;
    Ok((length, read_addresses(family, &header[HEADER..])))
}

/// Returns how many bytes the addresses have in the families of a stream; others "must be rejected as
/// invalid" (section 2.2).
fn address_length(family: u8) -> Option<usize> {
    match family {
        UNSPECIFIED => Some(0),
        TCP4 => Some(12),
        TCP6 => Some(36),
        UNIX_STREAM => Some(216),
        _ => None,
    }
}

/// Reads source and destination address, source and destination port.
fn read_addresses(family: u8, block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    match family {
        TCP4 => {
            let [a, b, c, d, e, f, g, h, ports @ ..] = *block.first_chunk::<12>()?;
            Some(with_ports(Ipv4Addr::new(a, b, c, d).into(), Ipv4Addr::new(e, f, g, h).into(), ports))
        }
        TCP6 => {
            let (source, rest) = block.split_first_chunk::<16>()?;
            let (destination, rest) = rest.split_first_chunk::<16>()?;
            let ports = rest.first_chunk::<4>()?;
            Some(with_ports(Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), *ports))
        }
        _ => None,
    }
}

fn with_ports(source: IpAddr, destination: IpAddr, [a, b, c, d]: [u8; 4]) -> (SocketAddr, SocketAddr) {
    let port = u16::from_be_bytes;
    (SocketAddr::new(source, port([a, b])), SocketAddr::new(destination, port([c, d])))
}

/// Steps over the extensions from `start` to the end of the header and verifies the checksum (section 2.2.4),
/// of which there may be one.
fn check_extensions(header: &[u8], start: usize) -> Option<()> {
    let mut at = start;
    let mut checked = false;
    while at < header.len() {
        let &[kind, high, low] = header[at..].first_chunk()?;
        let value = at + 3;
        at = value + usize::from(u16::from_be_bytes([high, low]));
        let content = header.get(value..at)?;
        if kind == CHECKSUM {
            let sum = u32::from_be_bytes(content.try_into().ok()?);
            if checked || checksum(header, value) != sum {
                return None;
            }
            checked = true;
        }
    }
    Some(())
}

/// Returns the CRC32c of the header with the four bytes at `value`, where the sum itself is, taken as zeros.
fn checksum(header: &[u8], value: usize) -> u32 {
    let state = crc32c::update(crc32c::START, &header[..value]);
    let state = crc32c::update(state, &[0; 4]);
    crc32c::finish(crc32c::update(state, &header[value + 4..]))
}

/// Appends the header.
pub(super) fn write(announced: Option<(SocketAddr, SocketAddr)>, tls: Option<&TlsFacts>, out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&match (announced, tls) {
        (Some((client, _)), _) if client.is_ipv4() => [PROXY, TCP4],
        (Some(_), _) => [PROXY, TCP6],
        (None, Some(_)) => [PROXY, UNSPECIFIED],
        (None, None) => [LOCAL, UNSPECIFIED],
    });
    let start = out.len() + 2;
    out.extend_from_slice(&[0, 0]);
    if let Some((client, local)) = announced {
        write_addresses(client, local, out);
    }
    if let Some(tls) = tls {
        extensions::write(tls, out);
    }
    let length = (out.len() - start) as u16;
    out[start - 2..start].copy_from_slice(&length.to_be_bytes());
}

fn write_addresses(client: SocketAddr, local: SocketAddr, out: &mut Vec<u8>) {
    for address in [client, local] {
        match address.ip() {
            IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
        }
    }
    out.extend_from_slice(&client.port().to_be_bytes());
    out.extend_from_slice(&local.port().to_be_bytes());
}
