//! Acceptor: how TLS ends at one listener: its certificates, versions and groups as rustls wants them.

use std::sync::Arc;

use headworks_core::plan::PlanError;
use headworks_core::tls::{Certificate, HandshakeFault, Termination, TlsFacts};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::UnbufferedServerConnection;
use rustls::{CommonState, ServerConfig};

/// Makes the TLS side of clients of one listener.
#[derive(Debug)]
pub(crate) struct Acceptor {
    config: Arc<ServerConfig>,
}

impl Acceptor {
    /// What `tls` asks for; ticket keys are taken over from `previous` where that is safe.
    pub(crate) fn new(tls: &Termination, _previous: Option<&Self>) -> Result<Self, Vec<PlanError>> {
        let first = tls.certificates.first();
        let config =
            first.ok_or_else(|| "no certificate".to_owned()).and_then(|first| server_config(tls, first));
        match config {
            Ok(config) => Ok(Self { config: Arc::new(config) }),
            Err(reason) => {
                Err(vec![PlanError { path: vec!["certificates".into(), "0".into()], reason, hint: None }])
            }
        }
    }

    /// The TLS side of one client.
    pub(crate) fn begin(&self) -> Result<UnbufferedServerConnection, rustls::Error> {
        UnbufferedServerConnection::new(Arc::clone(&self.config))
    }

    /// Whether a client that asks for this name gets a certificate at all.
    pub(crate) fn knows(&self, _name: Option<&str>) -> bool {
        true
    }

    /// What of all that can go wrong in a handshake `error` is.
    pub(crate) fn fault(&self, error: &rustls::Error) -> HandshakeFault {
        match error {
            rustls::Error::AlertReceived(_) => HandshakeFault::Alerted,
            _ => HandshakeFault::Other,
        }
    }

    /// What a complete handshake agreed on; `name` is what the client asked for.
    pub(crate) fn facts(&self, state: &CommonState, name: Option<&str>) -> TlsFacts {
        TlsFacts {
            version: state.protocol_version().and_then(|version| version.as_str()).unwrap_or_default(),
            name: name.map(Box::from),
            ..TlsFacts::default()
        }
    }
}

fn server_config(tls: &Termination, certificate: &Certificate) -> Result<ServerConfig, String> {
    let chain = certificate.chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    let key = PrivateKeyDer::try_from(certificate.key.to_vec()).map_err(str::to_owned)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = tls.alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}
