//! Protocol: what a listener speaks. It says which analyzers the client flow gets, what a client is sent when
//! it is refused, and the facts that the configuration goes by.
//!
//! A protocol is one file and one line in [`REGISTRY`]. No other room may know one by its name: a room that
//! would ask for it asks for a fact, in Python too.

mod first_bytes;
mod http;
mod http_host;
mod https;
mod tcp;
mod tls;

use std::fmt::Debug;

use crate::analyze::Analyzer;
use crate::close::CloseReason;

/// Every protocol, by its name in the configuration.
pub static REGISTRY: &[&dyn Protocol] =
    &[&tcp::Tcp, &tls::Tls, &http::Http, &https::Https, &http_host::HttpHost, &first_bytes::FirstBytes];

/// Plain bytes: a client that is refused is told nothing.
pub static TCP: &dyn Protocol = &tcp::Tcp;

/// TLS that is passed through: a client that is refused is told by an alert.
pub static TLS: &dyn Protocol = &tls::Tls;

/// HTTP that is passed through.
pub static HTTP_HOST: &dyn Protocol = &http_host::HttpHost;

/// A protocol that a listener speaks.
pub trait Protocol: Debug + Sync {
    /// Returns the protocol's name in the configuration.
    fn name(&self) -> &'static str;

    /// Analyzers of what the client sends, in order, each for every client. The connection is routed when all
    /// have had their turn; with none it is routed when it is accepted.
    fn analyzers(&self) -> &'static [&'static dyn Analyzer] {
        &[]
    }

    /// Whether clients name what they want, so that a table can be consulted.
    fn names(&self) -> bool;

    /// Whether its connections carry requests and responses, each routed by itself.
    fn exchanges(&self) -> bool {
        false
    }

    /// Whether TLS ends at its listeners.
    fn tls(&self) -> TlsUse {
        TlsUse::Never
    }

    /// Whether what it passes on is its clients' own TLS.
    fn passes_tls(&self) -> bool {
        false
    }

    /// Whether its listeners tell several kinds of clients apart, each with a way of its own.
    fn kinds(&self) -> bool {
        false
    }

    /// Returns the names by ALPN (RFC 7301) of the versions that it speaks, the one that is offered by itself
    /// first; empty when nobody here looks at what is spoken.
    fn versions(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the bytes sent to a refused client before its connection is closed; may be empty.
    fn refusal(&self, _reason: CloseReason) -> &'static [u8] {
        b""
    }
}

/// Whether TLS ends at a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsUse {
    /// TLS never ends at such a listener.
    Never,
    /// TLS ends there where certificates are configured.
    May,
    /// TLS always ends there, so that there must be certificates.
    Must,
}

impl TlsUse {
    /// Returns the word for it in the facts that Python is told.
    pub fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::May => "may",
            Self::Must => "must",
        }
    }
}

/// Returns the protocol called `name`.
pub fn find(name: &str) -> Option<&'static dyn Protocol> {
    REGISTRY.iter().copied().find(|protocol| protocol.name() == name)
}
