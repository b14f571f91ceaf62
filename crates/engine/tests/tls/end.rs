//! Ends of TLS connections, and an authority that signs for them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// Signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for these names and its key.
    pub(crate) fn sign(&self, names: &[&str]) -> (Vec<u8>, Vec<u8>) {
        self.sign_as(names, |_| {})
    }

    /// The same, with something else about it.
    pub(crate) fn sign_as(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().to_vec(), key.serialize_der())
    }

    /// The same as a Spec has it.
    pub(crate) fn certificate(&self, names: &[&str]) -> Value {
        let (certificate, key) = self.sign(names);
        json!({
            "place": "made", "names": names, "chain": [STANDARD.encode(certificate)],
            "key": STANDARD.encode(key), "not_after": 4_000_000_000_i64,
        })
    }

    /// Its own certificate in Base64.
    pub(crate) fn der(&self) -> String {
        STANDARD.encode(self.0.der())
    }

    /// What clients need that trust it.
    pub(crate) fn client_config(&self) -> ClientConfig {
        self.client_config_by(default_provider())
    }

    /// The same, by these suites and groups.
    pub(crate) fn client_config_by(&self, provider: CryptoProvider) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// A client that has connected and asks for `name`; its handshake happens with its first byte.
    pub(crate) fn client(&self, stream: TcpStream, name: &str) -> Client {
        client(self.client_config(), stream, name)
    }

    /// What a server needs that is one for these names.
    pub(crate) fn server_config(&self, names: &[&str]) -> ServerConfig {
        Self::presenting(self.sign(names))
    }

    /// What a server needs that presents this certificate.
    pub(crate) fn presenting((certificate, key): (Vec<u8>, Vec<u8>)) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate)], PrivateKeyDer::try_from(key).unwrap())
            .unwrap()
    }
}

pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;
pub(crate) type Server = StreamOwned<ServerConnection, TcpStream>;

pub(crate) fn client(config: ClientConfig, stream: TcpStream, name: &str) -> Client {
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

pub(crate) fn server(config: ServerConfig, stream: TcpStream) -> Server {
    // Tickets go first: what follows must not wait for their acknowledgement.
    stream.set_nodelay(true).unwrap();
    StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), stream)
}

/// Asks, and reads the head of the answer and `body` bytes more.
#[track_caller]
pub(crate) fn get(client: &mut (impl Read + Write), host: &str, body: usize) -> String {
    write!(client, "GET /path HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    answer(client, body)
}

/// Reads a head and `body` bytes more.
#[track_caller]
pub(crate) fn answer(stream: &mut impl Read, body: usize) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let mut rest = vec![0; body];
    stream.read_exact(&mut rest).unwrap();
    head.extend_from_slice(&rest);
    String::from_utf8(head).unwrap()
}
