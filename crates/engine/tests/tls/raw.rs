//! Raw: a client whose handshake is honest and whose records afterwards are made by hand, and the bytes of a
//! client's side.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::pki_types::ServerName;
use rustls::{
    ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite,
};

use super::*;

pub(crate) const ALERT: ContentType = ContentType::Alert;
pub(crate) const HANDSHAKE: ContentType = ContentType::Handshake;
pub(crate) const BYTES: ContentType = ContentType::ApplicationData;

/// A client that says whatever it wants, encrypted as it should be.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    encrypter: Box<dyn MessageEncrypter>,
    number: u64,
}

impl Raw {
    /// By TLS 1.3.
    pub(crate) fn new(authority: &Authority, stream: TcpStream) -> Self {
        Self::by(authority, stream, cipher_suite::TLS13_AES_128_GCM_SHA256)
    }

    /// By TLS 1.2.
    pub(crate) fn old(authority: &Authority, stream: TcpStream) -> Self {
        Self::by(authority, stream, cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256)
    }

    fn by(authority: &Authority, mut stream: TcpStream, suite: SupportedCipherSuite) -> Self {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![suite];
        let mut config = authority.client_config_by(provider);
        config.enable_secret_extraction = true;
        let name = ServerName::try_from("a.example").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        while client.is_handshaking() || client.wants_write() {
            client.complete_io(&mut stream).unwrap();
        }
        let (number, secrets) = client.dangerous_extract_secrets().unwrap().tx;
        let encrypter = match (suite, secrets) {
            (SupportedCipherSuite::Tls13(suite), ConnectionTrafficSecrets::Aes128Gcm { key, iv }) => {
                suite.aead_alg.encrypter(key, iv)
            }
            (SupportedCipherSuite::Tls12(suite), ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) => {
                suite.aead_alg.encrypter(key, iv.as_ref(), &[])
            }
            _ => panic!("another suite was agreed on"),
        };
        Self { stream, encrypter, number }
    }

    /// A record, as it goes on the wire.
    pub(crate) fn record(&mut self, typ: ContentType, payload: &[u8]) -> Vec<u8> {
        let payload = OutboundChunks::Single(payload);
        let message = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
        self.number += 1;
        self.encrypter.encrypt(message, self.number - 1).unwrap().encode()
    }

    /// Sends a record.
    pub(crate) fn send(&mut self, typ: ContentType, payload: &[u8]) {
        let record = self.record(typ, payload);
        self.stream.write_all(&record).unwrap();
    }

    /// Reads to the end, or to the reset that is the answer to what nobody wanted to read.
    pub(crate) fn drain(&mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new());
    }
}

/// Drives a handshake through `stream` and gives every flight of the client's to `send` before it goes out.
pub(crate) fn shake(
    client: &mut ClientConnection,
    stream: &mut TcpStream,
    mut send: impl FnMut(&mut TcpStream, &[u8]),
) {
    loop {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        if !flight.is_empty() {
            send(stream, &flight);
        }
        if !client.is_handshaking() {
            return;
        }
        if client.read_tls(stream).unwrap() == 0 {
            panic!("the handshake was cut off");
        }
        client.process_new_packets().unwrap();
    }
}

/// A client's machine for `a.example`.
pub(crate) fn machine(authority: &Authority) -> ClientConnection {
    let name = ServerName::try_from("a.example").unwrap();
    ClientConnection::new(Arc::new(authority.client_config()), name).unwrap()
}

/// The same that speaks TLS 1.2 and nothing newer.
pub(crate) fn old_machine(authority: &Authority) -> ClientConnection {
    let name = ServerName::try_from("a.example").unwrap();
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256];
    let config = authority.client_config_by(provider);
    ClientConnection::new(Arc::new(config), name).unwrap()
}

/// A ClientHello for `a.example`, in its record.
pub(crate) fn client_hello(authority: &Authority) -> Vec<u8> {
    let mut bytes = Vec::new();
    machine(authority).write_tls(&mut bytes).unwrap();
    bytes
}

/// A server of the same kind.
pub(crate) struct RawServer(pub(crate) Raw);

impl RawServer {
    /// By TLS 1.3, without tickets.
    pub(crate) fn new(mut config: rustls::ServerConfig, mut stream: TcpStream) -> Self {
        config.enable_secret_extraction = true;
        config.send_tls13_tickets = 0;
        let mut server = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        while server.is_handshaking() || server.wants_write() {
            server.complete_io(&mut stream).unwrap();
        }
        let Some(SupportedCipherSuite::Tls13(suite)) = server.negotiated_cipher_suite() else {
            panic!("an old version was agreed on")
        };
        let (number, secrets) = server.dangerous_extract_secrets().unwrap().tx;
        let encrypter = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv }
            | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
            | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => suite.aead_alg.encrypter(key, iv),
            _ => panic!("another suite was agreed on"),
        };
        Self(Raw { stream, encrypter, number })
    }
}
