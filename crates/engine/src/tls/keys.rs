//! Keys: private keys in the form that signs, each parsed once, however many certificates use it.
//!
//! Must never accept a key that does not sign for its certificate: no client could complete a handshake.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use headworks_core::tls::Certificate;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};

/// Parsed keys by the SHA-256 of their DER.
#[derive(Debug, Default)]
pub(super) struct Keys {
    parsed: HashMap<Fingerprint, Arc<dyn SigningKey>>,
}

type Fingerprint = [u8; 32];

impl Keys {
    /// Returns the certificate with its key, or why it cannot be presented.
    pub(super) fn certified(&mut self, certificate: &Certificate) -> Result<CertifiedKey, String> {
        let problem = |why: &str| format!("{}: {why}", certificate.place);
        let key = self.key(&certificate.key).map_err(problem)?;
        let chain = certificate.chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
        let mut certified = CertifiedKey::new(chain, key);
        if !is_consistent(&certified) {
            return Err(problem("the key does not sign for the certificate"));
        }
        certified.ocsp = certificate.ocsp.as_ref().map(|response| response.to_vec());
        Ok(certified)
    }

    fn key(&mut self, der: &[u8]) -> Result<Arc<dyn SigningKey>, &'static str> {
        let mut fingerprint = Fingerprint::default();
        fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
        if let Some(key) = self.parsed.get(&fingerprint) {
            return Ok(Arc::clone(key));
        }
        let typed =
            PrivateKeyDer::try_from(der).map_err(|_| "no private key in PKCS #8, PKCS #1 or SEC 1")?;
        let key = any_supported_type(&typed).map_err(|_| {
            "the key is weak or of no kind that is supported (RSA of 2048 to 8192 bits, ECDSA with P-256, P-384 or P-521, \
             Ed25519)"
        })?;
        self.parsed.insert(fingerprint, Arc::clone(&key));
        Ok(key)
    }
}

/// Whether the certificate is for the key. One that rustls does not read (version 1) must have the public key
/// inside.
fn is_consistent(certified: &CertifiedKey) -> bool {
    match certified.keys_match() {
        Ok(()) => true,
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => false,
        Err(_) => certified.key.public_key().zip(certified.cert.first()).is_some_and(|(public, leaf)| {
            leaf.as_ref().windows(public.as_ref().len()).any(|part| part == public.as_ref())
        }),
    }
}
