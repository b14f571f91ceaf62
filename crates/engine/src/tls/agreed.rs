//! Agreed: what a handshake agreed on, by the names of the IANA registries.

use headworks_core::tls::{ClientCertificate, TlsFacts};
use rustls::{CipherSuite, CommonState, HandshakeKind, NamedGroup, ProtocolVersion, SupportedCipherSuite};

/// Returns the facts that both sides can tell of a complete handshake.
pub(super) fn agreed(state: &CommonState) -> TlsFacts {
    TlsFacts {
        version: state.protocol_version().map_or("", version),
        cipher: state.negotiated_cipher_suite().map_or("", cipher),
        group: state.negotiated_key_exchange_group().map_or("", |group| name_of(group.name())),
        resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
        alpn: state.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into()),
        ..TlsFacts::default()
    }
}

/// Returns the certificate that the client was verified by.
pub(super) fn client(state: &CommonState) -> Option<ClientCertificate> {
    let leaf = state.peer_certificates()?.first()?;
    Some(ClientCertificate::read(leaf.as_ref()))
}

fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => "",
    }
}

fn cipher(suite: SupportedCipherSuite) -> &'static str {
    match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        // Of those before TLS 1.3, rustls' own names are the registry's.
        other => other.as_str().unwrap_or_default(),
    }
}

fn name_of(group: NamedGroup) -> &'static str {
    match group {
        NamedGroup::X25519 => "x25519",
        other => other.as_str().unwrap_or_default(),
    }
}
