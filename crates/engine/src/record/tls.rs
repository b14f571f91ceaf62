//! TlsKeys: what access records say of TLS. Nothing on connections that are not encrypted, or that are passed
//! through.

use headworks_core::tls::{HandshakeFault, TlsFacts};

use super::line::{Line, key};
use crate::io::Socket;

/// The account of one connection's TLS.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TlsKeys<'a> {
    /// The terms that the handshake agreed on.
    pub(crate) facts: Option<&'a TlsFacts>,
    /// Reason why its handshake failed.
    pub(crate) error: Option<HandshakeFault>,
}

impl<'a> TlsKeys<'a> {
    /// Makes the account of a client's socket.
    pub(crate) fn of(socket: &'a Socket) -> Self {
        Self { facts: socket.tls_facts(), error: None }
    }

    /// Appends the keys that there are.
    pub(super) fn write(&self, line: &mut Line<'_>) {
        if let Some(facts) = self.facts {
            line.text(key!("tls_version"), facts.version.as_bytes());
            line.text(key!("tls_cipher"), facts.cipher.as_bytes());
            line.text_of(key!("tls_group"), Some(facts.group.as_bytes()).filter(|group| !group.is_empty()));
            line.text(key!("tls_resumed"), if facts.resumed { b"true" } else { b"false" });
            line.text_of(key!("alpn"), facts.alpn.as_deref().map(str::as_bytes));
            line.number(key!("handshake_ms"), facts.handshake_ms);
        }
        line.text_of(key!("tls_error"), self.error.map(|error| error.as_str().as_bytes()));
    }
}
