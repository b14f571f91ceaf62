//! X.509: what servers are told of a client's certificate, read from its DER (RFC 5280, section 4.1).
//!
//! Reads the few fields wanted and skips the rest: the certificate was verified before, with all of its
//! content. Whatever the bytes are, must never panic nor let anything but printable ASCII out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::der::{INTEGER, Reader, SEQUENCE, hex};
use super::distinguished_name::{common_name, write};
use crate::tls::ClientCertificate;

impl ClientCertificate {
    /// Reads what the certificate says; where it cannot be read, the field is empty.
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
struct CertificateFields<'a> {
    serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
}

/// Walks TBSCertificate: version, serialNumber, signature, issuer, validity, subject.
fn names(der: &[u8]) -> Option<CertificateFields<'_>> {
    let certificate = Reader { rest: der }.content(SEQUENCE)?;
    let mut tbs = Reader { rest: Reader { rest: certificate }.content(SEQUENCE)? };
    if tbs.rest.first() == Some(&VERSION) {
        tbs.content(VERSION)?;
    }
    let serial = tbs.content(INTEGER)?;
    tbs.content(SEQUENCE)?;
    let issuer = tbs.content(SEQUENCE)?;
    tbs.content(SEQUENCE)?;
    Some(CertificateFields { serial, issuer, subject: tbs.content(SEQUENCE)? })
}

/// `[0]`, explicit.
const VERSION: u8 = 0xa0;

/// Returns the bytes of a positive INTEGER without the zero that only says so.
fn without_sign(integer: &[u8]) -> &[u8] {
    match integer {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => integer,
    }
}
