//! Connector: how the servers of one backend are reached by TLS.

use std::sync::Arc;

use headworks_core::address::Address;
use headworks_core::plan::PlanError;
use headworks_core::tls::Encryption;
use rustls::client::UnbufferedClientConnection;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, IpAddr, ServerName};
use rustls::{ClientConfig, RootCertStore};

/// Makes the TLS side of sockets to the servers of one backend.
#[derive(Debug)]
pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl Connector {
    /// What `tls` asks for.
    pub(crate) fn new(tls: &Encryption) -> Result<Self, Vec<PlanError>> {
        let problem =
            |key: &str, reason: String| vec![PlanError { path: vec![key.into()], reason, hint: None }];
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(
            tls.roots.iter().flatten().map(|der| CertificateDer::from(der.to_vec())),
        );
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| problem("min_version", error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = tls.alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let name = tls.server_name.as_deref().map(|name| ServerName::try_from(name.to_owned())).transpose();
        let name = name.map_err(|error| problem("server_name", error.to_string()))?;
        Ok(Self { config: Arc::new(config), name })
    }

    /// The TLS side of one socket to the server at `address`.
    pub(crate) fn begin(&self, address: &Address) -> Result<UnbufferedClientConnection, rustls::Error> {
        let of_address = || address.ip().map(|ip| ServerName::IpAddress(IpAddr::from(ip.ip())));
        // Without a name, and where there is no address either, nothing that could be verified is left.
        let name = self.name.clone().or_else(of_address);
        let name = name.ok_or(rustls::Error::General("a unix socket needs a server_name".into()))?;
        UnbufferedClientConnection::new(Arc::clone(&self.config), name)
    }
}
