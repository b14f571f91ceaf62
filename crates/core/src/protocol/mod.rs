//! What a listener speaks: which analyzers its client flow gets, and what a client is sent when it is refused.
//!
//! A protocol is one file and one line in [`REGISTRY`].

mod http;
mod https;
mod tcp;
mod tls;

use std::fmt::Debug;

use crate::analyze::Analyzer;
use crate::close::CloseReason;

/// Every protocol, by its name in the configuration.
pub static REGISTRY: &[&dyn Protocol] = &[&tcp::Tcp, &tls::Tls, &http::Http, &https::Https];

/// Plain bytes: whoever is refused is told nothing.
pub static TCP: &dyn Protocol = &tcp::Tcp;

/// TLS that is passed through: whoever is refused is told by an alert.
pub static TLS: &dyn Protocol = &tls::Tls;

/// What a listener speaks.
pub trait Protocol: Debug + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;

    /// Analyzers of what the client sends, in order, each for every client. The connection is routed when all have had
    /// their turn; with none it is routed when it is accepted.
    fn analyzers(&self) -> &'static [&'static dyn Analyzer] {
        &[]
    }

    /// Whether clients name what they want, so that a table can be consulted.
    fn names(&self) -> bool;

    /// Whether its connections carry requests and responses, each routed by itself.
    fn exchanges(&self) -> bool {
        false
    }

    /// Bytes sent to a refused client before its connection is closed; may be empty.
    fn refusal(&self, _reason: CloseReason) -> &'static [u8] {
        b""
    }
}

/// The protocol called `name`.
pub fn find(name: &str) -> Option<&'static dyn Protocol> {
    REGISTRY.iter().copied().find(|protocol| protocol.name() == name)
}
