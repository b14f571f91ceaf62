//! JA4: a fingerprint of a ClientHello: which program speaks, whatever name it asks for.
//!
//! ```text
//!   t13d1516h2_8daaf6152771_e5627efa2ab1
//!   |||  | | |  |            the extensions and signature algorithms, hashed
//!   |||  | | |  the cipher suites, hashed
//!   |||  | | first and last letter of the first protocol offered by ALPN
//!   |||  | number of extensions
//!   |||  number of cipher suites
//!   ||"d": a name is asked for, "i": none
//!   |the highest version
//!   "t": TCP
//! ```
//!
//! After the public description of JA4 (FoxIO, BSD 3-Clause): suites and extensions sorted, GREASE values
//! (RFC 8701) left out, hashes SHA-256 cut to 12 digits. Must never judge a hello: it is read already.

use sha2::{Digest, Sha256};

use super::fields::Fields;
use super::records;
use crate::wire::der::hex;

const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

/// The parts of a hello that the fingerprint is made of.
#[derive(Default)]
struct Seen {
    version: u16,
    suites: Vec<u16>,
    extensions: Vec<u16>,
    signatures: Vec<u16>,
    protocol: Vec<u8>,
}

/// Returns the fingerprint of a whole hello in a TLS record; empty for other bytes.
pub fn ja4(held: &[u8]) -> String {
    let body = if held.first() == Some(&records::HANDSHAKE) { records::body(held).ok() } else { None };
    body.and_then(|body| Seen::of(&body)).map(|seen| seen.fingerprint()).unwrap_or_default()
}

impl Seen {
    fn of(body: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(body);
        let mut seen = Self { version: fields.u16()?, ..Self::default() };
        fields.take(32)?;
        fields.vector8()?;
        seen.suites = numbers(fields.vector16()?);
        fields.vector8()?;
        if fields.is_empty() {
            return Some(seen);
        }
        let mut extensions = Fields::new(fields.vector16()?);
        while !extensions.is_empty() {
            let (kind, content) = (extensions.u16()?, extensions.vector16()?);
            seen.extension(kind, content)?;
        }
        Some(seen)
    }

    fn extension(&mut self, kind: u16, content: &[u8]) -> Option<()> {
        if is_grease(kind) {
            return Some(());
        }
        self.extensions.push(kind);
        let mut content = Fields::new(content);
        match kind {
            SIGNATURE_ALGORITHMS => self.signatures = numbers(content.vector16()?),
            ALPN => self.protocol = Fields::new(content.vector16()?).vector8()?.to_vec(),
            SUPPORTED_VERSIONS => {
                let versions = numbers(content.vector8()?);
                self.version = versions.into_iter().max().unwrap_or(self.version);
            }
            _ => {}
        }
        Some(())
    }

    fn fingerprint(mut self) -> String {
        let version = match self.version {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            _ => "00",
        };
        let named = if self.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
        let (suites, extensions) = (self.suites.len().min(99), self.extensions.len().min(99));
        self.suites.sort_unstable();
        self.extensions.retain(|kind| !matches!(*kind, SERVER_NAME | ALPN));
        self.extensions.sort_unstable();
        let mut second = listed(&self.extensions);
        if !self.signatures.is_empty() {
            second = format!("{second}_{}", listed(&self.signatures));
        }
        let (first, second) = (hashed(&listed(&self.suites)), hashed(&second));
        format!("t{version}{named}{suites:02}{extensions:02}{}_{first}_{second}", ends(&self.protocol))
    }
}

/// Returns first and last letter of a protocol's name; digits of the bytes where they are no letters.
fn ends(protocol: &[u8]) -> String {
    let (Some(first), Some(last)) = (protocol.first(), protocol.last()) else { return "00".to_owned() };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(*first), char::from(*last)].iter().collect();
    }
    let digits = format!("{first:02x}{last:02x}");
    format!("{}{}", &digits[..1], &digits[3..])
}

fn numbers(list: &[u8]) -> Vec<u16> {
    let pairs = list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    pairs.filter(|number| !is_grease(*number)).collect()
}

fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

fn listed(numbers: &[u16]) -> String {
    numbers.iter().map(|number| format!("{number:04x}")).collect::<Vec<_>>().join(",")
}

/// Returns the first 12 digits of the hash; zeros for nothing.
fn hashed(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(12);
    }
    hex(&Sha256::digest(text.as_bytes())[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_has_the_fingerprint_that_is_published_for_it() {
        let seen = Seen {
            version: 0x0304,
            suites: vec![
                0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
                0x009c, 0x009d, 0x002f, 0x0035,
            ],
            extensions: vec![
                0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012,
                0x002b, 0xff01, 0x000b, 0x000a, 0x0015,
            ],
            signatures: vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
            protocol: b"h2".to_vec(),
        };
        assert_eq!(seen.fingerprint(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn what_is_missing_is_told_by_zeros() {
        let seen = Seen { version: 0x0303, suites: vec![0x002f], ..Seen::default() };
        let fingerprint = seen.fingerprint();
        assert!(fingerprint.starts_with("t12i010000_") && fingerprint.ends_with("_000000000000"));
        assert_eq!((ja4(b""), ja4(b"GET / HTTP/1.1\r\n\r\n")), (String::new(), String::new()));
        assert_eq!((ends(b"\x20\xff"), ends(b"http/1.1")), ("2f".to_owned(), "h1".to_owned()));
    }
}
