//! Resolver: the certificate for one client: of those for the name it asks for (core's candidates), the best
//! that it can verify.
//!
//! Remembers its last choice for the thread that asked: rustls does not tell afterwards which certificate it
//! presented, and a resolver for every connection would need a configuration for every connection.

use std::cell::Cell;
use std::sync::Arc;

use headworks_core::tls::{Candidates, Names};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

thread_local! {
    static PRESENTED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Returns the answer to the ClientHello that this thread has just fed to rustls; the answer is given once.
pub(super) fn presented() -> Option<u32> {
    PRESENTED.take()
}

/// Chooses among the certificates of one listener.
#[derive(Debug)]
pub(super) struct Resolver {
    names: Arc<Names>,
    strict: bool,
    certificates: Box<[Presentable]>,
}

/// A certificate and the schemes that its key signs with.
#[derive(Debug)]
struct Presentable {
    certified: Arc<CertifiedKey>,
    schemes: Box<[SignatureScheme]>,
}

/// Schemes that a key of ours could sign with.
const SCHEMES: [SignatureScheme; 13] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::ML_DSA_44,
    SignatureScheme::ML_DSA_65,
    SignatureScheme::ML_DSA_87,
];

impl Resolver {
    /// Chooses among `certified`, which are in the order of the configuration.
    pub(super) fn new(names: Arc<Names>, strict: bool, certified: Vec<CertifiedKey>) -> Self {
        let certificates = certified.into_iter().map(Presentable::new).collect();
        Self { names, strict, certificates }
    }

    /// Chooses from the better group the first certificate that the client can verify, keys that are not RSA
    /// before those that are: they sign many times faster. None: the client can verify none, and rustls is to
    /// say so, since a certificate for another name would be no better.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<u32> {
        let groups: Candidates<'_> = self.names.for_client(name, self.strict);
        for group in groups {
            for rsa in [false, true] {
                let fits = |&&index: &&u32| self.certificates[index as usize].fits(rsa, schemes);
                if let Some(&found) = group.iter().find(fits) {
                    return Some(found);
                }
            }
        }
        groups.iter().find_map(|group| group.first()).copied()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let index = self.choose(hello.server_name(), hello.signature_schemes());
        PRESENTED.set(index);
        Some(Arc::clone(&self.certificates[index? as usize].certified))
    }
}

impl Presentable {
    fn new(certified: CertifiedKey) -> Self {
        let signs = |scheme: &SignatureScheme| certified.key.choose_scheme(&[*scheme]).is_some();
        let schemes = SCHEMES.into_iter().filter(signs).collect();
        Self { certified: Arc::new(certified), schemes }
    }

    fn fits(&self, rsa: bool, schemes: &[SignatureScheme]) -> bool {
        rsa == (self.certified.key.algorithm() == SignatureAlgorithm::RSA)
            && self.schemes.iter().any(|scheme| schemes.contains(scheme))
    }
}
