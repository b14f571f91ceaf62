//! Pinned: a server's certificate that is itself listed in `ca` is trusted for its names.
//!
//! `openssl req -x509` makes such certificates of authorities (CA:TRUE), which no server may present by the
//! rules of the web. Listed byte for byte it is the very server that was meant. Its time and its names are
//! checked as those of any other. Must never trust what one of them has signed any further than they do.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// Verifies by authorities, and takes servers whose own certificate is among these.
#[derive(Debug)]
pub(super) struct Pinned {
    authorities: Arc<WebPkiServerVerifier>,
    listed: Box<[CertificateDer<'static>]>,
}

impl Pinned {
    /// Makes one of what verifies by authorities, and of all that was listed.
    pub(super) fn new(
        authorities: Arc<WebPkiServerVerifier>,
        listed: Box<[CertificateDer<'static>]>,
    ) -> Self {
        Self { authorities, listed }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // Its time was looked at before what it may be used for.
            Err(error) if is_of_use(&error) && self.listed.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Whether a certificate was refused for what it may be used for: as an authority it may be no server.
fn is_of_use(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            other.0.to_string().contains("CaUsedAsEndEntity")
        }
        _ => false,
    }
}
