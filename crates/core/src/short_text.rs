//! ShortText: IP addresses and ports as text, put together on the stack.
//!
//! Does by hand what the standard library's formatting does for any type, at a fifth of the instructions;
//! tests hold one to the other. Must never allocate, nor hold what is longer than the longest PROXY header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest that is put together, a PROXY header of 107 bytes, and what [`ShortText::octet`] writes too
/// much.
const MOST: usize = 112;

/// Each octet in decimal, with a dot, filled up with zeros.
static OCTETS: [[u8; 4]; 256] = octets();

/// A text of at most 107 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShortText {
    bytes: [u8; MOST],
    length: usize,
}

impl ShortText {
    /// Makes an empty text.
    #[inline]
    pub(crate) fn new() -> Self {
        Self { bytes: [0; MOST], length: 0 }
    }

    /// Makes the text of an address, without port or brackets.
    #[inline]
    pub(crate) fn of_ip(ip: IpAddr) -> Self {
        let mut text = Self::new();
        text.ip(ip);
        text
    }

    /// Returns the text.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Appends bytes as they are.
    #[inline]
    pub(crate) fn push<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.bytes[self.length..][..N].copy_from_slice(bytes);
        self.length += N;
    }

    /// Appends an address, without brackets.
    #[inline]
    pub(crate) fn ip(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.v4(ip),
            IpAddr::V6(ip) => self.v6(ip),
        }
    }

    /// Appends a port.
    #[inline]
    pub(crate) fn port(&mut self, port: u16) {
        let digits =
            [10, 100, 1000, 10_000].iter().fold(1, |digits, more| digits + usize::from(port >= *more));
        let mut rest = port;
        for place in self.bytes[self.length..][..digits].iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.length += digits;
    }

    #[inline]
    fn v4(&mut self, ip: Ipv4Addr) {
        for octet in ip.octets() {
            self.octet(octet);
        }
        // The last dot is written over, or is none of the text.
        self.length -= 1;
    }

    /// Appends an octet and a dot: always four bytes, of which those that are too many are written over.
    #[inline]
    fn octet(&mut self, octet: u8) {
        self.push(&OCTETS[usize::from(octet)]);
        self.length -= usize::from(octet < 10) + usize::from(octet < 100);
    }

    /// Appends an IPv6 address as RFC 5952 has it: `::` for the first of the longest runs of zeros.
    fn v6(&mut self, ip: Ipv6Addr) {
        if let Some(mapped) = ip.to_ipv4_mapped() {
            self.push(b"::ffff:");
            return self.v4(mapped);
        }
        let groups = ip.segments();
        let (begin, end) = longest_zeros(&groups);
        for (at, group) in groups.iter().enumerate().filter(|(at, _)| !(begin..end).contains(at)) {
            if at > 0 && at != end {
                self.push(b":");
            }
            if at == end && end > begin {
                self.push(b"::");
            }
            self.group(*group);
        }
        if end == groups.len() && end > begin {
            self.push(b"::");
        }
    }

    /// Appends up to four hexadecimal digits, without zeros in front.
    fn group(&mut self, group: u16) {
        let digits = (16 - (group | 1).leading_zeros()).div_ceil(4);
        for place in (0..digits).rev() {
            self.push(&[b"0123456789abcdef"[usize::from(group >> (4 * place) & 0xf)]]);
        }
    }
}

/// Returns where the first of the longest runs of two zeros or more begins and ends; nowhere: both are 8.
fn longest_zeros(groups: &[u16; 8]) -> (usize, usize) {
    let (mut longest, mut begin) = ((8, 8), 0);
    for (at, group) in groups.iter().enumerate() {
        if *group != 0 {
            begin = at + 1;
        } else if at + 1 - begin > (longest.1 - longest.0).max(1) {
            longest = (begin, at + 1);
        }
    }
    longest
}

const fn octets() -> [[u8; 4]; 256] {
    let mut octets = [[0; 4]; 256];
    let mut at = 0;
    while at < 256 {
        let [a, b, c] = [b'0' + (at / 100) as u8, b'0' + (at / 10 % 10) as u8, b'0' + (at % 10) as u8];
        octets[at] = match at {
            0..10 => [c, b'.', 0, 0],
            10..100 => [b, c, b'.', 0],
            _ => [a, b, c, b'.'],
        };
        at += 1;
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ip: IpAddr) {
        assert_eq!(std::str::from_utf8(ShortText::of_ip(ip).as_bytes()), Ok(ip.to_string().as_str()));
    }

    #[test]
    fn every_octet_and_every_port_is_written_as_the_standard_library_does() {
        for octet in 0..=255 {
            check(IpAddr::from([octet, 1, 255 - octet, octet]));
        }
        for port in 0..=u16::MAX {
            let mut text = ShortText::new();
            text.port(port);
            assert_eq!(text.as_bytes(), port.to_string().as_bytes());
        }
    }

    /// Every pattern of zeros, which decides where `::` is.
    #[test]
    fn every_run_of_zeros_is_written_as_the_standard_library_does() {
        for zeros in 0..=255_u8 {
            for group in [1_u16, 0xf, 0x10, 0xabc, 0xffff] {
                let groups = std::array::from_fn(|at| if zeros >> at & 1 == 1 { 0 } else { group });
                check(IpAddr::from(groups));
            }
        }
        check(IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0207]));
    }

    #[test]
    fn the_longest_header_fits() {
        let mut text = ShortText::new();
        text.push(b"PROXY TCP6 ");
        for _ in 0..2 {
            text.ip(IpAddr::from([0xffff; 8]));
            text.push(b" ");
        }
        text.port(u16::MAX);
        text.push(b" ");
        text.port(u16::MAX);
        text.push(b"\r\n");
        assert!(text.as_bytes().len() <= 107);
    }

    proptest::proptest! {
        #[test]
        fn addresses_are_written_as_the_standard_library_does(v4: [u8; 4], v6: [u8; 16], mask: [bool; 16]) {
            check(IpAddr::from(v4));
            check(IpAddr::from(v6));
            check(IpAddr::from(std::array::from_fn::<u8, 16, _>(|at| if mask[at] { v6[at] } else { 0 })));
        }
    }
}
