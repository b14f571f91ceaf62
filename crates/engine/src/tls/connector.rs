//! Connector: how the servers of one backend are reached by TLS.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use headworks_core::address::Address;
use headworks_core::path;
use headworks_core::problem::Problem;
use headworks_core::tls::{DerBytes, Encryption};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use super::keys::Keys;
use super::pinned::Pinned;
use super::provider;
use super::unverified::Unverified;

/// Makes the TLS side of sockets to the servers of one backend. Its clones share their sessions.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

/// Names or addresses of servers that sessions are remembered of at most; of each, rustls keeps eight.
const SESSIONS: usize = 256;

impl Connector {
    /// Builds what `tls` asks for, or returns everything that is wrong with it.
    pub(super) fn new(tls: &Encryption, keys: &mut Keys) -> Result<Self, Vec<Problem>> {
        let provider = provider::provider(true);
        let mut errors = Vec::new();
        let mut keep = |key: &str, reason: String| {
            errors.push(Problem::new(path![key], reason));
        };
        let verifier = verifier(tls.roots.as_deref(), &provider).map_err(|reason| keep("ca", reason)).ok();
        let name = tls.spec.server_name.as_deref().map(|name| ServerName::try_from(name.to_owned()));
        let name = name.transpose().map_err(|error| keep("server_name", error.to_string())).ok();
        let certified = tls.certificate.as_ref().map(|one| keys.certified(one));
        let certified = certified.transpose().map_err(|reason| keep("certificate", reason)).ok();
        let (Some(verifier), Some(name), Some(certified)) = (verifier, name, certified) else {
            return Err(errors);
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(provider::versions(tls.min_version))
            .map_err(|error| vec![Problem::new(path!["min_version"], error.to_string())])?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match certified {
            Some(certified) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = tls.spec.alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Self { config: Arc::new(config), name })
    }

    /// Makes the TLS side of one socket to the server at `address`.
    pub(crate) fn begin(&self, address: &Address) -> Result<UnbufferedClientConnection, rustls::Error> {
        UnbufferedClientConnection::new(Arc::clone(&self.config), self.name_at(address))
    }

    fn name_at(&self, address: &Address) -> ServerName<'static> {
        // A server at a unix socket without a name is not verified; what stands for it is no name, so that
        // none is asked for.
        let of_address = || address.ip().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ip| ip.ip()).into();
        self.name.clone().unwrap_or_else(of_address)
    }
}

/// Verifies by `roots`; without, takes everything. A root that cannot be read is left out, as a system's
/// store may have some: none that can be is an error.
fn verifier(
    roots: Option<&[DerBytes]>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let Some(ders) = roots else { return Ok(Arc::new(Unverified::new(provider))) };
    let mut roots = RootCertStore::empty();
    let listed: Box<[_]> = ders.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    let (read, _) = roots.add_parsable_certificates(listed.iter().cloned());
    if read == 0 {
        return Err("none of the authorities' certificates can be read".into());
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    Ok(Arc::new(Pinned::new(verifier.map_err(|error| error.to_string())?, listed)))
}

#[cfg(test)]
impl Connector {
    /// Whether both share their sessions.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }

    /// Makes a buffered connection, for handshakes in memory.
    pub(super) fn begin_buffered(&self, address: &Address) -> rustls::ClientConnection {
        rustls::ClientConnection::new(Arc::clone(&self.config), self.name_at(address)).unwrap()
    }
}
