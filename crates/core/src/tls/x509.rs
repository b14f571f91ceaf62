//! X.509: what servers are told of a client's certificate, read from its DER (RFC 5280, section 4.1).
//!
//! Reads the few fields wanted and skips the rest: the certificate was verified before, with all of its content. Whatever the
//! bytes are, must never panic nor let anything but printable ASCII out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::ClientCertificate;
use super::distinguished_name::{common_name, write};

impl ClientCertificate {
    /// What the certificate says; where it cannot be read, the field is empty.
    pub fn read(der: &[u8]) -> Self {
        let names = names(der).unwrap_or_default();
        Self {
            subject: write(names.subject).unwrap_or_default().into(),
            common_name: common_name(names.subject).unwrap_or_default().into(),
            issuer: write(names.issuer).unwrap_or_default().into(),
            serial: hex(without_sign(names.serial)).into(),
            fingerprint: hex(&Sha256::digest(der)).into(),
            der: STANDARD.encode(der).into(),
        }
    }
}

/// The content of the fields that are wanted.
#[derive(Default)]
struct Fields<'a> {
    serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
}

/// Walks TBSCertificate: version, serialNumber, signature, issuer, validity, subject.
fn names(der: &[u8]) -> Option<Fields<'_>> {
    let certificate = Reader { rest: der }.content(SEQUENCE)?;
    let mut tbs = Reader { rest: Reader { rest: certificate }.content(SEQUENCE)? };
    if tbs.rest.first() == Some(&VERSION) {
        tbs.content(VERSION)?;
    }
    let serial = tbs.content(INTEGER)?;
    tbs.content(SEQUENCE)?;
    let issuer = tbs.content(SEQUENCE)?;
    tbs.content(SEQUENCE)?;
    Some(Fields { serial, issuer, subject: tbs.content(SEQUENCE)? })
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// `[0]`, explicit.
const VERSION: u8 = 0xa0;

/// Elements of DER (X.690), one after the other.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With its tag and length.
    pub(super) whole: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The content of the next element, which must have this tag.
    pub(super) fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element().filter(|element| element.tag == tag).map(|element| element.content)
    }

    /// How many bytes tag and length take, and the length. The length of what is in a certificate fits three bytes: a
    /// handshake message is no longer.
    fn head(&self) -> Option<(usize, usize)> {
        let &first = self.rest.get(1)?;
        let long = usize::from(first & 0x7f);
        match first {
            0..=0x7f => Some((2, long)),
            0x81..=0x83 => {
                let bytes = self.rest.get(2..2 + long)?;
                Some((2 + long, bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte))))
            }
            _ => None,
        }
    }

    /// The next element.
    pub(super) fn element(&mut self) -> Option<Element<'a>> {
        let (head, length) = self.head()?;
        let whole = self.rest.get(..head + length)?;
        self.rest = &self.rest[head + length..];
        Some(Element { tag: whole[0], content: &whole[head..], whole })
    }
}

/// The bytes of a positive INTEGER without the zero that only says so.
fn without_sign(integer: &[u8]) -> &[u8] {
    match integer {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => integer,
    }
}

/// Hexadecimal, lower-case.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
