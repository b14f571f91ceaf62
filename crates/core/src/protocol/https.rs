//! `https`: requests and responses over TLS that ends here.
//!
//! Exchanges supervise its connections, as those of `http`, once the handshake is complete.

use super::{Protocol, TlsUse};

/// HTTP over TLS.
#[derive(Debug)]
pub(super) struct Https;

impl Protocol for Https {
    fn name(&self) -> &'static str {
        "https"
    }

    fn names(&self) -> bool {
        true
    }

    fn exchanges(&self) -> bool {
        true
    }

    fn tls(&self) -> TlsUse {
        TlsUse::Must
    }

    fn versions(&self) -> &'static [&'static str] {
        &["http/1.1", "http/1.0"]
    }
}
