//! Clients: how certificates of clients are verified.
//!
//! With revocation lists, every certificate of a chain must be looked up in one that is in force: a list that
//! is missing or has expired refuses its authority's clients, since whoever was revoked meanwhile would be
//! let in otherwise.

use std::sync::Arc;

use headworks_core::path;
use headworks_core::problem::Problem;
use headworks_core::tls::{ClientCertificates, DerBytes};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};

/// Makes the verifier that `clients` asks for, or returns every problem with it. Without `clients` nothing is
/// asked of them.
pub(super) fn verifier(
    clients: Option<&ClientCertificates>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Vec<Problem>> {
    let Some(clients) = clients else { return Ok(WebPkiClientVerifier::no_client_auth()) };
    let (roots, mut errors) = authorities(&clients.ca);
    let build = |lists: &[DerBytes], required| {
        let lists = lists.iter().map(|der| CertificateRevocationListDer::from(der.to_vec()));
        let roots = Arc::clone(&roots);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
            .with_crls(lists)
            .enforce_revocation_expiration();
        if required { builder } else { builder.allow_unauthenticated() }.build()
    };
    for list in &clients.crl {
        if let Err(VerifierBuilderError::InvalidCrl(why)) = build(std::slice::from_ref(list), true) {
            errors.push(problem("crl", format!("no revocation list: {why:?}")));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    build(&clients.crl, clients.required).map_err(|error| vec![problem("ca", error.to_string())])
}

fn authorities(ca: &[DerBytes]) -> (Arc<RootCertStore>, Vec<Problem>) {
    let (mut roots, mut errors) = (RootCertStore::empty(), Vec::new());
    for der in ca {
        if let Err(error) = roots.add(CertificateDer::from(der.to_vec())) {
            errors.push(problem("ca", format!("no certificate of an authority: {error}")));
        }
    }
    (Arc::new(roots), errors)
}

/// Makes a problem of a whole key: a file may hold several certificates, so that an index would not name it.
fn problem(key: &str, reason: String) -> Problem {
    Problem::new(path!["client_certificates", key], reason)
}
