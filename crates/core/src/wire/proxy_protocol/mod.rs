//! The PROXY protocol, versions 1 and 2: read from a balancer in front of us, written to servers behind us.
//!
//! Owns what the two versions share: telling them apart, the addresses, and which of them may be announced.
//! The text form is in `v1`, the binary form in `v2`, what that says of TLS in `extensions`. Section numbers
//! are those of the specification (haproxy `doc/proxy-protocol.txt`). Must never guess: an address decides
//! who is let in, so a header that is not exactly as specified is none.

use std::net::SocketAddr;

use crate::tls::TlsFacts;

mod crc32c;
mod extensions;
mod v1;
mod v2;

/// The version of the PROXY header that the servers get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderVersion {
    /// Version 1: text.
    V1,
    /// Version 2: binary.
    V2,
}

/// A judgement on the bytes held so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderParsed {
    /// The bytes could still become a header.
    Partial,
    /// A whole header of `length` bytes.
    Complete {
        /// Bytes to take away before what follows is looked at.
        length: usize,
        /// Source and destination of the original connection; None for LOCAL and UNKNOWN.
        addresses: Option<(SocketAddr, SocketAddr)>,
    },
    /// No further bytes can make this a header.
    Invalid,
}

/// The longest header accepted, in bytes. Version 1 headers have at most 107 (section 2.1).
pub const LIMIT: usize = 16 + 2048;

/// Parses the bytes held so far, oldest first. At most [`LIMIT`] bytes are looked at.
///
/// Version 1 (section 2.1): single spaces, ports and addresses in their canonical form and of the announced
/// family; what follows `UNKNOWN` is skipped. Version 2 (section 2.2): streams only, extensions (TLVs) framed
/// to the last byte, the checksum of section 2.2.4 verified where present; unix socket addresses give no
/// addresses. The block of a `LOCAL` header is skipped unread.
pub fn parse(held: &[u8]) -> HeaderParsed {
    let outcome = if held.starts_with(v1::SIGNATURE) {
        v1::read(held)
    } else if held.starts_with(v2::SIGNATURE) {
        v2::read(held)
    } else if is_proper_prefix(held) {
        Err(NoHeader::Partial)
    } else {
        Err(NoHeader::Invalid)
    };
    match outcome {
        Ok((length, addresses)) => HeaderParsed::Complete { length, addresses },
        Err(NoHeader::Partial) => HeaderParsed::Partial,
        Err(NoHeader::Invalid) => HeaderParsed::Invalid,
    }
}

/// Whether the bytes could be the beginning of a header: a client that may not send one is refused when they
/// are a whole signature. `None`: too few bytes to tell.
pub fn begins_header(held: &[u8]) -> Option<bool> {
    if is_proper_prefix(held) {
        return None;
    }
    Some(held.starts_with(v1::SIGNATURE) || held.starts_with(v2::SIGNATURE))
}

/// The client on whose behalf we connect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Announced<'a> {
    /// The client; None for a unix socket, and where we connect on nobody's behalf.
    pub client: Option<SocketAddr>,
    /// The address that the client connected to.
    pub local: Option<SocketAddr>,
    /// Facts that the client's handshake agreed on with us, where TLS ended here. Version 1 has no words for
    /// it.
    pub tls: Option<&'a TlsFacts>,
}

/// Appends a header.
///
/// Addresses of two families, or none (unix sockets), give `UNKNOWN` (version 1), `LOCAL`, or a header
/// without addresses where there is TLS to tell of (version 2). IPv4-mapped IPv6 addresses count as IPv4
/// unless the other address is IPv6.
pub fn write(version: HeaderVersion, announced: Announced<'_>, out: &mut Vec<u8>) {
    let Announced { client, local, tls } = announced;
    let addresses = client.zip(local).and_then(|(client, local)| one_family(client, local));
    match version {
        HeaderVersion::V1 => v1::write(addresses, out),
        HeaderVersion::V2 => v2::write(addresses, tls, out),
    }
}

/// A reason why there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoHeader {
    Partial,
    Invalid,
}

/// Length of a header, and the addresses in it: source, destination.
type Header = (usize, Option<(SocketAddr, SocketAddr)>);

fn is_proper_prefix(held: &[u8]) -> bool {
    let of = |signature: &[u8]| held.len() < signature.len() && signature.starts_with(held);
    of(v1::SIGNATURE) || of(v2::SIGNATURE)
}

/// Returns two addresses of the same family, or nothing.
fn one_family(client: SocketAddr, local: SocketAddr) -> Option<(SocketAddr, SocketAddr)> {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let plain = (canonical(client), canonical(local));
    if plain.0.is_ipv4() && plain.1.is_ipv4() {
        return Some(plain);
    }
    (client.is_ipv6() && local.is_ipv6()).then_some((client, local))
}
