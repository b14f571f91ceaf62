//! Acceptor: how TLS ends at one listener: its certificates, versions and groups as rustls wants them.

use std::sync::Arc;

use headworks_core::path;
use headworks_core::problem::Problem;
use headworks_core::tls::{Names, Termination, TlsFacts};
use rustls::pki_types::UnixTime;
use rustls::server::UnbufferedServerConnection;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CommonState, HandshakeKind, ServerConfig};

use super::keys::Keys;
use super::resolver::{Resolver, presented};
use super::resumption::Resumption;
use super::{agreed, clients, provider};

/// Makes the TLS side of clients of one listener.
#[derive(Debug, Clone)]
pub(crate) struct Acceptor {
    config: Arc<ServerConfig>,
    resumption: Resumption,
    clients: Arc<dyn ClientCertVerifier>,
    names: Arc<Names>,
    strict: bool,
}

impl Acceptor {
    /// Builds what `tls` asks for, or returns everything that is wrong with it.
    pub(super) fn new(tls: &Termination, keys: &mut Keys) -> Result<Self, Vec<Problem>> {
        let provider = provider::provider(tls.spec.post_quantum);
        let mut errors = Vec::new();
        let mut certified = Vec::with_capacity(tls.certificates.len());
        for certificate in &tls.certificates {
            match keys.certified(certificate) {
                Ok(one) => certified.push(one),
                Err(reason) => errors.push(Problem::new(certificate.path.clone(), reason)),
            }
        }
        let verifier = clients::verifier(tls.clients.as_ref(), &provider)
            .map_err(|found| errors.extend(found))
            .ok()
            .filter(|_| errors.is_empty());
        let Some(verifier) = verifier else { return Err(errors) };
        let resolver = Resolver::new(Arc::clone(&tls.names), tls.spec.strict_sni, certified);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(provider::versions(tls.min_version))
            .map_err(|error| vec![Problem::new(path!["min_version"], error.to_string())])?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = tls.spec.alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config.ignore_client_order = provider::has_fast_aes();
        let resumption =
            Resumption::new(tls).map_err(|reason| vec![Problem::new(path!["tickets"], reason)])?;
        resumption.configure(&mut config, tls.spec.early_data);
        let (names, strict) = (Arc::clone(&tls.names), tls.spec.strict_sni);
        Ok(Self { config: Arc::new(config), resumption, clients: verifier, names, strict })
    }

    /// Copies it, with the sessions of `previous` where that is safe.
    pub(super) fn adopt(&self, previous: &Self) -> Self {
        let resumption = self.resumption.adopt(&previous.resumption);
        let mut config = (*self.config).clone();
        resumption.configure(&mut config, self.config.max_early_data_size);
        Self { config: Arc::new(config), resumption, ..self.clone() }
    }

    /// Makes the TLS side of one client.
    pub(crate) fn begin(&self) -> Result<UnbufferedServerConnection, rustls::Error> {
        UnbufferedServerConnection::new(Arc::clone(&self.config))
    }

    /// Whether a client that asks for `name` (lower case), or for none, gets a certificate at all. One that
    /// does not is to be answered with the alert unrecognized_name (RFC 6066, section 3), which rustls does
    /// not send.
    pub(crate) fn knows(&self, name: Option<&str>) -> bool {
        self.names.for_client(name, self.strict).iter().any(|group| !group.is_empty())
    }

    /// Returns the index of the certificate for the ClientHello that this thread has fed to rustls last. To
    /// be called right after.
    pub(crate) fn presented() -> Option<u32> {
        presented()
    }

    /// Whether the client of a resumed session would still get in. Every session begets another, and rustls
    /// verifies a certificate only in the first handshake: without this, one that has expired since would be
    /// good for ever.
    pub(crate) fn readmits(&self, state: &CommonState) -> Result<(), rustls::Error> {
        self.readmits_at(state, UnixTime::now())
    }

    fn readmits_at(&self, state: &CommonState, now: UnixTime) -> Result<(), rustls::Error> {
        let resumed = state.handshake_kind() == Some(HandshakeKind::Resumed);
        match state.peer_certificates() {
            Some([leaf, rest @ ..]) if resumed => self.clients.verify_client_cert(leaf, rest, now).map(drop),
            _ => Ok(()),
        }
    }

    /// Returns what a complete handshake agreed on; `name` is what the client asked for. The certificate is
    /// what `presented` said.
    pub(crate) fn facts(&self, state: &CommonState, name: Option<&str>) -> TlsFacts {
        let client = agreed::client(state);
        TlsFacts { name: name.map(Box::from), client, ..agreed::agreed(state) }
    }
}

#[cfg(test)]
impl Acceptor {
    /// Does what `readmits` does, at another time.
    pub(super) fn would_readmit(&self, state: &CommonState, seconds: u64) -> Result<(), rustls::Error> {
        self.readmits_at(state, UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }

    /// Makes a buffered connection, for handshakes in memory.
    pub(super) fn begin_buffered(&self) -> rustls::ServerConnection {
        rustls::ServerConnection::new(Arc::clone(&self.config)).unwrap()
    }
}
