//! `[listeners.NAME.tls]` and `[backends.NAME.tls]` as plain values.
//!
//! Where the file names files, these have what was read from them: certificates and keys come as DER in
//! Base64 (RFC 4648 section 4), each with the place it was read from, so that a problem found later can be
//! named. Must never know a default.

use serde::{Deserialize, Serialize};

use super::order;
use crate::time::Millis;

/// DER in Base64.
pub type Der = String;

/// `[listeners.NAME.tls]`: TLS ends here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTlsSpec {
    /// The certificates that each place of the file holds, in the order of preference for clients that could
    /// take several; the first is the default.
    pub certificates: Vec<Vec<CertificateSpec>>,
    /// Throwaway certificates, instead.
    pub self_signed: Vec<CertificateSpec>,
    /// Clients that ask for a name which no certificate covers, or for none, are refused instead of getting
    /// the default.
    pub strict_sni: bool,
    /// `1.2` or `1.3`.
    pub min_version: String,
    /// `intermediate` or `modern`: which cipher suites TLS 1.2 offers (`modern` offers none, and TLS 1.3
    /// only).
    pub profile: String,
    /// Whether X25519MLKEM768 is offered, before the classic groups.
    pub post_quantum: bool,
    /// Protocols offered by ALPN (RFC 7301), best first; empty: the extension is not answered.
    pub alpn: Vec<String>,
    /// Whether sessions can be resumed by tickets.
    pub tickets: bool,
    /// Time after which a new ticket key is made; a ticket can be used for between one and two of them.
    pub ticket_rotation: Millis,
    /// Bytes of early data (0-RTT) accepted at most; 0: none.
    pub early_data: u32,
    /// Time that a handshake may take, counted from accept.
    pub handshake_timeout: Millis,
    /// A request whose Host is not covered by the certificate that its connection was opened for gets 421.
    pub check_host: bool,
    /// Strict-Transport-Security in every response (RFC 6797); absent: the field is left alone.
    pub hsts: Option<HstsSpec>,
    /// Table of names that are passed through untouched.
    pub passthrough: Option<String>,
    /// Certificates of clients.
    pub client_certificates: Option<ClientCertificatesSpec>,
}

impl ListenerTlsSpec {
    /// Copies it without certificates, keys, authorities and revocation lists.
    pub(crate) fn without_files(&self) -> Self {
        let mut kept = self.clone();
        kept.certificates.clear();
        kept.self_signed.clear();
        if let Some(clients) = &mut kept.client_certificates {
            clients.ca.clear();
            clients.crl.clear();
        }
        kept
    }
}

/// `[listeners.NAME.tls.hsts]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HstsSpec {
    /// Time for which browsers remember it, whole seconds.
    pub max_age: Millis,
    /// Whether the same is said of every name below this one.
    pub include_subdomains: bool,
    /// Browsers may have it built in.
    pub preload: bool,
}

/// A certificate that we present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateSpec {
    /// The file it was read from, or what made it.
    pub place: String,
    /// Names it is for: DNS names, wildcards of one label (`*.example.com`), addresses.
    pub names: Vec<String>,
    /// The certificate and its intermediates, leaf first.
    pub chain: Vec<Der>,
    /// The private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: Der,
    /// An OCSP response to staple.
    #[serde(default)]
    pub ocsp: Option<Der>,
    /// Time at which it ends, seconds since 1970.
    pub not_after: i64,
}

/// `[listeners.NAME.tls.client_certificates]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificatesSpec {
    /// `required`: a client without one is refused. `optional`: a client without one is served.
    pub verify: String,
    /// The authorities that may have signed them.
    pub ca: Vec<Der>,
    /// Revocation lists.
    pub crl: Vec<Der>,
    /// Request fields and their values, which may have variables such as `{tls.client.subject}`. What clients
    /// send under these names is removed; a value that comes out empty is left out.
    #[serde(with = "order")]
    pub headers: Vec<(String, String)>,
}

/// `[backends.NAME.tls]`: servers are reached by TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendTlsSpec {
    /// Whether the server's certificate is verified.
    pub verify: bool,
    /// The authorities that may have signed it; not empty when it is verified.
    pub ca: Vec<Der>,
    /// Name asked for and verified; absent: the address, which is verified and not asked for.
    pub server_name: Option<String>,
    /// `1.2` or `1.3`.
    pub min_version: String,
    /// Protocols offered by ALPN, best first.
    pub alpn: Vec<String>,
    /// The certificate that we present if the server asks.
    pub certificate: Option<CertificateSpec>,
}

impl BackendTlsSpec {
    /// Copies it without certificates, keys and authorities.
    pub(crate) fn without_files(&self) -> Self {
        Self { ca: Vec::new(), certificate: None, ..self.clone() }
    }
}
