//! Facts about one TLS connection once its handshake is complete: for records, rewriting and the servers.

use std::sync::Arc;

/// Facts that a handshake agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name, for example `TLS_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
    /// The key exchange group, for example `X25519MLKEM768`; empty where an old session was resumed without
    /// one.
    pub group: &'static str,
    /// An old session was resumed.
    pub resumed: bool,
    /// The protocol agreed on by ALPN.
    pub alpn: Option<Box<str>>,
    /// The name the client asked for (SNI), lower-case.
    pub name: Option<Box<str>>,
    /// Names of the certificate that was presented: they outlast the Plan that it came from. None when an old
    /// session was resumed without one.
    pub certificate: Option<Arc<[Box<str>]>>,
    /// The client's certificate, verified.
    pub client: Option<ClientCertificate>,
    /// Milliseconds from accept to the end of the handshake.
    pub handshake_ms: u64,
}

/// A client's certificate, in the forms in which servers want to be told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Distinguished name of the subject (RFC 4514).
    pub subject: Box<str>,
    /// The subject's common name; empty without one.
    pub common_name: Box<str>,
    /// Distinguished name of the issuer (RFC 4514).
    pub issuer: Box<str>,
    /// Serial number, hexadecimal, lower-case.
    pub serial: Box<str>,
    /// SHA-256 of the certificate, hexadecimal, lower-case.
    pub fingerprint: Box<str>,
    /// The certificate, DER in Base64 without line breaks.
    pub der: Box<str>,
}
