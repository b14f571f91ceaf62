//! TLS as the Plan knows it: what a listener presents and demands, what a backend's servers must present, and
//! what is known of one TLS connection afterwards.
//!
//! Owns plain, checked values and the choice of a certificate by name. Must never speak TLS, hold a key in a
//! form that signs, or read a clock: records, signatures and validity are the engine's.

mod facts;
mod misdirected;
mod names;
mod refusal;
mod tally;

use std::fmt;
use std::sync::Arc;

pub use facts::{ClientCertificate, TlsFacts};
pub use names::{Candidates, Names};
pub use refusal::{begins_http, no_place, no_protocol, refusal};
pub use tally::{HandshakeFault, TlsTally};

use crate::problem::Item;
use crate::spec::{BackendTlsSpec, ListenerTlsSpec};

/// Bytes of DER.
pub type DerBytes = Box<[u8]>;

/// A TLS version that can be demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// A certificate that we present. What is printed of it leaves the key out.
#[derive(PartialEq, Eq)]
pub struct Certificate {
    /// Path that leads to it in the file, from the table `tls`.
    pub path: Vec<Item>,
    /// The file it was read from, or what made it.
    pub place: Box<str>,
    /// Names that the certificate is for, lower-case.
    pub names: Arc<[Box<str>]>,
    /// The certificate and its intermediates, leaf first.
    pub chain: Vec<DerBytes>,
    /// The private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: DerBytes,
    /// An OCSP response to staple.
    pub ocsp: Option<DerBytes>,
    /// Time at which it ends, seconds since 1970.
    pub not_after: i64,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut printed = f.debug_struct("Certificate");
        printed.field("place", &self.place).field("names", &self.names).field("not_after", &self.not_after);
        printed.finish_non_exhaustive()
    }
}

/// The TLS side of a listener that ends TLS: what it needs for that.
#[derive(Debug)]
pub struct Termination {
    /// The values of the file, without certificates, keys, authorities and revocation lists.
    pub spec: ListenerTlsSpec,
    /// Certificates; the first is the default.
    pub certificates: Vec<Certificate>,
    /// Index of the certificates by the names they are for.
    pub names: Arc<Names>,
    /// The least version spoken.
    pub min_version: TlsVersion,
    /// Whether a request's Host must be covered by the certificate of its connection.
    pub check_host: bool,
    /// Certificates of clients; None: they are not asked for.
    pub clients: Option<ClientCertificates>,
    /// Index of the table of names that are passed through untouched.
    pub passthrough: Option<u32>,
}

impl Termination {
    /// Returns when the first of the certificates ends, seconds since 1970.
    pub fn expires(&self) -> Option<i64> {
        self.certificates.iter().map(|certificate| certificate.not_after).min()
    }
}

/// Certificates that clients must present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// A client without one is refused.
    pub required: bool,
    /// Certificates of the authorities that may have signed them.
    pub ca: Vec<DerBytes>,
    /// Revocation lists.
    pub crl: Vec<DerBytes>,
}

/// The TLS side of a backend: how its servers are reached by TLS.
#[derive(Debug, PartialEq, Eq)]
pub struct Encryption {
    /// The values of the file, without certificates, keys and authorities.
    pub spec: BackendTlsSpec,
    /// Certificates of the authorities that may have signed the server's; None: nothing is verified.
    pub roots: Option<Vec<DerBytes>>,
    /// The least version spoken.
    pub min_version: TlsVersion,
    /// Certificate that we present if the server asks.
    pub certificate: Option<Certificate>,
}
